"""What makes a trained classifier's answers sure: fitted on validation data, never on what judges them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.utils.extmath import randomized_svd
from torch import Tensor

from audioid.classifier import AudioClassifier
from audioid.data.audio import Unreadable, Waveform
from audioid.data.clips import load_clips
from audioid.data.headers import checksum_of
from audioid.data.index import Index
from audioid.data.store import StoredRows
from audioid.data.walk import walk
from audioid.errors import AudioidError
from audioid.pipeline.background import background_images, background_kinds
from audioid.pipeline.recordings import PreparedData
from audioid.schema import DataSettings, GeneratedDataSettings, Settings
from audioid.sureness import CROWD, NEIGHBOURS, SHARE, Sureness, mean_log_distance, placed
from audioid.training.evaluate import Evaluation, calibrated

Features = NDArray[np.float32]

AT_ONCE = 64  # images
AXES = 128
AMONG = 1000  # features of each kind that axes are found by
BINS = 15
# Temperatures are believed to lie within a factor of e of 1: a part of a few dozen recordings, all named rightly, would
# else make the model as sure as can be.
BELIEF = 1.0


def fitted_temperature(log_probabilities: NDArray[np.float64], targets: NDArray[np.intp]) -> float:
    """The likeliest temperature for log-probabilities `(recordings, classes)` of these classes; 1 where there are none.

    That of Guo et al. (ICML 2017), with a normal belief in its logarithm.
    """
    if not len(targets):
        return 1.0

    def cost(logarithm: float) -> float:
        found = log_softmax(log_probabilities * np.exp(-logarithm), axis=1)
        return float(logarithm**2 / (2 * BELIEF**2) - found[np.arange(len(targets)), targets].sum())

    return float(np.exp(minimize_scalar(cost, bounds=(-3, 3), method="bounded").x))


def calibration_error(log_probabilities: NDArray[np.float64], targets: NDArray[np.intp]) -> float:
    """The expected calibration error: 15 bins of equal width of the likeliest class's probability, each by how many
    recordings it has (Naeini et al., AAAI 2015)."""
    return binned_error(np.exp(log_probabilities.max(1)), log_probabilities.argmax(1) == targets)


def binned_error(sure: NDArray[np.float64], is_right: NDArray[np.bool_]) -> float:
    """As `calibration_error`, of answers that were so sure, and right or not, `(answers,)`."""
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    return float(np.abs(np.bincount(bins, is_right - sure, BINS)).sum() / len(sure))


@dataclass(frozen=True)
class JudgedSureness:
    """A model's sureness, and what it comes to: calibration errors of the test part before and after, and the shares
    that are called unknown: of the test part, of the background's generated sounds, and of the recordings in
    `data.unknown` that had no part in it. None: there are none, or nothing is known of scores."""

    sureness: Sureness
    ece_uncalibrated: float
    ece: float
    known_rejected: float | None
    generated_rejected: float | None
    unknown_rejected: float | None

    @property
    def told(self) -> str:
        """What a user can expect of the model's answers."""
        text = f"probabilities off by {100 * self.ece:.1f} points"
        if float(self.sureness.temperature) != 1.0:
            text += f" ({100 * self.ece_uncalibrated:.1f} before calibration)"
        shares = {
            "what it should know": self.known_rejected,
            "generated sounds of all kinds": self.generated_rejected,
            "data.unknown": self.unknown_rejected,
        }
        rejected = ", ".join(f"{share:.0%} of {what}" for what, share in shares.items() if share is not None)
        return f"{text}; calls unknown {rejected}" if rejected else text

    @property
    def figures(self) -> dict[str, float | None]:
        """For `metrics.json`."""
        return {
            "temperature": float(self.sureness.temperature),
            "test_ece_uncalibrated": self.ece_uncalibrated,
            "test_ece": self.ece,
            **self.rejected,
        }

    @property
    def rejected(self) -> dict[str, float | None]:
        """Shares that are called unknown, for `metrics.json` and `model.json`."""
        names = ("known_rejected", "generated_rejected", "unknown_rejected")
        return {name: getattr(self, name) for name in names}


