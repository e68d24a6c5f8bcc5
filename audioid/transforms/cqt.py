"""The constant-Q transform (Brown 1991): windows of the same number of periods at every frequency.

That is a wavelet transform with a Hann window's wavelet, so it goes through the same engine.
"""

import math

from audioid.transforms.cwt import Cwt


class Cqt(Cwt):
    """Constant-Q images; see `TimeFrequencyTransform`.

    Args:
        filter_scale: 1 for windows just long enough to tell a row from the next where the `size` rows are spread
            evenly over the octaves, as in librosa's `cqt`; less for shorter windows.
        padding: as for `cwt`.
    """

    def __init__(
        self,
        *,
        filter_scale: float,
        padding: str,
        size: int,
        f_min: float,
        f_max: float,
        frequency_scale: str,
        amplitude_scale: str,
        decibel_range: float,
        sample_rate: int,
        n_samples: int,
    ) -> None:
        rows_per_octave = (size - 1) / math.log2(f_max / f_min)
        quality = filter_scale / (2 ** (1 / rows_per_octave) - 1)
        super().__init__(
            wavelet=f"hann{quality:.6f}",
            norm="l1",
            padding=padding,
            scales=None,
            first_samples=None,
            size=size,
            f_min=f_min,
            f_max=f_max,
            frequency_scale=frequency_scale,
            amplitude_scale=amplitude_scale,
            decibel_range=decibel_range,
            sample_rate=sample_rate,
            n_samples=n_samples,
        )
