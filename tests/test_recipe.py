"""The rows of the ablation: each is a configuration that is allowed, and a network that learns."""

from contextlib import nullcontext
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from torch.nn import functional

from audioid import models
from audioid.config import compose
from audioid.training import module
from scripts.bench_recipe import ARMS, BASE_ROW, ROWS, Run, of_arm, table
from scripts.candidates import Attention, Averaged, RowGain, RowStatistics, SharpnessAware, network, smoothed

SCRIPTS = Path(__file__).parent.parent / "scripts"


# Each row with one picture, and with the other where it says something else of that.
CASES = [
    (row, arm)
    for row, overrides in ROWS.items()
    for arm in ARMS
    if arm == ARMS[0] or of_arm(overrides, arm) != of_arm(overrides, ARMS[0])
]


@pytest.mark.parametrize("in_half", [False, True], ids=["32-true", "bf16-mixed"])
@pytest.mark.parametrize(("row", "arm"), CASES)
def test_each_row_is_a_network_that_gradients_reach(
    row: str, arm: str, in_half: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)  # as the script does
    settings = compose([f"transform={arm}", *of_arm(ROWS[row], arm), "image.size=32"])
    torch.manual_seed(0)
    made = models.build(settings.model.model_dump(), in_channels=1, n_classes=3, image_size=32).train()
    with torch.autocast("cpu", torch.bfloat16, enabled=in_half):
        logits = torch.stack([made(torch.randn(4, 1, 32, 32)) for _ in range(8)]).mean(
            0
        )  # some act in every second one
    assert logits.shape == (4, 3)
    functional.cross_entropy(logits.float(), torch.tensor([0, 1, 2, 0])).backward()
    learning = [weights for weights in made.parameters() if weights.requires_grad]
    assert learning
    assert all(weights.grad is not None for weights in learning)


def test_what_is_for_one_picture_is_for_that_alone() -> None:
    row = ["augment=none", "cwt: transform.wavelet=mexh", "fft: transform.win_length=512"]
    assert of_arm(row, "cwt") == ["augment=none", "transform.wavelet=mexh"]
    assert of_arm(row, "fft") == ["augment=none", "transform.win_length=512"]


def test_no_two_rows_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)
    monkeypatch.setattr("audioid.model_folder.load", Mock())
    plain = [
        tuple(overrides)
        for row, overrides in ROWS.items()
        if isinstance(Run(row, "machines", "fft", 0, Path("a/b/c/d"), overrides).change(), nullcontext)
    ]
    assert len(set(plain)) == len(plain) == len(ROWS) - 4


@pytest.mark.parametrize("inputs", ["equalizer", "floor"])
def test_what_is_changed_in_training_is_not_when_judged(inputs: str) -> None:
    plain, changed = (
        network(in_channels=1, n_classes=3, image_size=32, width=4, dropout=0.0, inputs=each) for each in ([], [inputs])
    )
    names = dict(zip(changed.state_dict(), plain.state_dict().values(), strict=True))
    changed.load_state_dict(names)
    images = torch.randn(4, 1, 32, 32)
    assert torch.equal(changed.eval()(images), plain.eval()(images))
    assert not torch.equal(changed.train()(images), plain.train()(images))


def test_attention_is_a_mean_where_all_columns_score_alike() -> None:
    features = torch.randn(2, 3, 4, 5)
    pooling = Attention(3 * 4)
    torch.nn.init.zeros_(pooling.score.weight)
    assert torch.allclose(pooling(features), features.mean(-1).flatten(1), atol=1e-6)


def test_energy_is_normalised_as_the_equation_says() -> None:
    decibels = np.random.default_rng(0).uniform(-2, 2, (1, 1, 3, 7))
    energy = 10 ** (decibels * 25 / 10)
    smoothed = lfilter([0.06], [1, -0.94], energy, zi=0.94 * energy[..., :1])[0]  # librosa's and the paper's smoother
    expected = (energy / (1e-6 + smoothed) ** 0.98 + 2) ** 0.5 - 2**0.5
    found = RowGain()(torch.from_numpy(decibels).float())
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_rows_lose_a_tilt_that_all_recordings_have() -> None:
    images = torch.randn(8, 1, 6, 10)
    tilt = torch.linspace(-3, 3, 6)[:, None]
    norm = RowStatistics(6).train()
    assert torch.allclose(norm(images), norm(2 * images + tilt), atol=1e-4)


