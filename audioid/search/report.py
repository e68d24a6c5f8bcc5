"""What a search leaves: its trials as a table, its best settings, figures, and the same in TensorBoard."""

import csv
from typing import TYPE_CHECKING, Any

from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState
from tabulate import tabulate

from audioid.comparison import words
from audioid.comparison.report import FORMS
from audioid.comparison.searches import SEARCH, ArmSearch, Best, SearchRecord, Trial
from audioid.files import replacing
from audioid.overrides import parse
from audioid.search.study import FOLDER, Search

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEWEST = 10  # trials that came to their end, for importances to be more than noise


def write(search: Search) -> str:
    """Writes `trials.csv`, `search.json`, figures and TensorBoard events to the folder `search`; returns the text to
    print.

    Raises:
        AudioidError: no trial of an arm came to its end.
    """
    from audioid.comparison.figures.search import search_figures

    folder, arms = search.sweep / FOLDER, sorted(search.spaces)  # as a comparison has them, and their colours
    record = SearchRecord(judged_by=search.best_by, transforms={arm: _came_to(search, arm) for arm in arms})
    write_trials(search)
    _draw(search, search_figures(record, arms))
    with replacing(search.sweep / SEARCH) as part:  # last: where it is, the search has ended
        part.write_text(record.model_dump_json(indent=2, exclude_none=True) + "\n", encoding="utf-8")
    table = tabulate(words.search(record, arms), ("search", *arms), tablefmt="simple", disable_numparse=True)
    importance = "In brackets: the share of a key in the variance between trials that came to their end\n"
    told = importance if any(each.importances for each in record.transforms.values()) else ""
    return f"{table}\n\n{told}What was tried: {folder}; the best of each is now judged"


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


def _importances(search: Search, arm: str) -> dict[str, float]:
    """The share of each key in the variance between the trials that came to their end, by functional ANOVA."""
    ended = [trial for trial in search.of(arm) if trial.state == TrialState.COMPLETE]
    if len(ended) < FEWEST or len({trial.value for trial in ended}) < 2 or not search.spaces[arm]:
        return {}
    return get_param_importances(search.studies[arm], evaluator=FanovaImportanceEvaluator(seed=0))


def _came_to(search: Search, arm: str) -> ArmSearch:
    found, best = search.of(arm), search.best(arm)
    history = tuple(_told(trial) for trial in found)
    judged: dict[str, Any] = {search.best_by: best.value}
    return ArmSearch(
        trials=len(history),
        complete=sum(each.state == "complete" for each in history),
        pruned=sum(each.state == "pruned" for each in history),
        best=Best(trial=best.number, settings={key: _plain(value) for key, value in best.params.items()}, **judged),
        importances=_importances(search, arm),
        history=history,
    )


def _plain(value: Any) -> Any:
    """A value that was drawn from a choice, and so is a text, as the number, the boolean or None that it spells."""
    if not isinstance(value, str):
        return value
    found = parse([f"value={value}"])[0].value()
    return found if found is None or isinstance(found, bool | int | float) else value


def _told(trial: FrozenTrial) -> Trial:
    return Trial(state="complete" if trial.state == TrialState.COMPLETE else "pruned", value=trial.value)


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
