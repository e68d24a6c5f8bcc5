"""How much a random split would flatter: a nearest-neighbour probe with and without groups kept whole."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from torchaudio.functional import melscale_fbanks

from audioid.data.audio import Unreadable, Waveform, load
from audioid.data.index import Index
from audioid.data.threads import in_threads

SAMPLE_RATE, SECONDS = 22050, 1.5
N_FFT, HOP = 1024, 512
N_MELS, TIMES = 32, 8
DECIBEL_RANGE = 60.0
FOLDS, REPEATS = 5, 3
# More rows than these are drawn from: equally many of each label, `TOGETHER` of a group at a time, since a random split
# flatters by what else of a group it learns from; of so many labels that each may have two groups.
MOST_ROWS, TOGETHER = 4000, 5


@dataclass(frozen=True)
class Gap:
    """Balanced accuracies, 0 to 1, of one nearest neighbour on log-mel features, five-fold, means of three repeats."""

    random: float
    grouped: float
    groups: int
    labels: int
    rows: int
    # Whether they were drawn from more, or are all that can be looked at.
    drawn: bool
    # Classes whose recordings are all of one group: no grouped split can test them, so neither figure counts them.
    one_group: list[str]


def gap(index: Index, groups: NDArray[np.int64], seed: int = 0) -> Gap | str | None:
    """The probe under both splits, or the reason why it cannot be made; None where each recording is its own group.

    Args:
        groups: `(rows,)`, numbered from 0.
    """
    if _all_differ(groups):
        return None
    rows = _sample(index.targets, groups, seed)
    drawn = len(rows) < len(groups)
    features = mel_features(index, rows)
    read = ~np.isnan(features).any(axis=1)
    rows, features = rows[read], features[read]
    targets, groups = index.targets[rows], groups[rows]
    several = [target for target in np.unique(targets) if len(np.unique(groups[targets == target])) > 1]
    one_group = [index.classes[target] for target in np.unique(targets) if target not in several]
    kept = np.isin(targets, several)
    features, targets, groups = features[kept], targets[kept], groups[kept]
    if len(several) < 2:
        return "fewer than two labels have recordings of two groups"
    if _all_differ(groups):
        return f"no two of {len(groups):,} recordings{' that were drawn' * drawn} are of one group"
    folds = min(FOLDS, *(len(np.unique(groups[targets == target])) for target in several))
    accuracies = np.empty((REPEATS, 2))
    for repeat in range(REPEATS):
        kinds = (StratifiedKFold, None), (StratifiedGroupKFold, groups)
        for place, (kind, together) in enumerate(kinds):
            named = np.empty_like(targets)
            split = kind(folds, shuffle=True, random_state=seed + repeat)
            for train, test in split.split(features, targets, together):
                scaler = StandardScaler().fit(features[train])
                nearest = KNeighborsClassifier(1).fit(scaler.transform(features[train]), targets[train])
                named[test] = nearest.predict(scaler.transform(features[test]))
            accuracies[repeat, place] = balanced_accuracy_score(targets, named)
    random, grouped = accuracies.mean(axis=0)
    return Gap(
        random=float(random),
        grouped=float(grouped),
        groups=len(np.unique(groups)),
        labels=len(several),
        rows=len(targets),
        drawn=drawn,
        one_group=one_group,
    )


def _all_differ(groups: NDArray[np.int64]) -> bool:
    return len(np.unique(groups)) == len(groups)


def _sample(targets: NDArray[np.int64], groups: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """At most `MOST_ROWS` rows, ascending."""
    if len(targets) <= MOST_ROWS:
        return np.arange(len(targets))
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"target": targets, "group": groups}).iloc[rng.permutation(len(targets))]
    table["some"] = table.groupby(["target", "group"]).cumcount() // TOGETHER
    labels = table["target"].unique()[: MOST_ROWS // (2 * TOGETHER)]
    table = table[table["target"].isin(labels)]
    # For all labels in one order, so that groups which hold several are drawn for each of them.
    some = table.groupby(["group", "some"]).ngroup().to_numpy()
    table = table.iloc[np.argsort(rng.permutation(some.max() + 1)[some], kind="stable")]
    return np.sort(table.groupby("target").head(MOST_ROWS // len(labels)).index.to_numpy())


def mel_features(index: Index, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Decibels below the loudest value in `TIMES` spans and `N_MELS` bands, `(rows, features)`; NaN if unreadable."""
    filters = melscale_fbanks(N_FFT // 2 + 1, 0.0, SAMPLE_RATE / 2, N_MELS, SAMPLE_RATE).numpy()

    def features(row: int) -> NDArray[np.float64]:
        try:
            wave = load(
                index.root / index.table["path"][row],
                sample_rate=SAMPLE_RATE,
                seconds=SECONDS,
                start="onset",
                padding="end",
                remove_dc=True,
                level="none",
            )
        except Unreadable:
            return np.full(TIMES * N_MELS, np.nan)
        return _log_mel(wave, filters)

    return np.stack(list(in_threads(features, rows.tolist(), "log-mel features")))


def _log_mel(wave: Waveform, filters: NDArray[np.float32]) -> NDArray[np.float64]:
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(wave, N_FFT // 2), N_FFT)[::HOP]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(N_FFT), axis=1))) @ filters
    # Spans grow with time, as sounds change most at their beginning.
    bounds = np.unique(np.round(np.linspace(0, 1, TIMES + 1) ** 2 * len(power)).astype(int))
    bounds = bounds if len(bounds) == TIMES + 1 else np.linspace(0, len(power), TIMES + 1).astype(int)
    spans = np.stack([power[begin:end].mean(axis=0) for begin, end in pairwise(bounds)])
    level = 10 * np.log10(spans / max(spans.max(), 1e-12) + 1e-12)
    return np.asarray(np.maximum(level, -DECIBEL_RANGE)).ravel()
