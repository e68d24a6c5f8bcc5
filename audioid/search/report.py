"""What a search leaves: its trials as a table, its best settings, figures, and the same in TensorBoard."""

import csv
import json
from typing import TYPE_CHECKING, Any

from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState
from tabulate import tabulate

from audioid.comparison.records import SEARCH
from audioid.comparison.report import FORMS
from audioid.files import replacing
from audioid.search.study import FOLDER, Search

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEWEST = 4  # trials that came to their end, for importances to mean anything


def write(search: Search) -> str:
    """Writes `trials.csv`, `search.json`, figures and TensorBoard events to the folder `search`; returns the text to
    print.

    Raises:
        AudioidError: no trial of an arm came to its end.
    """
    from audioid.search.figures import figures

    folder = search.sweep / FOLDER
    trials = {arm: search.of(arm) for arm in sorted(search.spaces)}  # as a comparison has them, and their colours
    importances = {arm: found for arm in trials if (found := _importances(search, arm))}
    arms = {arm: {**_summary(search, arm), "importances": importances.get(arm, {})} for arm in trials}
    write_trials(search)
    _draw(search, figures(trials, importances, search.best_by))
    with replacing(search.sweep / SEARCH) as part:  # last: where it is, the search has ended
        text = json.dumps({"judged_by": search.best_by, "transforms": arms}, indent=2, ensure_ascii=False)
        part.write_text(text + "\n", encoding="utf-8")
    most = {key: max(each["importances"].get(key, 0.0) for each in arms.values()) for key in _keys(search)}
    best = [each["best"] for each in arms.values()]
    rows = [(search.best_by, *(_written(each[search.best_by]) for each in best))]
    by_importance = sorted(most, key=lambda key: -most[key])
    rows += [(key, *(_written(each["settings"].get(key, "")) for each in best)) for key in by_importance]
    table = tabulate(rows, ("best settings", *arms), tablefmt="simple", disable_numparse=True)
    return f"{table}\n\nWhat was tried: {folder}; the best of each is now judged"


def write_trials(search: Search) -> None:
    """`trials.csv`, a row for each trial that was begun, to the folder `search`."""
    columns = ["transform", "trial", "state", search.best_by, "epochs", *_keys(search)]
    path = search.sweep / FOLDER / "trials.csv"
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(_row(arm, trial, search.best_by) for arm in search.spaces for trial in search.of(arm))


def _keys(search: Search) -> list[str]:
    return list(dict.fromkeys(key for space in search.spaces.values() for key in space))


def _written(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _importances(search: Search, arm: str) -> dict[str, float]:
    """The share of each key in the variance between the trials that came to their end, by functional ANOVA."""
    ended = [trial for trial in search.of(arm) if trial.state == TrialState.COMPLETE]
    if len(ended) < FEWEST or len({trial.value for trial in ended}) < 2 or not search.spaces[arm]:
        return {}
    return get_param_importances(search.studies[arm], evaluator=FanovaImportanceEvaluator(seed=0))


def _summary(search: Search, arm: str) -> dict[str, Any]:
    found, best = search.of(arm), search.best(arm)
    pruned = [trial for trial in found if trial.state == TrialState.PRUNED]
    return {
        "trials": len(found),
        "complete": len(found) - len(pruned),
        "pruned": len(pruned),
        "best": {"trial": best.number, search.best_by: best.value, "settings": best.params},
    }


def _row(arm: str, trial: FrozenTrial, best_by: str) -> dict[str, Any]:
    ended = {"transform": arm, "trial": trial.number, "state": trial.state.name.lower()}
    return {**ended, best_by: trial.value, "epochs": len(trial.intermediate_values), **trial.params}


def _draw(search: Search, drawn: "dict[str, Figure]") -> None:
    from torch.utils.tensorboard import SummaryWriter

    from audioid.comparison.figures.style import saved

    folder = search.sweep / FOLDER
    for file in folder.glob("events.out.tfevents.*"):  # of a search that had ended before
        file.unlink()
    with SummaryWriter(str(folder)) as writer:
        for name, figure in drawn.items():
            writer.add_figure(f"search/{name}", figure, 0, close=False)
            for form in FORMS:
                with replacing(folder / f"{name}.{form}") as part:
                    part.write_bytes(saved(figure, form))
        for arm in search.spaces:
            for trial in search.of(arm):
                if trial.value is not None:
                    writer.add_scalar(f"search/{search.best_by}/{arm}", trial.value, trial.number)
