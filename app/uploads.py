"""One picture out of a request's body, straight from the stream into one buffer.

    receive -> multipart parser -> the first part named `image` -> bytes

The bytes are copied once, from the server's pieces into the buffer; nothing is spooled to a file and other
parts are dropped as they pass.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import MalformedBody
from pipelines.errors import InvalidMedia, InvalidOption, MediaTooLarge, UnsupportedMedia

if TYPE_CHECKING:
    from starlette.types import Receive

FIELD = b"image"
#: A form with one picture needs few parts; the rest is somebody trying something.
MOST_PARTS = 64
#: What a form may weigh beyond its picture.
FORM_OVERHEAD = 1024 * 1024


async def read_image(content_type: str, receive: Receive, max_bytes: int) -> bytes:
    """Return the picture in a request's body.

    Args:
        content_type: the request's header: a form, or `image/...` where the body is the picture itself.
        receive: where the body comes from.
        max_bytes: the most that the picture may have.

    Raises:
        InvalidOption: a form without the field.
        InvalidMedia: the picture has no bytes.
        MediaTooLarge: it has too many.
        MalformedBody: the form is broken.
        UnsupportedMedia: the body is neither a form nor a picture.
    """
    kind, options = parse_options_header(content_type)
    if kind == b"multipart/form-data":
        data = await _from_form(options.get(b"boundary", b""), receive, max_bytes)
    elif kind.startswith(b"image/") or kind == b"application/octet-stream":
        data = await _whole_body(receive, max_bytes)
    elif not kind:
        message = "Send the picture as multipart/form-data in the field 'image'."
        raise InvalidOption(message)
    else:
        message = "Content-Type must be multipart/form-data with the picture in the field 'image'."
        raise UnsupportedMedia(message)
    if not data:
        message = "The picture is empty."
        raise InvalidMedia(message)
    return data


async def _from_form(boundary: bytes, receive: Receive, max_bytes: int) -> bytes:
    part = _ImagePart(max_bytes)
    try:
        if not boundary:
            message = "The form's Content-Type names no boundary."
            raise MalformedBody(message)
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": part.begin,
                "on_header_field": part.header_name,
                "on_header_value": part.header_value,
                "on_header_end": part.header_end,
                "on_headers_finished": part.headers_finished,
                "on_part_data": part.data,
                "on_part_end": part.end,
                "on_end": part.form_end,
            },
        )
        more = True
        while more:
            piece = await receive()
            parser.write(piece.get("body", b""))
            more = piece.get("more_body", False)
    except FormParserError:
        text = "The form is broken: it does not follow multipart/form-data."
        raise MalformedBody(text) from None
    return part.result()


async def _whole_body(receive: Receive, max_bytes: int) -> bytes:
    buffer = BytesIO()
    more = True
    while more:
        piece = await receive()
        buffer.write(piece.get("body", b""))
        if buffer.tell() > max_bytes:
            raise _too_large(max_bytes)
        more = piece.get("more_body", False)
    return buffer.getvalue()


class _ImagePart:
    """Listens to the parser and keeps the data of the first part named `image`."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = BytesIO()
        self._parts = 0
        self._name = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._wanted = False
        self._found = False
        self._ended = False

    def begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            message = f"The form has more than {MOST_PARTS} parts."
            raise MalformedBody(message)
        self._disposition = b""

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def headers_finished(self) -> None:
        if not self._found:
            _, options = parse_options_header(self._disposition)
            self._wanted = options.get(b"name") == FIELD

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._wanted:
            self._buffer.write(memoryview(data)[start:end])
            if self._buffer.tell() > self._max_bytes:
                raise _too_large(self._max_bytes)

    def end(self) -> None:
        self._found = self._found or self._wanted
        self._wanted = False

    def form_end(self) -> None:
        self._ended = True

    def result(self) -> bytes:
        if not self._ended:
            message = "The form ends before its last boundary."
            raise MalformedBody(message)
        if not self._found:
            message = "image: the form has no field of this name."
            raise InvalidOption(message)
        return self._buffer.getvalue()


def _too_large(max_bytes: int) -> MediaTooLarge:
    return MediaTooLarge(f"The picture is larger than {max_bytes} bytes.")
