"""Calibration: thresholds that hold what they promise, from vectors whose truth is known."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pytest

from models.calibrate import PeopleVectors, calibration_file, calibration_of, measure, pictures_by_person
from models.manifest import load_manifest
from pipelines.errors import DependencyDown, InvalidOption
from pipelines.similarity import FALSE_ACCEPT_RATES, Calibration
from tests.fakes.networks import made_up_network

if TYPE_CHECKING:
    from pathlib import Path

PEOPLE, PICTURES = 500, 4


def some_people(seed: int = 0) -> PeopleVectors:
    """Return vectors of people whose pictures have a cosine of about 0.6 with each other."""
    random = np.random.default_rng(seed)
    people = np.repeat(np.arange(PEOPLE), PICTURES)
    rows = random.normal(size=(PEOPLE, 64))[people] * 1.2 + random.normal(size=(len(people), 64))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return PeopleVectors(rows.astype(np.float32), people.astype(np.intp))


def test_rates_are_what_they_say() -> None:
    """Of all pairs of strangers no more than each rate reach its cosine, and hardly fewer."""
    found = some_people()
    measured = measure(found, "made up")
    cosines = (found.vectors @ found.vectors.T)[np.triu_indices(len(found.people), 1)]
    same = (found.people[:, None] == found.people[None])[np.triu_indices(len(found.people), 1)]
    for rate, cosine in zip(FALSE_ACCEPT_RATES[:-1], measured.cosines, strict=False):
        reached = float((cosines[~same] >= cosine).mean())
        assert 0.9 * rate <= reached <= rate
    assert (measured.genuine, measured.impostors) == (int(same.sum()), int((~same).sum()))
    assert measured.tar == pytest.approx(float((cosines[same] >= measured.threshold).mean()), abs=1e-3)
    assert measured.people == PEOPLE
    assert 0.97 < measured.accuracy <= 1


def test_too_few_pictures_measure_nothing() -> None:
    """A rare rate cannot be told from a few hundred pictures."""
    found = some_people()
    with pytest.raises(InvalidOption, match="too few"):
        measure(PeopleVectors(found.vectors[:400], found.people[:400]), "made up")


def test_what_was_measured_here_goes_first(tmp_path: Path) -> None:
    """A file beside the weights counts, then the manifest; without either nobody is recognised."""
    manifest, weights = load_manifest(), tmp_path / "sface.onnx"
    sface = manifest["sface"]
    assert calibration_of(sface, weights, flip=False) == sface.calibrations["plain"]
    assert calibration_of(sface, weights, flip=True) == sface.calibrations["flip"]
    own = Calibration((0.1, 0.2, 0.3, 0.4, 0.5), 0.9, 0.8, 5, 6, 7, "here")
    calibration_file(weights, flip=False).write_text(json.dumps(asdict(own)))
    assert calibration_of(sface, weights, flip=False) == own
    with pytest.raises(DependencyDown, match="facefleet models calibrate net --pictures FOLDER --flip"):
        calibration_of(made_up_network(["bundled:x"]), weights, flip=True)


def test_the_default_network_is_calibrated_on_enough() -> None:
    """The manifest's figures rest on millions of pairs, and most people are recognised at them."""
    for measured in load_manifest()["sface"].calibrations.values():
        assert measured.impostors >= 10_000_000
        assert measured.tar > 0.98
        assert measured.accuracy > 0.99


def test_pictures_lie_in_folders_of_their_people(tmp_path: Path) -> None:
    """Each picture belongs to the folder that it lies in; other files are none."""
    for name in ("anna/1.jpg", "anna/2.PNG", "ben/1.jpg", "ben/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    assert [name for name, _ in pictures_by_person(tmp_path)] == ["anna", "anna", "ben"]
