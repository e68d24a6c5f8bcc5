"""The comparison where people look: a run called `comparison` beside those it compares."""

import io
import logging
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from audioid.comparison.analysis import pair_of
from audioid.comparison.arms import ARM, Arm, mean_over_splits, name_of
from audioid.comparison.curves import COLUMNS, mean_curve, read_curves
from audioid.comparison.embedding import FEATURES, add_embedding
from audioid.comparison.measures import MEASURES
from audioid.comparison.precision_recall import Counts
from audioid.comparison.predictions import Predictions, read_predictions
from audioid.comparison.records import Run
from audioid.comparison.showing import Showing, Shown
from audioid.comparison.study import Study
from audioid.errors import AudioidError, one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch.utils.tensorboard import SummaryWriter

logger = logging.getLogger(__name__)

Layout = dict[str, dict[str, list[Any]]]  # as `SummaryWriter.add_custom_scalars` has it

NAME = "comparison"
# TensorBoard opens the first groups of tags, by name: those of the runs themselves come after these.
COMPARE, COST, CURVE, EXAMPLE = "compare", "cost", "curves", "examples"
SPREAD = "within arms"
MOST_SETTINGS, MOST_ARMS, MOST_CLASSES, MOST_EPOCHS = 100, 10, 40, 200
GAP = 6  # pixels between two pictures
HEIGHT = 200  # pixels of a picture


@dataclass
class _Page:
    """What one study adds; `title` tells it from others, `layout` is that of the custom scalars of all."""

    writer: "SummaryWriter"
    study: Study
    title: str
    showing: Showing | None
    layout: Layout

    def tag(self, group: str, *names: str) -> str:
        return _tag(f"{group} {self.title}".strip(), *names)

    @property
    def arms(self) -> list[Arm]:
        return [summary.arm for summary in self.study.comparisons[0].summaries[:MOST_ARMS]]

    @property
    def pair(self) -> list[Arm]:
        """The arms that the report sets against each other, or the only one."""
        names = pair_of(self.study.comparisons[0], self.study.measure) or (self.arms[0].name,)
        arms = {summary.arm.name: summary.arm for summary in self.study.comparisons[0].summaries}
        return [arms[name] for name in names]


def write_board(
    folder: Path,
    studies: Sequence[Study],
    figures: Mapping[str, "Figure"],
    texts: Mapping[str, str],
    *,
    showing: Showing | None = None,
) -> None:
    """Writes `folder/comparison` anew: event files and the projector's. What a run lacks, or what fails, is left out.

    Args:
        figures: in the order in which they are shown.
        texts: Markdown by name, likewise.
        showing: gives pictures and sounds of single recordings.
    """
    _try("page", partial(_write, folder / NAME, studies, figures, texts, showing))


def _write(
    page: Path,
    studies: Sequence[Study],
    figures: Mapping[str, "Figure"],
    texts: Mapping[str, str],
    showing: Showing | None,
) -> None:
    from torch.utils.tensorboard import SummaryWriter

    if page.is_symlink():
        raise AudioidError(f"{page}: is a link, which may lead elsewhere; remove it")
    if (page / ".hydra").exists():
        raise AudioidError(f"{page}: is a run's own folder; call the run something else")
    _clear(page)
    with SummaryWriter(str(page)) as writer:
        _try("texts", partial(_texts, writer, texts))
        _try("figures", partial(_figures, writer, figures))
        layout: Layout = {}
        for study in studies:
            title = " ".join(f"{key}={value}" for key, value in study.settings.items()) if len(studies) > 1 else ""
            part = _Page(writer, study, title, showing, layout)
            for what, add in PARTS.items():
                _try(f"{what} {title}".strip(), partial(add, part))
        if layout:
            writer.add_custom_scalars(layout)


def _clear(page: Path) -> None:
    """Removes what an earlier comparison wrote, and nothing else."""
    projector = page / "00000"
    for file in [*page.glob("events.out.tfevents.*"), *page.glob("projector_config.pbtxt")]:
        file.unlink()
    if projector.is_symlink():  # what it leads to is somebody else's
        projector.unlink()
    shutil.rmtree(projector, ignore_errors=True)


def _try(what: str, add: Callable[[], None]) -> None:
    try:
        add()
    except Exception as error:  # the comparison itself is in other files, and is worth more than this
        logger.warning("TensorBoard is without the comparison's %s (%s)", what, one_line(error))


def _tag(*parts: str) -> str:
    return "/".join(re.sub(r"[/\x00-\x1f\x7f]", "_", part) for part in parts)


def _texts(writer: "SummaryWriter", texts: Mapping[str, str]) -> None:
    for place, (name, text) in enumerate(texts.items(), 1):
        writer.add_text(_tag(COMPARE, f"{place:02d} {name}"), text, 0)


def _figures(writer: "SummaryWriter", figures: Mapping[str, "Figure"]) -> None:
    for place, (name, figure) in enumerate(figures.items(), 1):
        writer.add_figure(_tag(COMPARE, f"{place:02d} {name}"), figure, 0, close=False)


