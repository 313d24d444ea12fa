"""What training rests on and needs no PyTorch: the table of faces, the split, the weather, the figures."""

from __future__ import annotations

import csv
import logging
import shutil
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from models.manifest import load_manifest
from models.training import augment, find_faces
from models.training.figures import best_threshold, figures, wilson
from models.training.samples import POINT_COLUMNS, held_out, read_samples
from pipelines.align import ARCFACE_112

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.random import Generator
    from numpy.typing import NDArray

    from models.store import Store


def write_table(folder: Path, persons: list[str]) -> Path:
    """Write one small picture a person and the table that names them."""
    table = folder / "faces.csv"
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "label", "person", "source", *POINT_COLUMNS])
        for number, person in enumerate(persons):
            cv2.imwrite(str(folder / f"{number}.png"), np.full((20, 20, 3), number, np.uint8))
            writer.writerow([f"{number}.png", number % 2, person, "", *range(10)])
    return table


def test_a_table_is_read_with_its_pictures(tmp_path: Path) -> None:
    """Labels, points and pixels of each row come back; an empty person is the file itself."""
    samples = read_samples([write_table(tmp_path, ["Ann", "", "Bob"])])
    assert samples.labels.tolist() == [0, 1, 0]
    assert samples.persons == ["Ann", "1.png", "Bob"]
    assert samples.sources == ["faces"] * 3
    assert samples.points[0].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert [int(picture[0, 0, 0]) for picture in samples.pictures] == [0, 1, 2]


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    """A row whose picture cannot be read is an error that says which."""
    table = write_table(tmp_path, ["Ann"])
    (tmp_path / "0.png").unlink()
    with pytest.raises(ValueError, match=r"0\.png is not a picture"):
        read_samples([table])


def test_no_person_stands_on_both_sides(tmp_path: Path) -> None:
    """The split is by person, near the share asked for, and the same whatever else is in the table."""
    persons = [f"person {number // 3}" for number in range(240)]
    testing = held_out(read_samples([write_table(tmp_path, persons)]), 0.3)
    sides: dict[str, set[bool]] = {}
    for person, side in zip(persons, testing.tolist(), strict=True):
        sides.setdefault(person, set()).add(side)
    assert all(len(side) == 1 for side in sides.values())
    assert 0.15 < testing.mean() < 0.45
    first = read_samples([write_table(tmp_path, persons[:30])])
    assert held_out(first, 0.3).tolist() == testing[:30].tolist()


@pytest.mark.parametrize(
    ("change", "size"),
    [
        pytest.param(augment.weathered, (112, 112), id="weathered"),
        pytest.param(augment.patched, (64, 128), id="patched"),
        pytest.param(augment.cut_off, (64, 128), id="cut off"),
        pytest.param(augment.hand_over_mouth, (112, 112), id="hand"),
        pytest.param(augment.cloth_below_eyes, (64, 128), id="cloth"),
    ],
)
def test_changed_crops_stay_crops(
    change: Callable[[NDArray[np.uint8], Generator], NDArray[np.uint8]], size: tuple[int, int]
) -> None:
    """Whatever is drawn, a crop keeps its size and type, and the crop that was given is left as it was."""
    crop = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    before = crop.copy()
    for seed in range(40):
        changed = change(crop, np.random.default_rng(seed))
        assert changed.shape == (*size, 3)
        assert changed.dtype == np.uint8
    assert (crop == before).all()


def test_shaken_points_stay_near() -> None:
    """Points move by a few percent of the eye distance, not by a face."""
    moved = np.stack([augment.shaken(ARCFACE_112, np.random.default_rng(seed)) for seed in range(200)])
    distances = np.linalg.norm(moved - ARCFACE_112, axis=2)
    assert 1 < np.median(distances) < 6
    assert distances.max() < 35


def test_wilson_knows_its_textbook_values() -> None:
    """8 of 10 lies between 0.490 and 0.943; all of n does not reach down to nothing nor pass 1."""
    assert wilson(8, 10) == pytest.approx((0.490, 0.943), abs=5e-4)
    low, high = wilson(50, 50)
    assert 0.9 < low < high
    assert high == pytest.approx(1.0)
    assert wilson(0, 0) == (0.0, 1.0)


def test_figures_weigh_both_labels_alike() -> None:
    """One of two wearers and all of 98 bare faces right is a balanced 0.75, with an interval around it."""
    chances = np.array([0.9, 0.1] + [0.2] * 98)
    labels = np.array([1, 1] + [0] * 98)
    found = figures(chances, labels, [str(number) for number in range(100)], 0.5)
    assert (found.recall_wearing, found.recall_bare, found.balanced) == (0.5, 1.0, 0.75)
    low, high = found.balanced_interval
    assert 0.5 <= low < 0.75 < high <= 1.0


def test_one_label_alone_has_no_balance() -> None:
    """Figures of one label alone are refused instead of being not a number."""
    with pytest.raises(ValueError, match="both labels"):
        figures(np.array([0.1]), np.array([0]), ["Ann"], 0.5)


def test_the_best_threshold_lies_between_the_groups() -> None:
    """Where the groups are apart, the middle of the gap is taken."""
    chances, labels = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1])
    assert best_threshold(chances, labels) == pytest.approx(0.5, abs=0.02)


def test_faces_of_a_folder_are_found(
    tmp_path: Path,
    portrait_path: Path,
    cat_path: Path,
    weights_store: Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A portrait gets its five points into the table; a picture without a face is named and left out."""
    for name, source in (("mask", cat_path), ("none", portrait_path)):
        (tmp_path / name).mkdir()
        shutil.copy(source, tmp_path / name / source.name)
    detector = weights_store.path(load_manifest()["yunet"])
    monkeypatch.setattr("sys.argv", ["find_faces", str(tmp_path), "--detector", str(detector)])
    with caplog.at_level(logging.WARNING):
        find_faces.main()
    assert "no face in" in caplog.text
    samples = read_samples([tmp_path / "faces.csv"])
    assert samples.labels.tolist() == [0]
    truth = [[200, 102], [247, 103], [220, 125], [199, 143], [240, 144]]
    np.testing.assert_allclose(samples.points[0], truth, atol=8)
