"""What the bodies of all of door two's requests have in common.

Types are meant as they are written: `"2"` is no number and `true` is none either. NaN and Infinity
are no JSON. A field that is null counts as left out, and fields that nobody knows are ignored.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.net.urls import LONGEST_URL

CallbackUrl = Annotated[
    str | None,
    Field(min_length=1, max_length=LONGEST_URL, description="HTTPS URL that hears of the task's end."),
]
Metadata = Annotated[dict[str, Any] | None, Field(description="Up to 2 KB, echoed in the result.")]


class Body(BaseModel):
    """A request's body."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, values: object) -> object:
        if isinstance(values, dict):
            return {name: value for name, value in values.items() if value is not None}
        return values