def _scores(page: _Page) -> None:
    """Each measure of each setting; against the only other key that was varied, where it holds whole numbers."""
    keys = page.study.keys
    others = [key for key in keys if key != ARM]
    for setting in page.study.ranking[:MOST_SETTINGS]:
        name = name_of(setting.values, keys) or setting.runs[0].transform
        for key, measure in MEASURES.items():
            value, what = mean_over_splits(setting.runs, key), measure.name.removeprefix("test ")
            page.writer.add_scalar(page.tag(COMPARE, what, name), value, 0)
            if len(others) == 1 and (step := setting.values.get(others[0], "")).isdecimal():
                by = f"{what} by {others[0]}"
                tag = page.tag(COMPARE, by, setting.values.get(ARM, "all"))
                page.writer.add_scalar(tag, value, int(step))
                # TensorBoard takes the tags of a layout for regular expressions.
                chart = ["Multiline", [f"^{re.escape(page.tag(COMPARE, by))}/"]]
                page.layout.setdefault(page.tag(COMPARE), {})[by] = chart


def _costs(page: _Page) -> None:
    for summary in page.study.comparisons[0].summaries[:MOST_ARMS]:
        for what, value in vars(summary.cost).items():
            if value is not None:
                page.writer.add_scalar(page.tag(COST, what.replace("_", " "), summary.arm.name), value, 0)


def _curves(page: _Page) -> None:
    """Each arm's mean curves, overlaid in the custom scalars, and each arm's with the spread of its runs."""
    read = {arm.name: [curves for run in arm.runs if (curves := read_curves(run))] for arm in page.arms}
    for column in COLUMNS:
        what = column.replace("_", " ")
        means, margins = {}, {}
        for arm, found in read.items():
            mean, std = mean_curve([each[column] for each in found]) if found else (np.empty(0), np.empty(0))
            if np.isnan(mean).all():
                continue
            means[arm] = page.tag(CURVE, what, arm)
            low, high = (page.tag(SPREAD, what, f"{arm} {end}") for end in ("low", "high"))
            for tag, values in ((means[arm], mean), (low, mean - std), (high, mean + std)):
                _add_curve(page.writer, tag, values)
            margins[f"{what} of {arm}, mean and standard deviation of its runs"] = ["Margin", [means[arm], low, high]]
        if means:
            chart = ["Multiline", [f"^{re.escape(tag)}$" for tag in means.values()]]
            page.layout.setdefault(page.tag(CURVE), {}).update({f"{what}, mean of each arm": chart} | margins)


def _add_curve(writer: "SummaryWriter", tag: str, values: NDArray[np.float64]) -> None:
    places = np.unique(np.linspace(0, len(values) - 1, min(len(values), MOST_EPOCHS)).round().astype(int))
    for place in places.tolist():
        if np.isfinite(values[place]):
            writer.add_scalar(tag, values[place], place + 1)


def _predictions(runs: Sequence[Run]) -> Iterator[Predictions]:
    """Of the runs whose file can be used."""
    for run in runs:
        with suppress(OSError, ValueError):
            yield read_predictions(run)


def _precision_recall(page: _Page) -> None:
    """Of all classes together and of each, over all runs of an arm."""
    for arm in page.pair:
        classes = arm.runs[0].classes
        counts = Counts.over(_predictions([run for run in arm.runs if run.classes == classes]), len(classes))
        curves = {page.tag("all classes", arm.name): range(len(classes))}
        for number, name in enumerate(classes[:MOST_CLASSES]):
            curves[page.tag("each class", name, arm.name)] = range(number, number + 1)
        for tag, chosen in curves.items():
            page.writer.add_pr_curve_raw(tag, *counts.curve(chosen), global_step=0)


def _examples(page: _Page) -> None:
    """A test recording of each class: the pictures of both arms side by side, and its sound."""
    found = next(_predictions(page.pair[0].runs), None)
    if page.showing is None or found is None:
        return
    first = {found.classes[label]: path for label, path in zip(found.labels[::-1], found.paths[::-1], strict=True)}
    paths = {name: first[name] for name in sorted(first)[:MOST_CLASSES]}
    shown = {arm.name: page.showing(arm.runs[0], list(paths.values())) for arm in page.pair}
    for name, path in paths.items():
        pictures = {arm: each[path] for arm, each in shown.items() if path in each}
        if pictures:
            tag = page.tag(EXAMPLE, f"{name}: {', '.join(pictures)}")
            page.writer.add_image(tag, _side_by_side(list(pictures.values())), 0, dataformats="HWC")
            sound, rate = soundfile.read(io.BytesIO(next(iter(pictures.values())).sound), dtype="float32")
            page.writer.add_audio(page.tag(EXAMPLE, name), sound.clip(-1, 1)[None], 0, rate)


def _side_by_side(pictures: Sequence[Shown]) -> NDArray[np.uint8]:
    """`(rows, columns, 3)`, all pictures equally high."""
    from PIL import Image

    parts = []
    for each in pictures:
        rows, columns = each.image.shape[:2]
        enlarged = Image.fromarray(each.image).resize(
            (round(columns * HEIGHT / rows), HEIGHT), Image.Resampling.NEAREST
        )
        parts += [np.asarray(enlarged), np.full((HEIGHT, GAP, 3), 255, np.uint8)]
    return np.concatenate(parts[:-1], axis=1)


def _projector(page: _Page) -> None:
    """Of one run of each arm."""
    for arm in page.pair:
        runs = [run for run in arm.runs if (run.folder / FEATURES).is_file()]
        if runs:
            add_embedding(page.writer, page.tag(arm.name), runs[0], page.showing)


PARTS: dict[str, Callable[[_Page], None]] = {
    "scores": _scores,
    "costs": _costs,
    "learning curves": _curves,
    "precision and recall": _precision_recall,
    "examples": _examples,
    "embeddings": _projector,
}
