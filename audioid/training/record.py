"""The files that a run leaves for others: what was measured, what was predicted, what was left out."""

import json
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd

from audioid import model_folder
from audioid.classifier import AudioClassifier
from audioid.data.index import Index, are_uneven
from audioid.data.split import SplitIndices
from audioid.files import replacing
from audioid.model_description import SECTIONS, TrainedOn
from audioid.model_folder import KnownRecording, Sure
from audioid.pipeline.recordings import PreparedData
from audioid.schema import Settings
from audioid.training.evaluate import Evaluation
from audioid.training.fit import Fitted
from audioid.training.sureness import JudgedSureness
from audioid.transforms.windows import window_lengths

LIBRARIES = ("torch", "torchaudio", "pytorch-lightning", "PyWavelets", "numpy", "scipy", "soundfile", "soxr")
MOST_FEATURES = 64


def record(
    folder: Path,
    settings: Settings,
    prepared: PreparedData,
    classifier: AudioClassifier,
    evaluation: Evaluation,
    judged: JudgedSureness | None,
) -> None:
    """Leaves `features.npy` and the model folder.

    Raises:
        AudioidError: they cannot be written.
    """
    if evaluation.shows_features:
        write_features(folder / "features.npy", evaluation.features["test"])
    groups = {group: getattr(settings, group).model_dump() for group in SECTIONS}
    sure = None
    if judged:
        learned = prepared.index.table.iloc[prepared.split.train[evaluation.known]]
        known = [KnownRecording(*each) for each in learned[["path", "label"]].itertuples(index=False)]
        sure = Sure(judged.sureness, known, {"false_rejections": settings.unknown.false_rejections} | judged.rejected)
    trained_on = trained_on_of(prepared)
    model_folder.save(
        folder / "model", classifier, labels=prepared.index.classes, sure=sure, trained_on=trained_on, **groups
    )


def trained_on_of(prepared: PreparedData) -> TrainedOn:
    """What `model.json` says of the recordings and the code."""
    return TrainedOn(
        recordings=len(prepared.split.train),
        index_digest=prepared.index.digest,
        audioid=version("audioid"),
        commit=commit(),
    )


def metrics_of(
    settings: Settings,
    prepared: PreparedData,
    fitted: Fitted,
    evaluation: Evaluation,
    judged: JudgedSureness | None,
    near_duplicates: NDArray[np.int64] | None,
) -> dict[str, Any]:
    """What `metrics.json` says of a run, but for what it cost.

    `near_duplicates` `(rows,)` has for each row of the index its group of them, None where they are not known.
    """
    index, parts = prepared.index, prepared.split
    return {
        "transform": settings.transform.name,
        "seed": settings.seed,
        "split_seed": settings.split.seed,
        "fold": settings.split.fold if settings.split.name in ("kfold", "given") else None,
        "classes": index.classes,
        "n_train": len(parts.train),
        "n_val": len(parts.val),
        "n_test": len(parts.test),
        "n_test_group_in_train": _met_in_training(index.groups, parts),
        "n_test_near_duplicate_in_train": _met_in_training(near_duplicates, parts),
        "clip_seconds": settings.audio.seconds,
        "frequency_shift": settings.augment.model_dump().get("frequency_shift"),  # not every package's changes have it
        **_windows(settings),
        "uneven_classes": are_uneven(index.table["label"].value_counts()),
        "train_accuracy": evaluation.accuracy["train"],
        "val_accuracy": evaluation.accuracy.get("val"),
        "val_loss": evaluation.loss.get("val"),
        "test_accuracy": evaluation.accuracy["test"],
        "test_macro_f1": evaluation.test_macro_f1,
        "test_loss": evaluation.loss["test"],
        **(judged.figures if judged else {}),
        "epochs": fitted.epochs,
        "max_epochs": fitted.budget.epochs,
        "max_steps": fitted.budget.steps,
        "budget": asdict(fitted.budget.asked),
        "earlier_max_epochs": fitted.earlier_max_epochs,
        "pretrained": fitted.pretrained,
        "index_digest": index.digest,
        "commit": commit(),
        "versions": versions(),
    }


