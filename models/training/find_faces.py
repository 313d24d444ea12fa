"""Make the table of faces that training reads, from folders of pictures.

    python -m models.training.find_faces pictures --detector yunet.onnx --wearing mask --bare none

`pictures/mask` and `pictures/none` hold one face a picture; where several are found the largest counts.
Pictures without a face are left out and named. The table is written as `pictures/faces.csv`.
"""

from __future__ import annotations

import argparse
import csv
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from models.training.samples import POINT_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_log = logging.getLogger(__name__)

#: Crops that end at the face are found only with room around them, small ones only when enlarged.
_LEAST_SIDE = 160
_MARGIN = 0.35
_STRIDE = 32
_SCORE = 14


def main_face(picture: NDArray[np.uint8], detector: cv2.FaceDetectorYN) -> NDArray[np.float32] | None:
    """Return the five points of the largest and surest face, [5, 2], or None."""
    factor = max(1.0, _LEAST_SIDE / max(picture.shape[:2]))
    grown = cv2.resize(picture, None, fx=factor, fy=factor)
    margin = int(_MARGIN * max(grown.shape[:2]))
    height, width = (-(-(side + 2 * margin) // _STRIDE) * _STRIDE for side in grown.shape[:2])
    canvas = np.full((height, width, 3), 110, np.uint8)
    canvas[margin : margin + grown.shape[0], margin : margin + grown.shape[1]] = grown
    detector.setInputSize((width, height))
    # OpenCV's types do not say that there may be none.
    faces: Any = detector.detect(canvas)[1]
    if faces is None:
        return None
    best = max(faces, key=lambda face: float(face[_SCORE] * face[2] * face[3]))
    return np.asarray((best[4:_SCORE].reshape(5, 2) - margin) / factor, np.float32)


def rows(folder: Path, label: int, detector: cv2.FaceDetectorYN) -> Iterator[list[str]]:
    """Give one row of the table for each picture with a face."""
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
        points = None if picture is None else main_face(np.asarray(picture, np.uint8), detector)
        if points is None:
            _log.warning("no face in %s", file)
            continue
        coordinates = [f"{value:.2f}" for value in points.ravel()]
        yield [f"{folder.name}/{file.name}", str(label), "", folder.parent.name, *coordinates]


def main() -> None:
    """Read the folders and write `faces.csv` beside them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--detector", type=Path, required=True, help="the YuNet ONNX file")
    parser.add_argument("--wearing", default="mask", help="name of the sub-folder of those who wear it")
    parser.add_argument("--bare", default="none", help="name of the sub-folder of those who do not")
    parser.add_argument("--least-score", type=float, default=0.6)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    detector = cv2.FaceDetectorYN.create(str(asked.detector), "", (320, 320), asked.least_score)
    table = asked.folder / "faces.csv"
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "label", "person", "source", *POINT_COLUMNS])
        for label, name in ((1, asked.wearing), (0, asked.bare)):
            writer.writerows(rows(asked.folder / name, label, detector))
    _log.info("wrote %s", table)


if __name__ == "__main__":
    main()
