"""Full-resolution coefficients and wavelet images against independent computations, and their physics."""

import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import pywt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audioid import transforms
from audioid.errors import AudioidError
from audioid.transforms import cwt, icwt, wavelets

RATE = 8000


def noise(n: int, batch: int = 1, seed: int = 0) -> Tensor:
    return torch.randn(batch, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def error(found: Any, expected: Any) -> float:
    return float(np.linalg.norm(np.asarray(found) - np.asarray(expected)) / np.linalg.norm(np.asarray(expected)))


def test_coefficients_are_the_oracles(oracle: ModuleType) -> None:
    waveform = noise(2000)
    frequencies = [150.0, 700.0, 2000.0, 3500.0]
    found = cwt(waveform, RATE, frequencies)
    assert found.shape == (1, 4, 2000)
    for row, frequency in enumerate(frequencies):
        expected = oracle.coefficients(waveform[0].numpy(), RATE, frequency, oracle.complex_morlet)
        expected = expected[: 2000 * oracle.OVERSAMPLING : oracle.OVERSAMPLING]
        # At 3,500 Hz the response is cut at half the sample rate, so what lies far off still matters a little.
        assert error(found[0, row], expected) < (1e-6 if frequency < 1000 else 5e-2 if frequency > 3000 else 1e-3)


def test_oracles_convolution_is_the_direct_sum(oracle: ModuleType) -> None:
    place, step = 157, 1 / (RATE * oracle.OVERSAMPLING)
    t = np.arange(400 * oracle.OVERSAMPLING) * step
    # A signal below a quarter of the rate, so that its interpolation is known in closed form.
    signal = np.cos(2 * np.pi * 500 * (np.arange(400) / RATE - 0.02)) * np.hanning(400)
    fine = np.cos(2 * np.pi * 500 * (t - 0.02)) * (0.5 - 0.5 * np.cos(2 * np.pi * t * RATE / 399))
    lag = t - place * step * oracle.OVERSAMPLING
    direct = np.sum(fine * np.conj(oracle.complex_morlet(lag * 600))) * 600 * step
    found = oracle.coefficients(signal, RATE, 600, oracle.complex_morlet)[place * oracle.OVERSAMPLING]
    assert abs(found - direct) < 1e-4 * abs(direct)


def test_engine_is_nearer_to_the_oracle_than_pywavelets(oracle: ModuleType) -> None:
    waveform = noise(4000)
    frequencies = np.geomspace(100, 1500, 12)
    fine = [oracle.coefficients(waveform[0].numpy(), RATE, f, oracle.complex_morlet) for f in frequencies]
    expected = np.array(fine)[:, : 4000 * oracle.OVERSAMPLING : oracle.OVERSAMPLING]
    ours = cwt(waveform.float(), RATE, frequencies.tolist())[0]
    scales = RATE / frequencies
    theirs, _ = pywt.cwt(waveform[0].numpy(), scales, "cmor1.5-1.0", method="fft")
    theirs = theirs * 2 / np.sqrt(scales)[:, None]
    assert error(ours, expected) < 1e-4
    assert error(theirs, expected) > 100 * error(ours, expected)


@pytest.mark.parametrize("name", ["mexh", "gaus1", "gaus3", "morl", "cmor1.5-1.0", "cgau2"])
def test_l2_is_pywavelets_convention(name: str) -> None:
    # Smooth sound and large scales, where PyWavelets' sampled kernels are accurate.
    waveform = torch.from_numpy(np.convolve(noise(3000)[0], np.hanning(60), mode="same"))
    scales = np.array([12.0, 25.0, 50.0])
    frequencies = wavelets.parse(name).scale_to_frequency(torch.from_numpy(scales), RATE)
    found = cwt(waveform, RATE, frequencies, wavelet=name, norm="l2").numpy()
    expected, _ = pywt.cwt(waveform.numpy(), scales, name, precision=14)
    expected = expected.conj() if name.startswith("cgau") else expected
    assert np.iscomplexobj(found) == wavelets.parse(name).is_complex
    # PyWavelets is half a sample late: the mean of two neighbours is where it says.
    found = (found[:, 599:-601] + found[:, 600:-600]) / 2
    assert error(found, expected[:, 600:-600]) < 0.02


def test_image_is_the_oracles(oracle: ModuleType, image: dict[str, Any], options: dict[str, Any]) -> None:
    # Up to a quarter of the rate: above, responses are cut at half of it and the oracle rings on at -70 dB.
    image |= {"f_max": 2000.0}
    waveform = noise(RATE, 2)
    waveform[1] *= torch.exp(-torch.arange(RATE) / 500)
    module = transforms.build(
        options["cwt"], image | {"amplitude_scale": "magnitude"}, sample_rate=RATE, n_samples=RATE
    )
    expected = [np.sqrt(oracle.mean_power(clip.numpy(), RATE, module.frequencies.numpy(), 40)) for clip in waveform]
    assert error(module(waveform.float())[:, 0], expected) < 1e-3
    decibels = 20 * np.log10(np.array(expected) / np.max(expected, axis=(1, 2), keepdims=True))
    module = transforms.build(options["cwt"], image, sample_rate=RATE, n_samples=RATE)
    assert error(module(waveform.float())[:, 0], np.clip(1 + decibels / 80, 0, 1)) < 1e-3


@pytest.mark.parametrize("n", [5, 37, 301, 5003])
@pytest.mark.parametrize("name", ["cmor1.5-1.0", "mexh", "cgau1", "gaus3"])
def test_image_of_any_length_is_the_pooled_coefficients(
    n: int, name: str, image: dict[str, Any], options: dict[str, Any]
) -> None:
    waveform = noise(n)
    setting = image | {"amplitude_scale": "magnitude", "size": 8, "f_min": 300.0, "f_max": 2000.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = transforms.build(options["cwt"] | {"wavelet": name}, setting, sample_rate=RATE, n_samples=n)
        # Coefficients at 16 times the rate, so that their power is well sampled: sinc interpolation in between.
        padded = torch.nn.functional.pad(waveform, (2 * n, 2 * n))
        spectrum = torch.fft.rfft(padded)
        fine = torch.fft.irfft(spectrum, 16 * padded.shape[1]) * 16
        power = cwt(fine, 16 * RATE, module.frequencies, wavelet=name).abs().square()[0, :, 32 * n :]
    integral = torch.cat([torch.zeros(8, 1), ((power[:, 1:] + power[:, :-1]) / 2).cumsum(1)], 1).numpy()
    edges = np.linspace(0, 16 * n, 9)
    expected = np.array([np.diff(np.interp(edges, np.arange(integral.shape[1]), row)) for row in integral]) / (2 * n)
    # Blocks begin on a sample, which is coarse where a column is shorter; real wavelets reach half the sample rate.
    limit = 0.15 if n < 10 else 0.03 if n < 100 else 0.02 if name != "cmor1.5-1.0" else 3e-3
    assert error(module(waveform.float())[0, 0], np.sqrt(expected)) < limit


def test_tones_of_one_amplitude_are_as_bright_at_any_frequency() -> None:
    frequencies = torch.tensor([100.0, 400.0, 1600.0, 3200.0])
    t = torch.arange(RATE) / RATE
    for name in ("cmor1.5-1.0", "gmw20-3", "morl", "mexh"):
        for row, frequency in enumerate(frequencies):
            found = cwt(torch.sin(2 * torch.pi * frequency * t), RATE, frequencies, wavelet=name)
            power = found[row, 2000:6000].abs().square().mean() * (1 if found.is_complex() else 2)
            assert float(power) == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("name", ["fft", "cwt", "ssq", "cqt"])
def test_a_tone_peaks_at_its_frequency_and_a_chirp_on_its_line(
    name: str, image: dict[str, Any], options: dict[str, Any]
) -> None:
    module = transforms.build(options[name], image, sample_rate=RATE, n_samples=RATE)
    t = torch.arange(RATE) / RATE
    rows = torch.arange(3, 40, 4)
    tones = torch.sin(2 * torch.pi * module.frequencies[rows, None] * t).float()
    assert (module(tones)[:, 0, :, 20].argmax(1) - rows).abs().max() <= 1
    rate = np.log(25.0)
    chirp = torch.sin(2 * torch.pi * 110 * (torch.exp(rate * t) - 1) / rate).float()
    expected = 110 * torch.exp(rate * module.times)
    found = module.frequencies[module(chirp[None])[0, 0].argmax(0)]
    assert ((found / expected).log2().abs()[3:-4] < 0.25).all()


@pytest.mark.parametrize("name", ["fft", "cwt", "ssq", "cqt"])
def test_a_click_is_at_its_column_in_every_row(name: str, image: dict[str, Any], options: dict[str, Any]) -> None:
    module = transforms.build(options[name], image | {"f_min": 400.0}, sample_rate=RATE, n_samples=RATE)
    waveform = torch.zeros(1, RATE)
    waveform[0, 4900] = 1
    columns = module(waveform)[0, 0]
    columns = columns[columns.amax(1) > 0]  # squeezed, some rows are empty
    assert ((columns.argmax(1) - 24).abs() <= (1 if name in ("cwt", "ssq") else 2)).all()


def test_shift_by_a_column_shifts_the_image(image: dict[str, Any], options: dict[str, Any]) -> None:
    waveform = torch.zeros(2, RATE)
    waveform[0, 1000:4000] = noise(3000).float()
    waveform[1, 1200:4200] = waveform[0, 1000:4000]
    for name in options.keys() - {"mfcc"}:  # which is of decibels
        module = transforms.build(
            options[name], image | {"amplitude_scale": "magnitude"}, sample_rate=RATE, n_samples=RATE
        )
        first, second = module(waveform)[:, 0]
        assert error(first[:, :-1], second[:, 1:]) < 2e-3, name


def test_zero_mean_and_energy() -> None:
    frequencies = torch.from_numpy(np.geomspace(60, 3900, 120))
    constant = cwt(torch.ones(RATE, dtype=torch.float64), RATE, frequencies[60:])
    assert constant[:, 3000:5000].abs().max() < 1e-5
    # Parseval: the energy of the coefficients over log frequency is the sound's.
    t = torch.arange(RATE) / RATE
    tone = torch.sin(2 * torch.pi * 500 * t).double() * torch.hann_window(RATE, dtype=torch.float64)
    energy = cwt(tone, RATE, frequencies).abs().square().sum(1) * frequencies.log().diff().mean()
    u = torch.linspace(0.01, 4, 4000, dtype=torch.float64)
    admissible = torch.trapezoid(wavelets.parse("cmor1.5-1.0").spectrum(u).square() / u, u)
    assert float(energy.sum() / admissible / 2) == pytest.approx(float(tone.square().sum()), rel=1e-3)


def test_inverse_gives_the_waveform_back() -> None:
    frequencies = torch.from_numpy(np.geomspace(30, 3999, 150))
    t = torch.arange(RATE) / RATE
    waveform = (torch.sin(2 * torch.pi * 300 * t) + torch.sin(2 * torch.pi * (200 * t + 400 * t**2))).double()
    for name in ("cmor1.5-1.0", "gmw20-3", "cgau4"):
        found = icwt(cwt(waveform, RATE, frequencies, wavelet=name), RATE, frequencies, wavelet=name)
        assert error(found[800:-800], waveform[800:-800]) < 5e-3, name


def test_padding_by_reflection() -> None:
    waveform = noise(500)[0]
    mirrored = torch.cat([waveform.flip(0)[:-1], waveform, waveform.flip(0)[1:]])
    found = cwt(waveform, RATE, [200.0], padding="reflect")
    assert error(found, cwt(mirrored, RATE, [200.0])[:, 499:999]) < 1e-4
    # Wavelets longer than the clip reflect more than once.
    with pytest.warns(UserWarning, match="lowest usable frequency"):
        assert cwt(waveform[:50], RATE, [20.0], padding="reflect").isfinite().all()


def test_float32_is_float64(image: dict[str, Any], options: dict[str, Any]) -> None:
    waveform = noise(RATE)
    exact, single = cwt(waveform, RATE, [100.0, 3000.0]), cwt(waveform.float(), RATE, [100.0, 3000.0])
    assert (exact.dtype, single.dtype) == (torch.complex128, torch.complex64)
    assert error(single, exact) < 1e-6
    for name in options:
        module = transforms.build(options[name], image, sample_rate=RATE, n_samples=RATE)
        single = module(waveform.float())
        assert error(single, module.double()(waveform)) < 1e-3, name


@pytest.mark.parametrize("name", ["cmor1.5-1.0", "mexh"])
@pytest.mark.parametrize("amplitude_scale", ["magnitude", "signed"])
def test_gradients(name: str, amplitude_scale: str, image: dict[str, Any], options: dict[str, Any]) -> None:
    setting = image | {"size": 8, "amplitude_scale": amplitude_scale, "f_min": 400.0}
    module = transforms.build(options["cwt"] | {"wavelet": name}, setting, sample_rate=RATE, n_samples=48).double()
    waveform = noise(48).requires_grad_()
    assert torch.autograd.gradcheck(module, (waveform,), eps=1e-6, atol=1e-4, nondet_tol=1e-9)


def test_the_original_ricker_image(image: dict[str, Any], options: dict[str, Any]) -> None:
    """Integer scales 1 to 199 of the first 2,500 samples, by the Ricker formula, divided by the largest value."""
    waveform = np.convolve(noise(3000)[0], np.hanning(9), mode="same")
    option = options["cwt"] | {"wavelet": "mexh", "norm": "l2", "scales": [1, 199], "first_samples": 2500}
    module = transforms.build(
        option, image | {"amplitude_scale": "signed", "size": 50}, sample_rate=RATE, n_samples=3000
    )
    rows = []
    for scale in range(199, 0, -1):
        t = np.arange(-10 * scale, 10 * scale + 1) / scale
        ricker = 2 / (np.sqrt(3 * scale) * np.pi**0.25) * (1 - t**2) * np.exp(-(t**2) / 2)
        rows.append(np.convolve(waveform[:2500], ricker)[10 * scale : 10 * scale + 2500].reshape(50, 50).mean(1))
    values = np.array(rows) / np.abs(rows).max()
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None, None], (50, 50), mode="bilinear", antialias=True
    )
    found = module(torch.from_numpy(waveform)[None].float())
    assert error(found, resized) < 0.02
    assert found.abs().max() <= 1


