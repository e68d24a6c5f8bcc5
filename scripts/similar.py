"""`audioid similar`, from a checkout."""

import sys

from audioid.commands.similar import main

if __name__ == "__main__":
    sys.exit(main())
