"""The opportunities that are open now, and the ones of late: what every screen shows.

Fed with the dicts of gambit.engine.opportunity in their order; an episode is on the board from its first signal to its
end, with the numbers of its latest signal.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from gambit._core.score import rank

RECENT_KEPT = 500
NAME = ("symbol", "venue_buy", "venue_sell", "symbol_buy", "symbol_sell", "recv_ns")


class Board:
    """Open episodes by their id, and the latest ended ones, newest last."""

    def __init__(self, recent: int = RECENT_KEPT) -> None:
        self.open: dict[str, dict[str, Any]] = {}
        self.ended: deque[dict[str, Any]] = deque(maxlen=recent)
        self.raised = 0
        self.closed = 0

    def take(self, event: Mapping[str, Any]) -> None:
        """A signal or an episode's end."""
        episode = event["raw_signal_id"]
        if event["event"] == "raised":
            self.raised += 1
            first = self.open.get(episode)
            since_ns = first["since_ns"] if first else event["recv_ns"]
            self.open[episode] = {**event, "since_ns": since_ns}
            return
        self.closed += 1
        last = self.open.pop(episode, None)
        if last is not None:
            self.ended.append({**last, **event, "raised_ns": last["recv_ns"]})

    def top(self, n: int, *, symbols: Sequence[str] = (), venues: Sequence[str] = ()) -> list[dict[str, Any]]:
        """The best open ones, best first (formulas.md, "Ranking"); filters that are empty let everything pass."""
        found = [
            event
            for event in self.open.values()
            if (not symbols or event["symbol"] in symbols)
            and (not venues or event["venue_buy"] in venues or event["venue_sell"] in venues)
        ]
        by_name = {tuple(event[part] for part in NAME): event for event in found}
        keys = [(e["score"], e["net_bps"], e["profit_quote"], name) for name, e in by_name.items()]
        return [by_name[key[3]] for key in rank(keys, n)]

    def recent(self, n: int) -> list[dict[str, Any]]:
        """The latest that ended, newest first."""
        return [self.ended[-k] for k in range(1, min(n, len(self.ended)) + 1)]