def test_a_band_between_two_bins_is_silent(image: dict[str, Any], options: dict[str, Any]) -> None:
    option = options["cwt"] | {"wavelet": "shan0.00001-1.0"}
    with pytest.warns(UserWarning, match="lowest usable frequency"):
        module = transforms.build(option, image, sample_rate=RATE, n_samples=1000)
    assert module(noise(1000).float()).isfinite().all()


def test_one_warning_with_the_lowest_usable_frequency(image: dict[str, Any], options: dict[str, Any]) -> None:
    with pytest.warns(UserWarning, match=r"below 246.* Hz .* lowest usable frequency") as caught:
        module = transforms.build(options["cwt"], image, sample_rate=RATE, n_samples=80)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module(noise(80).float())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wavelet": "db4"}, "there is no 'db4'; choose one of mexh"),
        ({"norm": "l3"}, "norm: there is no 'l3'; choose l1 or l2"),
        ({"padding": "wrap"}, "padding: there is no 'wrap'"),
        ({"frequencies": [4001.0]}, "4001 Hz is above half the sample rate"),
        ({"frequencies": []}, "frequencies: give a list"),
        ({"frequencies": [-1.0]}, "frequencies: give a list"),
        ({"waveform": torch.zeros(0)}, "a clip of 0 samples"),
        ({"waveform": torch.zeros(1)}, "a clip of 1 samples"),
        ({"waveform": torch.zeros(9, dtype=torch.int16)}, "int16"),
        ({"waveform": torch.full((2, 9), torch.nan)}, "clip 0 holds NaN"),
    ],
)
def test_bad_input_to_the_function(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"waveform": torch.zeros(900), "sample_rate": RATE, "frequencies": [1000.0]} | change
    with pytest.raises(AudioidError, match=message):
        cwt(**arguments)


