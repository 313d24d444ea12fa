"""What cameras, detectors and the world do to a face crop, done on purpose while training.

Every function takes and returns uint8 BGR [H, W, 3] and draws from the generator it is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Crop = NDArray[np.uint8]


def happens(chance: float, rng: Generator) -> bool:
    """Throw a coin that lands on true with this chance."""
    return bool(rng.random() < chance)


def shaken(points: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """Move the five points as detectors do: each a little, and all together, turned and scaled."""
    eye_distance = float(np.linalg.norm(points[1] - points[0]))
    centre = points.mean(axis=0)
    angle, scale = rng.normal(0, 0.08), np.exp(rng.normal(0, 0.06))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (points - centre) @ turn.T + centre + rng.normal(0, 0.03 * eye_distance, 2)
    return np.asarray(moved + rng.normal(0, 0.03 * eye_distance, points.shape), np.float32)


def weathered(crop: Crop, rng: Generator) -> Crop:
    """Mirror, shrink, blur, darken, tint, grey, add noise and compress: each by its own chance."""
    if happens(0.5, rng):
        crop = np.ascontiguousarray(crop[:, ::-1])
    if happens(0.4, rng):
        crop = _coarser(crop, rng.uniform(1.2, 4.5))
    if happens(0.25, rng):
        crop = _blurred(crop, rng)
    crop = _relit(crop, rng)
    if happens(0.15, rng):
        crop = np.repeat(_pixels(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY))[..., None], 3, axis=2)
    if happens(0.2, rng):
        noise = rng.normal(0, rng.uniform(2, 14), crop.shape)
        crop = np.clip(crop + noise, 0, 255).astype(np.uint8)
    if happens(0.4, rng):
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 90))]
        crop = _pixels(cv2.imdecode(cv2.imencode(".jpg", crop, quality)[1], cv2.IMREAD_COLOR))
    return crop


def patched(crop: Crop, rng: Generator) -> Crop:
    """Lay a rectangle that runs from one colour to another over a small part: an occluder without meaning."""
    height, width = crop.shape[:2]
    high = int(height * rng.uniform(0.1, 0.45))
    wide = int(width * rng.uniform(0.1, 0.35))
    top, left = int(rng.integers(0, height - high)), int(rng.integers(0, width - wide))
    blend = np.linspace(0, 1, wide)[:, None]
    covered: Crop = crop.copy()
    covered[top : top + high, left : left + wide] = _colour(rng) * (1 - blend) + _colour(rng) * blend
    return covered


def cut_off(crop: Crop, rng: Generator) -> Crop:
    """Blacken up to two sides, as where the picture ends at the face."""
    height, width = crop.shape[:2]
    cut: Crop = crop.copy()
    if happens(0.6, rng):
        edge = int(width * rng.uniform(0, 0.22))
        cut[:, :edge] = 0
    if happens(0.6, rng):
        edge = int(width * rng.uniform(0, 0.22))
        cut[:, width - edge :] = 0
    if happens(0.4, rng):
        edge = int(height * rng.uniform(0, 0.15))
        cut[height - edge :] = 0
    return cut


def hand_over_mouth(crop: Crop, rng: Generator) -> Crop:
    """Cover the mouth of an ArcFace-aligned 112 crop with the face's own skin: not a mask."""
    forehead = crop[16:40, 36:76]
    skin = cv2.resize(forehead, (112, 112), interpolation=cv2.INTER_LINEAR)
    skin = np.clip(skin * rng.uniform(0.75, 1.15), 0, 255).astype(np.uint8)
    cover = np.zeros(crop.shape[:2], np.uint8)
    centre = np.array([56, 92]) + rng.normal(0, 6, 2)
    for finger in range(int(rng.integers(1, 5))):
        at = (int(centre[0]), int(centre[1] + (finger - 1.5) * 9))
        axes = (int(rng.integers(14, 34)), int(rng.integers(5, 12)))
        cv2.ellipse(cover, at, axes, float(rng.normal(0, 25)), 0, 360, 255, -1)
    soft = cv2.GaussianBlur(cover, (0, 0), 1.2)[..., None] / 255.0
    return np.asarray(crop * (1 - soft) + skin * soft, np.uint8)


def cloth_below_eyes(crop: Crop, rng: Generator) -> Crop:
    """Cover what an eye strip shows under the eyes with one colour, as a mask does."""
    height, width = crop.shape[:2]
    nose = height * rng.uniform(0.62, 0.85)
    rise = height * rng.uniform(-0.15, 0.15)
    edge = np.array(
        [[0, nose + rise], [width / 2, nose - abs(rise)], [width, nose + rise], [width, height], [0, height]]
    )
    cover = np.zeros((height, width), np.uint8)
    cv2.fillPoly(cover, [edge.astype(np.int32)], 255)
    soft = cv2.GaussianBlur(cover, (0, 0), 1.0)[..., None] / 255.0
    return np.asarray(crop * (1 - soft) + _colour(rng) * soft, np.uint8)


def _coarser(crop: Crop, factor: float) -> Crop:
    height, width = crop.shape[:2]
    small = (max(8, int(width / factor)), max(8, int(height / factor)))
    return _pixels(cv2.resize(cv2.resize(crop, small, interpolation=cv2.INTER_AREA), (width, height)))


def _blurred(crop: Crop, rng: Generator) -> Crop:
    if happens(0.6, rng):
        return _pixels(cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.4, 2.0)))
    length = int(rng.integers(3, 9))
    angle = rng.uniform(0, np.pi)
    streak = np.zeros((length, length), np.float32)
    middle = (length - 1) / 2
    reach = np.array([np.cos(angle), np.sin(angle)]) * middle
    ends = [(middle + sign * reach).round().astype(int).tolist() for sign in (-1, 1)]
    cv2.line(streak, ends[0], ends[1], 1.0)
    return _pixels(cv2.filter2D(crop, -1, streak / streak.sum()))


def _relit(crop: Crop, rng: Generator) -> Crop:
    levels = np.arange(256) / 255.0
    gamma = np.exp(rng.normal(0, 0.3))
    contrast, light = np.exp(rng.normal(0, 0.15)), np.exp(rng.normal(0, 0.15))
    if happens(0.12, rng):
        light *= rng.uniform(0.2, 0.6)
    tint = np.exp(rng.normal(0, 0.06, 3))
    curve = ((levels**gamma - 0.5) * contrast + 0.5) * light
    table = np.clip(curve[:, None] * tint * 255, 0, 255).astype(np.uint8)
    return _pixels(cv2.LUT(crop, table[None]))


def _colour(rng: Generator) -> NDArray[np.uint8]:
    grey = rng.uniform(0, 255)
    return np.clip(grey + rng.normal(0, 40, 3), 0, 255).astype(np.uint8)


def _pixels(array: object) -> NDArray[np.uint8]:
    """Say of what OpenCV returns that it is pixels."""
    return np.asarray(array, np.uint8)
