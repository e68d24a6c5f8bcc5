from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audioid.config import compose
from audioid.errors import AudioidError
from audioid.training.augment import Augment
from audioid.training.augment_rules import OF_IMAGES, OF_LOG_DECIBELS, check_augment, told
from audioid.training.module import ClassifierModule
from audioid.training.pitch import SHIFT

RATE = 16000
IMAGE: dict[str, Any] = {"size": 50, "amplitude_scale": "decibel", "decibel_range": 80.0}


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def bursts(count: int) -> Tensor:
    """Noise that decays, as struck instruments do, (batch, time)."""
    return torch.randn(count, RATE) * torch.exp(-8 * torch.arange(RATE) / RATE)


class Level(nn.Module):
    """A picture whose values all are the clip's level."""

    def forward(self, waveform: Tensor) -> Tensor:
        return waveform.abs().mean(1).reshape(-1, 1, 1, 1).expand(-1, 1, 50, 50)


def built(option: str, *overrides: str) -> Augment:
    settings = compose([f"augment={option}", *overrides])
    image = IMAGE | {"amplitude_scale": settings.image.amplitude_scale}
    values = settings.augment.model_dump()
    if values["frequency_shift"] == "auto":  # no recordings decide here
        values["frequency_shift"] = SHIFT
    return Augment(values, Level(), image=image, sample_rate=RATE, n_classes=3)


def test_none_changes_nothing() -> None:
    images, targets = torch.rand(4, 1, 50, 50), torch.tensor([0, 1, 2, 1])
    module = built("none")
    assert not module.of_sound
    assert module(images, targets)[0] is images
    assert module(images, targets)[1] is targets


@pytest.mark.parametrize("option", ["sound", "full"])
def test_sound_options_take_waveforms(option: str) -> None:
    module = built(option)
    assert module.of_sound
    images, targets = module(bursts(4), torch.tensor([0, 1, 2, 1]))
    assert images.shape == (4, 1, 50, 50)
    assert targets.shape == ((4, 3) if option == "full" else (4,))


@pytest.mark.parametrize("option", ["auto", "specaugment", "sound", "full"])
def test_a_seed_repeats_the_draws(option: str) -> None:
    module, targets = built(option), torch.tensor([0, 1, 2, 1])
    batch = bursts(4) if module.of_sound else torch.rand(4, 1, 50, 50)
    torch.manual_seed(3)
    first = module(batch, targets)
    second = module(batch, targets)
    torch.manual_seed(3)
    again = module(batch, targets)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], second[0])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("pitch_semitones", 2), ("speed", 0.1), ("eq_db", 9), ("reverb_seconds", 0.2), ("min_snr_db", 0), ("p", 0.9)),
        *(("frequency_shift", 0.1), ("time_stretch", 0.5), ("tilt_db", 12)),
        *(("time_shift", 0.3), ("gain_db", 6), ("frequency_mask", 0.3), ("time_mask", 0.3), ("mixup", 0.4)),
    ],
)
def test_every_key_has_effect(key: str, value: float) -> None:
    base = {"p": ["augment.min_snr_db=0"], "gain_db": ["image.amplitude_scale=magnitude"]}.get(key, [])
    plain, changed = built("none", *base), built("none", *base, f"augment.{key}={value}")
    rows = bursts(16) if changed.of_sound else torch.rand(16, 1, 50, 50)
    targets = torch.arange(16) % 3
    torch.manual_seed(1)
    before = Level()(rows) if changed.of_sound and not plain.of_sound else plain(rows, targets)[0]
    torch.manual_seed(1)
    assert not torch.equal(changed(rows, targets)[0], before)


@pytest.mark.parametrize("scale", ["decibel", "signed"])
def test_gain_that_images_do_not_show_is_refused(scale: str) -> None:
    with pytest.raises(AudioidError, match=rf"augment.gain_db: {scale} images do not show .*; set it to 0, or image"):
        compose(["augment.gain_db=6", f"image.amplitude_scale={scale}", "transform=cwt"])


def test_gain_that_the_level_takes_back_is_refused() -> None:
    chosen = ["augment.gain_db=6", "image.amplitude_scale=magnitude"]
    assert compose(chosen).augment.gain_db == 6
    with pytest.raises(AudioidError, match=r"augment.gain_db: audio.level=rms makes .*; set it to 0, or audio.level"):
        compose([*chosen, "audio.level=rms"])


