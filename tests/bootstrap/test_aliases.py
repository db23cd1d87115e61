"""An account whose venue has another ticker for an asset (`[[assets.aliases]]`) speaks of one asset all the same."""

import json
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from gambit.bootstrap.desk import account_of, known_markets
from gambit.commands import PlaceOrder, QueryBalances, QueryFills, client_order_id
from gambit.config import Config
from gambit.config.settings import Alias, AssetSettings, VenueSettings
from gambit.events.orders import BalanceRead, Filled, FillsRead, OrderIntended
from gambit.model import Instrument
from gambit.runtime.wiring import build_market
from gambit.venues.account import Account
from gambit.venues.orders import Keys, RestRequest

NOW_NS = 1_746_270_400_000_000_000
D = Decimal
ROW = {
    "orderId": "13", "symbol": "MATICUSDT", "side": "Buy", "execId": "9", "execQty": "10", "execPrice": "0.5",
    "execFee": "0.01", "feeCurrency": "MATIC", "execTime": "1746270400353", "execType": "Trade", "isMaker": False,
}  # fmt: skip
MATIC = Instrument(
    symbol="MATIC-USDT", spelling="MATICUSDT", base="MATIC", quote="USDT", tick=D("0.0001"), lot=D("0.1")
)


def at_bybit() -> tuple[Account, Any]:
    """Bybit, where POL is still MATIC; and its catalogue."""
    config = Config(
        symbols=("POL-USDT",),
        venues={"bybit": VenueSettings()},
        assets=AssetSettings(aliases=(Alias(ticker="MATIC", asset="POL", venue="bybit"),)),
    )
    market = build_market(config, is_live=True)
    catalog = market.venue("bybit").catalog
    catalog.add([MATIC], is_list=True)
    feeds: Any = SimpleNamespace(
        gateway=lambda _venue: SimpleNamespace(is_testnet=False), clock_offset_ns=lambda _venue: 0
    )
    return account_of(config, market, feeds, "bybit", Keys(key="k", secret="s")), catalog


def ask(account: Account, command: Any, *rows: Any, wallet: Any = None) -> Any:
    """The fact that the answer to a question becomes."""
    [request] = account.carry_out(command, NOW_NS).requests
    assert isinstance(request, RestRequest)
    result = {"list": [wallet] if wallet else list(rows)}
    body = json.dumps({"retCode": 0, "retMsg": "OK", "result": result, "time": 1}).encode()
    [fact] = account.read(request.asked, 200, {}, body, NOW_NS).facts
    return fact


def test_orders_name_the_venues_market() -> None:
    """They were not sent for want of a market POL-USDT, while the other leg was; after a new list too."""
    account, catalog = at_bybit()
    key = client_order_id("gb", 1, 2, "user|plan|venue|POL-USDT|buy|1")
    intent = OrderIntended(
        key=key, venue="bybit", order_id="o", plan_id="p", user_id="u", idempotency_key="i", symbol="POL-USDT",
        base="POL", quote="USDT", side="buy", qty=D(10), price=D("0.5"), tif="ioc", purpose="entry", leg=0,
        fee_bps=D(10), window_ns=None,
    )  # fmt: skip
    for _ in range(2):
        turn = account.carry_out(PlaceOrder(intent=intent), NOW_NS)
        assert turn.facts == []
        [request] = turn.requests
        assert isinstance(request, RestRequest)
        assert json.loads(request.body)["symbol"] == "MATICUSDT"
        account.learn(known_markets(catalog))


def test_executions_and_balances_are_told_by_our_names() -> None:
    """Market, fee and what is held; what the venue has under both tickers is one balance."""
    account, _ = at_bybit()
    told = ask(account, QueryFills(venue="bybit", symbol="POL-USDT", since_ns=NOW_NS, query_id=1), ROW)
    assert isinstance(told, FillsRead)
    [fill] = told.fills
    assert isinstance(fill, Filled)
    assert (fill.symbol, fill.fee_asset, fill.fee) == ("POL-USDT", "POL", D("0.01"))
    coins = [
        {"coin": name, "walletBalance": held, "locked": locked}
        for name, held, locked in (("MATIC", "10", "4"), ("POL", "1", "0"), ("USDT", "5", "2"))
    ]
    held = ask(account, QueryBalances(venue="bybit", query_id=2), wallet={"coin": coins})
    assert isinstance(held, BalanceRead)
    assert (held.free, held.locked) == ({"POL": D(7), "USDT": D(3)}, {"POL": D(4), "USDT": D(2)})