def judged_sureness(
    classifier: AudioClassifier,
    prepared: PreparedData,
    settings: Settings,
    evaluation: Evaluation,
    unknown: Sequence[Path],
    *,
    device: str,
) -> JudgedSureness | None:
    """The sureness of a trained classifier, fitted on the validation part, and judged on the test part.

    None where it has learned from generated sounds: then no others are there to tell what is unknown by.

    Of the `unknown` recordings a third joins the background, a third says where the threshold should be, among the
    scores that turn away no more than `unknown.false_rejections` of the validation part, and a third judges.
    """
    if isinstance(settings.data, GeneratedDataSettings):
        return None
    found, parts = evaluation.log_probabilities, prepared.split
    val, test = (prepared.index.targets[rows] for rows in (parts.val, parts.test))
    n_features = evaluation.features["train"].shape[1]
    deciding, judging = (
        _features_of_recordings(some, classifier, settings, device).reshape(-1, n_features)
        for some in _thirds(unknown)[1:]
    )
    temperature = fitted_temperature(found["val"], val)
    sureness = held_to(
        classifier, evaluation.features["train"], settings, unknown, temperature=temperature, device=device
    )

    def scores(features: Features) -> NDArray[np.float64]:
        return sureness.unknown_scores(torch.from_numpy(features)).double().numpy()

    threshold = None
    if len(val):
        threshold = chosen_threshold(
            scores(evaluation.features["val"]), scores(deciding), settings.unknown.false_rejections
        )
        sureness.threshold.fill_(threshold)

    def rejected(found: NDArray[np.float64]) -> float | None:
        return None if threshold is None or not len(found) else float((found > threshold).mean())

    return JudgedSureness(
        sureness,
        ece_uncalibrated=calibration_error(found["test"], test),
        ece=calibration_error(calibrated(evaluation, prepared, temperature).log_probabilities["test"], test),
        known_rejected=rejected(scores(evaluation.features["test"])),
        generated_rejected=rejected(_scores_beside_others(sureness, background_kinds(settings.audio))),
        unknown_rejected=rejected(scores(judging)),
    )


def held_to(
    classifier: AudioClassifier,
    features: Features,
    settings: Settings,
    unknown: Sequence[Path],
    *,
    temperature: float,
    device: str,
) -> Sureness:
    """That of a classifier by what it has learned from, with these `features`, and the background; no threshold yet."""
    beside, *_ = _thirds(unknown)
    background = [features_of(classifier, _in_batches(background_images(settings, device=device)), device)]
    if beside:
        background.append(_features_of_recordings(beside, classifier, settings, device))
    basis = _basis(features, background[0])
    known, others = (
        placed(torch.from_numpy(each), basis).half().float()  # as they are kept
        for each in (features, np.concatenate(background))
    )
    return Sureness(temperature=temperature, basis=basis, known=known, background=others, threshold=None)


def _thirds(unknown: Sequence[Path]) -> list[Sequence[Path]]:
    """Those that join the background, say where the threshold should be, and judge."""
    return [unknown[third::3] for third in range(3)]


def chosen_threshold(known: NDArray[np.float64], unknown: NDArray[np.float64], false_rejections: float) -> float:
    """The threshold that leaves `false_rejections` of the scores of known recordings above it.

    Where there are unknown ones, a higher one if it makes fewer errors of both kinds, each as a share.
    """
    lowest = float(np.quantile(known, 1 - false_rejections, method="higher"))
    if not len(unknown):
        return lowest
    every = np.unique(np.concatenate([[lowest], known, unknown]))
    every = every[every >= lowest]
    candidates = np.concatenate([[lowest], (every[1:] + every[:-1]) / 2])
    errors = [(known > each).mean() + (unknown <= each).mean() for each in candidates]
    return float(candidates[int(np.argmin(errors))])


@torch.inference_mode()
def features_of(classifier: AudioClassifier, batches: Iterator[Tensor], device: str) -> Features:
    """Of images that come in batches `(batch, channels, size, size)`: `(images, n_features)`."""
    found = []
    for images in batches:
        features, logits = classifier.features_and_logits(images.to(device))
        found.append((logits if features is None else features).flatten(1).float().cpu().numpy())
    return np.concatenate(found) if found else np.empty((0, 1), np.float32)


