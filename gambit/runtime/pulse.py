"""After the frames of a socket's buffer: what they raised is named, timed, written down and told, in that order.

Runs on the loop, often, and mostly finds nothing; so the first line decides. A listener that raises is a defect and
ends the daemon's trading, not the feed: it is told to `on_defect`, and the others still hear the event.
"""

from collections.abc import Callable
from typing import Any, Protocol

from gambit.engine.board import Board
from gambit.engine.market import Market
from gambit.events import SIGNAL_CLOSED, SIGNAL_RAISED
from gambit.journal import JournalFailed
from gambit.jsons import kept_json
from gambit.runtime.clock import Clock

Event = dict[str, Any]


class Journal(Protocol):
    """Where signals are written down."""

    def append(self, kind: str, body: bytes, ts_ns: int) -> int: ...


class Pulse:
    """Call it after each batch of frames.

    `on_latency` hears, for each signal, ns from the frame's arrival to the signal being ready; listeners hear every
    signal and episode end as the dict of contract.md.
    """

    def __init__(
        self,
        market: Market,
        clock: Clock,
        journal: Journal,
        board: Board,
        *,
        on_latency: Callable[[int], None],
        on_defect: Callable[[BaseException], None],
    ) -> None:
        self.market = market
        self.pairs = market.pairs
        self.clock = clock
        self.journal = journal
        self.board = board
        self.on_latency = on_latency
        self.on_defect = on_defect
        self.listeners: list[Callable[[Event], None]] = []

    def __call__(self) -> None:
        if not self.pairs.pending[0]:
            return
        events = self.market.opportunities()
        ready_ns = self.clock.now_ns()
        for event in events:
            is_raised = event["event"] == "raised"
            at_ns: int = event["recv_ns"]  # type: ignore[assignment]
            if is_raised:
                self.on_latency(ready_ns - at_ns)
            self.board.take(event)
            try:
                self.journal.append(SIGNAL_RAISED if is_raised else SIGNAL_CLOSED, kept_json(event), at_ns)
            except JournalFailed as error:  # the feed goes on, to be looked at; nobody acts on what is not written
                self.on_defect(error)
                continue
            for listener in self.listeners:
                self._tell(listener, event)

    def _tell(self, listener: Callable[[Event], None], event: Event) -> None:
        try:
            listener(event)
        except Exception as error:
            self.on_defect(error)
