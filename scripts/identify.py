"""`audioid identify`, from a checkout."""

import sys

from audioid.commands.identify import main

if __name__ == "__main__":
    sys.exit(main())
