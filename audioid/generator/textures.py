"""Weather, water, machines, birds, and things that are scraped, broken and knocked on."""

import torch
from torch import Tensor

from audioid.generator.courses import drawn, note, periods, points, resonated, wander
from audioid.generator.takes import FALL, Takes, loudest, steady


def again(takes: Takes, times: Tensor, strengths: Tensor, sound: Tensor) -> Tensor:
    """A short sound `(batch, time)` at each of the `times` `(batch, hits)` in seconds, as strong as `strengths`."""
    place = (times * takes.sample_rate).long()
    there = strengths * (place < takes.n_samples)
    clicks = takes.noiseless().scatter_add(1, place.clamp(0, takes.n_samples - 1), there)
    return takes.convolved(clicks, sound[:, : takes.n_fft - takes.n_samples])


def gaps(takes: Takes, first: Tensor, gap: Tensor, growth: Tensor, count: int) -> Tensor:
    """Times `(batch, count)` whose gaps grow by a factor, each a little more or less."""
    number = takes.partials(count) - 2
    steps = gap * growth**number * takes.fresh(0.8, 1.2, count)
    return first + torch.cumsum(steps, 1) - steps[:, :1]


def wind(takes: Takes) -> Tensor:
    """Noise that whistles past an edge, faster and slower."""
    gust = takes.draw(0.1, 1) * wander(takes, 3) + 0.1 * wander(takes, 15)
    whistle = takes.draw(150, 1800) * 2**gust
    course = torch.stack([whistle, whistle * takes.even(1.3, 3)], 2)
    made = resonated(takes, takes.noise(), course, course / torch.cat([takes.draw(1, 15, 2)], 1)[:, None])
    return made * drawn(takes, (1 + gust).clamp(min=0.05) * note(takes, (0.01, 0.4), (0.1, 1)))


def rain(takes: Takes) -> Tensor:
    """Drops so many that they are a hiss, and single ones before it."""
    noise = takes.noise()
    sparse = noise * (noise.abs() / 1.7) ** takes.draw(4, 60)
    near = takes.filtered(sparse, takes.peak(takes.draw(900, 6000), takes.draw(0.5, 4)))
    far = takes.hiss(takes.high(takes.draw(200, 3000)) * takes.low(takes.draw(1500, 12000)))
    slow = drawn(takes, 1 + 0.2 * wander(takes, 6))
    return (steady(near) + takes.draw(0.03, 1.5) * far) * slow


def surf(takes: Takes) -> Tensor:
    """A wave that comes in dark, breaks bright and runs out."""
    at, breaks = points(takes), takes.draw(0.15, 0.8)
    swell = torch.exp(
        -((at - breaks).clamp(max=0) / (0.5 * breaks)).square() - (at - breaks).clamp(min=0) / takes.draw(0.2, 1)
    )
    cut = takes.draw(200, 800) * takes.draw(3, 12) ** swell
    made = resonated(takes, takes.noise(), cut[..., None], 1.4 * cut[..., None])
    return made * drawn(takes, takes.draw(0.02, 0.3) + swell)


def crackle(takes: Takes) -> Tensor:
    """Fire, vinyl, gravel: clicks of all sizes over a soft floor."""
    noise = takes.noise()
    keep = takes.draw(0.0004, 0.01)
    clicks = noise * (takes.noise().abs() > (1 - keep) * 1.7320) * takes.noise().square()
    near = loudest(takes.filtered(clicks, takes.peak(takes.draw(800, 7000), takes.draw(0.3, 5))))
    return near + takes.draw(0.001, 0.08) * takes.hiss(takes.low(takes.draw(200, 3000)))


def engine(takes: Takes) -> Tensor:
    """Motors, fans, hum of mains: a low pitch of many harmonics that drifts, and noise in step with it."""
    drift = 1 + takes.draw(0.001, 0.06) * wander(takes, 8) + takes.maybe(0.4) * takes.even(-0.4, 0.8) * points(takes)
    course = takes.draw(22, 220) * drift.clamp(min=0.3)
    place, number = periods(takes, course), takes.partials(96)
    gains = number ** -takes.even(0.3, 1.6) * takes.draw(0.1, 1.5, 96)
    tone = loudest(takes.tone(place, course.amax(1, keepdim=True), gains))
    strokes = (1 + takes.sine(place / takes.even(0.6, 3.4).round())) / 2
    rush = takes.hiss(takes.peak(takes.draw(200, 4000), takes.draw(0.2, 2))) * strokes ** takes.draw(0.3, 6)
    return (tone + takes.draw(0.01, 0.7) * loudest(rush)) * drawn(takes, note(takes, (0.002, 0.3), (0.05, 0.6)))


