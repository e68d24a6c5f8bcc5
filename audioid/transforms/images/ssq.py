"""Synchrosqueezed wavelet images: what a wavelet spreads over frequencies goes back to where it oscillates.

Each coefficient W(f, t) is moved to the row nearest to its own frequency, the rate of its phase, which is the real part
of W'/W / 2 pi i (Daubechies, Lu and Wu, Appl. Comput. Harmon. Anal. 30 (2011) 243, equations 1.3 to 1.5; Thakur et al.,
Signal Process. 93 (2013) 1079). There they are added, and the power of the sum is averaged over each column.

W and W' come from the same folded spectra as in `bands`, exact but of fewer samples, in tiers of rows: a tier has all
bands that hear its rows. The power of the sum jumps whenever a coefficient goes from one row to the next, so it is
sampled more densely than its bandwidth asks for.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from audioid.registry import register
from audioid.schema import SsqSettings
from audioid.transforms import wavelets
from audioid.transforms.bands import ALIASING, MARGIN, Tier, Tiers, by_octaves, piece_length, values_per_piece
from audioid.transforms.image import ImageSpec, TimeFrequencyTransform
from audioid.transforms.scales import MEL_BREAK
from audioid.transforms.wavelets import Wavelet, log_steps

# Bands give to the rows that they hear at no less than this part of their peak (-40 dB).
HEARD = 1e-2
# A piece in which the power has room for n independent values sees jumps in proportion to n, each off by up to a
# sample: this many times the root of n samples keep the error the same in low and high rows.
DENSITY = 14.5
# The frequency scales on tensors, up to a factor and a constant.
PLACES: dict[str, Callable[[Tensor], Tensor]] = {
    "log": torch.log,
    "mel": lambda hertz: (hertz + MEL_BREAK).log(),
    "linear": lambda hertz: hertz,
}


class SqueezeTier(Tier):
    """The mean power of the squeezed coefficients in the rows `frequencies` of the image, lowest first."""

    def __init__(self, wavelet: Wavelet, frequencies: Tensor, image: ImageSpec, *, padding: str) -> None:
        every, sample_rate = image.row_frequencies(), image.sample_rate
        # Sums over bands stand for integrals over log frequency: a tone of amplitude 1 keeps its amplitude.
        steps = log_steps(every) / wavelet.admissibility
        heard = wavelet.response(frequencies, every[:, None], sample_rate, "l1").abs() >= HEARD * 2  # of a peak of 2
        bands, steps = every[heard.any(1)][:, None], steps[heard.any(1)][:, None]
        count = wavelet.bandwidth(ALIASING) * frequencies[-1:] * piece_length(image.n_samples, image.size) / sample_rate
        (per_piece,) = values_per_piece(torch.maximum(count + MARGIN, DENSITY * count.sqrt()))
        super().__init__(wavelet, image, lowest=float(bands[0]), per_piece=per_piece, padding=padding)

        def respond(hertz: Tensor) -> Tensor:
            coefficients = wavelet.response(hertz, bands, sample_rate, "l1") * steps
            return torch.cat([coefficients, coefficients * hertz])  # and their derivatives / 2 pi i

        self.add(per_piece, respond, in_phase=True)
        self.place = PLACES[image.frequency_scale]
        first, last = self.place(every[[0, -1]]).tolist()
        self.per_row, self.origin = (last - first) / (image.size - 1), first
        # The rows that coefficients are put in: the tier's, and one at either end for what belongs to other tiers. What
        # lies beyond the image's first and last row goes there.
        begin, self.count = int((every < frequencies[0]).sum()), len(frequencies)
        self.low, self.high = max(0, begin - 1), min(image.size - 1, begin + self.count)
        self.first = begin - self.low

    def pooled(self, samples: Tensor) -> Tensor:
        width = samples.shape[2] // self.grid.pieces
        begin, end = self.grid.left * width, (self.grid.left + self.grid.shown) * width
        found, derivative = samples[..., begin : end + 1].chunk(2, 1)  # (units, bands, shown * width + 1)
        length, rows = found.shape[2], self.high - self.low + 1
        with torch.no_grad():
            conjugate = found.conj()
            size = (found * conjugate).real
            tiny = torch.finfo(size.dtype).tiny
            own = (derivative * conjugate).real / size.clamp(min=tiny)
            place = self.place(own.clamp_(min=tiny)).sub_(self.origin).div_(self.per_row)
            row = place.round_().clamp_(self.low, self.high).sub_(self.low).long()
            index = torch.add(torch.arange(length, device=row.device), row, alpha=length).flatten(1)
        squeezed = found.new_zeros(len(found), rows * length).scatter_add_(1, index, found.flatten(1))
        squeezed = squeezed.unflatten(1, (rows, length))[:, self.first : self.first + self.count]
        power = (squeezed * squeezed.conj()).real
        # The trapezoidal rule, from the piece's first sample to the next one's.
        return power[..., :-1].unflatten(2, (-1, width)).mean(-1) + power[..., ::width].diff() / (2 * width)


@register("transform", "ssq", SsqSettings)
class Ssq(TimeFrequencyTransform):
    """Synchrosqueezed images; see `TimeFrequencyTransform`.

    Args:
        wavelet: a complex one.
        padding: as for `audioid.transforms.cwt`.
    """

    def __init__(self, *, wavelet: str, padding: str, image: ImageSpec) -> None:
        mother, bands = wavelets.parse(wavelet), image.row_frequencies()
        super().__init__(image, bands)
        mother.warn_if_longer(bands, image.n_samples / image.sample_rate)
        tiers = [SqueezeTier(mother, rows, image, padding=padding) for rows in by_octaves(bands)]
        self.values = Tiers(tiers, padding=padding)
