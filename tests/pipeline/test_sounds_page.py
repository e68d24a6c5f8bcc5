import base64
import io
import re

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from audioid.generator.files import Wanted, kinds_named
from audioid.generator.generator import Generator
from audioid.pipeline.sounds_page import sounds_page

WANTED = Wanted(makers=2, seconds=0.5, seed=3)


@pytest.fixture(scope="module")
def page() -> str:
    return sounds_page(kinds_named(["triangle", "kick"]), WANTED)


def test_every_sound_has_its_pictures_and_can_be_heard(page: str) -> None:
    kinds = kinds_named(["triangle", "kick"])
    players = re.findall(r'data-sound="([^"]+)"', page)
    pictures = re.findall(r'src="data:image/webp;base64,([^"]+)"', page)
    assert len(players) == len(pictures) == 2 * len(kinds)
    triangle, rate = soundfile.read(io.BytesIO(base64.b64decode(players[0])))
    made = Generator(seed=3, sample_rate=22050, seconds=0.5).sounds(kinds[:1], torch.tensor([0]), torch.tensor([0]))[0]
    heard = torch.fft.rfft(torch.from_numpy(triangle), 22050).abs()
    assert rate == 22050
    assert abs(int(heard.argmax()) - int(torch.fft.rfft(made, 22050).abs().argmax())) <= 2  # hertz
    with Image.open(io.BytesIO(base64.b64decode(pictures[0]))) as picture:
        assert picture.size == (204, 100)
        assert np.asarray(picture).max() > 150


def test_nothing_is_fetched_from_elsewhere_and_labels_are_links(page: str) -> None:
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    for target in re.findall(r'href="#([^"]+)"', page):
        assert f'id="{target}"' in page
    assert [*re.findall(r'<h2 id="([^"]+)"', page)] == ["triangle", "kick"]


def test_a_page_of_a_hundred_sounds_stays_small(page: str) -> None:
    assert len(page) / page.count("data-sound") < 12_000  # 3 MB for 250 sounds
