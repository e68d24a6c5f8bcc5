"""What `auto` comes to for the recordings that are there, told before anything is trained, and without torch."""

from pathlib import Path

from audioid.data.corpus import corpus_root, parts_of, read_corpus
from audioid.errors import AudioidError
from audioid.schema import GeneratedDataSettings, Settings, SyntheticDataSettings
from audioid.training.budget import budget_of


def foreseen(settings: Settings) -> str:
    """The budget of a run with these settings in a line, or why there is none yet.

    The corpus is read as a run reads it, by the headers of its recordings; the built-in one is not made for it. A
    recording whose header is in order but nothing else still counts.
    """
    cache = Path(settings.store.root).expanduser()
    is_made = isinstance(settings.data, SyntheticDataSettings) and not corpus_root(settings.data, cache).exists()
    if is_made or isinstance(settings.data, GeneratedDataSettings):
        return "trainer: these sounds are made by the first run, which then says how many steps there are"
    try:
        index = read_corpus(settings.data, cache)
        n_train = len(parts_of(index, settings.split, cache).train)
        budget = budget_of(settings.trainer, n_train, settings.data.batch_size)
        return f"trainer: {budget.told}, for {n_train:,} recordings to learn from"
    except AudioidError as error:
        return f"trainer: how many steps there are cannot be said yet: {error}"
