"""Which key frames decoding may begin at, and which frames a decoder may leave out.

A container marks as key what its writer called key. Among those of H.264 are pictures from which the image
only heals over the next frames; starting there would lose frames that decoding from the start has.
"""

from __future__ import annotations

_IDR, _SEI, _RECOVERY_POINT = 5, 6, 6
_FIRST_IRAP, _LAST_IRAP, _FIRST_NON_VCL = 16, 21, 32

#: Decoders whose NONREF skipping drops only what no other frame is made from.
_SKIPPING = {"h264", "mpeg4", "mpeg1video", "mpeg2video", "vp8"}


def may_skip_frames(codec: str, extradata: bytes | None) -> bool:
    """Tell whether frames that nothing refers to can be told and left out without touching any other.

    HEVC marks frames that none of their own layer refers to: that is enough only where there is one layer of
    time, which the configuration in the container says.
    """
    if codec == "hevc":
        sound = extradata is not None and len(extradata) > 22 and extradata[0] == 1  # noqa: PLR2004
        return sound and (extradata or b"")[21] >> 3 & 7 == 1
    return codec in _SKIPPING


def is_entrance(codec: str, packet: bytes, extradata: bytes | None) -> bool:
    """Tell whether decoding can begin at this packet, which its container marks as a key frame."""
    if codec == "h264":
        return any(_opens_h264(unit) for unit in nal_units(packet, _length_size(extradata, 4)))
    if codec == "hevc":
        kinds = (unit[0] >> 1 & 63 for unit in nal_units(packet, _length_size(extradata, 21)) if unit)
        picture = next((kind for kind in kinds if kind < _FIRST_NON_VCL), None)
        return picture is not None and _FIRST_IRAP <= picture <= _LAST_IRAP
    return True


def _length_size(extradata: bytes | None, at: int) -> int | None:
    """Return how many bytes a NAL unit's length has; None where start codes part them."""
    if not extradata or extradata[0] != 1 or len(extradata) <= at:
        return None
    return (extradata[at] & 3) + 1


def nal_units(packet: bytes, length_size: int | None) -> list[bytes]:
    """Return the NAL units of a packet: behind their lengths, or between start codes."""
    if length_size is None:
        return [unit for unit in packet.split(b"\0\0\1")[1:] if unit]
    units, at = [], 0
    while at + length_size < len(packet):
        length = int.from_bytes(packet[at : at + length_size], "big")
        if not length:
            break
        units.append(packet[at + length_size : at + length_size + length])
        at += length_size + length
    return units


def _opens_h264(unit: bytes) -> bool:
    kind = unit[0] & 31
    return kind == _IDR or (kind == _SEI and _recovers_at_once(unit[1:]))


def _recovers_at_once(messages: bytes) -> bool:
    """Tell whether supplemental information says that the picture is whole from its first frame on."""
    data = messages.replace(b"\0\0\3", b"\0\0")
    at = 0
    while at + 2 < len(data):
        kind, at = _extended(data, at)
        size, at = _extended(data, at)
        if kind == _RECOVERY_POINT:
            # recovery_frame_cnt is an Exp-Golomb number, and that of zero is a single set bit.
            return at < len(data) and bool(data[at] & 0x80)
        at += size
    return False


def _extended(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    while at < len(data) and data[at] == 0xFF:  # noqa: PLR2004 - more follows
        value += 0xFF
        at += 1
    return (value + data[at] if at < len(data) else value), at + 1


def is_hidden(codec: str, first_bytes: bytes) -> bool:
    """Tell whether a packet makes no picture of its own: only VP8 has such packets in files."""
    return codec == "vp8" and bool(first_bytes) and not first_bytes[0] & 0x10