def drops(takes: Takes) -> Tensor:
    """Bubbles: damped sines whose pitch rises as they near the surface (van den Doel 2005)."""
    total = takes.noiseless()
    begin = takes.fresh(0, 0.04)
    more = takes.even(0, 1)
    for number in range(4):
        since = (takes.time - begin).clamp(min=0)
        pitch, seconds = takes.draw(300, 2800), takes.draw(0.03, 0.35)
        bubble = takes.sine(pitch * since * (1 + takes.draw(0.3, 8) * since / 2)) * torch.exp(-FALL / seconds * since)
        total = total + bubble * (takes.draw(0.2, 1) if number == 0 else takes.draw(0.05, 1) * (more > number / 4))
        begin = begin + takes.draw(0.04, 0.4)
    splash = takes.hiss(takes.high(takes.draw(800, 4000))) * takes.decay(takes.draw(0.02, 0.3))
    return loudest(total) + takes.maybe(0.4) * takes.draw(0.02, 0.5) * loudest(splash)


def bird(takes: Takes) -> Tensor:
    """Whistled calls: notes of one pattern, each a quick course of pitch, some trilled, some harsh."""
    at, rate = points(takes), takes.draw(1.5, 16)
    place = (at - takes.fresh(0, 0.04)) * rate
    within = place - place.floor()
    number = place.floor().clamp(0, 3).long()
    shift = takes.draw(0.7, 1.4, 4).gather(1, number)
    bend = takes.even(-1, 1) * within + takes.even(-0.8, 0.8) * (4 * within * (1 - within))
    trill = takes.maybe(0.3) * takes.draw(0.01, 0.15) * takes.sine(takes.draw(20, 70) * at)
    course = (takes.draw(1400, 6000) * shift * 2**bend * (1 + trill)).clamp(500, 0.45 * takes.sample_rate)
    duty, last = takes.even(0.3, 0.95), takes.draw(1, 14).round()
    sung = (
        torch.sin(torch.pi * (within / duty).clamp(0, 1)).clamp(min=0) ** takes.even(0.4, 1.5)
        * (place >= 0)
        * (place < last)
    )
    gains = takes.partials(5) ** -takes.even(1.5, 5)
    tone = takes.tone(periods(takes, course), course.amax(1, keepdim=True), gains)
    return tone * drawn(takes, sung * shift)


def guiro(takes: Takes) -> Tensor:
    """A stick along notches: a train of clicks in a hollow body, one stroke or two; washboards and ratchets too."""
    long, teeth = takes.draw(0.08, 0.6), takes.draw(25, 180)
    at = points(takes)
    second = at > long + takes.draw(0.02, 0.15)
    course = teeth * (0.6 + takes.even(0, 0.9) * (at / long).clamp(max=1)) * (1 + 0.08 * wander(takes, 30))
    phase = periods(takes, course)
    clicks = torch.exp(-takes.draw(3, 14) * (phase - phase.floor()))
    resonance = takes.peak(takes.draw(900, 5500), takes.draw(0.7, 6)) + 0.5 * takes.peak(
        takes.draw(1500, 9000), takes.draw(1, 6)
    )
    stroke = torch.where(at < long, 0.3 + 0.7 * at / long, 0) + takes.maybe(0.4) * takes.draw(
        0.3, 1
    ) * second * torch.exp(-4 * (at - long).clamp(min=0) / long)
    return takes.hiss(resonance) * clicks * drawn(takes, stroke)


def glass(takes: Takes) -> Tensor:
    """A pane breaks: a crack, then shards that ring high as they fall."""
    count = 24
    ring = takes.struck(
        takes.draw(1800, 10000, count), takes.draw(0.05, 0.5, count), takes.draw(0.1, 1, count), takes.draw(3000, 20000)
    )
    other = takes.struck(
        takes.draw(2500, 10500, count), takes.draw(0.03, 0.3, count), takes.draw(0.1, 1, count), takes.draw(3000, 20000)
    )
    times = gaps(takes, takes.fresh(0.005, 0.05), takes.draw(0.002, 0.03), takes.even(1, 1.12), 24)
    gains = takes.fresh(0.1, 1, 24) ** 2
    shards = again(takes, times[:, ::2], gains[:, ::2], ring) + again(takes, times[:, 1::2], gains[:, 1::2], other)
    crack = takes.hiss(takes.high(takes.draw(500, 4000))) * takes.decay(takes.draw(0.05, 0.6))
    return loudest(shards) + takes.draw(0.1, 1.5) * loudest(crack) + takes.draw(0.1, 1) * loudest(ring)


def knock(takes: Takes) -> Tensor:
    """Knuckles on wood, steps on floors, things put down: dull modes, once to four times."""
    count = 8
    body = takes.struck(
        takes.draw(70, 400) * torch.cumsum(takes.even(0.2, 1.2, count), 1),
        takes.draw(0.04, 0.25) * takes.draw(0.4, 1.3, count),
        takes.draw(0.2, 1, count),
        takes.draw(300, 3000),
    )
    grit = takes.hiss(takes.low(takes.draw(800, 8000)) * takes.high(takes.draw(80, 1000))) * takes.decay(
        takes.draw(0.01, 0.12)
    )
    hit = loudest(body) + takes.draw(0.02, 0.8) * loudest(grit)
    times = gaps(takes, takes.fresh(0, 0.02), takes.draw(0.08, 0.4), takes.even(0.9, 1.1), 4)
    often = takes.partials(4) <= 1 + takes.maybe(0.5) + takes.maybe(0.4) + takes.maybe(0.4)
    return again(takes, times, takes.fresh(0.5, 1, 4) * often, hit)
