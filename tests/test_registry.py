"""Options of other packages: found by entry points, imported when chosen, refused where only a file names them."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from audioid import model_folder, registry
from audioid.config import check_command_line, compose
from audioid.errors import AudioidError
from audioid.schema import OPTIONS, CnnSettings
from tests.conftest import Command

QUICK = ["trainer.max_epochs=1", "image.size=16", "data.batch_size=8", "trainer.accelerator=cpu"]
CODE = '''
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from audioid.registry import register
from audioid.schema import ModelSettings, TransformSettings
from audioid.transforms.image import ImageSpec, TimeFrequencyTransform

Path("imported").touch()


class TinySettings(ModelSettings):
    hidden: Annotated[int, Field(ge=1)] = 4


@register("model", "tiny", TinySettings)
def tiny(*, hidden: int, in_channels: int, n_classes: int, image_size: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image_size**2, hidden), nn.Linear(hidden, n_classes))


class LevelSettings(TransformSettings):
    pass


@register("transform", "level", LevelSettings)
class Level(TimeFrequencyTransform):
    """The same power in all rows: that of the waveform in each column."""

    def __init__(self, *, image: ImageSpec) -> None:
        super().__init__(image, image.row_frequencies())

    def values(self, waveform: torch.Tensor) -> torch.Tensor:
        power = nn.functional.adaptive_avg_pool1d(waveform.square()[:, None], self.image.size)
        return power.expand(-1, self.image.size, -1)
'''
POINTS = "[audioid.models]\ntiny = mine:tiny\nbroken = mine:nothing\n\n[audioid.transforms]\nlevel = mine:Level\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Another installed package, `mine`, with a network and a transform."""
    site = tmp_path / "site"
    (site / "mine-1.0.dist-info").mkdir(parents=True)
    (site / "mine-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (site / "mine-1.0.dist-info" / "entry_points.txt").write_text(POINTS)
    (site / "mine.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.chdir(tmp_path)
    yield site
    for group, name in (("model", "tiny"), ("transform", "level")):
        OPTIONS[group].pop(name, None)
        registry._makers.pop((group, name), None)
    sys.modules.pop("mine", None)


def test_a_network_and_a_transform_of_another_package_train_and_identify(
    package: Path, tones: Path, command: Command
) -> None:
    chosen = ["data=folder", f"data.root={tones}", *QUICK, "model=tiny", "model.hidden=3", "transform=level"]
    assert command(*chosen, "hydra.run.dir=run") == 0
    described = json.loads(Path("run/model/model.json").read_text(encoding="utf-8"))
    assert described["model"] == {"name": "tiny", "hidden": 3}
    with pytest.raises(AudioidError, match=r"--trust level$"):
        model_folder.load(Path("run/model"))
    with pytest.raises(AudioidError, match=r"--trust tiny$"):
        model_folder.load(Path("run/model"), trust=["level"])
    assert model_folder.load(Path("run/model"), trust=["level", "tiny"]).labels == ["high", "low"]


def test_an_option_is_imported_when_it_is_chosen_and_not_before(package: Path) -> None:
    compose(["model=cnn"])
    with pytest.raises(AudioidError, match="there is no 'tinny'; choose"):
        compose(["model=tinny"])
    assert not Path("imported").exists()
    assert compose(["model=tiny"]).model.model_dump() == {"name": "tiny", "hidden": 4}
    assert Path("imported").exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=tiny", "model.hidden=0"], r"model\.hidden: 0 is out of range"),
        (["model=tiny", "model.hiden=3"], r"model\.hiden: no such key"),
        (["model=broken"], "model=broken: mine:nothing cannot be imported"),
    ],
)
def test_a_mistake_in_it_is_one_line(overrides: list[str], message: str, package: Path) -> None:
    with pytest.raises(AudioidError, match=f"^{message}") as told:
        compose(overrides)
    assert "\n" not in str(told.value)


def test_a_folder_from_elsewhere_does_not_choose_it(package: Path, tmp_path: Path) -> None:
    record = tmp_path / "run" / ".hydra" / "overrides.yaml"
    record.parent.mkdir(parents=True)
    record.write_text("[model=tiny]")
    with pytest.raises(AudioidError, match="chooses tiny, which does not come with audioid"):
        check_command_line([f"resume={tmp_path / 'run'}"])
    assert not Path("imported").exists()
    assert "model=tiny" in check_command_line([f"resume={tmp_path / 'run'}", "model=tiny"])


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(AudioidError, match=r"model=cnn: .* have one; rename it"):
        registry.register("model", "cnn", CnnSettings)(lambda: None)
    registry.maker_of("model", "cnn")


def test_what_is_not_there_is_told_with_what_is() -> None:
    with pytest.raises(AudioidError, match="choose one of cnn, original, "):
        registry.maker_of("model", "orginal")
