"""What a long fetch tells to whoever waits for it."""

from __future__ import annotations

from typing import Protocol


class Listener(Protocol):
    """Someone who waits for weights: a progress bar, a log, or nobody."""

    def said(self, text: str) -> None:
        """Take a line worth reading."""

    def moved(self, done: int, total: int | None) -> None:
        """Take how many bytes of the current file are here, and of how many where that is known."""


class Silent:
    """A listener that does not care."""

    def said(self, text: str) -> None:
        """Ignore the line."""

    def moved(self, done: int, total: int | None) -> None:
        """Ignore the count."""