@pytest.mark.parametrize("key", OF_IMAGES)
def test_rows_that_are_no_bands_are_not_changed_as_bands(key: str) -> None:
    settings = compose(["augment=sound"]).augment.model_dump()
    mfcc, image = {"name": "mfcc"}, {"frequency_scale": "log"}
    check_augment(settings, mfcc, image | {"amplitude_scale": "decibel"}, "none")
    with pytest.raises(AudioidError, match=f"augment.{key}: .* mfcc .*; set it to 0"):
        check_augment(settings | {key: 0.1}, mfcc, image | {"amplitude_scale": "magnitude"}, "none")


@pytest.mark.parametrize("scale", ["decibel", "magnitude"])
@pytest.mark.parametrize("option", ["auto", "none", "specaugment", "sound", "full"])
def test_every_option_goes_with_every_scale(option: str, scale: str) -> None:
    assert compose([f"augment={option}", f"image.amplitude_scale={scale}"]).augment.name == option


@pytest.mark.parametrize(
    ("other", "kept"),
    [
        (["image.frequency_scale=mel"], {"frequency_mask", "time_mask"}),
        (["image.amplitude_scale=magnitude"], {"frequency_mask", "time_mask"}),
        (["transform=mfcc"], set()),
        (["transform=ssq"], {*OF_LOG_DECIBELS, "frequency_mask", "time_mask"}),
    ],
)
def test_auto_leaves_out_what_such_pictures_cannot_show(other: list[str], kept: set[str]) -> None:
    found = compose(other).augment.model_dump()
    assert {key for key in OF_IMAGES if found[key]} == kept
    key = next(key for key in OF_LOG_DECIBELS if key not in kept) if len(kept) < 5 else None
    if key:  # somebody chose it
        with pytest.raises(AudioidError, match=f"augment.{key}: "):
            compose([*other, f"augment.{key}=0.3"])


def test_a_run_tells_how_recordings_are_changed() -> None:
    assert told(compose(["augment=none"]).augment.model_dump()) == "learns from the recordings as they are"
    assert told(compose(["augment=none", "augment.min_snr_db=0", "augment.tilt_db=12"]).augment.model_dump()) == (
        "learns from recordings changed anew each time: min_snr_db 0, tilt_db 12"
    )


@pytest.mark.parametrize("key", OF_LOG_DECIBELS)
@pytest.mark.parametrize(
    "other",
    [
        ["image.frequency_scale=mel"],
        ["image.amplitude_scale=magnitude"],
        ["transform=cwt", "transform.wavelet=mexh", "transform.scales=[1,199]"],
    ],
)
def test_changes_of_decibels_over_log_frequencies_are_refused_elsewhere(key: str, other: list[str]) -> None:
    compose([f"augment.{key}=0.1"])
    with pytest.raises(AudioidError, match=f"augment.{key}: is for decibels over .*; set it to 0"):
        compose([f"augment.{key}=0.1", *other])


def test_all_channels_of_a_recording_are_changed_alike() -> None:
    module = built("auto", "augment.mixup=0.4", "augment.time_shift=0.1")
    images = torch.rand(16, 1, 50, 50).expand(-1, 2, -1, -1)
    changed = module(images, torch.arange(16) % 3)[0]
    assert torch.equal(changed[:, 0], changed[:, 1])


class Watched(nn.Flatten):
    """A network that remembers what it was shown."""

    def forward(self, images: Tensor) -> Tensor:
        self.seen = images
        return super().forward(images)[:, :3]


def test_validation_is_not_augmented() -> None:
    network = Watched()
    module = ClassifierModule(network, built("full"), optimizer={}, scheduler={}, seed=0)
    images, targets = torch.rand(2, 1, 50, 50), torch.tensor([0, 1])
    module.validation_step((images, targets, torch.ones(2, dtype=torch.int64)))
    assert network.seen is images
    module.training_step((bursts(2), targets))
    assert network.seen.shape == images.shape


def test_runs_where_only_deterministic_operations_are_allowed() -> None:
    torch.use_deterministic_algorithms(True)
    try:
        images, _ = built("full")(bursts(4), torch.tensor([0, 1, 2, 1]))
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.isfinite(images).all()
