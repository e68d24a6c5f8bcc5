"""Figures of a comparison, for paper, page and TensorBoard. Loads matplotlib: to be imported where one is drawn."""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from audioid.comparison.analysis import Analysis
from audioid.comparison.figures.classes import calibration, classes, confusion
from audioid.comparison.figures.cost import cost
from audioid.comparison.figures.course import curves
from audioid.comparison.figures.settings import over_studies, settings
from audioid.comparison.figures.style import STYLE
from audioid.comparison.figures.verdict import accuracy, differences
from audioid.comparison.study import Study


def figures(study: Study, analysis: Analysis | None) -> dict[str, Figure]:
    """By name what there is to draw: `differences`, `accuracy`, `settings`, `curves`, `classes`, `confusion`,
    `calibration`, `cost`, in this order."""
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        found = {
            "differences": differences(study),
            "accuracy": accuracy(study),
            "settings": settings(study),
            "curves": curves(study),
        }
        if analysis:
            found |= {
                "classes": classes(analysis),
                "confusion": confusion(analysis),
                "calibration": calibration(analysis),
            }
        found["cost"] = cost(study)
    return {name: figure for name, figure in found.items() if figure is not None}


def overview(studies: Sequence[Study]) -> Figure | None:
    """The headlines' arms over the number that tells the studies apart (`study.number_apart`); None where none does."""
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        return over_studies(studies)
