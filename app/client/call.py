"""A call: what to send, whether it may be sent twice, and how to read the answer. No network here."""

from __future__ import annotations

import inspect
import os
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar
from urllib.parse import quote

import httpx

from app.client.errors import UnreadableAnswer
from app.client.reading import read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")
R = TypeVar("R")
F = TypeVar("F")

#: Who asks: a client with its key, the administrator, or anybody.
Who = Literal["key", "admin", "anybody"]
DEFAULT_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the service is and who asks.

    Attributes:
        url: without a path; `FACEFLEET_URL` or this machine where it is not given.
        key: what opens both doors; `FACEFLEET_KEY` where it is not given.
        admin: name and password for the routes of administrators.
        timeout_s: of one answer; uploads and long analyses are cut into shorter requests.
    """

    url: str = ""
    key: str | None = field(default=None, repr=False)
    admin: tuple[str, str] | None = field(default=None, repr=False)
    timeout_s: float = 60.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Connection:
        """Return what `FACEFLEET_URL`, `_KEY`, `_ADMIN_USER` and `_ADMIN_PASSWORD` say."""
        given = os.environ if environment is None else environment
        password = given.get("FACEFLEET_ADMIN_PASSWORD")
        return cls(
            given.get("FACEFLEET_URL") or DEFAULT_URL,
            given.get("FACEFLEET_KEY") or None,
            (given.get("FACEFLEET_ADMIN_USER") or "admin", password) if password else None,
        )

    @property
    def origin(self) -> str:
        """Return the address that paths are put after."""
        url = (self.url or DEFAULT_URL).rstrip("/")
        return url if "://" in url else f"http://{url}"


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request and what its answer means.

    Attributes:
        method: of HTTP.
        path: below the service's address, or a whole address that bears its own permission.
        read: makes the result of a successful answer.
        who: whose permission it needs.
        query: parameters; None for one that is left out.
        json: a body.
        picture: gives a file's name and bytes for the form field `image`; called off the event loop.
        content: a body as it is.
        headers: beside those of the key.
        is_repeatable: sending it again does no harm, even where the first may have arrived.
        follows: go where a redirect leads, without the key.
        expected: statuses that are no refusals beside 2xx.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    who: Who = "key"
    query: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    picture: Callable[[], tuple[str, bytes]] | None = None
    content: Callable[[], bytes] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_repeatable: bool = True
    follows: bool = False
    expected: tuple[int, ...] = ()

    def auth(self, connection: Connection) -> httpx.Auth:
        """Return the administrator's name and password where the call needs them."""
        if self.who == "admin" and connection.admin is not None:
            return httpx.BasicAuth(*connection.admin)
        return httpx.Auth()  # nothing; without it, a .netrc file would decide

    def request(self, client: httpx.Client | httpx.AsyncClient, connection: Connection) -> httpx.Request:
        """Return what is put on the wire."""
        headers = dict(self.headers)
        if self.who == "key" and connection.key:
            headers["X-API-Key"] = connection.key
        picture = self.picture() if self.picture else None
        url = self.path if "://" in self.path else f"{connection.origin}{self.path}"
        params = {name: value for name, value in self.query.items() if value is not None}
        return client.build_request(
            self.method,
            url,
            params=params or None,
            json=self.json,
            files=None if picture is None else {"image": picture},
            content=self.content() if self.content else None,
            headers=headers,
        )


def as_result(cls: type[R]) -> Callable[[httpx.Response], R]:
    """Return a reader of JSON answers of this class."""

    def reader(response: httpx.Response) -> R:
        return read(cls, answer_json(response))

    return reader


def answer_json(response: httpx.Response) -> Any:  # noqa: ANN401 - JSON
    """Return an answer's JSON.

    Raises:
        UnreadableAnswer: it is none.
    """
    try:
        return response.json()
    except ValueError as error:
        message = f"{response.request.url.host} answers something that is no JSON; is this Facefleet?"
        raise UnreadableAnswer(message) from error


def described(method: F, build: Callable[..., Any]) -> F:
    """Give a method the name, the text and the parameters of what builds its call."""
    signature = inspect.signature(build)
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    named: Any = method
    named.__name__, named.__doc__ = build.__name__, build.__doc__
    named.__signature__ = signature.replace(parameters=[own, *signature.parameters.values()])
    return method


def nothing(_: httpx.Response) -> None:
    """Read an answer that says nothing but that it is done."""


def content(response: httpx.Response) -> bytes:
    """Read an answer's bytes."""
    return response.content


def segment(text: str) -> str:
    """Return a name as one segment of a path, whatever characters it has."""
    return quote(text, safe="")


def said_once(idempotency_key: str | None) -> dict[str, str]:
    """Return the header by which a repeated try is the same request; without a key one is made."""
    return {"Idempotency-Key": idempotency_key or f"client-{uuid.uuid4().hex}"}


def without_nones(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return the fields that were given."""
    return {name: value for name, value in fields.items() if value is not None}
