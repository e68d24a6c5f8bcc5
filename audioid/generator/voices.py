"""Voices: a glottis and breath through the resonances of a mouth that moves.

Vowels by their formants (Peterson and Barney 1952; Hillenbrand et al. 1995, men), consonants by where the mouth is
closed or narrow (loci of the second formant: Delattre, Liberman and Cooper 1955).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from audioid.generator.courses import drawn, periods, points, resonated, vibrato, wander
from audioid.generator.takes import FALL, Takes, loudest

# The three lowest formants of men, hertz: each group of vowels from one end to the other.
VOWELS = {
    "a": ((730.0, 1090.0, 2440.0), (690.0, 1660.0, 2490.0)),
    "e": ((530.0, 1840.0, 2480.0), (400.0, 2100.0, 2650.0)),
    "i": ((270.0, 2290.0, 3010.0), (390.0, 1990.0, 2550.0)),
    "o": ((570.0, 840.0, 2410.0), (430.0, 900.0, 2400.0)),
    "u": ((300.0, 870.0, 2240.0), (440.0, 1020.0, 2240.0)),
}
# Lips, teeth, palate: the formants that a mouth closed there has, and where its burst or its hiss is strongest.
LOCI = ((250.0, 800.0, 2200.0), (280.0, 1750.0, 2700.0), (280.0, 2300.0, 2800.0))
BURSTS = ((400.0, 1500.0), (3000.0, 5500.0), (1300.0, 2800.0))
# The glides w, y, r and l.
GLIDES = ((300.0, 650.0, 2200.0), (270.0, 2250.0, 3000.0), (350.0, 1150.0, 1550.0), (360.0, 1100.0, 2700.0))
WIDTHS = (70.0, 90.0, 130.0, 200.0, 280.0)


@dataclass
class Speaker:
    """Who speaks: the course of pitch in hertz `(batch, points)`, and formants over a man's, `(batch, 1)`."""

    pitch: Tensor
    size: Tensor

    def mouth(self, takes: Takes, formants: Tensor) -> Tensor:
        """All five formants `(batch, 5)` of three of a man's, as this speaker says them this time."""
        upper = torch.cat([takes.even(3200, 3800), takes.even(4200, 5000)], 1)
        return torch.cat([formants * takes.even(0.92, 1.08, 3), upper], 1) * self.size


def speaker(takes: Takes) -> Speaker:
    """High voices have short vocal tracts, though not always; pitch falls, rises and trembles."""
    base = takes.draw(80, 400)
    size = (base / 110) ** takes.even(0.1, 0.3) * takes.even(0.93, 1.08)
    at = points(takes)
    slide = 2 ** (takes.even(-0.6, 0.35) * at.clamp(max=1) + takes.even(-0.15, 0.2) * torch.exp(-at / 0.1))
    tremble = 1 + takes.draw(0.002, 0.02) * wander(takes, 60) + 0.04 * wander(takes, 5)
    return Speaker(base * slide * tremble * vibrato(takes, 0.02), size)


def one_of(takes: Takes, choices: Sequence[Sequence[float]]) -> Tensor:
    """A row of a table for each, `(batch, columns)`; a maker's takes mostly have the same."""
    table = torch.tensor(choices, device=takes.time.device)
    return table[(takes.even(0, len(choices)).long() % len(choices))[:, 0]]


def _voiced(takes: Takes, who: Speaker, formants: Tensor, voicing: Tensor, breathing: Tensor, open_: Tensor) -> Tensor:
    """Glottis and breath `(batch, points)` through a mouth with `formants` `(batch, points or 1, 5)`.

    `open_` `(batch, points or 1)` widens the formants, as a nose beside the mouth does.
    """
    number = takes.partials(128)
    tilt = takes.even(0.6, 1.8)  # the flow falls by 12 dB an octave, of which lips give back 6; soft voices fall more
    gains = number**-tilt * takes.draw(0.8, 1.25, 128)
    glottis = loudest(takes.tone(periods(takes, who.pitch), who.pitch.amax(1, keepdim=True), gains))
    source = glottis * drawn(takes, voicing) + 0.3 * takes.noise() * drawn(takes, breathing)
    widths = torch.tensor(WIDTHS, device=source.device) * who.size * takes.draw(0.7, 1.8)
    return loudest(resonated(takes, source, formants, (widths[:, None] * open_[..., None]).expand_as(formants)))


def _spoken(takes: Takes, begin: Tensor, opened: Tensor, attack: Tensor, release: tuple[float, float]) -> Tensor:
    """Loudness `(batch, points)` from `begin` on, held after `opened` for as long as a syllable or a song; seconds."""
    at, end = points(takes), opened + takes.draw(0.08, 1.2)
    fallen = torch.exp(-FALL / takes.draw(*release) * (at - end).clamp(min=0))
    return torch.sigmoid(4 * ((at - begin) / attack - 0.5)) * fallen * (1 + 0.15 * wander(takes, 10))


def vowel(name: str) -> Callable[[Takes], Tensor]:
    """The maker of one group of vowels."""

    def made(takes: Takes) -> Tensor:
        who = speaker(takes)
        formants = who.mouth(takes, _vowel(takes, name))[:, None]
        begin = takes.fresh(0, 0.05)
        loud = _spoken(takes, begin, begin, takes.draw(0.005, 0.08), (0.05, 0.4))
        breath = takes.draw(0.003, 0.15) * loud
        return _voiced(takes, who, formants, loud, breath, torch.ones_like(who.size))

    made.__name__ = f"vowel_{name}"
    return made


