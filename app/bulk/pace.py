"""How many tasks are under way at once: more while the service keeps up, fewer when it says stop.

The service is fed well when a few tasks of ours always wait there: none waiting means that it could have
worked, many waiting means that they only grow old. Pure: the job tells what it sees.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST = 8
#: Waiting tasks beyond this many for each running one are too many.
MOST_WAITING_PER_RUNNING = 2
FEW = 4
SOONEST_S, LATEST_S, LATEST_UNDER_LIMITS_S = 0.25, 3.0, 15.0


@dataclass(slots=True)
class Pace:
    """The number of tasks at once, and how often they are asked about.

    Attributes:
        most: no more than this, whatever the service could do.
        window: the number now.
        poll_s: seconds between looks.
    """

    most: int
    window: int = FIRST
    poll_s: float = SOONEST_S
    was_refused: bool = False

    def __post_init__(self) -> None:
        self.window = min(self.window, self.most)

    def seen(self, waiting: int, running: int, ended: int) -> None:
        """Take in what a look at the service showed of our tasks."""
        if self.was_refused:
            self.was_refused = False  # one look without growing
        elif waiting > FEW + MOST_WAITING_PER_RUNNING * running:
            self.window = max(1, running + FEW, int(self.window * 0.8))
        elif waiting <= FEW // 2:
            self.window = min(self.most, max(self.window + 1, int(self.window * 1.5)))
        latest = max(LATEST_S, self.poll_s) if ended == 0 else LATEST_S
        factor = 0.7 if ended else 1.3
        self.poll_s = max(SOONEST_S, min(self.poll_s * factor, latest))

    def refused(self) -> None:
        """Take in that the service answered 429 or 503: half as much, asked half as often."""
        self.window = max(1, self.window // 2)
        self.poll_s = min(LATEST_UNDER_LIMITS_S, self.poll_s * 2)
        self.was_refused = True
