"""What a search for settings came to, as it is written down beside the runs that judge it."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from audioid.schema import MOST_TRIALS, BestBy, Section

SEARCH = Path("search", "search.json")  # of a sweep's folder
LARGEST = 2**22  # bytes, twice what ten thousand trials of two arms take: anybody may have written the file
MOST_KEYS = 1000

# A figure with other signs in it would be no XML.
Name = Annotated[str, Field(min_length=1, max_length=200, pattern="^[^\x00-\x1f\x7f-\x9f\ufffe\uffff]+$")]
Count = Annotated[int, Field(ge=0, le=MOST_TRIALS)]
Judged = Annotated[float, Field(ge=0, le=3.5e38)]  # an accuracy, or a loss of 32 bits


class Kept(Section):
    """What a later version adds is passed over."""

    model_config = ConfigDict(extra="ignore")


class Trial(Kept):
    """`pruned` are those that were given up or diverged; `value` is what the search had of it, None for nothing."""

    state: Literal["complete", "pruned"]
    value: Judged | None = None


class Best(Kept):
    """The trial that validation puts first, by one of the two figures, and the searched keys as it had them."""

    trial: Count
    val_loss: Judged | None = None
    val_accuracy: Judged | None = None
    settings: Annotated[dict[Name, str | bool | int | float | None], Field(max_length=MOST_KEYS)]


class ArmSearch(Kept):
    """Of one transform: how many trials, what became of them in their order, and the share of each key in the variance
    between those that came to their end."""

    trials: Count
    complete: Count
    pruned: Count
    best: Best
    importances: Annotated[dict[Name, Annotated[float, Field(ge=0, le=1)]], Field(max_length=MOST_KEYS)]
    history: Annotated[tuple[Trial, ...], Field(max_length=MOST_TRIALS)] = ()


class SearchRecord(Kept):
    """A search that has ended."""

    judged_by: BestBy
    transforms: dict[Name, ArmSearch]

    def best_value(self, arm: str) -> float | None:
        """What the best trial of an arm was judged by."""
        value: float | None = getattr(self.transforms[arm].best, self.judged_by)
        return value


def numbered(trial: int) -> str:
    """A trial by its number as people read it, which is that of its folder: `007` is the eighth."""
    return f"{trial:03d}"


def read_search(file: Path) -> SearchRecord | None:
    """None where there is no such file, or a damaged one."""
    try:
        if not file.is_file() or file.stat().st_size > LARGEST:
            return None
        return SearchRecord.model_validate_json(file.read_bytes())
    except (OSError, ValueError):
        return None
