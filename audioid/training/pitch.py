"""`augment.frequency_shift=auto`: may a recording sound higher or lower, or is its pitch what its label says?"""

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from audioid import transforms
from audioid.data.corpus import read_groups
from audioid.pipeline.recordings import PreparedData
from audioid.schema import AugmentSettings, Settings
from audioid.training.image_augmentation import shift_rows

SHIFT = 0.06  # of the rows, at most: half an octave of the eight of a picture
LOST = 0.05  # of the nearest neighbours, beyond twice the standard error, is too many
SAME = 0.98  # as like are takes of one sound, which say nothing of others: each would find the other, shifted or not
ASKED = 400  # recordings
COLUMNS = 20  # that a picture's are averaged to
# The same picture whatever the run learns from, so that all arms of a comparison decide alike.
PICTURE = {"name": "fft", "n_fft": "auto", "win_length": "auto", "window": "hann", "n_mels": None}


def with_frequency_shift(settings: Settings, prepared: PreparedData) -> Settings:
    """The settings with `augment.frequency_shift` as a number: `SHIFT`, or 0 where pitch tells the labels apart.

    That is judged by the training part alone: beside shifted copies of all other recordings, of other groups where
    there are any and no takes of the same sound, is each still nearest to one of its own label? Where that holds for
    clearly fewer than without the copies, a shifted recording is one of another label. Where it holds for fewer than by
    chance without any copies, what is nearest is of another label for a reason, such as the same instrument's next
    note, and nothing is shifted.
    """
    augment = settings.augment
    if not isinstance(augment, AugmentSettings) or augment.frequency_shift != "auto":
        return settings
    rows = np.random.default_rng(0).permutation(prepared.split.train)[:ASKED]
    groups = read_groups(prepared.index, settings.split.group, Path(settings.store.root).expanduser())
    members = np.arange(len(prepared.index.table)) if groups is None else np.unique(groups, return_inverse=True)[1]
    image = settings.image.model_dump()
    picture = transforms.build(
        PICTURE, image, sample_rate=settings.audio.sample_rate, n_samples=settings.audio.n_samples
    )
    with torch.inference_mode():
        waveforms = torch.from_numpy(prepared.waveforms[prepared.clips.first[rows]])
        images = torch.cat([picture(some) for some in waveforms.split(64)])
        shift = 0.0 if is_label(images, prepared.index.targets[rows], members[rows]) else SHIFT
    return settings.model_copy(update={"augment": augment.model_copy(update={"frequency_shift": shift})})


def is_label(images: Tensor, targets: NDArray[np.int64], groups: NDArray[np.int64]) -> bool:
    """Whether pitch tells these labels apart, as `with_frequency_shift` judges that; arguments of `own_neighbours`."""
    before, after = own_neighbours(images, targets, groups)
    lost = before.astype(np.float64) - after
    by_chance = np.square(np.bincount(targets) / len(targets)).sum()
    is_lost = lost.mean() > LOST and lost.mean() > 2 * lost.std() / math.sqrt(len(lost))
    return bool(is_lost or before.mean() < by_chance)


def own_neighbours(
    images: Tensor, targets: NDArray[np.int64], groups: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """For each of the decibel images `(recordings, 1, size, size)` whether the nearest one of another group, which is
    no take of the same sound, has its label: before shifted copies came in, and with them, each `(recordings,)`."""
    most = round(SHIFT * images.shape[-2])
    # Every shift that training draws: labels a semitone apart are as near as one row.
    shifts = [0, *(rows for rows in range(-most, most + 1) if rows)]
    asked = _directions(images)
    copies = (shift_rows(images, torch.full((len(images),), rows)) if rows else images for rows in shifts)
    likeness = torch.stack([asked @ _directions(each).T for each in copies])
    is_take = torch.from_numpy(targets[:, None] == targets) & (likeness[0] > SAME)
    likeness = likeness.masked_fill(torch.from_numpy(groups[:, None] == groups) | is_take, -math.inf)
    before, after = (targets[each.argmax(1).numpy()] == targets for each in (likeness[0], likeness.amax(0)))
    return before, after


def _directions(images: Tensor) -> Tensor:
    """Of length one, `(recordings, values)`: what differs is not how much sound there is, but where."""
    pooled = functional.adaptive_avg_pool2d(images, (images.shape[-2], min(COLUMNS, images.shape[-1]))).flatten(1)
    return functional.normalize(pooled - pooled.mean(1, keepdim=True))
