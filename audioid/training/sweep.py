"""What happens when the last run of a sweep has ended."""

import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from audioid.program import program


class CompareAtEnd(Callback):
    """Writes and prints the comparison of a sweep's runs, and names those that failed."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Ends the program with status 1 where a run failed; Hydra itself would end with 0."""
        from audioid.comparison.report import compare
        from audioid.errors import AudioidError

        sweep = Path(config.hydra.sweep.dir)
        failed = sorted(sweep.glob("*/error.txt"))
        if config.trainer.fast_dev_run and not failed:  # nothing was recorded
            return
        try:
            print(compare(sweep, sweep))
        except AudioidError as error:
            print(f"error: {error}", file=sys.stderr)
        print(f"Look at every run: tensorboard --logdir '{sweep}'")
        for file in failed:
            print(
                f"error: {file.parent.name}: {file.read_text(encoding='utf-8').splitlines()[0]} ({file})",
                file=sys.stderr,
            )
        if failed:
            code = [f"'{text}'" for text in config.hydra.overrides.task if text.startswith("model.target=")]
            go_on = " ".join([program("train"), f"resume='{sweep}'", *code])
            print(f"{len(failed)} of the runs failed; mend and go on: {go_on}", file=sys.stderr)
            sys.exit(1)
