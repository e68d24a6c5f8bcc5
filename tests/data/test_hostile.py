import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "scripts" / "bench_hostile.py"


def test_fuzzed_files_are_read_or_refused_but_never_crash_hang_or_take_much_memory(tmp_path: Path) -> None:
    figures_file = tmp_path / "figures.json"
    subprocess.run([sys.executable, BENCH, "--quick", "--json", figures_file], check=True, capture_output=True)
    figures = json.loads(figures_file.read_text())
    assert figures["crashes"] == figures["hangs"] == figures["wrong"] == 0
    assert figures["readings"] == figures["read"] + figures["unreadable"]
    assert figures["files"] == figures["indexed"] + figures["skipped"]
    # The fuzzing would show nothing if all files stayed whole, or if none did.
    assert figures["read"] > 50
    assert figures["unreadable"] > 50
    assert figures["slowest_seconds"] < 5
    assert figures["most_memory_mib"] < 256
