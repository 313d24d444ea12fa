"""Both passes over a video in this process, with faces that the test knows; and videos of many kinds."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import av
import cv2
import numpy as np
from av.audio.frame import AudioFrame

from pipelines.redact.cover import FoundFrame, Sighting, cover
from pipelines.redact.join import join, remux
from pipelines.redact.output import OutputOptions, decide
from pipelines.redact.plan import Span, frame_times, plan_redaction
from pipelines.redact.source import look_at
from pipelines.redact.write import WriteJob, write_chunk
from pipelines.results import MaskMethod, MaskOptions
from pipelines.video.probe import probe_video

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from av.audio.stream import AudioStream
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

Box = tuple[float, float, float, float]
SOLID = MaskOptions(MaskMethod.SOLID, padding=0.0)
RATE = 48_000


def redact(
    source: Path,
    target: Path,
    face_at: Callable[[int], Box | None],
    wanted: OutputOptions | None = None,
    span: Span | None = None,
    work_s: float = 0.001,
    mask: MaskOptions = SOLID,
) -> Path:
    """Mask a video whose frame of each place has this face, chunk by chunk, the last chunk first."""
    probe = probe_video(source)
    picture = look_at(source, probe)
    output = decide(probe.info, picture, wanted or OutputOptions())
    plan = plan_redaction(probe, span or Span(), work_s)
    looked_at = [probe.table.index_at(tick) for chunk in plan.find for tick in _ticks(chunk)]
    found = []
    for index in looked_at:
        box = face_at(index)
        found.append(FoundFrame(index, () if box is None else (Sighting(box, 0.9),)))
    covered = cover(found, frame_times(probe), plan.cover_options(0.5))
    if not covered.regions:
        remux(source, probe.info, output.container, target)
        return target
    files = []
    for chunk in reversed(plan.write):
        boxes = {
            tick: tuple(region.box for region in covered.regions.get(probe.table.index_at(tick), ()))
            for tick in _ticks(chunk)
        }
        files.append(target.with_name(f"{target.name}-{chunk.index}"))
        write_chunk(WriteJob(source, probe.info, chunk, boxes, mask, output), files[-1])
    assert len(files) > 1
    join(source, probe.info, probe.table.end, output, files[::-1], target)
    return target


def _ticks(chunk: Any) -> list[int]:  # noqa: ANN401 - a chunk
    return [tick for group in chunk.groups for tick in group.wanted]


@dataclass(frozen=True)
class Film:
    """A video with all that a film may have beside its picture.

    Attributes:
        ticks: presentation times of the frames, in thousandths of a second.
        suffix: the container.
        codec, pixel_format, options: of the picture.
        size: width and height.
        sounds: how many sound tracks.
        colours: range, space, primaries, transfer; in FFmpeg's numbers.
        fields: which of two fields comes first, in x264's word; empty where frames are whole.
        shape: width of a pixel by its height.
        metadata: of the container.
    """

    ticks: Sequence[int] = tuple(round(index * 1000 / 30) for index in range(60))
    suffix: str = ".mp4"
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    size: tuple[int, int] = (96, 64)
    sounds: int = 1
    colours: tuple[int, int, int, int] = (2, 2, 2, 2)
    fields: str = ""
    shape: Fraction = Fraction(1)
    metadata: dict[str, str] = field(default_factory=dict)
    gop: int = 12


def film(path: Path, recipe: Film) -> Path:
    """Render it: a light square on a drifting pattern, with a tone for each sound track."""
    muxer = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}[recipe.suffix]
    with av.open(str(path), "w", format=muxer) as container:
        container.metadata.update(recipe.metadata)
        picture = cast("VideoStream", container.add_stream(recipe.codec, rate=30, options=recipe.options))
        context = picture.codec_context
        context.width, context.height = recipe.size
        context.pix_fmt = recipe.pixel_format
        context.time_base = Fraction(1, 1000)
        context.gop_size, context.thread_count = recipe.gop, 1
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = recipe.colours
        context.sample_aspect_ratio = recipe.shape
        if recipe.fields:
            context.flags |= av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me
            context.options = {**recipe.options, "x264-params": f"{recipe.fields}=1"}
        audio_codec = "libopus" if recipe.suffix == ".webm" else "aac"
        sounds = [
            cast("AudioStream", container.add_stream(audio_codec, rate=RATE, layout="mono"))
            for _ in range(recipe.sounds)
        ]
        for number, sound in enumerate(sounds):
            sound.metadata["language"] = ("eng", "ger", "fre", "spa", "ita")[number]
        for index, tick in enumerate(recipe.ticks):
            frame = av.VideoFrame.from_ndarray(scene(index, recipe.size), format="bgr24")
            frame = frame.reformat(format=recipe.pixel_format)
            frame.pts, frame.time_base = tick, Fraction(1, 1000)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        seconds = recipe.ticks[-1] / 1000
        for number, sound in enumerate(sounds):
            _play(container, sound, 300 * (number + 1), seconds)
    return path


def scene(index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a picture that no other index has."""
    width, height = size
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    grey = 128 + 50 * np.sin((x + 2 * index) / 9) + 40 * np.cos((y - index) / 7)
    picture = np.repeat(grey[:, :, None], 3, axis=2).clip(0, 255).astype(np.uint8)
    cv2.rectangle(picture, (4, 4), (16, 16), (30, 200, 250), -1)
    return picture


