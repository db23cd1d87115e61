"""Which books may be believed: what changed since the last look, as facts with reasons, and how often for which.

The market counts changes (`pairs.changes`); look whenever that differs from `seen`, so that nothing that happened to a
book between two reads of a socket goes unnoticed, and looking costs nothing while nothing happened.
"""

from collections import Counter
from typing import Final

from gambit.engine.market import Market
from gambit.events.feed import BookLost, BookSynced

State = tuple[bool, int, int, int, int, int, int]  # as pairs.states() has it
SYNCED, CONN, MOVED = 0, 1, 2
CAUSES: Final = ((3, "gap"), (4, "checksum"), (5, "crossed"), (6, "bad_frame"))
DISCONNECTED, UNREADABLE, TAKEN_OVER = "disconnected", "unreadable", "taken_over"
REASONS: Final = (*(reason for _at, reason in CAUSES), DISCONNECTED, UNREADABLE, TAKEN_OVER)  # all there are
NEVER: Final[State] = (False, -1, -1, 0, 0, 0, 0)


class BookHealth:
    """The states of all books as of the last look."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.states: list[State] = []
        self.seen = -1
        self.lost: Counter[tuple[str, str]] = Counter()  # (venue, reason)

    def refresh(self) -> None:
        """Read the states again, whether or not a book was won or lost: when each moved last. After a look."""
        self.states = self.market.pairs.states()

    def look(self) -> list[BookLost | BookSynced]:
        """What became of the books since the last look; refreshes `states`."""
        before, self.states = self.states, self.market.pairs.states()
        self.seen = self.market.pairs.changes
        facts: list[BookLost | BookSynced] = []
        for market, now in enumerate(self.states):
            facts += self._compare(market, before[market] if market < len(before) else NEVER, now)
        return facts

    def _compare(self, market: int, was: State, now: State) -> list[BookLost | BookSynced]:
        venue, symbol = self.market.listings[market]
        reasons = [reason for at, reason in CAUSES if now[at] > was[at]]
        if was[SYNCED] and not now[SYNCED] and not reasons:
            reasons = [DISCONNECTED if now[CONN] < 0 else UNREADABLE]
        if was[SYNCED] and now[SYNCED] and now[CONN] != was[CONN] and not reasons:
            reasons = [TAKEN_OVER]
        facts: list[BookLost | BookSynced] = []
        if reasons and (was[SYNCED] or now[SYNCED]):
            self.lost[venue, reasons[0]] += 1
            facts.append(BookLost(venue=venue, symbol=symbol, reason=reasons[0]))
        if now[SYNCED] and (facts or not was[SYNCED]):
            facts.append(BookSynced(venue=venue, symbol=symbol))
        return facts
