"""Whether a request that changes something comes from a page of ours.

A browser sends the cookie, or a password that it remembers, along with whatever any page makes it do. It also
says which page that was, in headers that no page can change; other clients send neither, and are no danger to
a browser's owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.errors import Forbidden

if TYPE_CHECKING:
    from starlette.requests import Request

    from app.settings import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_SITE = frozenset({"same-origin", "none"})


def check_same_origin(request: Request, settings: Settings) -> None:
    """Refuse what a page of another origin makes a browser send.

    Raises:
        Forbidden: it is such a request.
    """
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("sec-fetch-site")
    source = request.headers.get("origin") or request.headers.get("referer")
    if source in settings.cors_origins:
        return
    is_foreign = (site is not None and site not in OWN_SITE) or (
        source is not None and not _is_own(source, request, settings.public_url)
    )
    if is_foreign:
        message = "This request comes from a page of another site."
        raise Forbidden(message)


def is_https(request: Request, public_url: str | None) -> bool:
    """Tell whether the browser reaches us over https.

    The header is believed: who invents it only keeps a cookie from himself.
    """
    forwarded = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    return (public_url or "").startswith("https://") or "https" in {forwarded, request.url.scheme}


def own_url(request: Request, public_url: str | None) -> str:
    """Return where this client reaches us, without a slash at the end."""
    if public_url is not None:
        return public_url
    scheme = "https" if is_https(request, public_url) else "http"
    return f"{scheme}://{request.url.netloc}"


def _is_own(source: str, request: Request, public_url: str | None) -> bool:
    try:
        given = urlsplit(source)
        netloc = given.netloc.lower()
    except ValueError:
        return False
    if given.scheme not in {"http", "https"} or not netloc:
        return False  # "null": a page that hides where it is from
    hosts = {request.headers.get("host", "").lower()}
    if public_url is not None:
        hosts.add(urlsplit(public_url).netloc.lower())
    return netloc in hosts
