"""Budgets in steps: as many as are asked for, in equal epochs, and the same for every arm."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from lightning_fabric.utilities.distributed import DistributedSamplerWrapper

from audioid.config import compose
from audioid.errors import AudioidError
from audioid.schema import TrainerSettings
from audioid.training.budget import Asked, Budget, asked, budget_for_use, budget_of
from audioid.training.module import ClassifierModule
from tests.conftest import Command

QUICK = ["model.width=4", "image.size=32", "data.batch_size=8", "trainer.accelerator=cpu"]
DEFAULT = compose(["data=synthetic"]).trainer


def trainer(**chosen: Any) -> TrainerSettings:
    return DEFAULT.model_copy(update=chosen)


@given(st.integers(1, 600_000), st.integers(1, 512), st.integers(1, 100_000), st.integers(1, 64) | st.just(1000))
@example(111, 32, 100, 8)
@example(111, 32, 1, 1000)
def test_there_are_as_many_steps_as_asked_for_or_as_near_as_equal_epochs_come(
    n: int, batch: int, steps: int, per_step: int
) -> None:
    found = budget_of(trainer(max_steps=steps, accumulate_grad_batches=per_step), n, batch)
    assert found.steps == found.epochs * -(-found.batches // per_step)
    assert abs(found.steps - steps) <= found.epochs / 2
    assert 1 <= found.batches <= max(1, -(-n // batch))


@given(st.integers(50, 500_000))
def test_what_nobody_chose_goes_with_the_recordings(n: int) -> None:
    few, more = (budget_of(DEFAULT, count, 32) for count in (n, 4 * n))
    assert few.steps / n**0.5 == pytest.approx(30, rel=0.08)
    assert more.epochs * more.batches / (4 * n) <= few.epochs * few.batches / n  # each is seen less often
    large = budget_of(DEFAULT, n, 128)  # the same recordings are seen as often
    assert large.steps * 128 == pytest.approx(few.steps * 32, rel=0.15)
    summed = budget_of(DEFAULT.model_copy(update={"accumulate_grad_batches": 4}), n, 32)
    assert summed.epochs * summed.batches == pytest.approx(few.epochs * few.batches, rel=0.25)


@given(st.integers(2, 600), st.integers(2, 32), st.integers(1, 8))
@example(66, 32, 2)
@example(97, 32, 2)
def test_no_device_learns_from_a_last_batch_of_one_and_none_leaves_out_more(n: int, batch: int, devices: int) -> None:
    """As Lightning spreads recordings over devices."""
    batches = budget_of(trainer(max_epochs=1, devices=devices), n, batch).batches
    for rank in range(devices):
        numbers = list(DistributedSamplerWrapper(range(n), num_replicas=devices, rank=rank))
        sizes = [len(numbers[start : start + batch]) for start in range(0, len(numbers), batch)]
        assert 1 not in sizes[1:batches]
        assert all(size == 1 for size in sizes[batches:])


@pytest.mark.parametrize(("batch_size", "sizes"), [(5, [5, 5, 5]), (6, [6, 6, 4])])
def test_lightning_takes_as_many_batches_as_an_epoch_has(
    batch_size: int, sizes: list[int], tones: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 16 recordings; in fives the last would be alone."""
    training_step, found = ClassifierModule.training_step, list[int]()

    def watched(module: ClassifierModule, batch: Any) -> torch.Tensor:
        found.append(len(batch[0]))
        return training_step(module, batch)

    monkeypatch.setattr(ClassifierModule, "training_step", watched)
    chosen = ["data=folder", f"data.root={tones}", *QUICK, f"data.batch_size={batch_size}", "hydra.run.dir=run"]
    assert command(*chosen, "trainer.max_epochs=2") == 0
    assert found == 2 * sizes


def test_epochs_where_somebody_asks_for_them() -> None:
    assert budget_of(trainer(max_epochs=7, max_steps=3), 100, 32) == Budget(Asked(3, 7), 7, 4, 28)
    assert budget_of(trainer(max_epochs=7), 97, 32).batches == 3  # no last batch of one
    assert budget_of(trainer(max_epochs=7, accumulate_grad_batches=3), 100, 32).steps == 14
    assert budget_of(trainer(max_epochs=7, devices=2), 100, 32).batches == 2
    assert budget_of(trainer(max_epochs=7, limit_train_batches=2), 100, 32).batches == 2
    assert budget_of(trainer(max_epochs=7, limit_train_batches=0.5), 100, 32).batches == 2
    with pytest.raises(AudioidError, match=r"trainer\.limit_train_batches: 0.1 of 4 batches is none"):
        budget_of(trainer(limit_train_batches=0.1), 100, 32)


def test_steps_of_several_batches() -> None:
    found = budget_of(trainer(max_steps=10, accumulate_grad_batches=4), 32 * 33, 32)
    assert (found.epochs, found.batches, found.steps) == (2, 20, 10)
    assert found.told == "10 steps to train: 2 epochs of 20 batches"


