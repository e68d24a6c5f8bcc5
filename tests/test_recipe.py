"""The rows of the ablation: each is a configuration that is allowed, and a network that learns."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from audioid import models
from audioid.config import compose
from scripts.bench_recipe import ARMS, BASE_ROW, ROWS, Run, of_arm, table
from scripts.candidates import Averaged, network

SCRIPTS = Path(__file__).parent.parent / "scripts"


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("arm", ARMS)
def test_each_row_is_a_network_that_gradients_reach(row: str, arm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)  # as the script does
    settings = compose([f"transform={arm}", *of_arm(ROWS[row], arm), "image.size=32"])
    torch.manual_seed(0)
    made = models.build(settings.model.model_dump(), in_channels=1, n_classes=3, image_size=32).train()
    logits = made(torch.randn(4, 1, 32, 32))
    assert logits.shape == (4, 3)
    functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0])).backward()
    learning = [weights for weights in made.parameters() if weights.requires_grad]
    assert learning
    assert all(weights.grad is not None for weights in learning)


def test_what_is_for_one_picture_is_for_that_alone() -> None:
    row = ["augment=none", "cwt: transform.wavelet=mexh", "fft: transform.win_length=512"]
    assert of_arm(row, "cwt") == ["augment=none", "transform.wavelet=mexh"]
    assert of_arm(row, "fft") == ["augment=none", "transform.win_length=512"]


def test_no_two_rows_are_the_same() -> None:
    assert len({tuple(overrides) for overrides in ROWS.values()}) == len(ROWS)


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
