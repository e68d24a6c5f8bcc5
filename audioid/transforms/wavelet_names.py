"""What a wavelet's name says, by PyWavelets' names; without torch, so that a name is judged before anything is loaded.

Centre frequencies are in cycles per PyWavelets' unit of time, where the size of the spectrum is largest; their closed
forms follow from the spectra in `wavelets.py`.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from audioid.errors import AudioidError

NORMS = ("l1", "l2")
PADDINGS = ("zero", "reflect")


@dataclass(frozen=True)
class WaveletName:
    """A wavelet's family and parameters; one that is not `is_complex` is real in time."""

    name: str
    family: str
    parameters: tuple[float, ...]
    is_complex: bool
    center_frequency: float


@lru_cache(maxsize=128)
def parse_name(name: str, key: str = "wavelet") -> WaveletName:
    """The wavelet called `name`, which stands under `key`.

    Raises:
        AudioidError: no such family, or parameters out of range.
    """
    match = re.fullmatch(r"([a-z]+?)((?:\d+(?:\.\d+)?)(?:-\d+(?:\.\d+)?)*)?", name)
    if match and match[1] in _FAMILIES:
        parameters = tuple(float(text) for text in match[2].split("-")) if match[2] else ()
        _, count, is_complex, is_valid, center = _FAMILIES[match[1]]
        if len(parameters) == count and is_valid(*parameters):
            return WaveletName(name, match[1], parameters, is_complex, center(*parameters))
    families = ", ".join(family + form for family, (form, *_) in _FAMILIES.items())
    raise AudioidError(f"{key}: there is no {name!r}; choose one of {families} (N, M: from 1 to 8)")


def constant_q(filter_scale: float, size: int, f_min: float, f_max: float) -> str:
    """The wavelet whose window is just long enough to tell `size` rows from `f_min` to `f_max` apart.

    Where the rows are spread evenly over the octaves and `filter_scale` is 1, as in librosa's `cqt`; less is shorter.
    """
    rows_per_octave = (size - 1) / math.log2(f_max / f_min)
    return f"hann{filter_scale / (2 ** (1 / rows_per_octave) - 1):.6f}"


def _is_order(n: float) -> bool:
    return n.is_integer() and 1 <= n <= 8


def _is_positive(*values: float) -> bool:
    return all(0 < value < math.inf for value in values)


def _is_morse(beta: float, gamma: float) -> bool:
    # So that the peak, beta / gamma to the power of 1 / gamma, is a number a float holds, and there is a band about it.
    return min(beta, gamma) >= 0.01 and abs(math.log(beta / gamma)) < 100 * gamma


# Family: (how its parameters are written, their number, whether it is complex, which are allowed, centre frequency).
_FAMILIES: dict[str, tuple[str, int, bool, Callable[..., bool], Callable[..., float]]] = {
    "mexh": ("", 0, False, lambda: True, lambda: math.sqrt(2) / (2 * math.pi)),
    "morl": ("", 0, False, lambda: True, lambda: 5 / (2 * math.pi)),
    "gaus": ("N", 1, False, _is_order, lambda n: math.sqrt(2 * n) / (2 * math.pi)),
    "cgau": ("N", 1, True, _is_order, lambda n: (1 + math.sqrt(1 + 8 * n)) / (4 * math.pi)),
    "cmor": ("B-C", 2, True, _is_positive, lambda bandwidth, center: center),
    "shan": ("B-C", 2, True, _is_positive, lambda bandwidth, center: center),
    "fbsp": ("M-B-C", 3, True, lambda m, b, c: _is_order(m) and _is_positive(b, c), lambda m, b, center: center),
    "gmw": ("BETA-GAMMA", 2, True, _is_morse, lambda beta, gamma: (beta / gamma) ** (1 / gamma) / (2 * math.pi)),
    "hann": ("PERIODS", 1, True, _is_positive, lambda periods: 1.0),
}