vowel_a, vowel_e, vowel_i, vowel_o, vowel_u = (vowel(name) for name in "aeiou")


def _vowel(takes: Takes, groups: str) -> Tensor:
    """The three formants `(batch, 3)` of a vowel of one of the groups."""
    ends = one_of(takes, [first + last for first, last in map(VOWELS.__getitem__, groups)])
    return torch.lerp(ends[:, :3], ends[:, 3:], takes.even(0, 1))


def _moved(takes: Takes, start: Tensor, end: Tensor, when: Tensor, seconds: Tensor) -> Tensor:
    """Formants `(batch, points, 5)` that go from one mouth to another, half of the way near `when`."""
    share = torch.sigmoid((points(takes) - when) / (seconds / 4))[..., None]
    return torch.lerp(start[:, None], end[:, None], share)


def plosive(takes: Takes) -> Tensor:
    """p, t, k, b, d, g: a burst where the mouth opens, breath for a while, then the voice; formants start there."""
    who, place = speaker(takes), one_of(takes, [locus + burst for locus, burst in zip(LOCI, BURSTS, strict=True)])
    opened, lag = takes.fresh(0.005, 0.08), takes.draw(0.003, 0.09)
    mouth = who.mouth(takes, _vowel(takes, "aeiou"))
    formants = _moved(takes, who.mouth(takes, place[:, :3]), mouth, opened + 0.02, takes.draw(0.03, 0.09))
    voicing = _spoken(takes, opened + lag, opened + lag, takes.draw(0.005, 0.03), (0.03, 0.25))
    since = points(takes) - opened
    breath = torch.sigmoid(since * 1e3) * torch.exp(-since.clamp(min=0) / (0.3 * lag + 0.003))
    breath = takes.draw(0.05, 0.8) * breath + 0.03 * voicing
    spoken = _voiced(takes, who, formants, voicing, breath, torch.ones_like(opened))
    centre = place[:, 3:4] * (place[:, 4:] / place[:, 3:4]) ** takes.even(0, 1) * who.size
    burst = takes.hiss(takes.peak(centre, takes.draw(0.5, 3)))
    burst = burst * takes.hits(opened, torch.ones_like(opened), takes.draw(0.008, 0.05))
    return spoken + takes.draw(0.05, 1) * loudest(burst)


def fricative(takes: Takes) -> Tensor:
    """s, sh, f, h, z, v: a hiss, bright or dark by where it is narrow, then a vowel; or the hiss alone."""
    who, begun = speaker(takes), takes.fresh(0, 0.04)
    long, alone = takes.draw(0.06, 0.35), takes.maybe(0.2)
    end = begun + long
    centre = takes.draw(1200, 8500) * who.size**0.5
    response = takes.peak(centre, takes.draw(0.6, 4)) + takes.draw(0.02, 0.4) * takes.high(1000.0)
    rise = takes.draw(0.01, 0.08)
    hiss = takes.hiss(response) * torch.sigmoid((takes.time - begun - rise) * 4 / rise) * takes.gate(-1.0, end, 0.01)
    start = who.mouth(takes, one_of(takes, LOCI))
    formants = _moved(takes, start, who.mouth(takes, _vowel(takes, "aeiou")), end, takes.draw(0.03, 0.1))
    voicing = _spoken(takes, end + takes.even(-0.02, 0.03), end, takes.draw(0.01, 0.04), (0.03, 0.25)) * (1 - alone)
    buzz = (
        takes.maybe(0.3) * takes.draw(0.03, 0.2) * torch.sigmoid((points(takes) - begun) * 200) * (points(takes) < end)
    )
    spoken = _voiced(takes, who, formants, voicing + buzz, 0.03 * voicing, torch.ones_like(long))
    return spoken + (alone + takes.draw(0.1, 1.2)) * loudest(hiss)


def nasal(takes: Takes) -> Tensor:
    """m, n, ng: a murmur through the nose, low and damped, then the mouth opens."""
    who, place = speaker(takes), one_of(takes, LOCI)
    opened = takes.draw(0.04, 0.25)
    murmur = torch.cat([torch.full_like(opened, 260.0), takes.even(900, 1300), takes.even(2000, 2500)], 1)
    closed = torch.lerp(who.mouth(takes, murmur), who.mouth(takes, place), 0.2)
    formants = _moved(takes, closed, who.mouth(takes, _vowel(takes, "aeiou")), opened, takes.draw(0.02, 0.07))
    shut = torch.sigmoid((opened - points(takes)) / 0.006)
    loud = _spoken(takes, takes.fresh(0, 0.02), opened, takes.draw(0.01, 0.05), (0.03, 0.3))
    loud = loud * (1 - shut * takes.even(0.3, 0.8))
    return _voiced(takes, who, formants, loud, 0.02 * loud, 1 + shut * takes.even(0.5, 3))


def glide(takes: Takes) -> Tensor:
    """w, y, r, l, and two vowels in one: formants that take their time."""
    who = speaker(takes)
    start = torch.where(takes.maybe(0.7) > 0, one_of(takes, GLIDES), _vowel(takes, "aeiou"))
    when = takes.draw(0.06, 0.3)
    formants = _moved(
        takes, who.mouth(takes, start), who.mouth(takes, _vowel(takes, "aeiou")), when, takes.draw(0.06, 0.3)
    )
    loud = _spoken(takes, takes.fresh(0, 0.03), when, takes.draw(0.01, 0.1), (0.04, 0.3))
    return _voiced(takes, who, formants, loud, takes.draw(0.01, 0.1) * loud, torch.ones_like(when))
