"""``python -m gambit.drills.worker NAME...``: plays these drills and says what came of each, a line of JSON a time."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Sequence

import msgspec
import uvloop

from gambit.drills.crew import Line
from gambit.drills.runner import Rehearsal, chosen
from gambit.runtime.process import end_with_parent


def main(names: Sequence[str]) -> int:
    """Play them; 130 when it is interrupted. Whoever started it may go without a word: then it ends too."""
    end_with_parent()
    logging.getLogger().addHandler(logging.NullHandler())  # libraries' complaints about faults are no news

    def say(line: Line) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
        sys.stdout.buffer.flush()

    rehearsal = Rehearsal(
        chosen(names), lambda result: say(Line(result=result)), lambda scenario: say(Line(begun=scenario.id))
    )
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(rehearsal.run())
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
