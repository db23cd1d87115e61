"""Anything at all to every reader of private messages: never an exception, never another order's fate.

Messages are made of the venues' own field names with values of every kind, so that many get past the first look.
"""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gambit.commands import CancelOrder, QueryBalances, QueryFills, QueryOrder
from gambit.venues.account import Account
from gambit.venues.orders import Accepted, Asked, OrderLanguage, Refused, Report
from tests.venues import (
    test_binance_orders,
    test_bybit_orders,
    test_coinbase_orders,
    test_kraken_orders,
    test_okx_orders,
)
from tests.venues.orderly import ID, NOW_NS, market

LANGUAGES: dict[str, OrderLanguage] = {
    "binance": test_binance_orders.LANGUAGE,
    "okx": test_okx_orders.LANGUAGE,
    "bybit": test_bybit_orders.LANGUAGE,
    "kraken": test_kraken_orders.LANGUAGE,
    "coinbase": test_coinbase_orders.LANGUAGE,
}
WHATS: tuple[Any, ...] = (
    "place", "cancel", "query", "open_orders", "fills", "balances", "fees", "cancel_all_after", "token"
)  # fmt: skip
LACKS = {
    "binance": {"cancel_all_after", "token"},
    "okx": {"token"},
    "bybit": {"cancel_all_after", "token"},
    "kraken": set(),
    "coinbase": {"cancel_all_after", "token"},
}
SPELLINGS = {
    "binance": "BTCUSDT", "okx": "BTC-USDT", "bybit": "BTCUSDT", "kraken": "BTC/USD", "coinbase": "BTC-USD"
}  # fmt: skip
NAMES = (
    "code", "msg", "data", "sCode", "sMsg", "clOrdId", "ordId", "id", "op", "event", "arg", "channel", "e", "x",
    "X", "retCode", "retMsg", "result", "list", "orderId", "orderLinkId", "reqId", "topic", "category",
    "success", "ret_msg", "error", "errors", "method", "req_id", "sequence", "order_id", "exec_type",
    "order_status", "open", "closed", "txid", "descr", "status", "count", "trades", "fees", "token", "expires",
    "triggerTime", "success_response", "error_response", "results", "orders", "order", "events", "sequence_num",
    "type", "fills", "accounts", "cursor", "has_next", "fee_tier", "subscriptions", "balances", "details",
    "coin", "symbol", "side", "clientOrderId", "origClientOrderId",
)  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2**70),
    st.floats(),
    st.sampled_from(
        ["", "0", "1", "buy", "BUY", "NEW", "live", "orders", "executions", "user", "subscribe", "login", ID]
    ),
    st.text(max_size=3),
)
TREES = st.recursive(
    SCALARS,
    lambda inside: st.one_of(
        st.lists(inside, max_size=2), st.dictionaries(st.sampled_from(NAMES), inside, min_size=1, max_size=5)
    ),
    max_leaves=12,
)


def harmless(reports: tuple[Report, ...], about: Asked) -> bool:
    """Whether nothing was accepted under another id."""
    return all(report.client_id == about.client_id for report in reports if isinstance(report, Accepted | Refused))


@pytest.mark.parametrize("venue", LANGUAGES)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(message=TREES, status=st.sampled_from([200, 400, 401, 403, 404, 429, 500, 503]), what=st.sampled_from(WHATS))
def test_answers(venue: str, message: Any, status: int, what: Any) -> None:
    """A server's failure is never a refusal."""
    if what in LACKS[venue]:
        return
    about = Asked(what=what, nonce=7, now_ns=NOW_NS, spelling="BTCUSDT", client_id=ID, venue_id="v")
    got = LANGUAGES[venue].read(about, status, {}, json.dumps(message).encode())
    assert harmless(got.reports, about)
    if status >= 500:
        assert not [report for report in got.reports if isinstance(report, Accepted | Refused)]


@pytest.mark.parametrize("venue", LANGUAGES)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(message=TREES, raw=st.binary(max_size=20))
def test_frames(venue: str, message: Any, raw: bytes) -> None:
    """Of both lines, while a create waits."""
    about = Asked(what="place", nonce=7, now_ns=NOW_NS, spelling="BTCUSDT", client_id=ID)
    language = LANGUAGES[venue]
    for line in (language.stream(), language.entry()):
        for data in (json.dumps(message).encode(), raw):
            if line is not None:
                assert harmless(line.hear(data, {7: about}).reports, about)


@pytest.mark.parametrize("venue", LANGUAGES)
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(messages=st.lists(TREES, min_size=1, max_size=4), status=st.sampled_from([200, 400, 500]))
def test_accounts(venue: str, messages: list[Any], status: int) -> None:
    """Whatever comes on the lines and in answers to every command, and to what follows from that."""
    found = Account(LANGUAGES[venue], [market(SPELLINGS[venue])], prefix="gb")
    symbol = market(SPELLINGS[venue]).symbol
    commands = (
        CancelOrder(venue=venue, symbol=symbol, key=ID),
        QueryOrder(venue=venue, symbol=symbol, key=ID, query_id=1),
        QueryFills(venue=venue, symbol=symbol, since_ns=NOW_NS, query_id=2),
        QueryBalances(venue=venue, query_id=3),
    )
    lines = [line for line in (found.language.stream(), found.language.entry()) if line is not None]
    turns = [found.carry_out(command, NOW_NS) for command in commands] + [found.open_orders(NOW_NS)]
    for message in messages:
        data = json.dumps(message).encode()
        asked = [request.asked for turn in turns for request in turn.requests]
        turns = [found.read(each, status, {}, data, NOW_NS) for each in asked]
        turns += [found.hear(line, data, NOW_NS) for line in lines]
