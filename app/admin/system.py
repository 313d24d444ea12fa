"""What the service is made of and stands on, for whoever looks after it. No secret is among it."""

from __future__ import annotations

import asyncio
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

import psutil
from fastapi import APIRouter, Depends
from pydantic import SecretStr

from app.admin.access import ADMIN_PATH
from app.admin.overview import deployments_of
from app.admin.overview_schemas import DeploymentResponse
from app.admin.system_schemas import (
    CleanupEntry,
    DatabaseState,
    DeviceResponse,
    ModelResponse,
    SettingResponse,
    StorageState,
    SystemResponse,
)
from app.answers import PATIENCE_S
from app.records.insight import database_facts, oldest_cleanup
from app.settings import PREFIX
from pipelines.errors import FacefleetError

if TYPE_CHECKING:
    from pathlib import Path

    from app.admin.access import AdminAccess
    from app.fleet import Fleet
    from app.persistence import Persistence, Storage
    from app.services import Services
    from app.settings import Settings

#: What versions are told of.
PACKAGES: Final = (
    "facefleet",
    "ray",
    "onnxruntime",
    "onnxruntime-gpu",
    "opencv-python-headless",
    "av",
    "faiss-cpu",
    "fastapi",
    "sqlalchemy",
    "asyncpg",
    "boto3",
)
#: Not secret by type, and still nobody's business.
GUARDED: Final = frozenset({"s3_access_key_id"})
MOST_CLEANUP = 20


def system_routes(services: Services, access: AdminAccess, fleet: Fleet | None) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix=ADMIN_PATH, dependencies=[Depends(access.require)])

    @router.get("/system")
    async def system() -> SystemResponse:
        """Tell what the service is made of: networks, devices, versions, database, storage, settings.

        For instance:

            curl -u "admin:$PASSWORD" "$URL/api/v1/admin/system"
        """
        return await read_system(services, fleet)

    return router


async def read_system(services: Services, fleet: Fleet | None) -> SystemResponse:
    """Return everything at once; what does not answer is told as that."""
    memory = services.memory
    storage = memory.storage if memory else None
    database, objects, cleanup, deployments = await asyncio.gather(
        _database(memory), _storage(services.settings, storage), _cleanup(memory), deployments_of(fleet)
    )
    return SystemResponse(
        versions=_versions(),
        machine=_machine(),
        models=_models(services, fleet),
        devices=[
            DeviceResponse(name=each.name, detail=each.detail) for each in (fleet.devices if fleet else ())
        ],
        deployments=[DeploymentResponse.model_validate(each, from_attributes=True) for each in deployments],
        database=database,
        storage=objects,
        cleanup=cleanup,
        settings=told_settings(services.settings),
    )


def told_settings(settings: Settings) -> list[SettingResponse]:
    """Return every setting as it is in force; of secrets only whether they are set."""
    told = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        told.append(
            SettingResponse(
                variable=f"{PREFIX}{name.upper()}",
                value=_told(name, value),
                is_default=value == field.get_default(call_default_factory=True),
                description=field.description or "",
            )
        )
    return told


def _told(name: str, value: Any) -> str | None:  # noqa: ANN401 - whatever a setting is
    if value is None:
        return None
    if isinstance(value, SecretStr) or name in GUARDED:
        return "set"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(getattr(each, "value", None) or str(each) for each in value) or None
    if isinstance(value, dict):
        return "; ".join(f"{key}: {plan}" for key, plan in value.items()) or None
    return str(value)


def _models(services: Services, fleet: Fleet | None) -> list[ModelResponse]:
    if fleet is not None and fleet.models:
        return [ModelResponse.model_validate(each, from_attributes=True) for each in fleet.models]
    return [
        ModelResponse(name=spec.name, task="detect", licence=None, source=None, is_commercial=None)
        for spec in services.engine.detectors
    ]


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _machine() -> dict[str, str]:
    memory = psutil.virtual_memory()
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": str(os.cpu_count()),
        "memory": f"{memory.total / 1e9:.1f} GB, {memory.available / 1e9:.1f} GB free",
    }


async def _database(memory: Persistence | None) -> DatabaseState | None:
    if memory is None:
        return None
    database = memory.database
    problem = await database.problem()
    size, schema = (None, None) if problem else await database_facts(database)
    return DatabaseState(
        kind="SQLite" if database.is_embedded else "PostgreSQL",
        address=database.url.render_as_string(hide_password=True),
        problem=problem,
        size_bytes=size,
        schema_version=schema,
    )


async def _storage(settings: Settings, storage: Storage | None) -> StorageState | None:
    if storage is None:
        return None
    try:
        problem = await asyncio.wait_for(storage.objects.problem(), PATIENCE_S)
    except (asyncio.TimeoutError, FacefleetError):
        problem = "the object storage does not answer"
    files, size = await asyncio.to_thread(_waiting, settings.home / "spool")
    is_folder = settings.s3_bucket is None
    return StorageState(
        kind="folder" if is_folder else "S3",
        address=str(settings.home / "objects") if is_folder else f"s3://{settings.s3_bucket}",
        problem=problem,
        waiting_files=files,
        waiting_bytes=size,
    )


def _waiting(folder: Path) -> tuple[int, int]:
    """Count what is still on its way to the storage; files may go while they are counted."""
    files = size = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                files += 1
                size += entry.stat().st_size
    except FileNotFoundError:
        pass
    return files, size


async def _cleanup(memory: Persistence | None) -> list[CleanupEntry]:
    if memory is None or memory.storage is None:
        return []
    return [CleanupEntry(**each) for each in await oldest_cleanup(memory.database, MOST_CLEANUP)]
