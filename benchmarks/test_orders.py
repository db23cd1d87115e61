"""Place requests: from price and quantity to signed bytes, by template, the plain way, and by ccxt.

Template and plain way give the same bytes, which is checked for every order measured; ours also checks the client id
and the steps, and builds the headers. ccxt words its requests its own way.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from time import perf_counter_ns
from typing import Any

import pytest

from benchmarks.report import Report
from benchmarks.timing import Effort, best_of_each, figures, take_turns
from gambit.model import Instrument
from gambit.venues.binance_orders import BinanceOrders
from gambit.venues.bybit_orders import BybitOrders
from gambit.venues.coinbase_orders import CoinbaseOrders
from gambit.venues.kraken_orders import KrakenOrders
from gambit.venues.okx_orders import OkxOrders
from gambit.venues.orders import Keys, Placing, Stamp
from tests.venues import naive_orders as naive

NOW_NS = 1_700_000_000_123_456_789
KEY, SECRET = "k" * 64, "s" * 64
KRAKEN_SECRET = base64.b64encode(bytes(range(64))).decode()
COINBASE_SECRET = base64.b64encode(bytes(range(32))).decode()
SYMBOL = "BTC/USDT"
HEAD = ("venue", "template p50", "p99", "plain p50", "p99", "template over plain", "ccxt p50", "template over ccxt")
SLOW_PERCENT = 80  # of the plain way's time: what a template may cost at most
Make = Callable[[int], bytes]  # the bytes of the n-th order


def market(spelling: str) -> Instrument:
    """BTC with its usual steps."""
    base, quote = "BTC", "USDT"
    return Instrument(
        symbol="BTC-USDT", spelling=spelling, base=base, quote=quote, tick=Decimal("0.01"), lot=Decimal("0.00001")
    )


@cache
def order(number: int) -> tuple[str, Decimal, Decimal, Stamp]:
    """The n-th order's id, quantity, price and time."""
    client_id = f"gb0001{number:012d}"
    now_ns = NOW_NS + number * 1_000_000
    return client_id, Decimal(1000 + number).scaleb(-5), Decimal(6_401_236 + number).scaleb(-2), Stamp(now_ns, now_ns)


def rest(placing: Placing) -> Make:
    """Bodies by template."""
    return lambda number: placing.rest(*order(number)).body


def frames(placing: Placing) -> Make:
    """Frames by template."""
    return lambda number: placing.frame(*order(number)).data


def plain_binance(number: int) -> bytes:
    client_id, qty, price, at = order(number)
    ms = at.now_ns // 1_000_000
    return naive.binance_rest(SECRET, "BTCUSDT", "BUY", "IOC", client_id, f"{qty:f}", f"{price:f}", ms)


