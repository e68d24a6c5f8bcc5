"""`audioid train`, from a checkout: one run, or with -m a sweep that ends in a comparison."""

import sys

from audioid.commands.train import main

if __name__ == "__main__":
    sys.exit(main())