def _windows(settings: Settings) -> dict[str, int]:
    """The samples that `n_fft` and `win_length` stand for, where the picture has them."""
    transform, rate = settings.transform.model_dump(), settings.audio.sample_rate
    if not {"n_fft", "win_length"} <= set(transform):
        return {}
    samples = round(rate * settings.audio.model_dump()["seconds"])
    lengths = window_lengths(transform["n_fft"], transform["win_length"], rate, samples)
    return dict(zip(("n_fft", "win_length"), lengths, strict=True))


def _met_in_training(groups: NDArray[Any] | None, parts: SplitIndices) -> int | None:
    """How many rows of the test part are of a group that the training part has rows of."""
    return None if groups is None else int(pd.Series(groups[parts.test]).isin(groups[parts.train]).sum())


def write_features(path: Path, features: NDArray[np.float32]) -> None:
    """`features.npy`, float16 `(n_test, at most 64)`, rows as in `predictions.csv`: to look at, not to train on.

    More dimensions are brought down to the principal components of these very features: what the test recordings
    differ in is to be seen, and those of the training part, which are far more, need not be kept for it.
    """
    largest = np.finfo(np.float16).max
    features = features.clip(-largest, largest)
    if features.shape[1] > MOST_FEATURES:
        centred = features - features.mean(axis=0)
        components, strengths, _ = randomized_svd(centred, MOST_FEATURES, random_state=0)  # of fixed sign
        features = (components * strengths).clip(-largest, largest)
    with replacing(path) as part, part.open("wb") as file:
        np.save(file, features.astype(np.float16), allow_pickle=False)


def write_predictions(
    path: Path,
    prepared: PreparedData,
    log_probabilities: NDArray[np.float64],
    near_duplicates: NDArray[np.int64] | None,
) -> None:
    """`predictions.csv`: `path,label,predicted,group` and a column of probabilities per class, a row per test file.

    Such a column is named after its class; that of a class called `label` is `label_probability`.
    """
    index, probabilities = prepared.index, np.exp(log_probabilities)
    table = index.table.assign(group=_not_independent(index, near_duplicates))[["path", "label", "group"]]
    table = table.iloc[prepared.split.test].reset_index(drop=True)
    table.insert(2, "predicted", [index.classes[number] for number in probabilities.argmax(1)])
    headers = []
    for name in index.classes:
        header = name
        while header in table or (header != name and header in index.classes):
            header += "_probability"
        headers.append(header)
    table = pd.concat([table, pd.DataFrame(probabilities, columns=headers)], axis=1)
    with replacing(path) as part:
        table.to_csv(part, index=False, float_format="%.6f", lineterminator="\n")


def _not_independent(index: Index, near_duplicates: NDArray[np.int64] | None) -> "pd.Series[str]":
    """What recordings are not independent of, `(rows,)`: their group, or in a corpus without groups the first of their
    near-duplicates; empty text for the others."""
    if index.groups is not None or near_duplicates is None:
        return index.table["group"]
    members = index.table["path"].groupby(near_duplicates)
    return members.transform("first").where(members.transform("size") > 1, "")


def write_skipped(path: Path, skipped: Sequence[tuple[str, str]]) -> None:
    """`skipped.csv`: `path,reason` of each file that was left out."""
    with replacing(path) as part:
        pd.DataFrame(skipped, columns=["path", "reason"]).to_csv(part, index=False, lineterminator="\n")


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Plain values as JSON, with a line each. Raises ValueError for a number that is not finite: JSON has none."""
    with replacing(path) as part:
        part.write_text(json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


@cache
def versions() -> dict[str, str]:
    """Of Python, audioid and the libraries that the figures depend on."""
    return {"python": platform.python_version(), "audioid": version("audioid")} | {
        name: version(name) for name in LIBRARIES
    }


@cache  # the code of a process is that which it began with
def commit() -> str | None:
    """The commit of the code that runs, with `+` where files differ from it; None where it is not a checkout."""
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():  # an installed copy may lie in a repository of somebody else
        return None
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=40", "--exclude=*"],
            cwd=checkout, capture_output=True, encoding="utf-8", check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
