"""Trains and judges a network on pictures of sound: one run, or with -m a sweep that ends in a comparison."""

import os
import signal
import sys
from pathlib import Path
from types import FrameType

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from audioid.config import CONF, check_command_line, validate
from audioid.errors import AudioidError


@hydra.main(config_path=str(CONF), config_name="config", version_base=None)
def job(config: DictConfig) -> None:
    """One run. In a sweep a failure is written down, so that the other runs go on."""
    settings = validate(config)
    folder = Path(HydraConfig.get().runtime.output_dir)
    is_sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    try:
        if is_sweep and settings.trainer.devices > 1:
            raise AudioidError("trainer.devices: a sweep gives each run one device; leave it at 1")
        from audioid.training.run import run  # heavy, so after the configuration is known to be right

        (folder / "error.txt").unlink(missing_ok=True)
        run(settings, folder)
    except Exception as error:
        if is_sweep:
            (folder / "error.txt").write_text(f"{error}\n", encoding="utf-8")
            print(f"error: {error}", file=sys.stderr)
        elif isinstance(error, AudioidError):
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)  # here, since Hydra would add lines of its own
        else:
            raise


def stop(signum: int, frame: FrameType | None) -> None:
    """Ends the whole sweep on SIGTERM, where Lightning would end one run and report success."""
    sys.exit(128 + signum)


def main() -> int:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here, to be told in one line
    signal.signal(signal.SIGTERM, stop)
    try:
        sys.argv[1:] = check_command_line(sys.argv[1:])
        job()
    except AudioidError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.filename is None:
            raise
        print(f"error: {error.filename}: {error.strerror}; choose a folder that can be written", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
