"""Freed memory is kept for the next step, as the kernel counts its pages."""

import platform
import subprocess
import sys

import pytest

ROUNDS = """
import resource
from audioid.training.allocator import keep_freed_memory
{call}
for number in range(8):
    if number == 4:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    parts = [bytearray(size) for size in (10_000_000, 10_000_000, 50_000_000)]
    del parts
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 4)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is another one")
def test_pages_are_mapped_once_and_not_each_round() -> None:
    faults = {}
    for call in ("", "keep_freed_memory()"):
        code = ROUNDS.format(call=call)
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        faults[call] = float(told)
    assert faults[""] > 1000  # 70 MB are 17,000 pages of 4 KiB, if no larger pages are used
    assert faults["keep_freed_memory()"] < 100


MEASURED = """
from audioid.training.allocator import keep_freed_memory
from audioid.training.memory import MemoryMeter
import time
keep_freed_memory()
for number in range(2):
    with MemoryMeter() as memory:
        parts = [bytearray(b"x" * 10_000_000) for _ in range(10)]
        time.sleep(0.3)
        del parts
    print(memory.peak_mib)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is another one")
def test_what_one_run_keeps_is_not_taken_off_the_next_one_s_memory() -> None:
    told = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True).stdout
    assert [float(line) for line in told.split()] == pytest.approx([95, 95], abs=25)
