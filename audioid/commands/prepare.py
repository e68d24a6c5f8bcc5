"""Fill the store with waveforms and images before any run needs them, with -m in shards on many machines."""

import sys

import hydra
from omegaconf import DictConfig, OmegaConf

from audioid.commands.runner import run_command
from audioid.config import CONF, check_command_line, validate
from audioid.errors import AudioidError
from hydra_plugins.audioid import register


@hydra.main(config_path=str(CONF), config_name="prepare", version_base=None)
def job(config: DictConfig) -> None:
    """One shard, or all."""
    if status := run_command(lambda: prepare(config)):
        sys.exit(status)  # here, since Hydra would add lines of its own


def prepare(config: DictConfig) -> None:
    """Fills one shard of the store, or all."""
    shard = config.shard
    settings = validate(OmegaConf.masked_copy(config, [str(key) for key in config if key != "shard"]))
    shards = settings.store.shards
    if shard is not None and (type(shard) is not int or shard not in range(shards)):
        raise AudioidError(f"shard: {shard} is none of 0 to {shards - 1}; change it or store.shards")

    # Heavy, so after the configuration is known to be right.
    from audioid.pipeline.device import device_of
    from audioid.pipeline.recordings import Stopwatch, compute_images, load_waveforms

    watch = Stopwatch()
    with watch("total"):
        device = device_of(settings)
        recordings = load_waveforms(settings, watch, device=device, shard=shard)
        compute_images(recordings, watch, device=device)
    name = "all shards" if shard is None else f"shard {shard} of {shards}"
    count, unreadable = len(recordings.index.table) + recordings.unreadable, recordings.unreadable
    print(
        f"{settings.transform.name}, {name}: {count} recordings, {unreadable} of them unreadable,"
        f" in {watch.seconds['total']:.1f} s",
        flush=True,
    )


def main() -> int:
    arguments = sys.argv[1:]
    shards = [text for text in arguments if text.startswith("shard=")]

    def work() -> None:
        if "," in "".join(shards) and not {"-m", "--multirun"} & set(arguments):
            raise AudioidError("shard: several values make a sweep; add -m")
        sys.argv[1:] = [*check_command_line([text for text in arguments if text not in shards]), *shards]
        register()
        job()

    return run_command(work)
