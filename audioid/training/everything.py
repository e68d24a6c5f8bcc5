"""The network for use: after one that was judged, another that learns from all recordings there are."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from audioid import model_folder
from audioid.data.split import SplitIndices
from audioid.model_description import EVERYTHING, SECTIONS
from audioid.model_folder import KnownRecording, Sure
from audioid.pipeline.recordings import PreparedData
from audioid.schema import Settings
from audioid.training.begin import begun
from audioid.training.budget import budget_for_use
from audioid.training.build import build
from audioid.training.evaluate import chosen_known, judged
from audioid.training.fit import fit, kept_epochs, read_progress
from audioid.training.record import trained_on_of
from audioid.training.sureness import JudgedSureness, held_to


def learn_everything(
    prepared: PreparedData,
    settings: Settings,
    folder: Path,
    judgement: JudgedSureness | None,
    unknown: Sequence[Path],
    *,
    device: str,
) -> None:
    """Trains for the share of the budget that the judged network was kept after, and leaves `everything/model`.

    The budget is that of all recordings, and the share is one of steps (`budget_for_use`). How sure answers are, and
    from where on they are unknown, is taken from the judged one: nothing is left to fit that on.

    Raises:
        DivergedError: training diverged.
        SystemExit: it was stopped; what was reached is kept.
    """
    none = np.empty(0, dtype=np.int64)
    everything = replace(prepared, split=SplitIndices(np.arange(len(prepared.index.table)), none, none))
    n_judged, n_all = len(prepared.split.train), len(everything.split.train)
    kept = kept_epochs(folder)
    budget = budget_for_use(settings.trainer, n_judged, n_all, settings.data.batch_size, kept=kept)
    unwatched = settings.trainer.model_copy(update={"patience": None, "best_by": "val_loss"})
    settings = settings.model_copy(update={"trainer": unwatched})
    print(f"  now from all {n_all} recordings, for use", flush=True)
    classifier = build(settings, everything)
    progress = read_progress(folder / EVERYTHING, budget, everything)
    if not progress.epochs:
        progress = begun([classifier], settings)
    fitted = fit(
        classifier,
        everything,
        settings,
        folder / EVERYTHING,
        budget=budget,
        progress=progress,
        loggers=[],
    )
    if fitted is None:
        return
    classifier.eval().to(device)
    known = chosen_known(n_all)
    _, features, _ = judged(
        classifier, everything, everything.split.train, known, batch_size=settings.data.batch_size, device=device
    )
    sure = None
    if judgement:
        temperature = float(judgement.sureness.temperature)
        sureness = held_to(classifier, features, settings, unknown, temperature=temperature, device=device)
        sureness.threshold.copy_(judgement.sureness.threshold)
        named = prepared.index.table.iloc[known][["path", "label"]].itertuples(index=False)
        shares = {"false_rejections": settings.unknown.false_rejections} | judgement.rejected
        sure = Sure(sureness, [KnownRecording(*each) for each in named], shares)
    groups = {group: getattr(settings, group).model_dump() for group in SECTIONS}
    place = folder / EVERYTHING / "model"
    trained_on = trained_on_of(everything)
    model_folder.save(
        place, classifier.cpu(), labels=prepared.index.classes, sure=sure, trained_on=trained_on, **groups
    )