def test_averaged_weights_follow_those_that_learn() -> None:
    layer = torch.nn.Linear(2, 1, bias=False)
    averaged = Averaged(layer, 0.9).train()
    seen = []
    for value in (1.0, 2.0, 4.0):
        torch.nn.init.constant_(layer.weight, value)
        averaged(torch.ones(1, 2))
        seen.append(float(averaged.eval()(torch.tensor([[1.0, 0.0]]))))
        averaged.train()
    assert seen == pytest.approx([1.0, 0.9 * 1.0 + 0.1 * 2.0, 0.9 * 1.1 + 0.1 * 4.0])


def test_what_is_judged_at_three_heights_is_where_all_are_the_same() -> None:
    torch.manual_seed(0)
    plain, shifted = (
        network(in_channels=1, n_classes=3, image_size=32, width=4, dropout=0.0, shifts=each).eval() for each in (0, 3)
    )
    names = dict(zip(shifted.state_dict(), plain.state_dict().values(), strict=True))
    shifted.load_state_dict(names)
    level = torch.randn(4, 1, 1, 32).expand(-1, -1, 32, -1)  # the same at all heights
    assert torch.allclose(shifted(level), plain(level).log_softmax(1), atol=1e-5)
    images = torch.randn(4, 1, 32, 32)
    assert not torch.allclose(shifted(images), plain(images).log_softmax(1), atol=1e-3)


def test_a_smoothed_loss_is_that_of_smoothed_targets() -> None:
    logits, targets = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 0])
    spread = 0.9 * functional.one_hot(targets, 4) + 0.1 / 4
    with smoothed(0.1):
        found = module.functional.cross_entropy(logits, targets)
    assert torch.allclose(found, -(spread * logits.log_softmax(1)).sum(1).mean())
    assert not torch.allclose(found, functional.cross_entropy(logits, targets))


def test_sharpness_is_looked_for_where_the_gradient_points() -> None:
    """For the loss w^2 / 2 the gradient is w, and at the place it leads to, a little longer."""
    weights = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    optimizer = SharpnessAware([weights], lr=0.1)
    seen = []

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss: torch.Tensor = weights.square().sum() / 2
        loss.backward()
        seen.append(weights.detach().clone())
        return loss

    assert optimizer.step(closure).item() == pytest.approx(12.5)
    away = torch.tensor([3.0, 4.0]) * (1 + SharpnessAware.distance / 5)
    assert torch.allclose(seen[1], away)
    assert weights.grad is not None
    assert torch.allclose(weights.grad, away)
    # The step itself begins where it was: AdamW's first is the learning rate in each direction, after the decay.
    assert torch.allclose(weights, torch.tensor([3.0, 4.0]) * (1 - 0.1 * 0.01) - 0.1, atol=1e-4)


def test_gains_are_paired(tmp_path: Path) -> None:
    runs = []
    for row, gain in ((BASE_ROW, 0.0), ("mixup", 0.02)):
        for arm in ARMS:
            for fold in (0, 1):
                folder = tmp_path / row / f"{arm}-{fold}"
                folder.mkdir(parents=True)
                accuracy = 0.5 + 0.1 * fold + gain * (1 + fold)
                (folder / "metrics.json").write_text(f'{{"val_accuracy": {accuracy}}}')
                runs.append(Run(row, "machines", arm, fold, folder, []))
    base, mixup = table(runs)
    assert base == {
        "recipe": BASE_ROW, "machines cwt": "55.0", "machines fft": "55.0", "mean": "55.0", "gain": ""
    }  # fmt: skip
    assert mixup["mean"] == "58.0"
    assert mixup["gain"] == "+3.0 ± 1.0"  # 2 and 4: a deviation of 1.41 over the root of 2
