"""What is wrong with a transform's settings is told without torch, and by `build` in the same words."""

import subprocess
import sys
from typing import Any

import pytest
import torch

from audioid import transforms
from audioid.errors import AudioidError
from audioid.transforms import check_transform

RATE, N = 8000, 6000
AUDIO = {"sample_rate": RATE, "seconds": N / RATE}
WRONG: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("cwt", {"wavelet": "db4"}, {}, "transform.wavelet: there is no 'db4'; choose one of mexh"),
    ("ssq", {"wavelet": "cmor0-1"}, {}, "transform.wavelet: there is no 'cmor0-1'"),
    ("ssq", {"wavelet": "mexh"}, {}, "mexh has no phase"),
    ("both", {"wavelet": "gmw20"}, {}, "there is no 'gmw20'"),
    ("cwt", {"norm": "max"}, {}, "transform.norm: there is no 'max'; choose l1 or l2"),
    ("cqt", {"padding": "wrap"}, {}, "transform.padding: there is no 'wrap'"),
    ("cqt", {"filter_scale": 1e-12}, {}, "transform.filter_scale"),
    ("cwt", {"scales": [5, 2]}, {}, "transform.scales"),
    ("cwt", {"scales": [1]}, {}, "transform.scales"),
    ("cwt", {"scales": [1, 50]}, {}, "transform.scales: cmor1.5-1.0 at scale 1 has 8000 Hz"),
    ("cwt", {"first_samples": 1}, {}, "transform.first_samples"),
    ("both", {"scales": [2, 50]}, {}, "transform.scales: the channels of both share"),
    ("both", {"first_samples": 99}, {}, "transform.first_samples: the channels of both share"),
    ("fft", {"n_fft": "long"}, {}, "transform.n_fft: 'long' is neither auto nor a number"),
    ("mfcc", {"win_length": "long"}, {}, "transform.win_length: 'long' is neither auto nor a number"),
    ("both", {"n_fft": 2047}, {}, "even n_fft"),
    ("fft", {"n_fft": 512, "win_length": 1024}, {}, "1024 must be at least 2 and no longer than an even n_fft"),
    ("fft", {"n_fft": 256}, {}, r"transform.win_length: 372 .* n_fft \(256\)"),
    ("fft", {"window": "boxcar"}, {}, "transform.window: there is no 'boxcar'"),
    ("mfcc", {"n_mels": 20, "n_mfcc": 21}, {}, "transform.n_mfcc: 20 mel bands give no 21"),
    ("fft", {}, {"f_max": 4001.0}, "image.f_max: 4001 Hz is above half the sample rate"),
    ("mfcc", {}, {"f_max": 4001.0}, "image.f_max: 4001 Hz"),
    ("cwt", {}, {"f_min": 0.0}, "image.f_min"),
    ("cwt", {}, {"f_min": 3001.0}, "image.f_min"),
    ("cqt", {}, {"frequency_scale": "bark"}, "image.frequency_scale: there is no 'bark'"),
    ("cwt", {}, {"amplitude_scale": "power"}, "image.amplitude_scale: there is no 'power'"),
    ("fft", {}, {"amplitude_scale": "signed"}, "fft has no signed values"),
    ("ssq", {}, {"amplitude_scale": "signed"}, "ssq has no signed values"),
    ("mfcc", {}, {"amplitude_scale": "magnitude"}, "image.amplitude_scale: mfcc is of decibels"),
]


@pytest.mark.parametrize(("name", "option", "setting", "message"), WRONG)
def test_a_wrong_value_is_one_line_with_its_key_and_a_way_on(
    name: str,
    option: dict[str, Any],
    setting: dict[str, Any],
    message: str,
    image: dict[str, Any],
    options: dict[str, Any],
) -> None:
    with pytest.raises(AudioidError, match=message) as early:
        check_transform(options[name] | option, image | setting, AUDIO)
    assert "; " in str(early.value)
    assert "\n" not in str(early.value)
    with pytest.raises(AudioidError) as late:
        transforms.build(options[name] | option, image | setting, sample_rate=RATE, n_samples=N)
    assert str(late.value) == str(early.value)


@pytest.mark.parametrize(
    ("name", "option", "setting", "audio"),
    [
        ("cwt", {"scales": [2, 199]}, {"f_max": 9999.0}, {}),  # its rows are the scales
        ("cwt", {"scales": [1, 199], "wavelet": "mexh"}, {"amplitude_scale": "signed"}, {}),
        ("cqt", {}, {"amplitude_scale": "signed"}, {}),
        ("fft", {"n_fft": 256, "win_length": 256}, {"f_max": 4000.0}, {}),
        ("fft", {}, {}, {"seconds": 2 / RATE}),  # the window is as short as the clip
        ("mfcc", {"n_mels": None, "n_mfcc": 40}, {}, {}),
    ],
)
def test_what_passes_makes_images(
    name: str,
    option: dict[str, Any],
    setting: dict[str, Any],
    audio: dict[str, Any],
    image: dict[str, Any],
    options: dict[str, Any],
) -> None:
    audio = AUDIO | audio
    check_transform(options[name] | option, image | setting, audio)
    n_samples = round(audio["seconds"] * RATE)
    made = transforms.build(options[name] | option, image | setting, sample_rate=RATE, n_samples=n_samples)
    images = made(torch.randn(2, n_samples, generator=torch.Generator().manual_seed(0)))
    assert images.shape == (2, 1, image["size"], image["size"])
    assert images.isfinite().all()
    assert not torch.equal(images[0], images[1])


def test_a_clip_of_one_sample_and_a_length_not_known_yet(image: dict[str, Any], options: dict[str, Any]) -> None:
    for option in options.values():
        with pytest.raises(AudioidError, match=r"audio.seconds: 1 samples make no picture; "):
            check_transform(option, image, AUDIO | {"seconds": 1 / RATE})
        check_transform(option, image, AUDIO | {"seconds": "auto"})


def test_no_torch_is_needed() -> None:
    code = (
        "import sys; from audioid.transforms import check_transform\n"
        "image = dict(size=40, f_min=50.0, f_max=900.0, frequency_scale='mel', amplitude_scale='decibel')\n"
        "wavelet = dict(wavelet='cmor1.5-1.0', norm='l1', padding='zero', scales=None, first_samples=None)\n"
        "fourier = dict(n_fft='auto', win_length='auto', window='hann', n_mels=None)\n"
        "check_transform(dict(name='both', **wavelet, **fourier), image, dict(sample_rate=8000, seconds=1.0))\n"
        "print(sorted({'torch', 'torchaudio', 'numpy', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
