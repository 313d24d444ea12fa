"""Cuts a video into chunks that can be decoded anywhere, in any order, and together give every sample once.

A chunk is a run of groups: a key frame, and the sampled frames that are decoded from it. Which group a frame
belongs to follows from decoding order alone, so it makes no difference where chunks are cut. Key frames from
which nothing is sampled are in no chunk: what lies between two samples is decoded only where it has to be.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from pipelines.errors import InvalidOption
from pipelines.video.sampling import Grid, Sampling, sampled_indices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.video.frame_table import FrameTable
    from pipelines.video.probe import VideoInfo, VideoProbe

#: Work that a chunk should hold: long against what opening and searching cost, short against a retry.
CHUNK_WORK_S = 8.0
#: Towards the end, and so in all of a short video, chunks become smaller, down to the least: each holds one
#: of so many shares of what is left, so that several workers end at about the same time.
SHARES, LEAST_WORK_S = 8, 1.5
#: What one thread needs for a million pixels of a frame it decodes, and for one it leaves out, in seconds.
_DECODE_S = 0.003
_SKIPPED = 0.6
#: What one thread needs for a sampled frame beyond decoding: conversion and a detector.
_SAMPLE_S = 0.03
#: Without an index each chunk reads the file from its start: more chunks would read more than they decode.
_MAX_CHUNKS_WITHOUT_INDEX = 4


@dataclass(frozen=True, slots=True)
class Group:
    """Sampled frames that are decoded from one key frame.

    Attributes:
        key_pts: the key frame's presentation tick; None where the video has to be decoded from its start.
        key_dts: its decoding tick.
        wanted: presentation ticks of the sampled frames, rising.
    """

    key_pts: int | None
    key_dts: int
    wanted: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of work: small, plain, and complete with the probe's `VideoInfo`.

    Attributes:
        index: place in the video, from 0.
        groups: what to decode, in decoding order. None means that times are found while decoding:
            the whole video is then one chunk.
        sampling: what the caller asked for.
        work_s: what one thread is expected to need.
    """

    index: int
    groups: tuple[Group, ...] | None
    sampling: Sampling
    work_s: float

    @property
    def samples(self) -> int:
        """How many frames the chunk gives, if none is damaged; 0 where that is not known before."""
        return sum(len(group.wanted) for group in self.groups or ())


def plan_chunks(probe: VideoProbe, sampling: Sampling, chunk_work_s: float = CHUNK_WORK_S) -> list[Chunk]:
    """Return the chunks that give every sampled frame once.

    Args:
        probe: what the video is.
        sampling: which frames are asked for.
        chunk_work_s: seconds of one thread's work that make a chunk, less where there is little in all.

    Raises:
        InvalidOption: the start is at or after the end of the video.
    """
    info, table = probe.info, probe.table
    if sampling.start_s >= info.duration_s:
        message = f"start_time is at or after the end of the video, which lasts {info.duration_s} seconds"
        raise InvalidOption(message)
    if not table.is_complete:
        work = _work_s(info, table.packets, round(info.duration_s * sampling.rate))
        return [Chunk(0, None, sampling, work)]
    indices = sampled_indices(table.shown, table.end, Grid(sampling, info.tick_s, info.origin))
    return chunks_of(probe, indices, sampling, chunk_work_s)


def chunks_of(
    probe: VideoProbe,
    indices: Sequence[int],
    sampling: Sampling,
    chunk_work_s: float,
    sample_s: float = _SAMPLE_S,
) -> list[Chunk]:
    """Return the chunks that give these frames once, of a video whose frames' times are all known.

    Args:
        probe: what the video is.
        indices: places of the frames in its table, rising.
        sampling: how they were chosen.
        chunk_work_s: seconds of one thread's work that make a chunk; the last has what is left.
        sample_s: what one thread needs for each of the frames beyond decoding it.
    """
    return _chunks(probe.info, _groups(probe.table, indices), sampling, chunk_work_s, sample_s)


def _groups(table: FrameTable, sampled: Sequence[int]) -> list[tuple[Group, int]]:
    """Return the groups in order, each with the number of packets that are read for it."""
    by_entrance = [(_entrance_for(table, index), index) for index in sampled]
    if any(after[0] < before[0] for before, after in pairwise(by_entrance)):
        # Shown in another order than stored: decoding from the start is sure to meet everything.
        by_entrance = [(-1, index) for index in sampled]
    found = []
    for entrance, members in groupby(by_entrance, key=lambda pair: pair[0]):
        indices = [index for _, index in members]
        wanted = tuple(table.shown[index] for index in indices)
        first = table.entrances[entrance] if entrance >= 0 else None
        last_place = max(table.places[index] for index in indices)
        group = Group(first and first.pts, first.dts if first else 0, wanted)
        found.append((group, last_place + 1 - (first.place if first else 0)))
    return found


def _entrance_for(table: FrameTable, index: int) -> int:
    """Return the last entrance before a frame in decoding order that is not shown after it; -1 for the start.

    Frames that are decoded after a key frame but shown before it are made from frames before it as well.
    """
    entrance = bisect_right(table.entrances, table.places[index], key=lambda one: one.place) - 1
    while entrance >= 0 and table.entrances[entrance].pts > table.shown[index]:
        entrance -= 1
    return entrance


def _chunks(
    info: VideoInfo,
    groups: list[tuple[Group, int]],
    sampling: Sampling,
    chunk_work_s: float,
    sample_s: float,
) -> list[Chunk]:
    works = [_work_s(info, packets, len(group.wanted), sample_s) for group, packets in groups]
    left_s = sum(works)
    least_s = min(chunk_work_s, LEAST_WORK_S)
    if not info.has_index:
        least_s = max(chunk_work_s, left_s / _MAX_CHUNKS_WITHOUT_INDEX)
    chunks: list[Chunk] = []
    members: list[Group] = []
    work_s = 0.0
    for (group, _), work in zip(groups, works, strict=True):
        if members and work_s + work > max(least_s, min(chunk_work_s, left_s / SHARES)):
            chunks.append(Chunk(len(chunks), tuple(members), sampling, work_s))
            left_s -= work_s
            members, work_s = [], 0.0
        members.append(group)
        work_s += work
    if members:
        chunks.append(Chunk(len(chunks), tuple(members), sampling, work_s))
    return chunks


def _work_s(info: VideoInfo, packets: int, samples: int, sample_s: float = _SAMPLE_S) -> float:
    width, height = info.coded_size
    full = min(samples, packets)
    frames = full + (packets - full) * (_SKIPPED if info.can_skip else 1)
    return frames * width * height / 1e6 * _DECODE_S + samples * sample_s
