"""The bodies of library requests: every field with its range.

Identifiers and names may be of any script. Control characters are refused, because they are mistakes, and so
are lone surrogates, because no database keeps them; an identifier is part of an address, so it has no slash.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.bodies import Body, CallbackUrl, Metadata
from app.db.tables import HANDLE_LENGTH
from app.intake.data_urls import LARGEST_DATA_BYTES
from app.libraries.recognition import MOST_MATCHES
from app.net.urls import LONGEST_URL
from pipelines.similarity import SAME_PERSON

#: A picture as a data URL: base64 has four characters for three bytes, and some words stand before it.
LONGEST_PICTURE_URL = LARGEST_DATA_BYTES * 4 // 3 + 1024
LONGEST_NAME = 256
LONGEST_DESCRIPTION = 2000
_FORBIDDEN = {"Cc", "Cs"}


def _readable(value: str) -> str:
    if any(unicodedata.category(character) in _FORBIDDEN for character in value):
        message = "control characters are not allowed"
        raise ValueError(message)
    return value


def _addressable(value: str) -> str:
    if "/" in value or value in {".", ".."} or value != value.strip():
        message = "it is part of an address: no slash, no dots alone, no spaces around it"
        raise ValueError(message)
    return _readable(value)


def _text(value: str) -> str:
    if any(
        unicodedata.category(character) in _FORBIDDEN and character not in "\n\t\r" for character in value
    ):
        message = "control characters are not allowed"
        raise ValueError(message)
    return value


Handle = Annotated[str, Field(min_length=1, max_length=HANDLE_LENGTH), AfterValidator(_addressable)]
Name = Annotated[str, Field(max_length=LONGEST_NAME), AfterValidator(_readable)]
Description = Annotated[str, Field(max_length=LONGEST_DESCRIPTION), AfterValidator(_text)]
PictureUrl = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_PICTURE_URL,
        description="http(s), `upload://ID`, or a data URL of up to 5 MB.",
    ),
]


class LibraryRequest(Body):
    """A new library."""

    library_id: Handle = Field(examples=["my-people-lib"])
    name: Name | None = Field(default=None, examples=["Office staff"])
    description: Description | None = Field(default=None)


class LibraryChange(BaseModel):
    """What is to change; a field that is null is emptied."""

    model_config = ConfigDict(strict=True)

    name: Name | None = None
    description: Description | None = None


class PersonChange(BaseModel):
    """What is to change; a field that is null is emptied."""

    model_config = ConfigDict(strict=True)

    name: Name | None = None
    metadata: dict[str, Any] | None = None


class FaceRequest(Body):
    """A reference picture of somebody."""

    person_id: Handle = Field(examples=["p_zhang_wei"])
    name: Name | None = Field(default=None, examples=["Zhang Wei"])
    image_url: PictureUrl
    metadata: dict[str, Any] | None = Field(default=None, description="Up to 2 KB.")


class SearchRequest(Body):
    """A picture whose faces are searched for."""

    image_url: PictureUrl
    top_k: int = Field(default=1, ge=1, le=MOST_MATCHES, description="Matches returned per face.")
    min_score: float = Field(
        default=SAME_PERSON, ge=0, le=1, description="People under this score are not named."
    )


class ImportRequest(Body):
    """A list of people: a CSV of addresses, or a ZIP of pictures."""

    media_url: str = Field(
        min_length=1, max_length=LONGEST_URL, description="http(s), `upload://ID` or `s3://bucket/key`."
    )
    callback_url: CallbackUrl = None
    metadata: Metadata = None


class CompareRequest(Body):
    """Two pictures, each with a face."""

    source_image_url: PictureUrl
    target_image_url: PictureUrl
