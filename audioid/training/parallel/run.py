"""Several runs that differ in the seed alone, trained as one; each leaves the record that it would leave alone."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from audioid.data.corpus import known_near_duplicates
from audioid.errors import AudioidError
from audioid.naming import hyperparameters
from audioid.pipeline.device import device_of
from audioid.pipeline.recordings import Stopwatch, prepare_data
from audioid.training.allocator import keep_freed_memory
from audioid.training.begin import begun
from audioid.training.budget import budget_of
from audioid.training.build import build, with_other_seed
from audioid.training.cost import cost
from audioid.training.determinism import keep_order_of_products
from audioid.training.evaluate import Evaluation, calibrated, evaluate
from audioid.training.fit import Fitted
from audioid.training.loggers import go_on, opened
from audioid.training.memory import MemoryMeter
from audioid.training.parallel.fit import Learner, fit
from audioid.training.pitch import with_frequency_shift
from audioid.training.record import metrics_of, record, write_json, write_predictions, write_skipped
from audioid.training.reporter import Reporter, log_evaluation, log_examples
from audioid.training.run import quiet, tell_beginning, tell_if_nothing_was_learned
from audioid.training.run_folder import Plan, claim
from audioid.training.sureness import JudgedSureness, find_unknown, judged_sureness, refuse_known


def run(plans: Sequence[Plan]) -> list[AudioidError | None]:
    """Trains and judges a network for each of the plans, and leaves its record in its folder; which of them failed.

    Of times each record has its share; memory is that of all together.

    Raises:
        AudioidError: the recordings or the settings do not allow it.
        SystemExit: it was stopped; all begin again.
    """
    quiet()
    keep_freed_memory()
    keep_order_of_products()
    asked = plans[0].settings
    print(", ".join(plan.folder.name for plan in plans), flush=True)
    watch, memory = Stopwatch(), MemoryMeter()
    with ExitStack() as opening, memory, watch("total"):
        device = device_of(asked)
        unknown = find_unknown(asked.data)
        prepared = prepare_data(asked, watch, device=device)
        refuse_known(unknown, prepared.index)
        settings = with_frequency_shift(prepared.settings, prepared)
        of_each = [settings.model_copy(update={"seed": plan.settings.seed}) for plan in plans]
        for plan in plans:
            write_skipped(plan.folder / "skipped.csv", prepared.index.skipped)
        tell_beginning(prepared, asked, settings)
        classifiers = [build(settings, prepared)]
        classifiers += [with_other_seed(classifiers[0], other, prepared) for other in of_each[1:]]
        budget = budget_of(settings.trainer, len(prepared.split.train), settings.data.batch_size)
        progress = begun(classifiers, settings)
        learners = []
        for classifier, plan, own in zip(classifiers, plans, of_each, strict=True):
            claim(plan.folder, plan.settings, plan.overrides)
            values = plan.settings.model_dump()
            loggers = opening.enter_context(opened(settings.logger, plan.folder))
            for logger in loggers:
                go_on(logger, 0)
            reporter = Reporter(values, hyperparameters(values, plan.overrides))
            learners.append(Learner(classifier, own, plan.folder, loggers, reporter))
        with watch("fit"):
            fitted = fit(learners, prepared, budget=budget, progress=progress)
        if fitted is None:
            return [None for _ in plans]
        judged = list[tuple[Plan, Learner, Fitted, Evaluation, JudgedSureness | None]]()
        failed: list[AudioidError | None] = [None for _ in plans]
        with watch("test"):
            for number, outcome in enumerate(fitted):
                try:
                    if isinstance(outcome, AudioidError):
                        raise outcome
                    learner = learners[number]
                    found = evaluate(learner.classifier, prepared, batch_size=settings.data.batch_size, device=device)
                    sure = judged_sureness(
                        learner.classifier, prepared, learner.settings, found, unknown, device=device
                    )
                    if sure:
                        found = calibrated(found, prepared, float(sure.sureness.temperature))
                    judged.append((plans[number], learner, outcome, found, sure))
                except AudioidError as error:  # it diverged; the others did not
                    failed[number] = error
        with watch("record"):
            figures = cost(judged[0][1].classifier, prepared, settings.audio) if judged else {}
            for plan, learner, outcome, evaluation, sure in judged:
                record(plan.folder, learner.settings, prepared, learner.classifier, evaluation, sure)
                log_evaluation(learner.loggers, evaluation, prepared.index.classes, outcome.epochs)
                log_examples(learner.loggers, prepared, learner.classifier.transform, learner.settings, plan.folder)
    near = known_near_duplicates(prepared.index, Path(settings.store.root).expanduser())
    share = {stage: round(seconds / len(plans), 3) for stage, seconds in watch.seconds.items()}
    for plan, learner, outcome, evaluation, sure in judged:
        write_predictions(plan.folder / "predictions.csv", prepared, evaluation.log_probabilities["test"], near)
        metrics = metrics_of(learner.settings, prepared, outcome, evaluation, sure, near)
        times = {"parallel_seeds": len(plans), "seconds": share, "peak_memory_mib": memory.peak_mib}
        write_json(plan.folder / "metrics.json", metrics | figures | times)
        if sure:
            print(f"  {sure.told}")
        tell_if_nothing_was_learned(prepared, evaluation)
        print(f"  test accuracy {metrics['test_accuracy']:.3f} in {plan.folder}", flush=True)
    print(f"  {watch.seconds['total']:.0f} s for {len(plans)} seeds", flush=True)
    return failed
