"""What the app is told of the machinery that it runs on, by whoever starts it.

The app knows neither Ray nor the networks' files; the composition root does, and says what there is to show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """How a deployment is.

    Attributes:
        name: of it.
        running: replicas that take requests.
        wanted: replicas that there should be.
        status: in a word, such as `HEALTHY`.
        message: what is wrong, where something is.
    """

    name: str
    running: int
    wanted: int
    status: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A network that is in use.

    Attributes:
        name: of it.
        task: what it does, such as `detect`.
        licence: under which its weights may be used.
        source: who made them.
        is_commercial: whether it may be used commercially.
    """

    name: str
    task: str
    licence: str
    source: str
    is_commercial: bool


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """Something that computes."""

    name: str
    detail: str


class Fleet(Protocol):
    """Everything that runs for this service."""

    @property
    def models(self) -> tuple[ModelFacts, ...]:
        """List the networks in use."""

    @property
    def devices(self) -> tuple[DeviceFacts, ...]:
        """List what computes."""

    async def deployments(self) -> tuple[DeploymentState, ...]:
        """Tell how the deployments are now; none where that cannot be told."""
