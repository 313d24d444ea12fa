"""Train one of the two networks.

    python -m models.training.train glasses --faces faces.csv --out glasses.onnx

Every face is drawn anew in each epoch from its own picture, with shaken points and other weather, so
that the network sees what the service will see: points of a detector, not of an annotator.
"""

from __future__ import annotations

import argparse
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from models.mask_glasses import GLASSES_CROP, MASK_CROP
from models.training import augment
from models.training.figures import best_threshold, figures
from models.training.network import network, save_onnx, to_input
from models.training.samples import Samples, held_out, read_samples
from pipelines.align import FaceCrop, align

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.random import Generator
    from numpy.typing import NDArray
    from torch import nn

_log = logging.getLogger(__name__)

CROPS = {"mask": MASK_CROP, "glasses": GLASSES_CROP}
_BATCH = 64
_LABEL_SMOOTHING = 0.02


@dataclass(frozen=True)
class Recipe:
    """What is to be trained, and for how long."""

    task: str
    epochs: int = 30
    peak_rate: float = 3e-3
    seed: int = 0

    @property
    def crop(self) -> FaceCrop:
        """Return the crop that the task's network looks at."""
        return CROPS[self.task]


def train(samples: Samples, recipe: Recipe) -> nn.Sequential:
    """Return a network trained on these faces; the labels weigh the same, however many each has."""
    if len(samples) < _BATCH or set(samples.labels.tolist()) != {0, 1}:
        message = f"at least {_BATCH} faces are needed to learn from, some with either label"
        raise ValueError(message)
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    trained = network().to(memory_format=torch.channels_last)
    steps = recipe.epochs * math.ceil(len(samples) / _BATCH)
    optimiser = torch.optim.AdamW(trained.parameters(), lr=recipe.peak_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.peak_rate, total_steps=max(steps, 1), pct_start=0.15
    )
    for epoch in range(recipe.epochs):
        trained.train()
        losses = []
        for crops, labels in _batches(samples, recipe, rng):
            aims = labels * (1 - 2 * _LABEL_SMOOTHING) + _LABEL_SMOOTHING
            loss = functional.binary_cross_entropy_with_logits(trained(to_input(crops))[:, 0], aims)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        _log.info("epoch %d of %d: loss %.4f", epoch + 1, recipe.epochs, np.mean(losses))
    return trained.eval()


def chances(trained: nn.Sequential, samples: Samples, crop: FaceCrop) -> NDArray[np.float32]:
    """Return the network's probability for each face, cropped as the service crops."""
    found = []
    with torch.no_grad():
        for start in range(0, len(samples), _BATCH):
            places = range(start, min(start + _BATCH, len(samples)))
            crops = [_cropped(samples.pictures[i], samples.points[i], crop) for i in places]
            found.append(torch.sigmoid(trained(to_input(np.stack(crops))))[:, 0].numpy())
    return np.concatenate(found)


def _batches(
    samples: Samples, recipe: Recipe, rng: Generator
) -> Iterator[tuple[NDArray[np.uint8], torch.Tensor]]:
    """Draw as many faces as there are: half of them with either label, every group as often within it."""
    kinds = sorted(set(samples.groups))
    of = np.array(samples.groups)
    drawn = []
    for label in (0, 1):
        members = [np.flatnonzero((samples.labels == label) & (of == kind)) for kind in kinds]
        members = [places for places in members if len(places)]
        drawn += [_repeated(places, len(samples) // (2 * len(members)), rng) for places in members]
    order = rng.permutation(np.concatenate(drawn))
    for start in range(0, len(order) - _BATCH + 1, _BATCH):
        places = order[start : start + _BATCH]
        crops = np.stack([_varied(samples, int(i), recipe, rng) for i in places])
        yield crops, torch.from_numpy(samples.labels[places]).float()


def _repeated(places: NDArray[np.intp], count: int, rng: Generator) -> NDArray[np.intp]:
    """Draw that many, each as often as any other."""
    rounds = [rng.permutation(places) for _ in range(math.ceil(count / len(places)))]
    return np.concatenate(rounds)[:count]


def _varied(samples: Samples, place: int, recipe: Recipe, rng: Generator) -> NDArray[np.uint8]:
    points = augment.shaken(samples.points[place], rng)
    crop = _cropped(samples.pictures[place], points, recipe.crop)
    if recipe.task == "mask" and samples.labels[place] == 0 and augment.happens(0.25, rng):
        crop = augment.hand_over_mouth(crop, rng)
    if recipe.task == "glasses" and augment.happens(0.25, rng):
        crop = augment.cloth_below_eyes(crop, rng)
    if augment.happens(0.2, rng):
        crop = augment.patched(crop, rng)
    if augment.happens(0.2, rng):
        crop = augment.cut_off(crop, rng)
    return augment.weathered(crop, rng)


def _cropped(picture: NDArray[np.uint8], points: NDArray[np.float32], crop: FaceCrop) -> NDArray[np.uint8]:
    return np.asarray(align(picture, points[None], crop.template, crop.size)[0])


def main() -> None:
    """Train, judge on the persons held out, write the network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=sorted(CROPS))
    parser.add_argument("--faces", type=Path, action="append", required=True, help="CSV of faces; repeatable")
    parser.add_argument("--out", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument("--held-out", type=float, default=0.2, help="share of persons kept for testing")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(asked.threads)

    samples = read_samples(asked.faces)
    testing = held_out(samples, asked.held_out)
    learning, test = samples.take(~testing), samples.take(testing)
    recipe = Recipe(asked.task, epochs=asked.epochs, seed=asked.seed)
    trained = train(learning, recipe)
    threshold = best_threshold(chances(trained, learning, recipe.crop), learning.labels)
    _log.info("threshold best on the learned persons: %.2f", threshold)
    found = chances(trained, test, recipe.crop)
    for cut in (0.5, threshold):
        _log.info("held out, threshold %.2f: %s", cut, figures(found, test.labels, test.persons, cut))
    save_onnx(trained, recipe.crop.size, asked.out, {"task": asked.task, "seed": str(asked.seed)})


if __name__ == "__main__":
    main()
