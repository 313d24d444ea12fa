"""Whose faces stay visible where not everybody is to be hidden: tracks in, sightings that are shown out.

    found frames -> tracks in both directions, each with its looks -> [who may it be?] -> which are shown

Whoever is shown by mistake stays shown, so every doubt hides: a track that is nobody for sure, one that two
trackers see differently, a stretch of it without a look that says who it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from pipelines.redact.cover import scenes_of, tracks_of
from pipelines.template import template_of
from pipelines.video.records import looks_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from pipelines.redact.cover import CoverOptions, FoundFrame

    #: A face by the place of its frame and its own among those of the frame.
    Place = tuple[int, int]
    #: Scores of those whom a look may show, best first.
    Scores = Mapping[str, float]

#: From this score on somebody may be a person, and from this on a look is one; a whole track must reach more.
MAY_BE: Final = 0.60
_IS, _TRACK_IS = 0.70, 0.90
#: The share of a track's looks that must agree on who is to stay visible; and of those that suffice to hide.
_AGREE, _SUSPECT = 0.7, 0.2
#: Looks that a film must have of somebody who stays visible, and their quality where nobody is to be hidden.
_FEWEST, _CLEAR = 2, 0.15
#: For so long around it a look tells who a track is.
_TELLS_S = 1.0


@dataclass(frozen=True, slots=True)
class Chosen:
    """Who is meant.

    Attributes:
        persons: by their identifiers.
        stay: whether they stay visible and everybody else is hidden; else they alone are hidden.
    """

    persons: frozenset[str]
    stay: bool


@dataclass(frozen=True, slots=True)
class _Look:
    place: Place
    at_s: float
    quality: float
    number: int


class Candidates:
    """All tracks of a film, and the vectors by which they are told apart.

    Args:
        found: the frames that were looked at, with how faces look in some of them.
        times: of every frame, in seconds.
        options: how tracks are covered.
    """

    def __init__(self, found: Sequence[FoundFrame], times: Sequence[float], options: CoverOptions) -> None:
        self._found, self._times = found, times
        seen = [
            (frame.index, place, face)
            for frame in found
            for place, face in enumerate(frame.faces)
            if face.look
        ]
        self._looks = {
            (index, place): _Look((index, place), times[index], face.quality, number)
            for number, (index, place, face) in enumerate(seen)
        }
        vectors = [looks_of([face.look for _, _, face in seen])] if seen else []
        self._tracks: tuple[list[list[Place]], ...] = ([], [])
        for _, _, frames in scenes_of(found, options):
            self._tracks[0].extend(tracks_of(frames, times, 1))
            self._tracks[1].extend(tracks_of(frames, times, -1))
        #: By direction and track the number of its vector among all.
        self._template: dict[tuple[int, int], int] = {}
        count = len(seen)
        for direction, tracks in enumerate(self._tracks):
            for number, track in enumerate(tracks):
                looks = self._of(track)
                if looks:
                    rows = vectors[0][[look.number for look in looks]]
                    vectors.append(template_of(rows, np.array([look.quality for look in looks]))[None])
                    self._template[direction, number] = count
                    count += 1
        self.vectors: NDArray[np.float32] = (
            np.concatenate(vectors) if vectors else np.zeros((0, 1), np.float32)
        )

    def _of(self, track: Sequence[Place]) -> list[_Look]:
        return [self._looks[place] for place in track if place in self._looks]

    def shown(self, scores: Sequence[Scores], chosen: Chosen) -> set[Place]:
        """Return the sightings that stay visible.

        Args:
            scores: of each vector, who it may be, from `MAY_BE` on.
            chosen: who is meant.
        """
        both = []
        for direction, tracks in enumerate(self._tracks):
            shown: set[Place] = set()
            for number, track in enumerate(tracks):
                looks = self._of(track)
                template = self._template.get((direction, number))
                whole = {} if template is None else scores[template]
                rule = self._staying if chosen.stay else self._strangers
                shown |= rule(track, looks, [scores[look.number] for look in looks], whole, chosen.persons)
            both.append(shown)
        return both[0] & both[1]

    def _staying(
        self,
        track: Sequence[Place],
        looks: Sequence[_Look],
        scores: Sequence[Scores],
        whole: Scores,
        persons: Collection[str],
    ) -> set[Place]:
        """Return what is surely one of the persons: the whole track, most looks, and those around."""
        person = next(iter(whole), "")
        if person not in persons or whole[person] < _TRACK_IS or len(looks) < _FEWEST:
            return set()
        agree = np.array([is_surely(each, person) for each in scores])
        weights = np.array([look.quality for look in looks])
        if not weights.any() or weights[agree].sum() < _AGREE * weights.sum():
            return set()
        at_s = np.array([look.at_s for look in looks])
        return {place for place in track if self._told(place, at_s, agree)}

    def _told(self, place: Place, at_s: NDArray[np.float64], agree: NDArray[np.bool_]) -> bool:
        """Tell whether the looks nearest to a sighting, before and after, agree and one of them is near."""
        away = at_s - self._times[place[0]]
        before, after = np.nonzero(away <= 0)[0], np.nonzero(away >= 0)[0]
        nearest = [*before[-1:], *after[:1]]
        return bool(all(agree[nearest]) and np.abs(away[nearest]).min() <= _TELLS_S)

    def _strangers(
        self,
        track: Sequence[Place],
        looks: Sequence[_Look],
        scores: Sequence[Scores],
        whole: Scores,
        persons: Collection[str],
    ) -> set[Place]:
        """Return what is surely none of the persons."""
        if max((look.quality for look in looks), default=0.0) < _CLEAR:
            return set()
        suspect = np.array([any(person in persons for person in each) for each in scores])
        weights = np.array([look.quality for look in looks])
        if any(person in persons for person in whole) or weights[suspect].sum() > _SUSPECT * weights.sum():
            return set()
        at_s = [
            look.at_s
            for look, each in zip(looks, scores, strict=True)
            if any(is_surely(each, person) for person in persons)
        ]
        return {place for place in track if all(abs(self._times[place[0]] - at) > _TELLS_S for at in at_s)}


def stays_visible(scores: Scores, quality: float, chosen: Chosen) -> bool:
    """Tell whether a face of a single picture stays visible: one look is all that there is."""
    if not chosen.stay:
        return quality >= _CLEAR and not any(person in chosen.persons for person in scores)
    person = next(iter(scores), "")
    return person in chosen.persons and scores[person] >= _TRACK_IS


def is_surely(scores: Scores, person: str) -> bool:
    """Tell whether a look is a person, and nobody else more."""
    return next(iter(scores), None) == person and scores[person] >= _IS
