"""Discrete Fourier transforms as products of real matrices, for where there are neither FFTs nor complex numbers.

With N = rows * columns, n = columns * a + b and k = c + rows * d, the sum of x[n] exp(-2 pi i n k / N) over n is a
short transform over a for each b, a turn by exp(-2 pi i b c / N), and a short transform over b for each c (Cooley and
Tukey, Math. Comp. 19 (1965) 297). Lengths that have no such factors go by way of a convolution (Bluestein, IEEE Trans.
Audio Electroacoust. 18 (1970) 451).

Complex values have an axis of two before that of time: the real and the imaginary part.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

# The longer factor of a length is at most this many times its root; longer ones cost more than a convolution.
UNEVEN = 4


def dft(
    length: int, *, given: int, first: int, count: int, is_real: bool = False, is_inverse: bool = False
) -> nn.Module:
    """The module from values `(..., 2, given)`, or real ones `(..., 1, given)`, to bins `(..., 2, count)`.

    Args:
        length: of the transform.
        given: how many values are given: of fewer than `length` the others are zero, more are folded onto the first.
        first: the bin that the result begins with; bins come again after `length` of them, so it may be negative.
        count: bins in the result, at most `length`.
        is_real: the given values are real.
        is_inverse: the exponent's sign is plus; there is no factor 1 / length.
    """
    kind = Factored if factors(length) else Chirped
    return kind(length, given, first, count, is_real=is_real, is_inverse=is_inverse)


def factors(length: int) -> list[int]:
    """The numbers of rows that a length may be cut into; none where it has no factors near its root."""
    most = UNEVEN * math.sqrt(length)
    return [rows for rows in range(1, length + 1) if length % rows == 0 and max(rows, length // rows) <= most]


class Factored(nn.Module):
    """As `dft` says, in two steps of short transforms."""

    inner: Tensor
    turn: Tensor
    outer: Tensor

    def __init__(self, length: int, given: int, first: int, count: int, *, is_real: bool, is_inverse: bool) -> None:
        super().__init__()

        def multiplications(rows: int) -> int:
            parts, columns = 1 if is_real else 2, length // rows
            return rows * columns * (2 * parts * math.ceil(given / columns) + 4 * math.ceil(count / rows))

        rows = min(factors(length), key=multiplications)
        self.count, self.columns = count, length // rows
        self.given_rows = math.ceil(given / self.columns)
        self.missing = self.given_rows * self.columns - given
        bins, sign = first + torch.arange(rows), 1 if is_inverse else -1
        a, b, d = (torch.arange(stop) for stop in (self.given_rows, self.columns, math.ceil(count / rows)))
        inner = as_matrix(unit(sign * bins[:, None] * a, rows))  # (2, rows, 2, given_rows)
        inner = inner[:, :, :1] if is_real else inner
        self.register_buffer("inner", inner.flatten(2).flatten(0, 1).float(), persistent=False)
        turn = unit(sign * bins[:, None] * b, length)  # (rows, columns)
        self.register_buffer("turn", torch.view_as_real(turn).movedim(-1, 0).float().contiguous(), persistent=False)
        outer = as_matrix(unit(sign * b * d[:, None], self.columns)).permute(2, 3, 0, 1)  # (2, columns, 2, d)
        self.register_buffer("outer", outer.flatten(2).float(), persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        if self.missing:
            values = functional.pad(values, (0, self.missing))
        # (..., 2 * given_rows, columns) to (..., 2 * rows, columns)
        short = self.inner @ values.unflatten(-1, (self.given_rows, self.columns)).flatten(-3, -2)
        real, imaginary = short.chunk(2, -2)
        cosine, sine = self.turn
        turned = real * cosine - imaginary * sine, real * sine + imaginary * cosine
        found = turned[0] @ self.outer[0] + turned[1] @ self.outer[1]  # (..., rows, 2 * d)
        return found.unflatten(-1, (2, -1)).movedim(-3, -1).flatten(-2)[..., : self.count]


class Chirped(nn.Module):
    """As `dft` says, by n k = (n² + k² - (k - n)²) / 2: a convolution with a chirp between two turns."""

    before: Tensor
    response: Tensor
    after: Tensor

    def __init__(self, length: int, given: int, first: int, count: int, *, is_real: bool, is_inverse: bool) -> None:
        super().__init__()
        self.is_real = is_real
        whole = 2 ** math.ceil(math.log2(given + count - 1))
        sign = 1 if is_inverse else -1
        n, k = torch.arange(given), torch.arange(count)

        def chirp(places: Tensor) -> Tensor:
            return unit(sign * places.square(), 2 * length)

        before = chirp(n) * unit(sign * n * first, length)
        lags = torch.arange(whole)
        filled = chirp(torch.where(lags < count, lags, lags - whole)).conj() / whole
        for name, each in (("before", before), ("response", torch.fft.fft(filled)), ("after", chirp(k))):
            self.register_buffer(name, torch.view_as_real(each).T.float().contiguous(), persistent=False)
        self.to_spectrum = Factored(whole, given, 0, whole, is_real=False, is_inverse=False)
        self.back = Factored(whole, whole, 0, count, is_real=False, is_inverse=True)

    def forward(self, values: Tensor) -> Tensor:
        turned = values * self.before if self.is_real else product(values, self.before)
        return product(self.back(product(self.to_spectrum(turned), self.response)), self.after)


def product(first: Tensor, second: Tensor) -> Tensor:
    """Of complex values `(..., 2, time)`."""
    (a, b), (c, d) = first.unbind(-2), second.unbind(-2)
    return torch.stack([a * c - b * d, a * d + b * c], -2)


def unit(numerator: Tensor, denominator: int) -> Tensor:
    """exp(2 pi i numerator / denominator) of whole numbers, in double precision, exact however large they are."""
    angle = 2 * math.pi * (numerator % denominator).double() / denominator
    return torch.polar(torch.ones_like(angle), angle)


def as_matrix(values: Tensor) -> Tensor:
    """A complex matrix `(rows, columns)` as the real one `(2, rows, 2, columns)` that multiplies both parts alike."""
    return torch.stack([torch.stack([values.real, -values.imag], 1), torch.stack([values.imag, values.real], 1)])
