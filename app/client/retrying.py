"""When a call is sent again, and after how long. Pure: the clients sleep, this decides.

429, 503        the service did not do it: again, when Retry-After says, or with growing pauses
no connection   nothing arrived: again
500, 502, 504, a broken connection   it may have been done: again if that does no harm
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx

from app.client.errors import ApiError, Unreachable, error_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.client.call import Call
    from app.client.errors import ClientError

_NOT_DONE = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_PERHAPS_DONE = frozenset(
    {HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}
)
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient a client is.

    Attributes:
        tries: how often a call is sent at most.
        first_s: the first pause; each next one is twice as long.
        longest_s: no pause is longer, unless the service asks for it.
        patience_s: all pauses of a call together; a longer Retry-After is told to the caller instead.
        fault_tries: how often a call is sent that the service breaks at.
    """

    tries: int = 6
    first_s: float = 0.5
    longest_s: float = 20.0
    patience_s: float = 120.0
    fault_tries: int = 4


@dataclass(slots=True)
class Attempts:
    """The tries of one call.

    Attributes:
        call: what is sent.
        policy: how often.
        heard: told of each refusal that leads to a pause, with the pause.
    """

    call: Call[Any]
    policy: RetryPolicy
    heard: Callable[[ClientError, float], None] | None = None
    chance: Callable[[], float] = random.random
    made: int = field(default=0, init=False)
    faults: int = field(default=0, init=False)
    waited_s: float = field(default=0.0, init=False)

    def pause_s(self, outcome: httpx.Response | httpx.TransportError) -> float | None:
        """Return how long to wait before the next try; None where the answer is one to read.

        Raises:
            ClientError: there is no next try.
        """
        self.made += 1
        if isinstance(outcome, httpx.Response) and (
            outcome.is_success or outcome.status_code in self.call.expected
        ):
            return None
        error, may_repeat = self._judge(outcome)
        asked_s = error.retry_after_s if isinstance(error, ApiError) else None
        pause = self._own_pause_s() if asked_s is None else asked_s + self.chance() * 0.2
        if not may_repeat or self.made >= self.policy.tries or self.waited_s + pause > self.policy.patience_s:
            raise error
        self.waited_s += pause
        if self.heard is not None:
            self.heard(error, pause)
        return pause

    def _judge(self, outcome: httpx.Response | httpx.TransportError) -> tuple[ClientError, bool]:
        if isinstance(outcome, httpx.Response):
            status = outcome.status_code
            may_repeat = status in _NOT_DONE
            if status in _PERHAPS_DONE and self.call.is_repeatable:
                self.faults += 1
                may_repeat = self.faults < self.policy.fault_tries
            return error_of(outcome), may_repeat
        error = Unreachable(_in_words(outcome))
        error.__cause__ = outcome
        return error, isinstance(outcome, _NEVER_SENT) or self.call.is_repeatable

    def _own_pause_s(self) -> float:
        full: float = min(self.policy.longest_s, self.policy.first_s * 2 ** (self.made - 1))
        # Clients that were refused together shall not come back together.
        share: float = 0.5 + self.chance() / 2
        return full * share


def _in_words(error: httpx.TransportError) -> str:
    try:
        place = f"{error.request.url.scheme}://{error.request.url.netloc.decode()}"
    except RuntimeError:  # it was not told which request it was
        place = "the service"
    if isinstance(error, httpx.TimeoutException):
        return f"{place} did not answer in time"
    if isinstance(error, _NEVER_SENT):
        return f"nothing answers at {place}: {error}"
    return f"the connection to {place} broke: {error}"
