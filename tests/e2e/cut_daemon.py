"""`python -m tests.e2e.cut_daemon FILE CUT`: the daemon of tests.e2e.armed with a place to be killed at.

While the file CUT is there, a plan's second create is not handed over: "cut VENUE" is printed, and the daemon stands
still (CUT says "deaf"), so that it cannot hear what became of the first, or goes on without that create.
"""

import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from gambit.commands import Command, PlaceOrder
from gambit.events import Fact
from gambit.runtime.daemon import Daemon
from tests.e2e.armed import run


class Cut:
    """Looks at every create on its way to its port."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.plans: set[str] = set()

    def between(self, daemon: Daemon) -> None:
        """Stand between the desk's shell and the ports."""
        dealing = daemon.parts.dealing
        hand_over = dealing._hand_over

        def handing(command: Command) -> Sequence[Fact]:
            if not isinstance(command, PlaceOrder) or command.intent.purpose != "entry":
                return hand_over(command)
            is_second = command.intent.plan_id in self.plans
            self.plans.add(command.intent.plan_id)
            if not is_second or not self.file.exists():
                return hand_over(command)
            print(f"cut {command.intent.venue}", flush=True)
            if self.file.read_text() == "deaf":
                threading.Event().wait()
            return ()

        dealing._hand_over = handing  # type: ignore[method-assign]


if __name__ == "__main__":
    raise SystemExit(run(Path(sys.argv[1]), Cut(Path(sys.argv[2])).between))
