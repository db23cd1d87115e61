"""A list of executions over ccxt, page by page: the library gives one, and some exchanges begin with the oldest, others
with the latest.

From the first page on it is asked for what is later, then for what is before; a page of fewer rows than were asked for
is the last one of its direction. Where the next page cannot be had the list is not whole, and who asks knows.
"""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, Final

PAGES_MAX: Final = 30
FULL: Final = 100  # rows asked for at once; no exchange has a lower bound that it does not tell
LEAST: Final = 50  # what a page has at least where the library knows of no bound to ask for

Row = Mapping[str, Any]
Ask = Callable[[int, int | None], Awaitable[Sequence[Row]]]


class Pages:
    """The rows of a list from `since_ms` on, each once. `ask(since_ms, until_ms)` gives a page, within both where the
    exchange heeds the second one; one of fewer than `full` rows is the last."""

    def __init__(self, ask: Ask, since_ms: int, full: int) -> None:
        self.is_whole = False
        self._ask = ask
        self._since_ms = since_ms
        self._full = full
        self._found: dict[Hashable, Row] = {}
        self._asked = 0

    @property
    def rows(self) -> list[Row]:
        """What was found so far."""
        return list(self._found.values())

    async def read(self) -> None:
        """All pages, PAGES_MAX at most; what `ask` raises goes on."""
        first, _ = await self._page(self._since_ms, None)
        if len(first) < self._full:
            self.is_whole = True
            return
        is_ended, is_forward = await self._go_on(first)
        if is_ended:
            self.is_whole = await self._go_back(first, is_forward=is_forward)

    async def _go_on(self, page: Sequence[Row]) -> tuple[bool, bool]:
        """What is later; whether it came to the end, and whether there was anything."""
        is_forward = False
        while len(page) >= self._full:
            page, fresh = await self._page(_last_ms(page), None)
            is_forward |= fresh > 0
            if not fresh:
                return len(page) < self._full, is_forward  # else more within one ms than a page has
            if self._asked >= PAGES_MAX:
                return False, is_forward
        return True, is_forward

    async def _go_back(self, page: Sequence[Row], *, is_forward: bool) -> bool:
        """What is before; whether it came to the end. An exchange that heeds no end gives the same page again: that was
        the first one where later ones followed, else nobody knows."""
        while len(page) >= self._full and self._asked < PAGES_MAX:
            until_ms = _first_ms(page)
            page, fresh = await self._page(self._since_ms, until_ms)
            if page and _last_ms(page) > until_ms:
                return is_forward
            if not fresh:
                return len(page) < self._full
        return len(page) < self._full

    async def _page(self, since_ms: int, until_ms: int | None) -> tuple[Sequence[Row], int]:
        """A page, and how many of its rows are new."""
        self._asked += 1
        before = len(self._found)
        page = await self._ask(since_ms, until_ms)
        for row in page:
            name = row.get("id") or (row.get("order"), row.get("timestamp"), row.get("amount"), row.get("price"))
            self._found.setdefault(name, row)
        return page, len(self._found) - before


def _last_ms(page: Sequence[Row]) -> int:
    return max(int(row.get("timestamp") or 0) for row in page)


def _first_ms(page: Sequence[Row]) -> int:
    return min(int(row.get("timestamp") or 0) for row in page)
