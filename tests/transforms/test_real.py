"""The twins in real arithmetic, held to the pictures that they stand for."""

from typing import Any

import pytest
import torch

from audioid import transforms
from audioid.errors import AudioidError
from audioid.transforms.image import ImageSpec, TimeFrequencyTransform
from audioid.transforms.real import in_real_arithmetic


def sounds(n: int) -> torch.Tensor:
    """Noise, noise that dies away, a tone, an impulse, quiet noise, and silence."""
    time = torch.arange(n)
    noise = torch.randn(n, generator=torch.Generator().manual_seed(0))
    impulse = torch.zeros(n)
    impulse[n // 3] = 1
    return torch.stack(
        [
            noise,
            noise * torch.exp(-8 * time / n),
            torch.sin(0.3 * time),
            impulse,
            1e-6 * noise,
            torch.zeros(n),
        ]
    )


def built(options: dict[str, Any], image: dict[str, Any], rate: int, n: int) -> Any:
    return transforms.build(options, image, sample_rate=rate, n_samples=n)


CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    *((name, {}, {}) for name in ("fft", "cwt", "cqt", "mfcc", "both")),
    *(("cwt", {"wavelet": name}, {}) for name in ("mexh", "morl", "gmw20-3", "cgau3", "gaus2", "shan1.5-1.0")),
    *(("cwt", {"wavelet": name}, {"amplitude_scale": "signed"}) for name in ("mexh", "gaus3", "cgau3")),
    ("cwt", {"wavelet": "mexh", "scales": [1, 99], "first_samples": 2500}, {"amplitude_scale": "signed"}),
    ("cwt", {"padding": "reflect", "norm": "l2"}, {"amplitude_scale": "magnitude"}),
    ("fft", {"n_mels": 64, "window": "blackman"}, {"frequency_scale": "mel"}),
    ("fft", {"n_fft": 1018}, {"frequency_scale": "linear"}),
]


@pytest.mark.parametrize(("rate", "n"), [(8000, 3200), (11025, 11025)])
@pytest.mark.parametrize(("name", "keys", "scale"), CASES)
def test_a_twin_is_the_same_picture(
    name: str, keys: dict[str, Any], scale: dict[str, Any], rate: int, n: int,
    image: dict[str, Any], options: dict[str, Any],
) -> None:  # fmt: skip
    picture = built(options[name] | keys, image | scale, rate, n)
    waveforms = sounds(n)
    # Of 80 dB; what lies at their lower end carries the rounding of the loudest.
    torch.testing.assert_close(in_real_arithmetic(picture)(waveforms), picture(waveforms), rtol=0, atol=1e-4)


def test_a_twin_has_blocks_whose_length_is_a_prime(image: dict[str, Any], options: dict[str, Any]) -> None:
    picture = built(options["cwt"], image | {"size": 224, "f_max": 10000.0}, 48000, 3 * 48000)
    assert 6857 in {tier.grid.n_fft for tier in picture.values.tiers}
    waveforms = sounds(3 * 48000)[:2]
    torch.testing.assert_close(in_real_arithmetic(picture)(waveforms), picture(waveforms), rtol=0, atol=1e-4)


def test_a_twin_leaves_the_picture_as_it_was(image: dict[str, Any], options: dict[str, Any]) -> None:
    for name in ("both", "cwt"):
        picture = built(options[name], image, 8000, 6000)
        parts = list(picture.modules())
        twin = in_real_arithmetic(picture)
        assert list(picture.modules()) == parts
        assert (twin.channels, twin.row_label) == (picture.channels, picture.row_label)
        assert torch.equal(twin.frequencies, picture.frequencies)
        # Complex numbers would be what this is there to avoid.
        graph = torch.export.export(twin, (torch.randn(2, 6000),)).graph
        called = {str(node.target) for node in graph.nodes if node.op == "call_function"}
        assert not [name for name in called if "fft" in name or "complex" in name]


def test_a_squeezed_picture_has_none(image: dict[str, Any], options: dict[str, Any]) -> None:
    with pytest.raises(
        AudioidError, match=r"transform=ssq: .* train with transform=fft, cwt, cqt, mfcc or both instead"
    ):
        in_real_arithmetic(built(options["ssq"], image, 8000, 6000))


def test_a_picture_of_somebody_elses_is_itself(image: dict[str, Any]) -> None:
    spec = ImageSpec(**image, sample_rate=8000, n_samples=6000)
    picture, waveforms = TimeFrequencyTransform(spec, spec.row_frequencies()), sounds(6000)
    picture.values = torch.nn.Sequential(torch.nn.Unflatten(1, (40, 150)), torch.nn.AdaptiveAvgPool1d(40))
    assert torch.equal(in_real_arithmetic(picture)(waveforms), picture(waveforms))
