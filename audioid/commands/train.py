"""Train and judge a network on pictures of sound: one run, or with -m a sweep that ends in a comparison."""

import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext
from copy import deepcopy
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from audioid.commands.runner import error_line, run_command
from audioid.comparison.records import TRIAL
from audioid.config import CONF, check_command_line, compose, validate
from audioid.errors import AudioidError
from audioid.files import replacing
from audioid.jobs import PARALLEL
from audioid.overrides import parse_flags
from audioid.schema import Settings
from audioid.terminal import named_lines
from audioid.training import run_folder
from audioid.training.run_folder import Plan
from hydra_plugins.audioid import register


@hydra.main(config_path=str(CONF), config_name="config", version_base=None)
def job(config: DictConfig) -> None:
    """One run, or several that are trained as one. In a sweep a failure is written down, so that the others go on."""
    chosen = HydraConfig.get()
    folder = Path(chosen.runtime.output_dir)
    if chosen.mode != RunMode.MULTIRUN:
        if status := run_command(lambda: run_in(folder, validate(config), chosen.overrides.task)):
            sys.exit(status)  # here, since Hydra would add lines of its own
        return
    # Joblib's processes write to one screen.
    with named_lines(folder.name) if chosen.launcher.get("n_jobs") not in (None, 1) else nullcontext():
        _run_of_sweep(config, folder)


def _run_of_sweep(config: DictConfig, folder: Path) -> None:
    try:
        failed = run_each(_plans(config))
    except Exception as reason:
        failed = {folder: reason}
    for place, error in failed.items():
        line = error_line(error) or f"{type(error).__name__}: {str(error).strip() or 'see error.txt'}".splitlines()[0]
        with replacing(place / "error.txt") as part:
            part.write_text(f"{line}\n\n{''.join(traceback.format_exception(error))}", encoding="utf-8")
        print(f"error: {line}", file=sys.stderr)


def run_in(folder: Path, settings: Settings, overrides: list[str]) -> None:
    """One run in its folder, unless it is there already."""
    if settings.trainer.parallel_seeds != 1:
        raise AudioidError(f"{PARALLEL}: takes a sweep of train; say it on the command line of that, or leave it at 1")
    if run_folder.is_done(folder, settings):
        print(f"{folder.name}: done already", flush=True)
        return
    if (folder / TRIAL).exists():
        from audioid.search.trial import run  # heavy, so after the configuration is known to be right
    else:
        print(folder.name, flush=True)  # before seconds of imports
        from audioid.training.run import run

    run(settings, folder, overrides)


def run_each(plans: Sequence[Plan]) -> dict[Path, Exception]:
    """The runs of a job, as one where they are several; by folder why they failed.

    What is done already, and what has something to go on from, is not trained again with the others.
    """
    failed, together = dict[Path, Exception](), list[Plan]()
    for plan in plans:
        try:
            is_alone = len(plans) == 1 or run_folder.has_begun(plan.folder)
            if is_alone or run_folder.is_done(plan.folder, plan.settings):
                run_in(plan.folder, plan.settings, plan.overrides)
            else:
                together.append(plan)
        except Exception as error:
            failed[plan.folder] = error
    if len(together) == 1:
        return failed | run_each(together)
    if together:
        from audioid.training.parallel.run import run

        try:
            outcomes: Sequence[Exception | None] = run(together)
        except Exception as error:
            outcomes = [error] * len(together)
        failed |= {plan.folder: error for plan, error in zip(together, outcomes, strict=True) if error}
    return failed


def _plans(config: DictConfig) -> list[Plan]:
    """The runs of a job of a sweep: one, or one for each of its `trainer.parallel_seeds`, as it would be alone."""
    chosen = HydraConfig.get()
    seeds, overrides = config.trainer.parallel_seeds, list(chosen.overrides.task)
    if not isinstance(seeds, ListConfig):
        return [Plan(validate(config), Path(chosen.runtime.output_dir), overrides)]
    overrides = [text for text in overrides if not text.startswith(f"{PARALLEL}=")]
    name = OmegaConf.to_container(chosen.sweep, resolve=False)["subdir"]  # type: ignore[call-overload, index]
    plans = []
    for seed in seeds:
        one = deepcopy(config)
        one.seed, one.trainer.parallel_seeds = seed, 1
        settings = validate(one)
        with open_dict(one):
            one.name = name  # which may refer to anything, such as ${seed}
        own = [f"seed={seed}" if text.startswith("seed=") else text for text in overrides]
        plans.append(Plan(settings, Path(chosen.sweep.dir, one.name).absolute(), own))
    if len({plan.settings.model_copy(update={"seed": 0}).model_dump_json() for plan in plans}) > 1:
        raise AudioidError(f"{PARALLEL}: other keys than seed depend on the seed; leave it at 1")
    if len({plan.folder for plan in plans}) < len(plans):
        raise AudioidError("hydra.sweep.subdir: is the same for several seeds; put ${seed} into it")
    return plans


def main() -> int:
    def work() -> None:
        arguments = sys.argv[1:] = check_command_line(sys.argv[1:])
        register()
        job()
        flags = parse_flags(arguments)
        if flags.cfg in ("job", "all") and not (flags.package or flags.config_dir or flags.multirun):
            from audioid.training.foreseen import foreseen

            print(f"# {foreseen(compose(flags.overrides))}")  # a comment of the YAML above

    return run_command(work)
