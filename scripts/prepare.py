"""Fill the store with waveforms and images before any run needs them, with -m in shards on many machines.

python scripts/prepare.py data=folder data.root=DIR
python scripts/prepare.py -m shard='range(0,16)' hydra/launcher=submitit_slurm data=folder data.root=DIR
"""

import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

import hydra
from filelock import FileLock
from omegaconf import DictConfig, OmegaConf

from audioid.config import check_command_line, validate
from audioid.errors import AudioidError


@hydra.main(config_path="../conf", config_name="prepare", version_base=None)
def job(config: DictConfig) -> None:
    """One shard, or all."""
    shard = config.shard
    settings = validate(OmegaConf.masked_copy(config, [str(key) for key in config if key != "shard"]))
    shards = settings.store.shards
    if shard is not None and shard not in range(shards):
        raise AudioidError(f"shard: {shard} is none of 0 to {shards - 1}; change it or store.shards")
    import torch

    from audioid.data.corpus import read_corpus
    from audioid.data.store import Store
    from audioid.training import prepare

    started = time.perf_counter()
    cache = Path(settings.store.root).expanduser()
    store = Store(cache, max_bytes=int(settings.store.max_gib * 2**30))
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "index.lock"):  # one job reads all headers, the others find them in the cache
        index = read_corpus(settings.data, cache)
    samples, pixels = settings.audio.sample_rate * settings.audio.seconds, settings.image.size**2
    needed = index.table["checksum"].nunique() * 4 * (samples + pixels) / 2**30
    if needed > settings.store.max_gib:  # later shards would push the earlier ones out
        raise AudioidError(f"store.max_gib: {settings.store.max_gib:g} is too little for {needed:.2g} GiB; raise it")
    if shard is not None:
        index = prepare.only_shard(index, shard, shards)
    waveforms = prepare.waveforms(index, store, audio=asdict(settings.audio), shards=shards)
    on_gpu = settings.trainer.accelerator in ("auto", "gpu") and torch.cuda.is_available()
    prepare.images(
        waveforms,
        store,
        transform=asdict(settings.transform),
        image=asdict(settings.image),
        shards=shards,
        device="cuda" if on_gpu else "cpu",
    )
    name = "all shards" if shard is None else f"shard {shard} of {shards}"
    print(
        f"{settings.transform.name}, {name}: {len(waveforms)} recordings, {len(waveforms.failed)} of them unreadable,"
        f" in {time.perf_counter() - started:.1f} s",
        flush=True,
    )


def main() -> int:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here, to be told in one line
    arguments = sys.argv[1:]
    shards = [text for text in arguments if text.startswith("shard=")]
    try:
        sys.argv[1:] = [*check_command_line([text for text in arguments if text not in shards]), *shards]
        job()
    except AudioidError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