def _in_batches(images: StoredRows) -> Iterator[Tensor]:
    for rows in np.array_split(np.arange(len(images)), -(-len(images) // AT_ONCE)):
        yield torch.from_numpy(images[rows])


def _features_of_recordings(
    paths: Sequence[Path], classifier: AudioClassifier, settings: Settings, device: str
) -> Features:
    """Of those that can be read the means over their clips, as they are judged, `(recordings, n_features)`."""
    audio, transform = settings.audio.model_dump(), classifier.transform.to(device)

    def decoded(path: Path) -> list[Waveform]:
        try:
            return [clip for clip in load_clips(path, **audio) if clip is not None]
        except Unreadable:
            return []

    found, at_once = [np.empty((0, 1), np.float32)], AT_ONCE if settings.audio.windows == 1 else 1
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), at_once):
            clips = [each for each in pool.map(decoded, paths[start : start + at_once]) if each]
            waves = list(chain.from_iterable(clips))
            pieces = (torch.from_numpy(np.stack(waves[k : k + AT_ONCE])) for k in range(0, len(waves), AT_ONCE))
            features = features_of(classifier, (transform(piece.to(device)) for piece in pieces), device)
            ends = np.cumsum([len(each) for each in clips])
            found += [part.mean(0, keepdims=True) for part in np.split(features, ends[:-1]) if len(part)]
    return np.concatenate(found[1:] or found)


def _basis(*features: Features) -> Tensor:
    """The axes `(n_features, AXES)` that hold most of what lengthless features of several kinds differ in."""
    rng, some = np.random.default_rng(0), []
    for each in features:
        chosen = each[rng.permutation(len(each))[:AMONG]].astype(np.float64)
        some.append(chosen / np.linalg.norm(chosen, axis=1, keepdims=True).clip(1e-12))
    together = np.concatenate(some)
    axes = randomized_svd(together, min(AXES, *together.shape), random_state=0)[2]
    return torch.from_numpy(axes.T.astype(np.float32)).half().float().contiguous()  # as it is kept


def _scores_beside_others(sureness: Sureness, kinds: Sequence[str]) -> NDArray[np.float64]:
    """Unknown scores of the background's generated sounds, its first, each beside those of other kinds alone."""
    places, names = sureness.background[: len(kinds)], np.array(kinds)
    cosines = places @ sureness.background.T
    cosines[:, : len(kinds)][torch.from_numpy(names[:, None] == names)] = -1
    known = mean_log_distance(places @ sureness.known.T, NEIGHBOURS)
    return (known - SHARE * mean_log_distance(cosines, CROWD)).double().numpy()


def find_unknown(data: DataSettings) -> list[Path]:
    """The recordings in `data.unknown`, in an order that has nothing to do with their names.

    Raises:
        AudioidError: there are none.
    """
    if data.unknown is None:
        return []
    root = Path(data.unknown).expanduser()
    every = {_checksum(root / path): path for path, reason in walk(root) if not reason}
    found = sorted(every.values())  # copies would join the background and be judged beside themselves
    if len(found) < 3:
        raise AudioidError(
            f"data.unknown: {root} holds fewer than 3 recordings; name a folder with more, or leave it out"
        )
    return [root / found[place] for place in np.random.default_rng(0).permutation(len(found))]


def refuse_known(unknown: Sequence[Path], index: Index) -> None:
    """Raises AudioidError where recordings that have a label are to be unknown ones too."""
    labelled = set(index.table["checksum"])
    both = [path for path in unknown if _checksum(path) in labelled]
    if both:
        told = f"{len(both)} of its recordings have a label among those to learn from, such as {both[0]}"
        raise AudioidError(f"data.unknown: {told}; name a folder of others")


def _checksum(path: Path) -> str:
    try:
        with path.open("rb") as content:
            return checksum_of(content)
    except OSError:  # left out when it is decoded
        return str(path)
