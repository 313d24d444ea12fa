"""The shape of what the service is made of."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads the annotations

from pydantic import Field

from app.admin.overview_schemas import DeploymentResponse  # noqa: TC001 - as above
from app.schemas import Shape


class ModelResponse(Shape):
    """A network in use; null where whoever started the app did not say."""

    name: str
    task: str
    licence: str | None
    source: str | None
    is_commercial: bool | None


class DeviceResponse(Shape):
    """Something that computes."""

    name: str
    detail: str


class DatabaseState(Shape):
    """The database, and what is wrong with it where something is."""

    kind: str
    address: str = Field(description="Without the password.")
    problem: str | None
    size_bytes: int | None
    schema_version: str | None


class StorageState(Shape):
    """The object storage, and what waits on this machine until it takes it."""

    kind: str
    address: str
    problem: str | None
    waiting_files: int
    waiting_bytes: int


class CleanupEntry(Shape):
    """An object that is still to be removed."""

    object_key: str
    attempts: int
    last_error: str | None
    next_try_at: datetime
    created_at: datetime


class SettingResponse(Shape):
    """A setting as it is in force; of a secret only that it is set, null where it is not."""

    variable: str
    value: str | None
    is_default: bool
    description: str


class SystemResponse(Shape):
    """What the service is made of; `database` and `storage` are null where they are switched off."""

    versions: dict[str, str]
    machine: dict[str, str]
    models: list[ModelResponse]
    devices: list[DeviceResponse]
    deployments: list[DeploymentResponse]
    database: DatabaseState | None
    storage: StorageState | None
    cleanup: list[CleanupEntry]
    settings: list[SettingResponse]
