"""Train and judge a network on pictures of sound: one run, or with -m a sweep that ends in a comparison."""

import sys
import traceback
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from audioid.commands.runner import error_line, run_command
from audioid.config import CONF, check_command_line, compose, validate
from audioid.files import replacing
from audioid.overrides import parse_flags
from audioid.program import program
from audioid.schema import Settings
from hydra_plugins.audioid import register


@hydra.main(config_path=str(CONF), config_name="config", version_base=None)
def job(config: DictConfig) -> None:
    """One run. In a sweep a failure is written down, so that the other runs go on."""
    chosen = HydraConfig.get()
    folder = Path(chosen.runtime.output_dir)
    if chosen.mode != RunMode.MULTIRUN:
        if status := run_command(lambda: run_in(folder, validate(config), chosen.overrides.task)):
            sys.exit(status)  # here, since Hydra would add lines of its own
        return
    try:
        run_in(folder, validate(config), chosen.overrides.task)
    except Exception as error:
        line = error_line(error) or f"{type(error).__name__}: {str(error).strip() or 'see error.txt'}".splitlines()[0]
        with replacing(folder / "error.txt") as part:
            part.write_text(f"{line}\n\n{traceback.format_exc()}", encoding="utf-8")
        print(f"error: {line}", file=sys.stderr)
    except BaseException:
        print(f"Go on with the whole sweep: {program('train')} resume='{chosen.sweep.dir}'", file=sys.stderr)
        raise


def run_in(folder: Path, settings: Settings, overrides: list[str]) -> None:
    """One run in its folder, unless it is there already."""
    from audioid.training import run_folder

    if run_folder.is_done(folder, settings):
        print(f"{folder.name}: done already", flush=True)
        return
    from audioid.training.run import run  # heavy, so after the configuration is known to be right

    run(settings, folder, overrides)


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
