"""Lists of executions over the library are whole, or known not to be."""

from typing import Any

import pytest

from gambit.venues.generic_pages import PAGES_MAX, Pages, Row

FULL = 10


class Exchange:
    """Has executions and gives a page of them: the oldest or the latest; some heed no end."""

    def __init__(self, times: list[int], *, gives_oldest: bool, heeds_end: bool = True) -> None:
        self.rows: list[dict[str, Any]] = [{"id": str(k), "timestamp": at} for k, at in enumerate(times)]
        self.gives_oldest, self.heeds_end = gives_oldest, heeds_end
        self.asked = 0

    async def page(self, since_ms: int, until_ms: int | None) -> list[Row]:
        """As the library gives it, the oldest first."""
        self.asked += 1
        end = (
            until_ms if until_ms is not None and self.heeds_end else max([0, *(row["timestamp"] for row in self.rows)])
        )
        fit: list[Row] = [row for row in self.rows if since_ms <= row["timestamp"] <= end]
        return fit[:FULL] if self.gives_oldest else fit[-FULL:]


@pytest.mark.parametrize("gives_oldest", [True, False])
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 35])
async def test_every_page_is_read(count: int, gives_oldest: bool) -> None:
    """Whichever end the exchange begins with; each once; two may have one time."""
    exchange = Exchange([1000 + k // 2 for k in range(count)], gives_oldest=gives_oldest)
    pages = Pages(exchange.page, 1000, FULL)
    await pages.read()
    assert pages.is_whole
    assert sorted(int(row["id"]) for row in pages.rows) == list(range(count))
    assert exchange.asked == 1 or count >= FULL


async def test_what_is_not_whole_is_known() -> None:
    """The latest alone of an exchange that heeds no end; more in one ms than a page has; more pages than are read."""
    latest = Pages(Exchange(list(range(35)), gives_oldest=False, heeds_end=False).page, 0, FULL)
    crowd = Pages(Exchange([7] * 11, gives_oldest=True).page, 0, FULL)
    many = Exchange(list(range(FULL * PAGES_MAX * 2)), gives_oldest=True)
    long = Pages(many.page, 0, FULL)
    for pages in (latest, crowd, long):
        await pages.read()
        assert not pages.is_whole
    assert many.asked <= PAGES_MAX
    oldest = Pages(Exchange(list(range(35)), gives_oldest=True, heeds_end=False).page, 0, FULL)
    await oldest.read()
    assert (oldest.is_whole, len(oldest.rows)) == (True, 35)
