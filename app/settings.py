"""What an operator sets: one class, read from `FACE_API_...` variables by whoever starts a process.

Nothing is read when this module is imported. Secrets have no defaults and do not show in logs.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
from platformdirs import user_data_dir
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

if TYPE_CHECKING:
    from collections.abc import Iterable

PREFIX = "FACE_API_"

log = structlog.get_logger("facefleet.settings")


def default_home() -> Path:
    """Return the folder in the user's data directory where everything is kept unless told otherwise."""
    return Path(user_data_dir("facefleet", appauthor=False))


class Settings(BaseSettings):
    """Every variable's name is the field's, in capitals, after `FACE_API_`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    home: Path = Field(default_factory=default_home, description="Folder that holds all data.")
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=1, le=65535, description="Port to listen on.")

    api_key_enabled: bool = Field(default=True, description="Ask for a key in the X-API-Key header.")
    bootstrap_key: SecretStr | None = Field(
        default=None, description="A key that is valid from the first start."
    )
    bootstrap_webhook_secret: SecretStr | None = Field(
        default=None, description="What webhooks for the bootstrap key are signed with."
    )
    admin_username: str = Field(default="admin", min_length=1, description="Who may enter the admin console.")
    admin_password: SecretStr | None = Field(
        default=None, description="Made and shown at the first start if unset."
    )

    models_dir: Path | None = Field(
        default=None, description="Folder with weights, for sites without internet."
    )
    storage_enabled: bool = Field(default=False, description="Keep pictures and results.")
    s3_public_endpoint: str | None = Field(default=None, description="Public address of processed pictures.")

    max_image_bytes: int = Field(default=50_000_000, ge=1, description="Largest picture that is accepted.")
    upload_timeout_s: float = Field(
        default=60.0, gt=0, description="Time that a request's body may take to arrive."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Origins whose pages may call the API, separated by commas; none by default."
    )

    @field_validator("bootstrap_key")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value() if value else "-"
        if not text.isascii() or not text.isprintable() or text != text.strip():
            message = "a key must be plain printable ASCII: it travels in a header"
            raise ValueError(message)
        return value

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value


def load_settings() -> Settings:
    """Return the settings of this process's environment, warning of variables that no setting reads."""
    for warning in unknown_variables(os.environ):
        log.warning("setting", problem=warning)
    return Settings()


def unknown_variables(names: Iterable[str]) -> list[str]:
    """Return a warning for each `FACE_API_...` variable that no setting reads: mostly typing errors."""
    known = [field.upper() for field in Settings.model_fields]
    warnings = []
    for name in sorted(names):
        field = name.upper().removeprefix(PREFIX)
        if field == name.upper() or field in known:
            continue
        near = difflib.get_close_matches(field, known, n=1)
        hint = f", did you mean {PREFIX}{near[0]}?" if near else "."
        warnings.append(f"{name} is not a setting and has no effect{hint}")
    return warnings
