"""What happens over the whole of a sweep: a line after each run, and the comparison when the last has ended."""

import os
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict

from audioid.jobs import jobs_of
from audioid.program import program
from audioid.training.budget import Asked
from audioid.training.progress import ended_at, state_of, sweep_progress
from hydra_plugins.audioid import ApplyingSweeper

MOST_NAMED = 8  # of the runs that did not end

# TensorBoard's older tabs tick no run where there are more than 40; with a filter they tick what it lets through.
BOARD = "http://localhost:6006/#text&regexInput=comparison"


class ShowProgress(Callback):
    """Tells after each run how far the sweep is. Each process of a sweep gets a copy, which knows all of the runs."""

    def __init__(self) -> None:
        self.runs, self.since, self.told = dict[Path, Asked](), 0.0, 0.0

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        is_ours = str(config.hydra.sweeper._target_).endswith(f".{ApplyingSweeper.__name__}")  # whose runs are known
        if is_ours and not config.trainer.fast_dev_run:
            # As they were written: `seed=${split.seed}` is another seed in each job.
            overrides = cast(list[str], OmegaConf.to_container(config.hydra.overrides.task, resolve=False))
            self.begin(config, jobs_of(overrides, GlobalHydra.instance().config_loader()))

    def begin(self, config: DictConfig, jobs: Sequence[tuple[str, ...]]) -> None:
        """Tells from now on of the runs of these jobs, as a search does once it knows them."""
        self.runs, self.since = _runs(config, jobs), time.time()
        self._tell()

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        if self.runs:
            os.utime(config.hydra.runtime.output_dir)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Ends the program with status 1 where a run has no end, as when a cluster stopped its job."""
        states = {folder: state_of(folder, asked, self.since) for folder, asked in self.runs.items()}
        begun, to_go = ([each.name for each in states if states[each] == state] for state in ("running", "to go"))
        if unended := begun + to_go:  # first those that may be why
            names, more = ", ".join(unended[:MOST_NAMED]), len(unended) - MOST_NAMED
            who = f"{names} and {more} more" if more > 0 else names
            what = "its job was stopped before it ended" if len(unended) == 1 else "stopped before they ended"
            print(f"error: {who}: {what}", file=sys.stderr)
            tell_to_go_on(f"{len(unended)} of the runs have not ended; go on", config)
            sys.exit(1)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        if self.runs and max(map(ended_at, self.runs)) >= self.told:  # a job may be several runs
            self._tell()

    def _tell(self) -> None:
        self.told = time.time()
        print(sweep_progress(self.runs, self.since, time.time()), flush=True)


def _runs(master: DictConfig, jobs: Sequence[tuple[str, ...]]) -> dict[Path, Asked]:
    """The budget of each run of a sweep by its folder."""
    loader, runs, before = GlobalHydra.instance().config_loader(), dict[Path, Asked](), HydraConfig.instance().cfg
    # The first to ask for the folder fixes the time in its name for all, since the jobs take over what was resolved.
    sweep = Path(master.hydra.sweep.dir).absolute()
    for number, job in enumerate(jobs):
        config = loader.load_sweep_config(master, list(job))
        with open_dict(config):
            config.hydra.job.num, config.hydra.job.id = number, str(number)
        HydraConfig.instance().set_config(config)  # a folder's name may depend on the run's own overrides
        runs[sweep / str(OmegaConf.select(config, "hydra.sweep.subdir"))] = Asked(
            config.trainer.max_steps, config.trainer.max_epochs
        )
    HydraConfig.instance().cfg = before
    return runs


class CompareAtEnd(Callback):
    """Writes and prints the comparison of a sweep's runs, and names those that failed."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Ends the program with status 1 where a run failed; Hydra itself would end with 0."""
        from audioid.comparison.report import compare
        from audioid.errors import AudioidError
        from audioid.pipeline.showing import show

        sweep = Path(config.hydra.sweep.dir)
        failed = sorted(sweep.glob("*/error.txt"))
        if config.trainer.fast_dev_run and not failed:  # nothing was recorded
            return
        if not failed or any(sweep.glob("*/metrics.json")):
            try:
                print(compare(sweep, sweep, metric=config.metric, margin=config.margin, showing=show))
            except AudioidError as error:
                print(f"error: {error}", file=sys.stderr)
            print(f"Look at every run: tensorboard --logdir '{sweep}', then open {BOARD}")
        if failed:
            _tell_failures(failed)
            tell_to_go_on(f"{len(failed)} of the runs failed; mend and go on", config)
            sys.exit(1)


def tell_to_go_on(why: str, config: DictConfig) -> None:
    """Tells how to go on with the sweep of which `config` has Hydra's part."""
    code = [f"'{text}'" for text in config.hydra.overrides.task if text.startswith("model.target=")]
    go_on = " ".join([program("train"), f"resume='{config.hydra.sweep.dir}'", *code])
    print(f"{why}: {go_on}", file=sys.stderr)


def _tell_failures(files: list[Path]) -> None:
    """Each error once, with the runs that ended in it: a corpus that does not go with the split fails all of them."""
    runs = defaultdict[str, list[Path]](list)
    for file in files:
        runs[file.read_text(encoding="utf-8").partition("\n")[0]].append(file)
    for line, ended in runs.items():
        who = ended[0].parent.name if len(ended) == 1 else f"{len(ended)} runs, such as {ended[0].parent.name}"
        print(f"error: {who}: {line} ({ended[0]})", file=sys.stderr)
