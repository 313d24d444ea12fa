"""What a key may ask for: requests a minute, tasks at once, minutes of media a month, libraries.

The names and figures of the public plans are fixed; an operator changes them, or adds others, with one
setting. A key of a plan that nobody defined, as keys are made, has the service to itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Mapping


class Plan(BaseModel):
    """The limits of a plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_minute: int = Field(ge=1)
    concurrent_tasks: int = Field(ge=1)
    monthly_minutes: int | None = Field(default=None, ge=0, description="None for no limit.")
    libraries: int | None = Field(default=None, ge=0, description="None for no limit.")
    persons_per_library: int | None = Field(default=None, ge=0, description="None for no limit.")


PUBLIC_PLANS: Final[Mapping[str, Plan]] = {
    "free": Plan(requests_per_minute=60, concurrent_tasks=2, monthly_minutes=60),
    "starter": Plan(requests_per_minute=300, concurrent_tasks=8, monthly_minutes=1_000),
    "scale": Plan(requests_per_minute=1_200, concurrent_tasks=32, monthly_minutes=10_000),
    "enterprise": Plan(requests_per_minute=6_000, concurrent_tasks=128),
}
#: The plan of keys that nobody gave one.
DEFAULT_PLAN: Final = "default"


class Plans:
    """All plans by name.

    Args:
        changed: what the operator says otherwise; an entry named `default` is for keys of unknown plans.
    """

    def __init__(self, changed: Mapping[str, Plan] | None = None) -> None:
        self._plans = {DEFAULT_PLAN: PUBLIC_PLANS["enterprise"], **PUBLIC_PLANS, **(changed or {})}

    def of(self, name: str | None) -> Plan:
        """Return the plan of this name, in any case; unknown ones are the default."""
        return self._plans.get((name or DEFAULT_PLAN).lower(), self._plans[DEFAULT_PLAN])
