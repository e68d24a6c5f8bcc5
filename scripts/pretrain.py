"""`audioid pretrain`, from a checkout."""

import sys

from audioid.commands.pretrain import main

if __name__ == "__main__":
    sys.exit(main())
