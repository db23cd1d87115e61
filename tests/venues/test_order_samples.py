"""Private answers and frames in the shapes that another client's fixtures have; skipped where those are not beside us.

They are documentation's examples and shortened captures of spot and of derivatives, so what is asserted is what holds
of any of them: nothing raises, spot orders and fills are read with their own numbers, and nothing is made up.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gambit.venues.binance_orders import BinanceOrders
from gambit.venues.bybit_orders import BybitOrders
from gambit.venues.coinbase_orders import CoinbaseOrders
from gambit.venues.kraken_orders import KrakenOrders
from gambit.venues.okx_orders import OkxOrders
from gambit.venues.orders import (
    Accepted,
    BalanceSet,
    FeeRates,
    Garbled,
    Heard,
    Keys,
    OrderLanguage,
    OrderState,
    Report,
    Traded,
)
from tests.venues.orderly import D, asked, read
from tests.venues.test_coinbase_orders import SECRET as COINBASE_SECRET
from tests.venues.test_kraken_orders import SECRET as KRAKEN_SECRET

CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "captures"
pytestmark = pytest.mark.skipif(not CAPTURES.is_dir(), reason=f"no captures at {CAPTURES}")

PUSH_FEE = '"fillFeeCcy": "USDT", "fillFee": "-0.25"'
KEYS = Keys(key="k", secret="s", passphrase="p")
KRAKEN = KrakenOrders(Keys(key="k", secret=KRAKEN_SECRET), ["BTC/USD"])
KRAKEN.use_token("t")
LANGUAGES: Mapping[str, OrderLanguage] = {
    "binance": BinanceOrders(KEYS),
    "okx": OkxOrders(KEYS, {}),
    "bybit": BybitOrders(KEYS),
    "kraken": KRAKEN,
    "coinbase": CoinbaseOrders(Keys(key="k", secret=COINBASE_SECRET)),
}


def samples(venue: str) -> dict[str, str]:
    """The texts by name."""
    lines = (CAPTURES / venue / "samples_nautilus.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return {row["name"]: row["raw"] if isinstance(row["raw"], str) else json.dumps(row["raw"]) for row in found}


def heard(venue: str, name: str, change: Any = None) -> Heard:
    """A sample heard on a new line."""
    text = samples(venue)[name]
    return LANGUAGES[venue].stream().hear((change(text) if change else text).encode(), {})


def answered(venue: str, name: str, what: Any, **about: Any) -> tuple[Report, ...]:
    """A sample read as an answer that succeeded."""
    got = read(LANGUAGES[venue], asked(what, **about), samples(venue)[name])
    assert got.fault is None, got.fault
    return got.reports


@pytest.mark.parametrize("venue", LANGUAGES)
def test_nothing_raises(venue: str) -> None:
    """Every sample, of whatever kind, to every reader."""
    language = LANGUAGES[venue]
    for text in samples(venue).values():
        language.stream().hear(text.encode(), {})
        for what in ("place", "cancel", "query", "open_orders", "fills", "balances", "fees", "token"):
            about = asked(what, client_id="mine")
            if what == "token" and venue != "kraken":
                continue
            for report in read(language, about, text).reports:
                assert not isinstance(report, Accepted) or report.client_id == "mine"


def test_binance() -> None:
    """An account, a full answer, queries, a cancel; executions of spot."""
    assert isinstance(answered("binance", "account_response", "balances")[0], BalanceSet)
    reports = answered("binance", "new_order_full_response", "place")
    filled = [report for report in reports if isinstance(report, Traded)]
    (state,) = (report for report in reports if isinstance(report, OrderState))
    assert sum((fill.qty for fill in filled), Decimal(0)) == state.cum_qty
    (cancelled,) = answered("binance", "cancel_order_response", "cancel")
    assert isinstance(cancelled, OrderState)
    assert (cancelled.client_id, cancelled.status) == ("myOrder1", "cancelled")
    assert isinstance(answered("binance", "order_response", "query")[0], OrderState)
    assert all(isinstance(row, OrderState) for row in answered("binance", "all_orders_response", "open_orders"))


@pytest.mark.parametrize(
    "name",
    [
        "ws_spot_execution_report_new", "ws_spot_execution_report_trade", "ws_spot_execution_report_canceled",
        "ws_spot_execution_report_trade_l_zero_canceled", "ws_spot_execution_report_trade_l_zero_new",
        "ws_spot_execution_report_trade_prevention", "ws_spot_execution_report_pending_cancel",
        "execution_report_new", "execution_report_trade", "execution_report_canceled",
    ],
)  # fmt: skip
def test_binance_executions(name: str) -> None:
    """A fill exactly where a quantity was filled, and the state."""
    raw = json.loads(samples("binance")[name])
    event = raw.get("data", raw)
    got = LANGUAGES["binance"].stream().hear(json.dumps({"subscriptionId": 0, "event": event}).encode(), {})
    fills = [report for report in got.reports if isinstance(report, Traded)]
    states = [report for report in got.reports if isinstance(report, OrderState)]
    is_fill = event["x"] == "TRADE" and D(event["l"]) > 0
    assert [(fill.qty, fill.price) for fill in fills] == ([(D(event["l"]), D(event["L"]))] if is_fill else [])
    assert [(state.cum_qty, state.venue_id) for state in states] == [(D(event["z"]), str(event["i"]))]


def test_okx() -> None:
    """Orders, balances, fees turned round."""
    assert isinstance(answered("okx", "http_get_account_balance", "balances")[0], BalanceSet)
    (rates,) = answered("okx", "http_get_trade_fee_response", "fees")
    assert isinstance(rates, FeeRates)
    assert rates.taker > 0
    (state,) = answered("okx", "http_get_orders_history", "query")
    assert isinstance(state, OrderState)
    assert (state.status, state.cum_qty) == ("filled", D("0.03"))
    assert any(isinstance(report, BalanceSet) for report in heard("okx", "ws_account").reports)
    assert [type(report) for report in heard("okx", "ws_orders_fok").reports] == [Garbled]  # without this push's fee
    with_fee = heard("okx", "ws_orders_fok", lambda text: text.replace('"fee":', f'{PUSH_FEE}, "fee":', 1))
    (fill, state) = with_fee.reports
    assert isinstance(fill, Traded)
    assert isinstance(state, OrderState)
    assert (fill.qty, fill.fee, state.status) == (D("0.05"), D("0.25"), "filled")


def test_bybit() -> None:
    """Orders of both kinds, a rejected one that filled in part, wallets."""
    (state,) = answered("bybit", "http_get_order_partially_filled_rejected", "query")
    assert isinstance(state, OrderState)
    assert (state.status, state.cum_qty) == ("cancelled", D("0.005"))
    assert all(isinstance(row, OrderState) for row in answered("bybit", "http_get_orders_history", "open_orders"))
    assert isinstance(answered("bybit", "http_get_wallet_balance", "balances")[0], BalanceSet)
    assert isinstance(answered("bybit", "http_get_fee_rate", "fees", spelling="BTCUSDT")[0], FeeRates)
    assert isinstance(heard("bybit", "ws_account_wallet").reports[0], BalanceSet)
    assert heard("bybit", "ws_account_execution").reports == ()  # of a derivative
    spot = heard("bybit", "ws_account_order", lambda text: text.replace('"linear"', '"spot"'))
    assert isinstance(spot.reports[0], OrderState)


def test_kraken() -> None:
    """The two acks."""
    (taken,) = answered("kraken", "http_add_order_spot", "place", client_id="mine")
    assert isinstance(taken, Accepted)
    frame = samples("kraken")["ws_add_order_response_success"].encode()
    about = asked("place", client_id="O-20260505-000001")
    got = KRAKEN.stream().hear(frame, {42: about})
    assert [type(report) for report in got.reports] == [Accepted]


def test_coinbase() -> None:
    """The user channel, an order, the wallets."""
    (state,) = heard("coinbase", "ws_user").reports
    assert isinstance(state, OrderState)
    assert (state.status, state.cum_qty, state.qty) == ("open", D(0), D("0.001"))
    order = json.loads(samples("coinbase")["http_order"])["order"]["order_id"]
    (found,) = answered("coinbase", "http_order", "query", venue_id=order)
    assert isinstance(found, OrderState)
    assert isinstance(answered("coinbase", "http_accounts", "balances")[0], BalanceSet)
