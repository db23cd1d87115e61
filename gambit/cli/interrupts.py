"""What Ctrl-C does: while modules load it ends the process at once, while a command works it raises KeyboardInterrupt.

Python raises KeyboardInterrupt wherever it happens to be, also inside the import machinery, which prints or swallows
it. So the exception is let in only where somebody waits for it.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_CODE = 130


def leave_at_once() -> None:
    """From now on Ctrl-C ends the process without a word; if it was ignored (a background job) it stays so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


@contextmanager
def heeded() -> Iterator[None]:
    """Inside, Ctrl-C raises KeyboardInterrupt."""
    if signal.getsignal(signal.SIGINT) is not _leave:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, _leave)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    os._exit(EXIT_CODE)
