"""How far generated sounds and recordings lie apart: what can be measured on a sound, and what a network tells."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import ks_2samp
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from torch import Tensor
from torch.nn import functional

from audioid.classifier import AudioClassifier, build_classifier
from audioid.config import compose
from audioid.data.audio import Unreadable, load
from audioid.data.index import index_folder
from audioid.errors import AudioidError
from audioid.generator.generator import Generator
from audioid.generator.kinds import KINDS

SECONDS = 1.0
SETTINGS = compose(["transform=fft", "model.width=16", f"audio.seconds={SECONDS}"])
SAMPLE_RATE = SETTINGS.audio.sample_rate
FRAME = 110  # samples, 5 ms
LOW, HIGH = 40.0, 10_000.0  # hertz: what the pictures show
SILENCE = 1e-5  # of the peak, -100 dB
Distance = tuple[str, float, float, float, float]
LEVEL = "peak (dB)"
FOLDS = 4
EPOCHS, BATCH, RATE = 30, 64, 3e-3

Sounds = NDArray[np.float32]
Names = NDArray[np.str_]
Rows = NDArray[np.int64]
Scores = NDArray[np.float64]
Measures = Mapping[str, NDArray[np.float64]]  # each `(sounds,)`


def recordings(
    root: Path, *, group_pattern: str | None, half: int | None, same_as: Mapping[str, str]
) -> tuple[Sounds, Names, Names]:
    """Waveforms `(recordings, time)` as a run reads them, their labels and their groups.

    Args:
        half: only the groups whose name's SHA-256 begins with an even (0) or an odd (1) byte, so that a model that was
            chosen on one half of the makers can be judged on the other.
        same_as: the generator's label for a label of the folder, where the two differ.
    """
    index = index_folder(root, group_pattern=group_pattern)
    table = index.table.assign(group=index.groups if index.groups is not None else index.table["path"])
    if half is not None:
        table = table[[hashlib.sha256(group.encode()).digest()[0] % 2 == half for group in table["group"]]]
    table = table.assign(label=table["label"].replace(dict(same_as)))
    table = table[table["label"].isin([kind.label for kind in KINDS])]
    if len(table) < 2 * FOLDS:
        raise AudioidError(f"{root}: has {len(table)} recordings with labels of the generator; name others with --map")
    waveforms, labels, groups = [], [], []
    for path, label, group in table[["path", "label", "group"]].itertuples(index=False, name=None):
        try:
            waveforms.append(load(root / path, **SETTINGS.audio.model_dump(exclude={"windows"})))
        except Unreadable:
            continue
        labels.append(label)
        groups.append(group)
    return np.stack(waveforms), np.array(labels), np.array(groups)


def generated(labels: Names, seed: int) -> tuple[Sounds, Names]:
    """A sound for each of the labels, each by a maker of its own, and its kind, as often as the kinds' shares say."""
    rng = np.random.default_rng(seed)
    shares = np.array([kind.share for kind in KINDS], float)
    kinds = np.empty(len(labels), int)
    for label in np.unique(labels):
        share = shares * [kind.label == label for kind in KINDS]
        kinds[labels == label] = rng.choice(len(KINDS), (labels == label).sum(), p=share / share.sum())
    makers = torch.arange(len(labels))
    generator = Generator(seed=seed, sample_rate=SAMPLE_RATE, seconds=SECONDS)
    sounds = generator.sounds(kinds.tolist(), makers, torch.zeros_like(makers)).numpy()
    return sounds, np.array([KINDS[kind].model.__name__ for kind in kinds])


def measured(waveform: Sounds) -> dict[str, float]:
    """What can be told of one sound `(time,)` without knowing what it is."""
    peak = float(np.abs(waveform).max())
    wave = waveform.astype(float) / max(peak, 1e-9)
    sounding = np.flatnonzero(np.abs(wave) > SILENCE)
    wave = wave[: sounding[-1] + 1] if sounding.size else wave
    energy = np.cumsum(wave**2) / max((wave**2).sum(), 1e-12)
    power = np.array([np.mean(part**2) for part in np.split(wave, range(FRAME, len(wave), FRAME))])
    level = 10 * np.log10(np.maximum(power / max(power.max(), SILENCE**2), SILENCE**2))
    top, frame = int(level.argmax()), FRAME / SAMPLE_RATE
    start = int((level > -30).argmax())

    def until(decibel: float) -> float:
        """Octaves of seconds from the loudest frame to the last that is above this level."""
        return float(np.log2(max(np.flatnonzero(level > decibel)[-1] - top, 1) * frame))

    spectrum = np.abs(np.fft.rfft(wave, SAMPLE_RATE)) ** 2
    hertz = np.fft.rfftfreq(SAMPLE_RATE, 1 / SAMPLE_RATE)
    within = (hertz >= LOW) & (hertz <= HIGH)
    thirds = np.histogram(np.log2(hertz[within] / LOW) * 3, range(25), weights=spectrum[within])[0]
    smooth = thirds / thirds.sum().clip(1e-12) + 1e-10
    fine = spectrum[within] + 1e-12 * spectrum.max()
    middle = float(np.average(np.log2(hertz[within]), weights=fine))
    return {
        LEVEL: 20 * np.log10(max(peak, 1e-9)),
        "start (ms)": start * frame * 1000,
        "attack (ms)": (top - start) * frame * 1000,
        "file (oct s)": float(np.log2(len(wave) / SAMPLE_RATE)),
        "length 99 % (oct s)": float(np.log2(max((energy < 0.99).sum(), 1) / SAMPLE_RATE)),
        "to -20 dB (oct s)": until(-20),
        "to -40 dB (oct s)": until(-40),
        "floor (dB)": float(np.percentile(level, 10)),
        "centroid (oct Hz)": middle,
        "spread (oct)": float(np.sqrt(np.average((np.log2(hertz[within]) - middle) ** 2, weights=fine))),
        "flatness (dB)": float(10 * (np.log10(fine).mean() - np.log10(fine.mean()))),
        "tilt in thirds (dB)": float(10 * (np.log10(smooth[12:]).mean() - np.log10(smooth[:12]).mean())),
        "glide (oct)": _pitch(wave, start * FRAME) - _pitch(wave, start * FRAME + 5 * FRAME * 4),
    }


