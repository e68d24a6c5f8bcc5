"""`audioid train`, from a checkout: one run, or with -m a sweep that ends in a comparison."""

import sys

from audioid.program import start


def main() -> int:
    return start("train")


if __name__ == "__main__":
    sys.exit(main())
