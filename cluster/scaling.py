"""How many replicas there shall be, by hand: a wish for each deployment, over the shape that was started.

    "ingress=4" -> always four    "ingress=2-8" -> as load wants it    "ingress=auto" -> as the shape says

Wishes stay until the next start, or until they are taken back.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import Any, Final

from deployments.args import POOL_PREFIX, AppArgs

#: What deployments are called in a shape; the task runner and the ingress are always there.
ALWAYS: Final = ("ingress", "tasks")
COUNTS: Final = ("min_replicas", "max_replicas")
_WISH: Final = re.compile(r"(?P<name>[\w.-]+)=(?:(?P<auto>auto)|(?P<least>\d+)(?:-(?P<most>\d+))?)")


class BadWish(Exception):
    """A wish that makes no sense; the text tells why."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How many replicas of a part of the shape there shall be; None as the shape says."""

    part: str
    counts: tuple[int, int] | None


def read_wish(text: str) -> Wish:
    """Return what a word like `ingress=4` wishes for.

    Raises:
        BadWish: it cannot be read.
    """
    found = _WISH.fullmatch(text)
    if found is None:
        message = f"{text!r}: say it like ingress=4, ingress=2-8 or ingress=auto"
        raise BadWish(message)
    name = found["name"]
    part = "detector" if name.startswith(POOL_PREFIX) else name
    if found["auto"]:
        return Wish(part, None)
    least = int(found["least"])
    most = int(found["most"] or least)
    if not 1 <= least <= most:
        message = f"{text!r}: at least one replica, and no fewer at most than at least"
        raise BadWish(message)
    return Wish(part, (least, most))


def scaled(
    shape: dict[str, Any], now: dict[str, Any], wishes: list[Wish], *, has_gpu: bool
) -> dict[str, Any]:
    """Return a configuration with these wishes in it.

    Args:
        shape: the configuration that was started.
        now: the same with earlier wishes.
        wishes: what is wished for.
        has_gpu: whether there are GPUs, by which a shape decides where stages live.

    Raises:
        BadWish: a part does not run in this shape.
    """
    made = copy.deepcopy(now)
    (application,) = made["applications"]
    args = application.setdefault("args", {})
    (started,) = shape["applications"]
    there = parts(AppArgs.model_validate(args), has_gpu=has_gpu)
    for wish in wishes:
        if wish.part not in there:
            message = f"{wish.part} does not run in this shape; what does: {', '.join(there)}"
            raise BadWish(message)
        part = args[wish.part] = dict(args.get(wish.part) or {})
        for index, count in enumerate(COUNTS):
            part.pop(count, None)
            if wish.counts is not None:
                part[count] = wish.counts[index]
            elif count in (started.get("args", {}).get(wish.part) or {}):
                part[count] = started["args"][wish.part][count]
    return made


def parts(args: AppArgs, *, has_gpu: bool) -> tuple[str, ...]:
    """Return which parts of a shape have replicas."""
    placement = args.placement.resolved(has_gpu=has_gpu)
    behind = args.model_copy(update={"placement": placement}).behind_ingress()
    names = ["detector" if name.startswith(POOL_PREFIX) else name for name in behind]
    return (*ALWAYS, *dict.fromkeys(names))