def plain_binance_frame(number: int) -> bytes:
    client_id, qty, price, at = order(number)
    said = (client_id, f"{qty:f}", f"{price:f}", at.now_ns // 1_000_000)
    return naive.binance_frame(KEY, SECRET, at.nonce, "BTCUSDT", "BUY", "IOC", *said)


def _okx_order(number: int) -> dict[str, Any]:
    client_id, qty, price, _ = order(number)
    said = {"tdMode": "cash", "side": "buy", "ordType": "ioc", "banAmend": True, "sz": f"{qty:f}"}
    return said | {"px": f"{price:f}", "clOrdId": client_id}


def plain_okx(number: int) -> bytes:
    return naive.okx_rest(SECRET, {"instId": "BTC-USDT", **_okx_order(number)}, order(number)[3].now_ns)[1]


def plain_okx_frame(number: int) -> bytes:
    at = order(number)[3]
    until = str(at.now_ns // 1_000_000 + 5000)
    args = [{"instIdCode": 10459, **_okx_order(number)}]
    return naive.compact({"id": str(at.nonce), "op": "order", "args": args, "expTime": until})


def _bybit_order(number: int) -> dict[str, Any]:
    client_id, qty, price, _ = order(number)
    said = {"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "timeInForce": "IOC"}
    return said | {"isLeverage": 0, "qty": f"{qty:f}", "price": f"{price:f}", "orderLinkId": client_id}


def plain_bybit(number: int) -> bytes:
    return naive.bybit_rest(KEY, SECRET, _bybit_order(number), order(number)[3].now_ns // 1_000_000)[1]


def plain_bybit_frame(number: int) -> bytes:
    at = order(number)[3]
    header = {"X-BAPI-TIMESTAMP": str(at.now_ns // 1_000_000), "X-BAPI-RECV-WINDOW": "5000"}
    said = {"reqId": str(at.nonce), "header": header, "op": "order.create", "args": [_bybit_order(number)]}
    return naive.compact(said)


def plain_kraken(number: int) -> bytes:
    client_id, qty, price, at = order(number)
    form = {"nonce": str(at.nonce), "ordertype": "limit", "type": "buy", "pair": "XBTUSDT", "timeinforce": "IOC"}
    form |= {"oflags": "fciq", "volume": f"{qty:f}", "price": f"{price:f}", "cl_ord_id": client_id}
    return naive.kraken_rest(KRAKEN_SECRET, form | {"deadline": naive.iso_ms(at.now_ns + 5_000_000_000)})[1]


def plain_kraken_frame(number: int) -> bytes:
    """JSON numbers with their digits: floats give the same text for these."""
    client_id, qty, price, at = order(number)
    params = {"order_type": "limit", "side": "buy", "symbol": "BTC/USDT", "time_in_force": "ioc"}
    params |= {"fee_preference": "quote", "order_qty": "QTY", "limit_price": "PRICE", "cl_ord_id": client_id}
    params |= {"deadline": naive.iso_ms(at.now_ns + 5_000_000_000), "token": "t" * 40}
    text = json.dumps({"method": "add_order", "params": params, "req_id": at.nonce}, separators=(",", ":"))
    return text.replace('"QTY"', f"{qty:f}").replace('"PRICE"', f"{price:f}").encode()


def contestants() -> dict[str, tuple[Make, Make]]:
    """By venue: the template's way and the plain one."""
    keys = Keys(key=KEY, secret=SECRET, passphrase="p")
    kraken = KrakenOrders(Keys(key=KEY, secret=KRAKEN_SECRET), ["BTC/USDT"])
    kraken.use_token("t" * 40)
    binance = BinanceOrders(keys).placing(market("BTCUSDT"), "buy", "ioc")
    okx = OkxOrders(keys, {"BTC-USDT": 10459}).placing(market("BTC-USDT"), "buy", "ioc")
    bybit = BybitOrders(keys).placing(market("BTCUSDT"), "buy", "ioc")
    spot = kraken.placing(market("BTC/USDT"), "buy", "ioc")
    return {
        "binance HTTP": (rest(binance), plain_binance),
        "binance line": (frames(binance), plain_binance_frame),
        "okx HTTP": (rest(okx), plain_okx),
        "okx line": (frames(okx), plain_okx_frame),
        "bybit HTTP": (rest(bybit), plain_bybit),
        "bybit line": (frames(bybit), plain_bybit_frame),
        "kraken HTTP": (rest(spot), plain_kraken),
        "kraken line": (frames(spot), plain_kraken_frame),
    }


def ccxt_way(venue: str) -> Make:
    """ccxt's request and signature for the same order, no network."""
    ccxt = pytest.importorskip("ccxt")
    secret = KRAKEN_SECRET if venue == "kraken" else SECRET
    exchange = getattr(ccxt, venue)({"apiKey": KEY, "secret": secret, "password": "p"})
    ids = {"okx": "BTC-USDT", "kraken": "XBTUSDT"}
    exchange.set_markets(
        [
            exchange.safe_market_structure(
                {
                    "id": ids.get(venue, "BTCUSDT"), "symbol": SYMBOL, "base": "BTC", "quote": "USDT",
                    "type": "spot", "spot": True, "active": True, "precision": {"price": 0.01, "amount": 0.00001},
                    "limits": {"amount": {}, "price": {}, "cost": {}}, "info": {"orderTypes": ["LIMIT"]},
                }
            )
        ]
    )  # fmt: skip

    path = {"binance": "order", "okx": "trade/order", "bybit": "v5/order/create", "kraken": "AddOrder"}[venue]

    def request(client_id: str, qty: float, price: float) -> Any:
        said = {"timeInForce": "IOC", "clientOrderId": client_id}
        if venue != "kraken":
            return exchange.create_order_request(SYMBOL, "limit", "buy", qty, price, said)
        volume = exchange.amount_to_precision(SYMBOL, qty)
        known = {"pair": "XBTUSDT", "type": "buy", "ordertype": "limit", "volume": volume}
        return exchange.order_request("createOrder", SYMBOL, "limit", known, qty, price, said)[0]

    def make(number: int) -> bytes:
        client_id, qty, price, _ = order(number)
        signed = exchange.sign(path, ["private"], "POST", request(client_id, float(qty), float(price)))
        body: str = signed["body"]
        return body.encode()

    return make


def times(make: Make, count: int) -> Callable[[], list[int]]:
    """A pass that times each of `count` orders."""

    def run() -> list[int]:
        spent = []
        for number in range(count):
            before = perf_counter_ns()
            make(number)
            spent.append(perf_counter_ns() - before)
        return spent

    return run


@pytest.mark.parametrize("venue", contestants())
def test_templates(report: Report, much: Effort, quiet: None, venue: str) -> None:
    """The same bytes, in less time than encoding everything takes."""
    template, plain = contestants()[venue]
    count = much.depth_frames
    for number in range(count):
        assert template(number) == plain(number)
    passes = {"template": times(template, count), "plain": times(plain, count)}
    if venue.endswith("HTTP"):
        passes["ccxt"] = times(ccxt_way(venue.split()[0]), count)
    spent = take_turns(passes, much.rounds)
    found = {name: figures(best_of_each(rounds, count // 10)) for name, rounds in spent.items()}
    ours, other, peer = found["template"], found["plain"], found.get("ccxt")
    cells = (peer.p50, ours.p50 / peer.p50) if peer else ("-", "-")
    report.add(
        "a place request, ns", HEAD, (venue, ours.p50, ours.p99, other.p50, other.p99, ours.p50 / other.p50, *cells)
    )
    assert ours.p50 * 100 <= other.p50 * SLOW_PERCENT


def test_a_token_signed_beforehand(report: Report, much: Effort, quiet: None) -> None:
    """Coinbase's token costs more than all the rest; signed beforehand it costs nothing when it matters."""
    language = CoinbaseOrders(Keys(key="organizations/o/apiKeys/k", secret=COINBASE_SECRET))
    placing, count = language.placing(market("BTC-USDT"), "buy", "ioc"), much.depth_frames // 10

    def run(is_prepared: bool) -> Callable[[], list[int]]:
        def each() -> list[int]:
            spent = []
            for number in range(count):
                at = order(number)[3]
                if is_prepared:
                    language.prepare(at)
                before = perf_counter_ns()
                placing.rest(*order(number))
                spent.append(perf_counter_ns() - before)
            return spent

        return each

    spent = take_turns({"before": run(True), "at once": run(False)}, much.rounds)
    before, at_once = (figures(best_of_each(spent[name])) for name in ("before", "at once"))
    head = ("token", "p50", "p99")
    report.add("a place request at Coinbase, ns", head, ("signed beforehand", before.p50, before.p99))
    report.add("a place request at Coinbase, ns", head, ("signed at once", at_once.p50, at_once.p99))
    assert before.p50 * 2 < at_once.p50
