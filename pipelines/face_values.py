"""What the networks' rows of numbers say of faces: years, names, booleans, angles and points.

    rows of a network + where its crops lie -> the mean over a face's crops -> values -> FaceAttributes

Points are averaged in the picture, everything else as the networks gave it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from pipelines.attributes import GENDER_CONFIDENCE, OLDEST, YOUNGEST, Emotion, FaceAttributes, Gender
from pipelines.crops import into_picture, is_mirrored, scale_of
from pipelines.head_pose import head_poses
from pipelines.mesh import LANDMARKS, MESH_POINTS, partners, to_landmarks
from pipelines.ports import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

#: Under this the mesh's network does not look at a face. Hard profiles have 0.6, what is none 0.01.
PRESENCE: Final = 0.1
#: From here on a face wears it: where, of the faces learned from, both kinds of error were about as frequent.
WEARS: Final[Mapping[Reading, float]] = {Reading.GLASSES: 0.5, Reading.MASK: 0.4}

_EMOTIONS: Final = tuple(Emotion)


class FaceValues:
    """The values of several faces, taken in network by network.

    Args:
        count: of the faces.
        quality: of each face, where it was asked for.
    """

    def __init__(self, count: int, quality: Sequence[float] | None) -> None:
        self._count = count
        self._values: list[dict[str, object]] = [{} for _ in range(count)]
        if quality is not None:
            self._put("quality", quality)

    def face(self, index: int) -> FaceAttributes:
        """Return one face's values."""
        return FaceAttributes(**self._values[index])  # type: ignore[arg-type] # each is put in as it belongs

    def add(self, reading: Reading, rows: NDArray[np.float32], matrices: NDArray[np.float64]) -> None:
        """Take in the rows of one network: all faces' first crops, then all faces' next ones."""
        if reading is Reading.MESH:
            self._put_meshes(*(self._mean(each) for each in meshes_of(rows, matrices)))
        elif reading is Reading.LANDMARKS:
            points = into_picture(rows.reshape(-1, LANDMARKS, 2), matrices)
            self._put("landmarks", list(self._mean(points)))
        else:
            self._put_numbers(reading, self._mean(rows))

    def _put_numbers(self, reading: Reading, rows: NDArray[np.float32]) -> None:
        if reading is Reading.EMOTION:
            self._put("emotion", [_EMOTIONS[index] for index in rows.argmax(axis=1)])
        elif reading in WEARS:
            self._put(reading.value, [bool(value >= WEARS[reading]) for value in rows[:, 0]])
        else:
            if reading is not Reading.GENDER:
                self._put("age", [_years(float(row[0])) for row in rows])
            if reading is not Reading.AGE:
                self._put("gender", [_gender(float(row[-1])) for row in rows])

    def _put_meshes(self, meshes: NDArray[np.float32], presences: NDArray[np.float32]) -> None:
        landmarks, poses = to_landmarks(meshes), head_poses(meshes)
        sure = presences >= PRESENCE
        self._put("presence", presences.tolist())
        self._put("landmarks", [each if ok else None for each, ok in zip(landmarks, sure, strict=True)])
        self._put("pose", [each if ok else None for each, ok in zip(poses, sure, strict=True)])

    def _put(self, name: str, values: Sequence[object]) -> None:
        # Networks are asked in order, so what the first one told of an attribute stands.
        for face, value in zip(self._values, values, strict=True):
            face.setdefault(name, value)

    def _mean(self, of_crops: NDArray[np.float32]) -> NDArray[np.float32]:
        """Average what was told of each face's crops."""
        copies = of_crops.reshape(-1, self._count, *of_crops.shape[1:])
        return np.asarray(copies.mean(axis=0), np.float32)


def meshes_of(
    rows: NDArray[np.float32], matrices: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the meshes in the picture, depth in its pixels too, and how sure the network is of each.

    Args:
        rows: of the mesh's network, one for each crop.
        matrices: float64 [N, 2, 3], picture to crop.

    Returns:
        float32 [N, 468, 3] and float32 [N].
    """
    found = rows[:, :-1].reshape(-1, MESH_POINTS, 3)
    scales = np.array([scale_of(matrix) for matrix in matrices], np.float32)
    depth = found[:, :, 2:] / scales[:, None, None]
    meshes = np.concatenate([into_picture(found[:, :, :2], matrices), depth], axis=2)
    # In a mirrored crop the network takes each half of the face for the other.
    mirrored = is_mirrored(matrices)
    meshes[mirrored] = meshes[mirrored][:, partners()]
    return meshes, rows[:, -1]


def _years(value: float) -> int:
    return int(np.clip(np.rint(np.nan_to_num(value)), YOUNGEST, OLDEST))


def _gender(female: float) -> Gender | None:
    likelier = max(female, 1 - female)
    if not likelier >= GENDER_CONFIDENCE:
        return None
    return Gender.FEMALE if female > 1 - female else Gender.MALE
