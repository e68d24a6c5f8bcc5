"""`audioid serve`, from a checkout."""

import sys

from audioid.commands.serve import main

if __name__ == "__main__":
    sys.exit(main())
