"""Pictures of sounds of all kinds, beside which it is told whether a recording is like any that a model has learned."""

from pathlib import Path

from audioid.data.store import Store, StoredRows
from audioid.pipeline import stages
from audioid.pipeline.generated import generated_index, generated_waveforms
from audioid.schema import AudioSettings, GeneratedDataSettings, Settings

SEED = 1  # other sounds than those that shipped weights have learned
MOST = 1000
SECONDS = 4000  # of all together, at most: of long clips there are fewer


def background_count(audio: AudioSettings) -> int:
    """How many sounds there are."""
    assert audio.seconds != "auto"
    return max(1, min(MOST, int(SECONDS / audio.seconds)))


def background_kinds(audio: AudioSettings) -> list[str]:
    """The kind of each of the sounds, in the order of `background_images`."""
    return list(generated_index(_data(audio), audio).table["label"])


def _data(audio: AudioSettings) -> GeneratedDataSettings:
    return GeneratedDataSettings(
        name="generated",
        on_unreadable="skip",
        batch_size=1,
        seed=SEED,
        count=background_count(audio),
        label="kind",
    )


def background_images(settings: Settings, *, device: str) -> StoredRows:
    """Images of generated sounds as the settings make those of recordings, `(sounds, channels, size, size)`.

    The kinds take turns. The store keeps them for all runs with the same pictures.
    """
    shards = settings.store.shards
    store = Store(Path(settings.store.root).expanduser(), max_bytes=int(settings.store.max_gib * 2**30))
    audio = settings.audio.model_dump() | {"windows": 1}
    waveforms = generated_waveforms(
        generated_index(_data(settings.audio), settings.audio),
        store,
        seed=SEED,
        audio=audio,
        shards=shards,
        device=device,
    )
    return stages.images(
        waveforms,
        store,
        transform=settings.transform.model_dump(),
        image=settings.image.model_dump(),
        shards=shards,
        device=device,
    )