@given(st.integers(2, 20_000), st.integers(1, 20_000), st.integers(1, 8), st.data())
def test_a_network_for_use_gets_the_share_of_the_steps_that_the_judged_one_was_kept_after(
    n: int, more: int, per_step: int, data: st.DataObject
) -> None:
    chosen: dict[str, Any] = data.draw(
        st.one_of(
            st.fixed_dictionaries({"max_steps": st.integers(1, 5_000)}),
            st.fixed_dictionaries({"max_epochs": st.integers(1, 50)}),
            st.just({}),
        )
    )
    asking = trainer(accumulate_grad_batches=per_step, **chosen)
    judged, whole = budget_of(asking, n, 32), budget_of(asking, n + more, 32)
    kept = data.draw(st.integers(1, judged.epochs))
    found = budget_for_use(asking, n, n + more, 32, kept=kept)
    assert abs(found.steps - whole.steps * kept / judged.epochs) <= found.epochs / 2 + 1
    if "max_epochs" in chosen:  # an epoch of more recordings is longer by itself
        assert found.epochs == kept


def test_a_network_for_use_learns_no_longer_than_the_judged_one_where_steps_are_asked_for() -> None:
    found = budget_for_use(trainer(max_steps=100), 10_000, 15_000, 32, kept=1)
    assert (found.epochs, found.steps) == (1, 100)


@pytest.mark.parametrize(
    ("wanted", "recorded", "is_met"),
    [
        (Asked("auto", None), {"budget": {"max_steps": "auto", "max_epochs": None}}, True),
        (Asked("auto", None), {"budget": {"max_steps": 90, "max_epochs": None}, "max_steps": 90}, False),
        (Asked(90, None), {"budget": {"max_steps": 90, "max_epochs": None}, "max_steps": 88}, True),
        (Asked(80, None), {"budget": {"max_steps": 90, "max_epochs": None}, "max_steps": 88}, True),
        (Asked(91, None), {"budget": {"max_steps": 90, "max_epochs": None}, "max_steps": 88}, False),
        (Asked("auto", 3), {"max_epochs": 4}, True),  # as older runs say it
        (Asked("auto", 5), {"max_epochs": 4}, False),
    ],
)
def test_what_a_run_was_to_train(wanted: Asked, recorded: dict[str, Any], is_met: bool) -> None:
    assert wanted.is_met_by(recorded) == is_met
    assert asked(trainer(max_steps=wanted.max_steps, max_epochs=wanted.max_epochs)) == wanted


def test_a_run_of_so_many_steps(tones: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    def metrics() -> dict[str, Any]:
        return dict(json.loads(Path("run/metrics.json").read_text(encoding="utf-8")))

    assert command("data=folder", f"data.root={tones}", *QUICK, "hydra.run.dir=run", "trainer.max_steps=5") == 0
    assert " s left" in (told := capsys.readouterr().out)
    found = metrics()
    assert f"{found['max_steps']} steps to train: {found['max_epochs']} epochs" in told
    assert abs(found["max_steps"] - 5) <= found["max_epochs"] / 2
    assert found["epochs"] == found["max_epochs"]
    assert found["budget"] == {"max_steps": 5, "max_epochs": None}
    assert command("resume=run", "trainer.max_steps=5") == 0
    assert "done already" in capsys.readouterr().out
    assert command("resume=run", "trainer.max_steps=20", "trainer.max_epochs=9") == 1
    assert "trainer.max_steps: trainer.max_epochs is a number too" in capsys.readouterr().err
    assert command("resume=run", "trainer.max_steps=20") == 0
    assert metrics()["max_steps"] > found["max_steps"]
    assert metrics()["earlier_max_epochs"] == [found["max_epochs"]]
    assert command("resume=run", "trainer.max_steps=auto") == 0
    assert metrics()["budget"] == {"max_steps": "auto", "max_epochs": None}


@pytest.mark.parametrize("per_step", [1, 3, 5, 1000])
def test_lightning_takes_the_steps_that_the_record_tells(per_step: int, tones: Path, command: Command) -> None:
    """Batches that are left at an epoch's end are a step of their own, also where an epoch has too few for one."""
    chosen = ["data=folder", f"data.root={tones}", *QUICK, "data.batch_size=2", "hydra.run.dir=run"]
    assert command(*chosen, "trainer.max_steps=5", f"trainer.accumulate_grad_batches={per_step}") == 0
    found = json.loads(Path("run/metrics.json").read_text(encoding="utf-8"))
    taken = torch.load("run/checkpoints/last.ckpt", weights_only=True)["global_step"]
    assert taken == found["max_steps"]
    assert abs(taken - 5) <= found["max_epochs"] / 2


def test_longer_epochs_and_no_more_of_them_are_no_going_on(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["data=folder", f"data.root={tones}", *QUICK, "data.batch_size=2", "hydra.run.dir=run"]
    assert command(*chosen, "trainer.max_steps=1") == 0
    assert "1 step to train: 1 epoch of 1 batch" in capsys.readouterr().out
    assert command("resume=run", "trainer.max_steps=2") == 1
    assert "trainer.max_steps: 2 steps are no more epochs than the 1 of the run in" in capsys.readouterr().err
    assert json.loads(Path("run/metrics.json").read_text(encoding="utf-8"))["max_steps"] == 1
