"""The constant-Q transform (Brown 1991): windows of the same number of periods at every frequency.

That is a wavelet transform with a Hann window's wavelet, so it goes through the same engine.
"""

from audioid.registry import register
from audioid.schema import CqtSettings
from audioid.transforms.image import ImageSpec
from audioid.transforms.images.cwt import Cwt
from audioid.transforms.wavelet_names import constant_q


@register("transform", "cqt", CqtSettings)
class Cqt(Cwt):
    """Constant-Q images; see `TimeFrequencyTransform`.

    Args:
        filter_scale: how long windows are, see `constant_q`.
        padding: as for `cwt`.
    """

    def __init__(self, *, filter_scale: float, padding: str, image: ImageSpec) -> None:
        wavelet = constant_q(filter_scale, image.size, image.f_min, image.f_max)
        super().__init__(wavelet=wavelet, norm="l1", padding=padding, scales=None, first_samples=None, image=image)
