"""What an operator sets: one class, read from `FACE_API_...` variables by whoever starts a process.

Nothing is read when this module is imported. Secrets have no defaults and do not show in logs.
"""

from __future__ import annotations

import difflib
import os
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import structlog
from platformdirs import user_data_dir
from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.limits import NO_LIMIT, parse_limit
from app.net.allowing import AllowList
from app.plans import Plan  # noqa: TC001 - pydantic reads the fields' types
from pipelines.attributes import Attribute  # noqa: TC001 - pydantic reads the fields' types

if TYPE_CHECKING:
    from collections.abc import Iterable

PREFIX = "FACE_API_"

log = structlog.get_logger("facefleet.settings")


def default_home() -> Path:
    """Return the folder in the user's data directory where everything is kept unless told otherwise."""
    return Path(user_data_dir("facefleet", appauthor=False))


def _is_readable_limit(value: str) -> str:
    """Refuse a limit that could not be counted, at the start and not at the first request."""
    if value != NO_LIMIT:
        try:
            parse_limit(value)
        except ValueError as error:
            message = "say it like 300/minute, or off"
            raise ValueError(message) from error
    return value


def _are_openings(value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse an entry that opens nothing, at the start and not when somebody misses it."""
    AllowList.read(value)
    return value


#: A number of requests in a time.
RateLimit = Annotated[str, AfterValidator(_is_readable_limit)]
IpNetwork = IPv4Network | IPv6Network


class Settings(BaseSettings):
    """Every variable's name is the field's, in capitals, after `FACE_API_`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    home: Path = Field(default_factory=default_home, description="Folder that holds all data.")
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=1, le=65535, description="Port to listen on.")
    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Port on loopback where Prometheus reads figures; one that the home's path leads to if "
        "unset, told by `facefleet metrics --address`.",
    )

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

    database_enabled: bool = Field(
        default=True, description="Remember anything at all; without it the bootstrap key is the only one."
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="postgresql://... or sqlite:///...; a SQLite file in `home` if unset.",
    )
    storage_enabled: bool = Field(
        default=True, description="Keep pictures and results; off wherever the database is off."
    )
    s3_bucket: str | None = Field(
        default=None, description="Bucket for pictures; a folder in `home` if unset."
    )
    s3_endpoint: str | None = Field(default=None, description="Address of an S3 storage other than Amazon's.")
    s3_region: str | None = Field(default=None, description="Region of the bucket.")
    s3_access_key_id: str | None = Field(
        default=None, description="Who we are to S3; if unset, what the machine's role or AWS profile says."
    )
    s3_secret_access_key: SecretStr | None = Field(default=None, description="Goes with the access key id.")
    s3_public_endpoint: str | None = Field(default=None, description="Public address of processed pictures.")
    wait_for_storage: bool = Field(
        default=False,
        description="Answer only when S3 has the picture, on machines whose disks vanish with them.",
    )
    spool_max_bytes: int = Field(
        default=4 * 1024**3, ge=1, description="What may wait on this machine's disk while S3 is away."
    )
    retention_days: int | None = Field(
        default=None,
        ge=1,
        description="Days after which images and ended tasks are removed; kept for ever if unset.",
    )

    redis_url: SecretStr | None = Field(
        default=None, description="redis://...; counts the limits where several machines answer."
    )
    detect_rate_limit: RateLimit = Field(default="300/minute", description="Detections of one key, or `off`.")
    mask_rate_limit: RateLimit = Field(default="150/minute", description="Masks of one key, or `off`.")
    admin_login_rate_limit: RateLimit = Field(
        default="10/minute", description="Logins from one address and for one name, or `off`."
    )
    admin_session_ttl_s: int = Field(default=43200, ge=60, description="How long a login lasts.")

    plans: dict[str, Plan] = Field(
        default={},
        description="Plans of keys that differ from the published ones, as JSON: "
        '{"free": {"requests_per_minute": 60, "concurrent_tasks": 2, "monthly_minutes": 60}}.',
    )
    task_slots: int = Field(
        default=32,
        ge=1,
        description="Tasks that one runner has in work at once; most of them fetch or wait for their turn.",
    )
    gallery_max_bytes: int = Field(
        default=2 * 1024**3,
        ge=1,
        description="Memory of one process for the vectors of libraries; those asked for last stay.",
    )

    reference_thumbnails: bool = Field(
        default=False,
        description="Keep a small picture of each face that is enrolled; it goes with the face.",
    )

    public_url: str | None = Field(
        default=None,
        description="Where clients reach this service, if not at what their Host header says.",
    )
    trusted_proxies: Annotated[tuple[IpNetwork, ...], NoDecode] = Field(
        default=(), description="Networks of proxies whose X-Forwarded-For is believed, separated by commas."
    )
    object_url_ttl_s: int = Field(
        default=3600, ge=1, le=604_800, description="How long a picture's signed address works."
    )

    max_image_bytes: int = Field(default=50_000_000, ge=1, description="Largest picture that is accepted.")
    upload_timeout_s: float = Field(
        default=60.0, gt=0, description="Time that a request's body may take to arrive."
    )

    fetch_allow: Annotated[tuple[str, ...], NoDecode, AfterValidator(_are_openings)] = Field(
        default=(),
        description="Hosts and networks of the own site that media may be fetched from and webhooks sent to, "
        "separated by commas: minio, *.corp.example, 10.1.0.0/16.",
    )
    fetch_ca_file: Path | None = Field(
        default=None, description="PEM file of certificate authorities trusted beside the public ones."
    )
    fetch_s3_buckets: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Buckets that callers may name as s3://bucket/key, separated by commas."
    )
    fetch_timeout_s: float = Field(
        default=1800.0, gt=0, description="Time that fetching one file may take, retries included."
    )
    fetch_stall_s: float = Field(
        default=30.0, gt=0, description="Longest silence of a server that a file is fetched from."
    )
    attributes_disabled: Annotated[tuple[Attribute, ...], NoDecode] = Field(
        default=(), description="Attributes of faces that nobody may ask for, separated by commas."
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

    @field_validator("public_url")
    @classmethod
    def _is_an_origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
            message = "say it like https://faces.example.com"
            raise ValueError(message)
        return value.rstrip("/")

    @model_validator(mode="after")
    def _goes_together(self) -> Settings:
        if not self.database_enabled and self.storage_enabled and "storage_enabled" in self.model_fields_set:
            message = "storage_enabled needs the database: switch database_enabled on as well"
            raise ValueError(message)
        if not self.database_enabled and self.api_key_enabled and self.bootstrap_key is None:
            message = "without a database, bootstrap_key is the only key there can be: set it"
            raise ValueError(message)
        return self

    @property
    def keeps_pictures(self) -> bool:
        """Tell whether pictures and results are kept."""
        return self.database_enabled and self.storage_enabled

    @field_validator(
        "attributes_disabled",
        "cors_origins",
        "trusted_proxies",
        "fetch_allow",
        "fetch_s3_buckets",
        mode="before",
    )
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
