"""Certificates of a made-up authority."""

from __future__ import annotations

import ssl

import pytest
import trustme


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Return an authority that only tests trust."""
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """Return a client's side that trusts the authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
