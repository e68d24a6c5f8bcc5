"""`audioid synthesize`, from a checkout."""

import sys

from audioid.commands.synthesize import main

if __name__ == "__main__":
    sys.exit(main())
