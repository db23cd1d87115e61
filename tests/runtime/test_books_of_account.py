"""Rows of orders and opportunities as the outside is given them."""

from types import SimpleNamespace
from typing import Any

import pytest

from gambit.engine.board import Board
from gambit.model import rfc3339
from gambit.runtime import books_of_account, operations
from gambit.surface.methods import Rows


def test_the_newest_live_orders_are_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more than were asked for the oldest were shown: they were cut before they were put in order."""
    made = {f"gb{at}": SimpleNamespace(intended_ns=at) for at in (1, 3, 2)}
    row = {"symbol": "BTC-USDT", "venue": "okx", "status": "submitted"}
    monkeypatch.setattr(books_of_account, "_order", lambda order: {**row, "created_ns": order.intended_ns})
    desk: Any = SimpleNamespace(standing=SimpleNamespace(live=made))
    found = books_of_account.orders(desk, Rows(open_only=True, limit=2))
    assert [one["created_ns"] for one in found] == [3, 2]


def test_an_opportunity_is_dated_as_in_the_database() -> None:
    """`created_at` belongs to `opp_id`: of a signal that was raised again it is not that of its episode's first."""
    names = ("symbol", "base_asset", "quote_asset", "venue_buy", "venue_sell", "qty", "symbol_buy", "symbol_sell")
    numbers = ("net_bps", "spread_bps", "profit_quote", "score", "ttl_sec")
    raised = {"event": "raised", "raw_signal_id": "r", **dict.fromkeys(names, "x"), **dict.fromkeys(numbers, 1.0)}
    board = Board()
    board.take({**raised, "opp_id": "first", "recv_ns": 10})
    board.take({**raised, "opp_id": "again", "recv_ns": 20})
    (still,) = board.top(1)
    board.take({"event": "closed", "raw_signal_id": "r", "recv_ns": 30, "reason": "stale"})
    for row, closed_ns in ((operations._opportunity(still), None), (operations._opportunity(board.ended[-1]), 30)):
        assert (row["opp_id"], row["created_at"], row["raised_ns"]) == ("again", rfc3339(20), 10)
        assert row["closed_ns"] == closed_ns
