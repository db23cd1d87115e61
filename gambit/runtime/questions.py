"""The desk's questions to a venue that takes few of them (Kraken: a counter that falls by one in three seconds): they
wait here, unworded, until there is room, for a request that waits with its nonce is refused as old.

Each question waits once, however often it is asked again; the newest of its kind keeps the place of the first. Those
that an order in doubt waits for come first, in the order in which they were first asked, so that none starves another;
questions about orders that the venue can answer together are taken together.
"""

from typing import Final

import msgspec

from gambit.commands import QueryBalances, QueryFills, QueryOrder

Question = QueryOrder | QueryFills | QueryBalances
TOGETHER_MAX: Final = 20  # orders in one request
APART_NS: Final = 60_000_000_000  # after one of several was unknown, which may answer for none of them
NAMELESS_NS: Final = 2_000_000_000  # between two questions about an order of which the venue has told no name
KEPT_MAX: Final = 1000


class Questions:
    """Those of one account that have not left."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], Question] = {}
        self._asked_ns: dict[str, int] = {}  # by key, of those without a name
        self._apart_until_ns = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, question: Question, now_ns: int) -> None:
        """Ask it when there is room. An order that the venue has told no name of costs two lists, open and closed ones:
        asked again too soon it is left out, and asked again by the desk."""
        name = _name(question)
        if isinstance(question, QueryOrder) and now_ns - self._asked_ns.get(question.key, -NAMELESS_NS) < NAMELESS_NS:
            return
        before = self._waiting.get(name)
        if isinstance(question, QueryFills) and isinstance(before, QueryFills):
            question = msgspec.structs.replace(
                question,
                since_ns=min(question.since_ns, before.since_ns),
                is_awaited=question.is_awaited or before.is_awaited,
            )
        self._waiting[name] = question

    def part(self, now_ns: int) -> None:
        """Several were refused for one that the venue does not know: each is asked about by itself for a while."""
        self._apart_until_ns = now_ns + APART_NS

    @property
    def is_urgent(self) -> bool:
        """Whether the next one is waited for by an order."""
        return any(_is_urgent(question) for question in self._waiting.values())

    @property
    def units(self) -> int:
        """What the next one takes of the counter: a list of executions two, anything else one."""
        first = self._first()
        return 2 if isinstance(first, QueryFills) else 1

    def _first(self) -> Question | None:
        waiting = self._waiting.values()
        return next((one for one in waiting if _is_urgent(one)), None) or next(iter(waiting), None)

    def take(self, now_ns: int) -> list[Question]:
        """The next one, or the next orders that are asked about together; empty: none waits."""
        waiting, first = self._waiting.values(), self._first()
        if first is None:
            return []
        taken: list[Question] = [first]
        if isinstance(first, QueryOrder) and first.venue_order_id:
            if now_ns >= self._apart_until_ns:
                alike = (o for o in waiting if isinstance(o, QueryOrder) and o.venue_order_id and o is not first)
                taken += list(alike)[: TOGETHER_MAX - 1]
        elif isinstance(first, QueryOrder):
            if len(self._asked_ns) >= KEPT_MAX:
                self._asked_ns.clear()
            self._asked_ns[first.key] = now_ns
        for one in taken:
            del self._waiting[_name(one)]
        return taken


def _name(question: Question) -> tuple[str, str]:
    match question:
        case QueryOrder():
            return "order", question.key
        case QueryFills():
            return "fills", question.symbol
        case QueryBalances():
            return "balances", ""


def _is_urgent(question: Question) -> bool:
    return isinstance(question, QueryOrder) or (isinstance(question, QueryFills) and question.is_awaited)
