"""`audioid pretrain`, from a checkout."""

import sys

from audioid.program import start

if __name__ == "__main__":
    sys.exit(start("pretrain"))