def _play(container: Any, stream: AudioStream, tone: int, seconds: float) -> None:  # noqa: ANN401
    at = np.arange(int(seconds * RATE))
    samples = (0.2 * np.sin(2 * np.pi * tone * at / RATE)).astype(np.float32)[None]
    frame = AudioFrame.from_ndarray(samples, format="flt", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
    resampler = av.AudioResampler(
        format=stream.codec_context.format,
        layout="mono",
        rate=RATE,
        frame_size=stream.codec_context.frame_size or 960,
    )
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(stream.encode(part))
    container.mux(stream.encode(None))


def hour(path: Path, tick_s: Fraction) -> Path:
    """Render an hour of a frame about every minute, and of as many short sounds."""
    silent = film(path.with_name(f"silent{path.suffix}"), Film(suffix=path.suffix, sounds=1))
    with av.open(str(silent)) as reading, av.open(str(path), "w") as container:
        template = reading.streams.audio[0]
        picture = cast("VideoStream", container.add_stream("libx264", rate=30))
        context = picture.codec_context
        context.width, context.height, context.pix_fmt = 96, 64, "yuv420p"
        context.time_base, context.gop_size, context.thread_count = tick_s, 2, 1
        sound = container.add_stream_from_template(template)
        heard = [packet for packet in reading.demux(template) if packet.size][:60]
        for index in range(61):
            frame = av.VideoFrame.from_ndarray(scene(index, (96, 64)), format="bgr24").reformat(
                format="yuv420p"
            )
            frame.pts, frame.time_base = round(index * 60 / tick_s), tick_s
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        for index, packet in enumerate(heard):
            packet.stream, packet.time_base = sound, Fraction(1, RATE)
            packet.pts = packet.dts = (index * 60 + 57) * RATE + 11 * index
            container.mux(packet)
    return path


def described(path: Path) -> list[dict[str, Any]]:
    """Return what a player is told of each stream, as `ffprobe` would print it."""
    with av.open(str(path)) as container:
        return [
            {
                "type": stream.type,
                "codec": stream.codec_context.name if stream.codec_context else None,
                "header": stream.codec_context.extradata if stream.codec_context else None,
                "language": stream.metadata.get("language"),
                "disposition": stream.disposition,
                "seconds": round(float(stream.duration * stream.time_base), 2) if stream.duration else None,
                "time base": stream.time_base,
                "size": (stream.codec_context.width, stream.codec_context.height)
                if isinstance(stream, av.VideoStream)
                else None,
                "shape": stream.sample_aspect_ratio if isinstance(stream, av.VideoStream) else None,
                "rate": stream.codec_context.sample_rate if isinstance(stream, av.AudioStream) else None,
            }
            for stream in container.streams
        ]


def packets(path: Path, kind: str) -> dict[int, list[tuple[Any, ...]]]:
    """Return each stream's packets of a kind, in order: time in seconds, bytes."""
    with av.open(str(path)) as container:
        indices = [stream.index for stream in container.streams if stream.type == kind]
    found: dict[int, list[tuple[Any, ...]]] = {}
    for place, index in enumerate(indices):
        with av.open(str(path)) as container:
            found[place] = [
                (packet.pts * packet.time_base, bytes(packet))
                for packet in container.demux(container.streams[index])
                if packet.size
            ]
    return found


def times(path: Path) -> list[Fraction]:
    """Return the times of all frames of the picture, in seconds."""
    probe = probe_video(path)
    return [tick * probe.info.tick_s for tick in probe.table.shown]


def pictures(path: Path) -> list[Any]:
    """Return every decoded frame, in order of time."""
    with av.open(str(path)) as container:
        return sorted(container.decode(container.streams.video[0]), key=lambda frame: frame.pts)
