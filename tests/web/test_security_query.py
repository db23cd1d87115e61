"""S36, S37: nothing that comes over the network is SQL, and a filter lets pass what is equal to it and nothing else."""

from typing import Any
from urllib.parse import quote

import pytest

from gambit.access.permissions import RULES, Role
from gambit.web.routes import ROUTES
from tests.web.answers import answers
from tests.web.rig import rig

HOSTILE = (
    "BTC-USDT' OR '1'='1", 'BTC-USDT" --', "BTC-USDT'; DROP TABLE orders; --", "BTC-USDT UNION SELECT * FROM users",
    "%", "_", "BTC%", "BTC-USDT/**/", "\\", "*", "\u0412TC-USDT", "BTC\u2010USDT", "BTC-USDT\u0000",
)  # fmt: skip
FILTERS = (
    ("/market/snapshot", "symbol"), ("/market/snapshot", "venue"), ("/arb/opportunities", "venue"),
    ("/orders", "symbol"), ("/orders", "venue"), ("/orders", "status"), ("/plans", "symbol"), ("/alerts", "scope"),
)  # fmt: skip


def test_s36_no_sql_over_the_network():
    """SQL is for who may read the files: copies are handed out at the local door only, and no route asks for text of
    that kind (what `gambit query` may do itself: test_kept.py)."""
    assert RULES["snapshot"].is_local
    assert [route.path for route in ROUTES if "query" in route.path or "sql" in route.path] == []
    words = {name for route in ROUTES for part in (route.query, route.body) if part for name in part.__struct_fields__}
    assert not words & {"sql", "query", "statement", "where", "order_by", "sort"}


@pytest.mark.parametrize(("path", "name"), FILTERS)
async def test_s37_a_filter_is_a_value(path: str, name: str):
    """It reaches its method letter by letter, or is refused; never anything in between."""
    async with rig() as door:
        door.answers |= answers()
        token = await door.token(Role.TRADER)
        for text in HOSTILE:
            before = len(door.calls)
            reply = await door.ask("GET", f"{path}?{name}={quote(text)}", token)
            calls: list[Any] = door.calls[before:]
            if reply.status == 200:
                assert getattr(calls[-1][1], name) == text
            else:
                assert reply.status in (404, 422), (text, reply.status)
