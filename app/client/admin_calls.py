"""Calls of administrators: keys, what is kept, what was done."""

from __future__ import annotations

from app.client.admin_results import (
    AdminSession,
    ApiKey,
    ApiKeyPage,
    AuditPage,
    CreatedApiKey,
    ImagePage,
    Job,
    JobPage,
    Stats,
    StoredImage,
    WebhookSecret,
)
from app.client.call import Call, as_result, content, nothing, segment, without_nones

_ADMIN = "/api/v1/admin"
_KEYS = f"{_ADMIN}/api-keys"


def login(username: str, password: str) -> Call[None]:
    """Open a session; the client keeps its cookie."""
    body = {"username": username, "password": password}
    return Call("POST", f"{_ADMIN}/auth/login", nothing, who="anybody", json=body)


def session() -> Call[AdminSession]:
    """Tell who is logged in."""
    return Call("GET", f"{_ADMIN}/auth/session", as_result(AdminSession), who="admin")


def logout() -> Call[None]:
    """End the session."""
    return Call("POST", f"{_ADMIN}/auth/logout", nothing, who="anybody")


def stats() -> Call[Stats]:
    """Tell the totals over pictures and jobs."""
    return Call("GET", f"{_ADMIN}/stats", as_result(Stats), who="admin")


def list_images(page: int = 1, per_page: int = 20) -> Call[ImagePage]:
    """List the pictures that are kept, newest first."""
    query = {"page": page, "per_page": per_page}
    return Call("GET", f"{_ADMIN}/images", as_result(ImagePage), who="admin", query=query)


def get_image(image_id: str) -> Call[StoredImage]:
    """Show a picture with its jobs."""
    return Call("GET", f"{_ADMIN}/images/{segment(image_id)}", as_result(StoredImage), who="admin")


def delete_image(image_id: str) -> Call[None]:
    """Remove a picture with all that was made of it."""
    path = f"{_ADMIN}/images/{segment(image_id)}"
    return Call("DELETE", path, nothing, who="admin", is_repeatable=False)


def download_image(image_id: str) -> Call[bytes]:
    """Return the bytes of a picture as it came."""
    return Call("GET", f"{_ADMIN}/images/{segment(image_id)}/download", content, who="admin", follows=True)


def list_jobs(
    page: int = 1, per_page: int = 20, *, job_type: str | None = None, method: str | None = None
) -> Call[JobPage]:
    """List what was done, newest first.

    Args:
        page: which.
        per_page: how many.
        job_type: detect or mask.
        method: how faces were hidden.
    """
    query = {"page": page, "per_page": per_page, "job_type": job_type, "method": method}
    return Call("GET", f"{_ADMIN}/jobs", as_result(JobPage), who="admin", query=query)


def get_job(job_id: str) -> Call[Job]:
    """Show a job with what was answered."""
    return Call("GET", f"{_ADMIN}/jobs/{segment(job_id)}", as_result(Job), who="admin")


def download_job(job_id: str) -> Call[bytes]:
    """Return the bytes of the picture that a job made."""
    return Call("GET", f"{_ADMIN}/jobs/{segment(job_id)}/download", content, who="admin", follows=True)


def audit(limit: int = 50, before: str | None = None) -> Call[AuditPage]:
    """Tell what administrators did, newest first."""
    query = {"limit": limit, "before": before}
    return Call("GET", f"{_ADMIN}/audit", as_result(AuditPage), who="admin", query=query)


def create_key(name: str, plan: str | None = None) -> Call[CreatedApiKey]:
    """Make a key; it and its webhook secret are told this once."""
    body = without_nones(name=name, plan=plan)
    # Repeated, there would be two, and the first would be known to nobody.
    return Call("POST", _KEYS, as_result(CreatedApiKey), who="admin", json=body, is_repeatable=False)


def list_keys(page: int = 1, per_page: int = 20) -> Call[ApiKeyPage]:
    """List the keys, newest first."""
    query = {"page": page, "per_page": per_page}
    return Call("GET", _KEYS, as_result(ApiKeyPage), who="admin", query=query)


def get_key(key_id: str) -> Call[ApiKey]:
    """Show a key, without what opens the door."""
    return Call("GET", f"{_KEYS}/{segment(key_id)}", as_result(ApiKey), who="admin")


def change_key(
    key_id: str, *, name: str | None = None, is_active: bool | None = None, plan: str | None = None
) -> Call[ApiKey]:
    """Rename a key, turn it off or on, or give it another plan; what is not given stays."""
    body = without_nones(name=name, is_active=is_active, plan=plan)
    return Call("PATCH", f"{_KEYS}/{segment(key_id)}", as_result(ApiKey), who="admin", json=body)


def delete_key(key_id: str) -> Call[None]:
    """Remove a key; what was done with it stays."""
    return Call("DELETE", f"{_KEYS}/{segment(key_id)}", nothing, who="admin", is_repeatable=False)


def rotate_webhook_secret(key_id: str) -> Call[WebhookSecret]:
    """Make a new secret for a key's webhooks; the one before stays valid for a day."""
    path = f"{_KEYS}/{segment(key_id)}/webhook-secret"
    return Call("POST", path, as_result(WebhookSecret), who="admin", is_repeatable=False)
