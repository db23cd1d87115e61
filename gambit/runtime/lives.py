"""The number of a life, the epoch in every client order id: one more than that of the life before.

A restore takes back lives whose orders the venues know: plan numbers, and so ids, would come again, and what those
lives left would be taken for another daemon's. It therefore leaves a number here that the next life at least has, made
of the clock: ten minutes to a number, for no daemon is started more often for long.
"""

from pathlib import Path
from typing import Final

from gambit.journal.disk import write_whole
from gambit.runtime.process import ProcessError

FILE: Final = "epoch"  # in the state directory
SINCE_NS: Final = 1_577_836_800 * 10**9  # 2020; four base-36 digits of an id last until 2051
EACH_NS: Final = 600 * 10**9


def skip_lost_lives(state_dir: Path, now_ns: int) -> None:
    """Lives may be lost: the next one's number is beyond theirs. Durable when this returns. Raises OSError."""
    write_whole(state_dir / FILE, b"%d\n" % max((now_ns - SINCE_NS) // EACH_NS, 1))


def next_epoch(state_dir: Path, last: int) -> int:
    """The number of the life after life `last`. Raises ProcessError for a file that cannot be read."""
    path = state_dir / FILE
    try:
        text = path.read_text("ascii", "replace").strip()
    except FileNotFoundError:
        return last + 1
    except OSError as error:
        raise ProcessError(f"{path}: cannot be read: {error.strerror}") from error
    if not text.isdecimal():
        raise ProcessError(f"{path}: {text[:40]!r} is no number; write one into it that is beyond every life there was")
    return max(last + 1, int(text))