def _pitch(wave: NDArray[np.float64], place: int) -> float:
    """Octaves of the strongest frequency of the 50 ms from `place` on."""
    part = wave[place : place + 10 * FRAME]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 8192))
    hertz = np.fft.rfftfreq(8192, 1 / SAMPLE_RATE)
    spectrum[(hertz < LOW) | (hertz > HIGH)] = 0
    return float(np.log2(max(hertz[spectrum.argmax()], LOW)))


def table(sounds: Sounds) -> Measures:
    """Each measure of all sounds `(sounds, time)`."""
    rows = [measured(wave) for wave in sounds]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def distances(
    made: Measures, real: Measures, chosen: NDArray[np.bool_]
) -> list[tuple[str, float, float, float, float]]:
    """For each measure of the chosen: medians of made and real, their difference by the pooled spread, Kolmogorov and
    Smirnov's statistic; the largest of these first."""
    rows = []
    for name in made:
        a, b = made[name][chosen], real[name][chosen]
        spread = np.sqrt((_spread(a) ** 2 + _spread(b) ** 2) / 2)
        apart = (np.median(a) - np.median(b)) / max(spread, 1e-6)
        rows.append((name, float(np.median(a)), float(np.median(b)), float(apart), float(ks_2samp(a, b).statistic)))
    return sorted(rows, key=lambda row: -row[-1])


def _spread(values: NDArray[np.float64]) -> float:
    """Standard deviation of a normal distribution with these quartiles, or the plain one where they coincide."""
    low, high = np.percentile(values, [25, 75])
    return float((high - low) / 1.349) or float(values.std())


@dataclass(frozen=True)
class Judge:
    """Who tells generated from real sounds, cross-validated over `FOLDS` parts without a maker in two of them.

    `made` and `real` `(sounds, time)` have the same labels in the same order.
    """

    labels: Names
    groups: Names  # of the real ones; generated ones have a maker each

    def by_pictures(self, made: Sounds, real: Sounds, seed: int = 0) -> Scores:
        """How sure a small network is that each is real, `(2 * sounds,)`, by Fourier pictures."""
        waveforms = torch.from_numpy(np.concatenate([made, real]))
        images = _images(waveforms - waveforms.mean(1, keepdim=True))
        return self._scores(lambda train, test, targets: _answers(images[train], targets, images[test], seed))

    def by_measures(self, made: Measures, real: Measures) -> Scores:
        """How sure a random forest is that each is real, `(2 * sounds,)`, by the label and all measures but the
        level, which pictures do not show."""
        columns = [np.concatenate([made[name], real[name]]) for name in made if name != LEVEL]
        values = np.stack([*columns, np.unique(np.tile(self.labels, 2), return_inverse=True)[1]], axis=1)

        def answers(train: Rows, test: Rows, targets: Rows) -> Scores:
            forest = RandomForestClassifier(300, min_samples_leaf=3, random_state=0).fit(values[train], targets)
            return np.asarray(forest.predict_proba(values[test])[:, 1])

        return self._scores(answers)

    def _scores(self, answers: Callable[[Rows, Rows, Rows], Scores]) -> Scores:
        is_real = np.repeat([0, 1], len(self.labels))
        strata = np.char.add(np.tile(self.labels, 2), is_real.astype(str))
        makers = np.concatenate([[f"generated {number}" for number in range(len(self.labels))], self.groups])
        scores = np.empty(len(strata))
        for train, test in StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(strata, strata, makers):
            scores[test] = answers(train, test, is_real[train])
        return scores

    def accuracy(self, scores: Scores, label: str) -> float:
        """Balanced accuracy at even odds: 0.5 where generated and real cannot be told apart."""
        made, real = (part[self.labels == label] for part in np.split(scores, 2))
        return float((made < 0.5).mean() + (real >= 0.5).mean()) / 2

    def area(self, scores: Scores, label: str) -> float:
        """How often a real sound seems more real than a generated one: 0.5 where they cannot be told apart."""
        made, real = (part[self.labels == label] for part in np.split(scores, 2))
        return float(roc_auc_score(np.repeat([0, 1], len(made)), np.concatenate([made, real])))


@torch.inference_mode()
def _images(waveforms: Tensor) -> Tensor:
    return torch.cat([_classifier().transform(part) for part in waveforms.split(BATCH)])


def _classifier() -> AudioClassifier:
    groups = {name: getattr(SETTINGS, name).model_dump() for name in ("audio", "image", "transform", "model")}
    return build_classifier(**groups, n_classes=2)


def _answers(images: Tensor, targets: Rows, unheard: Tensor, seed: int) -> Scores:
    """How sure a network that was trained on images is that others are real, `(others,)`."""
    wanted = torch.from_numpy(targets)
    torch.manual_seed(seed)
    classifier = _classifier()
    classifier.normalize.fit([images], "global")
    steps = EPOCHS * (len(images) // BATCH + 1)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for _ in range(steps):
        some = torch.randint(len(images), (BATCH,))
        loss = functional.cross_entropy(classifier.classify(images[some]), wanted[some])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    classifier.eval()
    with torch.inference_mode():
        return np.asarray(classifier.classify(unheard).softmax(1)[:, 1])
