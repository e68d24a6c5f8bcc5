"""`audioid suite`, from a checkout."""

import sys

from audioid.commands.suite import main

if __name__ == "__main__":
    sys.exit(main())
