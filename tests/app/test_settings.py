"""Settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings, unknown_variables


def test_defaults_are_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any variable we listen on this machine only, ask for keys, and have no secret."""
    for name in ("HOST", "PORT", "HOME", "BOOTSTRAP_KEY", "ADMIN_PASSWORD"):
        monkeypatch.delenv(f"FACE_API_{name}", raising=False)
    settings = Settings()
    assert (settings.host, settings.port, settings.api_key_enabled) == ("127.0.0.1", 8000, True)
    assert (settings.bootstrap_key, settings.admin_password, settings.cors_origins) == (None, None, ())
    assert settings.home.name == "facefleet"


def test_variables_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each variable reaches its field; an empty one counts as not set."""
    monkeypatch.setenv("FACE_API_HOME", str(tmp_path))
    monkeypatch.setenv("FACE_API_API_KEY_ENABLED", "false")
    monkeypatch.setenv("FACE_API_FETCH_ALLOW", "minio, 10.1.0.0/16")
    monkeypatch.setenv("FACE_API_CORS_ORIGINS", "https://a.example, https://b.example")
    monkeypatch.setenv("FACE_API_ADMIN_PASSWORD", "")
    settings = Settings()
    assert settings.home == Path(tmp_path)
    assert not settings.api_key_enabled
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.fetch_allow == ("minio", "10.1.0.0/16")
    assert settings.admin_password is None


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Printing the settings shows no secret."""
    for name in ("BOOTSTRAP_KEY", "ADMIN_PASSWORD", "BOOTSTRAP_WEBHOOK_SECRET"):
        monkeypatch.setenv(f"FACE_API_{name}", "hunter2")
    assert "hunter2" not in f"{Settings()!r} {Settings()}"


def test_settings_do_not_change() -> None:
    """Settings are fixed once read."""
    with pytest.raises(ValidationError):
        Settings().port = 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "x"),
        ("FETCH_ALLOW", "http://minio"),
        ("MAX_IMAGE_BYTES", "-1"),
        ("BOOTSTRAP_KEY", "ключ"),
        ("DETECT_RATE_LIMIT", "300"),
        ("MASK_RATE_LIMIT", "many/minute"),
        ("ADMIN_LOGIN_RATE_LIMIT", "none"),
        ("ADMIN_SESSION_TTL_S", "0"),
        ("RETENTION_DAYS", "0"),
        ("PUBLIC_URL", "faces.example"),
        ("PUBLIC_URL", "https://faces.example/?a=b"),
        ("TRUSTED_PROXIES", "everybody"),
        ("TRUSTED_PROXIES", "10.0.0.0/8;192.0.2.1"),
    ],
)
def test_senseless_values_stop_the_start(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A value that cannot work is an error that names its setting."""
    monkeypatch.setenv(f"FACE_API_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_typing_errors_are_told() -> None:
    """A variable that nothing reads is told, with the one that was probably meant."""
    warnings = unknown_variables(["FACE_API_PROT", "FACE_API_PORT", "face_api_host", "PATH", "FACE_API_ZZZ"])
    assert warnings == [
        "FACE_API_PROT is not a setting and has no effect, did you mean FACE_API_PORT?",
        "FACE_API_ZZZ is not a setting and has no effect.",
    ]