def test_bad_input_to_the_inverse() -> None:
    values = torch.zeros(3, 50, dtype=torch.complex64)
    with pytest.raises(AudioidError, match="is real"):
        icwt(values, RATE, [100.0, 200.0, 300.0], wavelet="mexh")
    for frequencies in ([100.0, 200.0], [300.0, 200.0, 100.0]):
        with pytest.raises(AudioidError, match="rising values"):
            icwt(values, RATE, frequencies)


@settings(max_examples=20, deadline=None)
@given(n=st.integers(64, 3000), batch=st.integers(1, 3), rate=st.sampled_from([4000, 22050, 44101]))
def test_images_are_linear_in_level_and_independent_in_a_batch(n: int, batch: int, rate: int) -> None:
    option = {
        "name": "cwt",
        "wavelet": "gmw20-3",
        "norm": "l1",
        "padding": "reflect",
        "scales": None,
        "first_samples": None,
    }
    setting = {
        "size": 16,
        "f_min": 200.0,
        "f_max": 1900.0,
        "frequency_scale": "mel",
        "amplitude_scale": "magnitude",
        "decibel_range": 80,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = transforms.build(option, setting, sample_rate=rate, n_samples=n)
    waveform = noise(n, batch, seed=n).float()
    together = module(waveform)
    assert together.shape == (batch, 1, 16, 16)
    assert torch.allclose(together, torch.cat([module(clip[None]) for clip in waveform]), rtol=1e-4, atol=1e-6)
    assert torch.allclose(module(3 * waveform), 3 * together, rtol=1e-4, atol=1e-6)
