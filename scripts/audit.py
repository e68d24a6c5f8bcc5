"""`audioid audit`, from a checkout."""

import sys

from audioid.commands.audit import main

if __name__ == "__main__":
    sys.exit(main())
