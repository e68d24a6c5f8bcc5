"""The command lines, a module each: the same functions for `audioid NAME`, `python train.py` and `scripts/NAME.py`."""
