"""What marks best what a network needs for a name: occlusion, or one of Captum's gradients?

Of each sound the tenth of its picture that a method marks is made silent, and the probability of its name read again
(deletion test); a method is the better the more is lost by that, and the less by the same shape at other places.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import torch
from captum.attr import InputXGradient, IntegratedGradients, Occlusion, Saliency
from numpy.random import default_rng
from tabulate import tabulate
from torch import Tensor
from torch.nn import functional

from audioid.data.clips import load_clips
from audioid.data.synthetic import write_corpus
from audioid.data.walk import walk
from audioid.files import replacing
from audioid.identification import builtin
from audioid.identification.answers import Model
from audioid.identification.explanation import AT_ONCE, STEP, WINDOW, Explanation, by_hiding, explain, log_probabilities
from audioid.identification.together import single_models

Forward = Callable[[Tensor], Tensor]


def small_squares(forward: Forward, image: Tensor, place: int) -> Tensor:
    """Occlusion by squares of half the side."""
    sides = [max(1, round(part * image.shape[-1])) for part in (WINDOW / 2, STEP)]
    window, step = [(len(image), side, side) for side in sides]
    with torch.inference_mode():
        found = Occlusion(forward).attribute(image[None], window, step, 0, place, perturbations_per_eval=AT_ONCE)
    return found[0].mean(0)


def by_gradient(method: Callable[..., Tensor], image: Tensor, place: int) -> Tensor:
    """Averaged over 9 x 9 pixels, since what single ones say is noise."""
    found = method(image[None].clone().requires_grad_(), target=place).detach()
    return functional.avg_pool2d(found, 9, 1, 4, count_include_pad=False)[0].mean(0)


def explained(method: str, model: Model, image: Tensor, place: int) -> Explanation:
    forward = partial(log_probabilities, model)
    match method:
        case "occlusion":
            return explain(model, image, place)
        case "occlusion, small squares":
            strength = small_squares(forward, image, place)
        case "integrated gradients":
            integrated = partial(IntegratedGradients(forward).attribute, baselines=0, n_steps=32)
            strength = by_gradient(integrated, image, place)
        case "input x gradient":
            strength = by_gradient(InputXGradient(forward).attribute, image, place)
        case _:
            strength = by_gradient(Saliency(forward).attribute, image, place)
    return by_hiding(model, image, place, strength)


METHODS = ("occlusion", "occlusion, small squares", "integrated gradients", "input x gradient", "saliency")


def measured(name: str, model: Model, folder: Path, count: int, seed: int) -> list[dict[str, str | float]]:
    """A row for each method, over `count` recordings below the folder: probabilities in percent, and milliseconds."""
    paths = [path for path, reason in walk(folder) if not reason]
    chosen = default_rng(seed).permutation(len(paths))[:count]
    clips = [next(clip for clip in load_clips(folder / paths[n], **model.audio) if clip is not None) for n in chosen]
    with torch.inference_mode():
        images = [model.classifier.pictures[0](torch.from_numpy(clip)[None])[0] for clip in clips]
        places = [int(log_probabilities(model, image[None]).argmax()) for image in images]
    rows = list[dict[str, str | float]]()
    for method in METHODS:
        begin = time.perf_counter()
        found = [explained(method, model, image, place) for image, place in zip(images, places, strict=True)]
        row: dict[str, str | float] = {"model": name, "method": method}
        row["as it is"] = 100 * fmean(each.probability for each in found)
        row["marked hidden"] = 100 * fmean(each.hidden for each in found)
        row["elsewhere hidden"] = 100 * fmean(each.elsewhere for each in found)
        rows.append(row | {"ms": 1000 * (time.perf_counter() - begin) / len(found)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=builtin.NAME, help="default: the ready-made one")
    parser.add_argument("--recordings", type=Path, help="a folder of recordings; sounds of the generator, if not given")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("--quick", action="store_true", help="4 sounds instead of 60")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    count, model, rows = 4 if arguments.quick else 60, builtin.load(arguments.model), list[dict[str, str | float]]()
    with TemporaryDirectory() as temporary:
        folder = arguments.recordings or Path(temporary) / "sounds"
        if not arguments.recordings:
            write_corpus(folder, seed=arguments.seed, per_class=6, kits=6, sample_rate=22050, seconds=1.0)
        for name, single in zip(builtin.names_of(arguments.model), single_models(model), strict=True):
            rows += measured(name, single, folder, count, arguments.seed)
    print(tabulate(rows, headers="keys", floatfmt=".1f"))
    if arguments.json:
        figures = {f"{row['model']} {row['method']} {key}": row[key] for row in rows for key in list(row)[2:]}
        with replacing(arguments.json) as part:
            part.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
