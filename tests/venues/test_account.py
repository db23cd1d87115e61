"""An account without sockets: commands to requests, answers and frames to facts, page by page, doubt by doubt."""

import json
from decimal import Decimal
from typing import Any

import pytest

from gambit.commands import CancelOrder, Notify, PlaceOrder, QueryBalances, QueryFills, QueryOrder, client_order_id
from gambit.events.orders import (
    Acked,
    BalanceRead,
    Cancelled,
    CancelRejected,
    Expired,
    Filled,
    FillsRead,
    ForeignOrderSeen,
    OrderFound,
    OrderIntended,
    OrderMissing,
    OutcomeUnknown,
    Rejected,
    Sent,
    Unsent,
)
from gambit.model import Instrument
from gambit.venues import account as module
from gambit.venues.account import Account, Turn
from gambit.venues.binance_orders import BinanceOrders
from gambit.venues.bybit_orders import BybitOrders
from gambit.venues.coinbase_orders import CoinbaseOrders
from gambit.venues.kraken_orders import KrakenOrders
from gambit.venues.orders import Frame, Keys, OrderLanguage, RestRequest, SessionToken, StreamLost
from tests.venues import test_binance_orders as binance
from tests.venues import test_bybit_orders as bybit
from tests.venues import test_coinbase_orders as coinbase
from tests.venues import test_kraken_orders as kraken
from tests.venues.orderly import NOW_NS, D

KEY = client_order_id("gb", 1, 2, "user|plan|venue|BTC-USD|buy|1")
LATER_NS = NOW_NS + 1_000_000


def instrument(spelling: str) -> Instrument:
    """One market."""
    quote = "USDT" if spelling.endswith("USDT") else "USD"
    return Instrument(
        symbol=f"BTC-{quote}", spelling=spelling, base="BTC", quote=quote, tick=D("0.01"), lot=D("0.00001")
    )


def account(language: OrderLanguage, spelling: str) -> Account:
    """An account that trades one market."""
    return Account(language, [instrument(spelling)], prefix="gb")


def at_binance() -> Account:
    return account(BinanceOrders(Keys(key="k", secret="s")), "BTCUSDT")


def at_bybit() -> Account:
    return account(BybitOrders(Keys(key="k", secret="s")), "BTCUSDT")


def at_kraken() -> Account:
    return account(KrakenOrders(Keys(key="k", secret=kraken.SECRET), ["BTC/USD"]), "BTC/USD")


def at_coinbase() -> Account:
    return account(CoinbaseOrders(Keys(key="k", secret=coinbase.SECRET)), "BTC-USD")


def place(venue: str, symbol: str = "BTC-USDT", **changes: Any) -> PlaceOrder:
    """The command of an order."""
    base, quote = symbol.split("-")
    said: dict[str, Any] = {
        "key": KEY, "venue": venue, "order_id": "o", "plan_id": "p", "user_id": "u", "idempotency_key": "i",
        "symbol": symbol, "base": base, "quote": quote, "side": "buy", "qty": D("0.01"), "price": D("64012.36"),
        "tif": "ioc", "purpose": "entry", "leg": 0, "fee_bps": D(10), "window_ns": None,
    }  # fmt: skip
    return PlaceOrder(OrderIntended(**said | changes))


def only(turn: Turn) -> RestRequest | Frame:
    """The one request of a turn."""
    (request,) = turn.requests
    return request


def read(found: Account, request: RestRequest | Frame, body: Any, status: int = 200) -> Turn:
    """An answer to a request."""
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return found.read(request.asked, status, {}, raw, LATER_NS)


def with_key(row: dict[str, Any], name: str) -> dict[str, Any]:
    """A row of another test about our order."""
    return row | {name: KEY}


def test_an_order_over_the_line() -> None:
    """Sent, accepted, filled in part, expired with what it filled; the stream repeats the fill, not the acceptance."""
    found = at_binance()
    line = found.language.stream()
    found.opening(line, NOW_NS)
    request = only(found.carry_out(place("binance"), NOW_NS, over_line=True))
    assert isinstance(request, Frame)
    assert found.sent(request.asked).facts == [Sent(key=KEY, venue="binance")]
    reply = {"id": str(request.asked.nonce), "status": 200, "result": with_key(binance.ORDER, "clientOrderId")}
    turn = found.hear(line, json.dumps(reply).encode(), LATER_NS)
    filled = Filled(
        key=KEY, venue="binance", symbol="BTC-USDT", side="buy", exec_id=str(int(binance.BIG) + 1), qty=D("0.004"),
        price=D("64012.36"), fee=D("0.000004"), fee_asset="BTC", venue_order_id=binance.BIG,
        exec_ns=1_507_725_176_595_000_000,
    )  # fmt: skip
    assert turn.facts == [
        Acked(key=KEY, venue="binance", venue_order_id=binance.BIG),
        filled,
        Expired(key=KEY, venue="binance", cum_qty=D("0.004")),
    ]
    assert found.pending == {}
    event = found.hear(line, binance.event(c=KEY).encode(), LATER_NS)
    assert [type(fact) for fact in event.facts] == [Filled]
    assert found.line_down("cut").facts == []


def test_a_create_without_an_answer_is_in_doubt() -> None:
    """Once; the venue's late word still counts."""
    found = at_bybit()
    request = only(found.carry_out(place("bybit"), NOW_NS))
    doubt = OutcomeUnknown(key=KEY, venue="bybit", during="create", reason="timeout")
    assert found.lost(request.asked, "timeout").facts == [doubt]
    assert found.lost(request.asked, "timeout").facts == []
    taken = bybit.TAKEN.replace(bybit.ID, KEY)
    assert found.read(request.asked, 200, {}, taken.encode(), LATER_NS).facts == [
        Acked(key=KEY, venue="bybit", venue_order_id="1321003749386327552")
    ]
    server = only(found.carry_out(place("bybit"), NOW_NS))
    (unclear,) = read(found, server, "<html>", 502).facts
    assert isinstance(unclear, OutcomeUnknown)
    assert unclear.during == "create"


def test_refusals() -> None:
    """A positive refusal, one that comes later on the stream, and what was never sent."""
    found = at_bybit()
    request = only(found.carry_out(place("bybit"), NOW_NS))
    (refused,) = read(found, request, bybit.envelope({}, 170131, "Insufficient balance.")).facts
    assert refused == Rejected(key=KEY, venue="bybit", code="170131", text="Insufficient balance.")
    pushed = bybit.push("order.spot", orderLinkId=KEY, orderStatus="Rejected", cumExecQty="0", rejectReason="EC_X")
    (later,) = found.hear(found.language.stream(), pushed.encode(), LATER_NS).facts
    assert later == Rejected(key=KEY, venue="bybit", code="refused", text="EC_X")
    (off,) = found.carry_out(place("bybit", price=D("1.001")), NOW_NS).facts
    assert isinstance(off, Unsent)
    assert "no positive multiple of the tick" in off.reason
    again = only(found.carry_out(place("bybit"), NOW_NS))
    assert found.unsent(again.asked, "refused by the breaker").facts == [
        Unsent(key=KEY, venue="bybit", reason="refused by the breaker")
    ]
    assert found.pending == {}


def test_a_line_that_ends_leaves_its_requests_in_doubt() -> None:
    """Those over HTTP go on waiting."""
    found = at_bybit()
    over_line = only(found.carry_out(place("bybit"), NOW_NS, over_line=True))
    cancel = CancelOrder(venue="bybit", symbol="BTC-USDT", key=KEY)
    over_http = only(found.carry_out(cancel, NOW_NS))
    assert (type(over_line), type(over_http)) == (Frame, RestRequest)
    assert found.line_down("cut").facts == [OutcomeUnknown(key=KEY, venue="bybit", during="create", reason="cut")]
    assert list(found.pending) == [over_http.asked.nonce]
    assert found.lost(over_http.asked, "timeout").facts == [
        OutcomeUnknown(key=KEY, venue="bybit", during="cancel", reason="timeout")
    ]


def test_what_the_line_does_not_take_goes_over_http() -> None:
    """Fill-or-kill at Kraken, everything at Coinbase."""
    found = at_kraken()
    found.language.use_token("t")
    assert isinstance(only(found.carry_out(place("kraken", "BTC-USD"), NOW_NS, over_line=True)), Frame)
    assert isinstance(only(found.carry_out(place("kraken", "BTC-USD", tif="fok"), NOW_NS, over_line=True)), RestRequest)
    assert isinstance(only(at_coinbase().carry_out(place("coinbase", "BTC-USD"), NOW_NS, over_line=True)), RestRequest)


def test_a_cancel_by_the_venues_id_is_preceded_by_a_search() -> None:
    """Page by page; then the cancel, over HTTP. Not found: not cancelled."""
    found = at_coinbase()
    cancel = CancelOrder(venue="coinbase", symbol="BTC-USD", key=KEY)
    search = only(found.carry_out(cancel, NOW_NS, over_line=True))
    assert search.asked.what == "query"
    page = only(read(found, search, {"orders": [], "has_next": True, "cursor": "c"}))
    turn = read(found, page, {"orders": [with_key(coinbase.ORDER, "client_order_id") | {"filled_size": "0"}]})
    request = only(turn)
    assert isinstance(request, RestRequest)
    assert json.loads(request.body) == {"order_ids": [coinbase.VENUE_ID]}
    row = {"success": False, "failure_reason": "ORDER_IS_FULLY_FILLED", "order_id": coinbase.VENUE_ID}
    (late,) = read(found, request, {"results": [row]}).facts
    assert isinstance(late, CancelRejected)
    assert late.code == "ORDER_IS_FULLY_FILLED"
    assert isinstance(only(found.carry_out(cancel, NOW_NS)), RestRequest)  # the id is known now
    for answer, status in (({"orders": []}, 200), ({"error": "INTERNAL"}, 500)):
        fresh = at_coinbase()
        (fact,) = read(fresh, only(fresh.carry_out(cancel, NOW_NS)), answer, status).facts
        assert isinstance(fact, CancelRejected)
    fresh = at_coinbase()
    lost = fresh.lost(only(fresh.carry_out(cancel, NOW_NS)).asked, "timeout").facts
    assert lost == [CancelRejected(key=KEY, venue="coinbase", code="lost", text="timeout")]


def test_cumulative_states_make_executions_be_read() -> None:
    """Each larger quantity once; executions are those of the venue, by its ids."""
    found = at_coinbase()
    line = found.language.stream()
    request = only(found.carry_out(place("coinbase", "BTC-USD"), NOW_NS))
    read(found, request, json.dumps(coinbase.TAKEN).replace(coinbase.ID, KEY))
    turn = found.hear(line, coinbase.push(1, client_order_id=KEY).encode(), LATER_NS)
    assert turn.facts == []
    fills = only(turn)
    assert fills.asked.what == "fills"
    (filled,) = read(found, fills, {"fills": [coinbase.FILL], "cursor": ""}).facts
    assert isinstance(filled, Filled)
    assert (filled.key, filled.exec_id, filled.qty) == (KEY, "e-1", D("0.004"))
    assert found.hear(line, coinbase.push(2, client_order_id=KEY).encode(), LATER_NS).requests == []
    more = found.hear(line, coinbase.push(3, client_order_id=KEY, cumulative_quantity="0.01").encode(), LATER_NS)
    assert only(more).asked.what == "fills"


def test_queries_of_orders() -> None:
    """Found, or missing once every place was searched; a failed query is answered by nothing."""
    found = at_kraken()
    query = QueryOrder(venue="kraken", symbol="BTC-USD", key=KEY, query_id=7)
    first = only(found.carry_out(query, NOW_NS))
    second = only(read(found, first, kraken.envelope({"open": {}})))
    assert second.asked.page == "closed"
    missing = read(found, second, kraken.envelope({"closed": {}, "count": 0}))
    assert missing.facts == [OrderMissing(key=KEY, venue="kraken", query_id=7, asked_ns=NOW_NS, searched_history=True)]
    row = with_key(kraken.REST_ORDER, "cl_ord_id")
    turn = read(found, only(found.carry_out(query, NOW_NS)), kraken.envelope({"open": {kraken.ORDER_ID: row}}))
    assert turn.facts == [
        OrderFound(
            key=KEY, venue="kraken", query_id=7, asked_ns=NOW_NS, venue_order_id=kraken.ORDER_ID, found_as="canceled",
            cum_qty=D("0.004"),
        )
    ]  # fmt: skip
    by_id = only(found.carry_out(query, NOW_NS))
    assert isinstance(by_id, RestRequest)
    assert by_id.path == "/0/private/QueryOrders"
    for body, status in (("<html>", 502), (kraken.envelope(None, "EService:Busy"), 200)):
        turn = read(found, only(found.carry_out(query, NOW_NS)), body, status)
        assert (turn.facts, turn.requests) == ([], [])


def test_fills_and_balances_are_told_whole() -> None:
    """One fact when the last page is there, none when one failed."""
    found = at_bybit()
    query = QueryFills(venue="bybit", symbol="BTC-USDT", since_ns=NOW_NS - 10**9, query_id=3)
    first = only(found.carry_out(query, NOW_NS))
    one = read(found, first, bybit.envelope({"list": [bybit.EXECUTION], "nextPageCursor": "c"}))
    assert one.facts == []
    second = {"list": [bybit.EXECUTION | {"execId": "2"}], "nextPageCursor": ""}
    (whole,) = read(found, only(one), bybit.envelope(second)).facts
    assert isinstance(whole, FillsRead)
    assert [fill.exec_id for fill in whole.fills] == ["2100000000007764263", "2"]
    assert (whole.query_id, whole.asked_ns, whole.since_ns) == (3, NOW_NS, NOW_NS - 10**9)
    broken = read(found, only(found.carry_out(query, NOW_NS)), bybit.envelope({}, 10006))
    assert broken.facts == []
    wallets = at_coinbase()
    pages = ("USD", "BTC")
    turn = wallets.carry_out(QueryBalances(venue="coinbase", query_id=4), NOW_NS)
    for number, name in enumerate(pages):
        wallet = {"currency": name, "available_balance": {"value": "10"}, "hold": {"value": "1"}}
        page = {"accounts": [wallet], "has_next": number == 0, "cursor": "c"}
        turn = read(wallets, only(turn), page)
    assert turn.facts == [
        BalanceRead(
            venue="coinbase", query_id=4, asked_ns=NOW_NS, free={"USD": D(10), "BTC": D(10)},
            locked={"USD": D(1), "BTC": D(1)},
        )
    ]  # fmt: skip


def test_open_orders_and_foreign_ones() -> None:
    """All open orders are told, ours too: after a start only the desk knows. On the line only foreign ones are."""
    found = at_binance()
    rows = [binance.ORDER | {"status": "NEW"}, with_key(binance.ORDER, "clientOrderId") | {"status": "NEW"}]
    turn = read(found, only(found.open_orders(NOW_NS)), rows)
    assert [(type(fact), fact.client_id) for fact in turn.facts if isinstance(fact, ForeignOrderSeen)] == [
        (ForeignOrderSeen, "gb00010000200abcde"),
        (ForeignOrderSeen, KEY),
    ]
    foreign = found.hear(found.language.stream(), binance.event(c="web_1", x="NEW", X="NEW").encode(), LATER_NS)
    assert foreign.facts == [
        ForeignOrderSeen(
            venue="binance", symbol="BTC-USDT", side="buy", qty=D("0.01"), price=D("64012.36"),
            venue_order_id=binance.BIG, client_id="web_1",
        )
    ]  # fmt: skip
    gone = found.hear(found.language.stream(), binance.event(c="web_1", x="CANCELED", X="CANCELED").encode(), LATER_NS)
    assert isinstance(gone.facts[0], ForeignOrderSeen)
    assert not gone.facts[0].is_open


def test_a_foreign_order_that_is_not_listed_any_more_ended() -> None:
    """Its end was said while nobody listened: the next whole list tells of it. One that was told while the list was on
    its way is not in it and goes on."""
    found = at_binance()
    listed = binance.ORDER | {"status": "NEW", "orderId": 77}
    read(found, only(found.open_orders(NOW_NS)), [listed])
    missed = only(found.open_orders(NOW_NS))
    assert read(found, missed, {"code": -1000, "msg": "?"}, status=500).facts == []
    again = found.open_orders(NOW_NS)
    found.hear(found.language.stream(), binance.event(c="web_1", x="NEW", X="NEW").encode(), LATER_NS)
    (gone,) = (fact for fact in read(found, only(again), []).facts if isinstance(fact, ForeignOrderSeen))
    assert (gone.venue_order_id, gone.is_open) == (str(listed["orderId"]), False)
    (late,) = (fact for fact in read(found, only(found.open_orders(NOW_NS)), []).facts)
    assert isinstance(late, ForeignOrderSeen)
    assert (late.venue_order_id, late.is_open) == (binance.BIG, False)
    assert read(found, only(found.open_orders(NOW_NS)), []).facts == []


def test_news_of_an_order_that_was_never_told_are_a_loss() -> None:
    """No market and no side are made up for it."""
    found = at_kraken()
    found.language.use_token("t")
    turn = found.hear(found.language.stream(), (kraken.SPARSE % 1).encode(), NOW_NS)
    assert (turn.facts, [type(report) for report in turn.told]) == ([], [StreamLost])


def test_a_market_that_left_the_list() -> None:
    """Its answers are still understood, page by page."""
    found = at_bybit()
    query = QueryFills(venue="bybit", symbol="BTC-USDT", since_ns=NOW_NS - 10**9, query_id=3)
    first = only(found.carry_out(query, NOW_NS))
    found.learn([])
    second = only(read(found, first, bybit.envelope({"list": [bybit.EXECUTION], "nextPageCursor": "c"})))
    (whole,) = read(found, second, bybit.envelope({"list": [], "nextPageCursor": ""})).facts
    assert isinstance(whole, FillsRead)
    assert whole.fills[0].symbol == "BTC-USDT"


def test_pages_without_end_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The question stays unanswered, and that is told."""
    monkeypatch.setattr(module, "PAGES_MAX", 3)
    found = at_bybit()
    turn = found.carry_out(QueryFills(venue="bybit", symbol="BTC-USDT", since_ns=NOW_NS, query_id=3), NOW_NS)
    for _ in range(3):
        turn = read(found, only(turn), bybit.envelope({"list": [bybit.EXECUTION], "nextPageCursor": "c"}))
    assert (turn.facts, turn.requests, [type(report) for report in turn.told]) == ([], [], [StreamLost])


def test_ends_without_a_quantity_are_doubts() -> None:
    """The venue did not say what was filled: ask."""
    found = at_kraken()
    found.language.use_token("t")
    line = found.language.stream()
    assert [type(fact) for fact in found.hear(line, (kraken.NEW % (KEY, "GTC", 1)).encode(), NOW_NS).facts] == [Acked]
    end = (kraken.SPARSE % 2).replace('"new"', '"canceled"')
    (doubt,) = found.hear(line, end.encode(), NOW_NS).facts
    assert isinstance(doubt, OutcomeUnknown)
    assert doubt.during == "stream"
    told = (kraken.SPARSE % 3).replace('"new"', '"canceled"').replace('"order_userref":0', '"cum_qty":0.001')
    assert found.hear(line, told.encode(), NOW_NS).facts == [
        Cancelled(key=KEY, venue="kraken", cum_qty=D("0.001"), cause="venue")
    ]
    jump = found.hear(line, (kraken.SPARSE % 9).encode(), NOW_NS)
    assert [type(report) for report in jump.told] == [StreamLost]


def test_executions_without_an_id_are_named_by_what_they_are() -> None:
    """The same one every time; only where not even HTTP has an id."""
    found = at_bybit()
    query = QueryFills(venue="bybit", symbol="BTC-USDT", since_ns=NOW_NS - 10**9, query_id=3)

    def name(**changes: Any) -> str:
        row = bybit.EXECUTION | {"execId": ""} | changes
        page = bybit.envelope({"list": [row], "nextPageCursor": ""})
        (whole,) = read(found, only(found.carry_out(query, NOW_NS)), page).facts
        assert isinstance(whole, FillsRead)
        return whole.fills[0].exec_id

    assert name() == name()
    assert name() != name(execTime="1746270400354")


def test_tokens() -> None:
    """Asked for where lines need one, and used from then on."""
    found = at_kraken()
    request = only(found.ask_token(NOW_NS))
    turn = read(found, request, kraken.envelope({"token": "abc", "expires": 900}))
    assert turn.told == [SessionToken("abc", 900)]
    assert b'"token":"abc"' in found.opening(found.language.stream(), NOW_NS)[0]
    assert at_binance().ask_token(NOW_NS).requests == []


def test_what_is_sent_bears_the_venues_time() -> None:
    """A venue half a minute ahead gets its own time; what is told of the request has ours (F87)."""
    found = at_binance()
    found.offset_ns = lambda: 30 * 10**9
    request = only(found.carry_out(QueryOrder(venue="binance", key="gb1", query_id=1, symbol="BTC-USDT"), NOW_NS))
    assert isinstance(request, RestRequest)
    assert f"timestamp={NOW_NS // 10**6 + 30_000}" in request.path + request.body.decode()
    turn = read(found, request, {"code": -2013, "msg": "Order does not exist."}, 400)
    assert [fact.asked_ns for fact in turn.facts if isinstance(fact, OrderMissing)] == [NOW_NS]


def test_nonces_grow_whatever_the_clock_does() -> None:
    """With the time, and by one where it stands still or steps back."""
    found = at_kraken()
    query = QueryBalances(venue="kraken", query_id=1)
    nonces = [
        only(found.carry_out(query, now_ns)).asked.nonce for now_ns in (NOW_NS, NOW_NS, NOW_NS - 10**12, LATER_NS)
    ]
    assert nonces == sorted(set(nonces))
    assert nonces[0] == NOW_NS // 1000


def test_a_new_list_gives_new_steps() -> None:
    """Templates are made anew; what is not listed is refused."""
    found = at_binance()
    assert found.carry_out(place("binance"), NOW_NS).facts == []
    found.learn(
        [Instrument(symbol="BTC-USDT", spelling="BTCUSDT", base="BTC", quote="USDT", tick=D(1), lot=D("0.001"))]
    )
    (unsent,) = found.carry_out(place("binance"), NOW_NS).facts
    assert isinstance(unsent, Unsent)
    (other,) = found.carry_out(place("binance", "ETH-USDT"), NOW_NS).facts
    assert isinstance(other, Unsent)
    assert other.reason == "binance does not list ETH-USDT"
    (cancel,) = found.carry_out(CancelOrder(venue="binance", symbol="ETH-USDT", key=KEY), NOW_NS).facts
    assert isinstance(cancel, CancelRejected)
    for command in (
        QueryOrder(venue="binance", symbol="ETH-USDT", key=KEY, query_id=1),
        Notify(rule_id="r", severity="low", message="m"),
    ):
        with pytest.raises(ValueError, match="binance"):
            found.carry_out(command, NOW_NS)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest order is forgotten, with both its names."""
    monkeypatch.setattr(module, "KNOWN_MAX", 2)
    found = at_bybit()
    for number in range(5):
        key = client_order_id("gb", 1, number, str(number))
        row = json.dumps(json.loads(bybit.push("order.spot", orderLinkId=key, orderId=f"v{number}", cumExecQty="0")))
        found.hear(found.language.stream(), row.encode(), NOW_NS)
    fill = found.hear(
        found.language.stream(), bybit.push("execution.spot", orderLinkId="", orderId="v0").encode(), NOW_NS
    )
    kept = found.hear(
        found.language.stream(), bybit.push("execution.spot", orderLinkId="", orderId="v4").encode(), NOW_NS
    )
    assert [fact.key for turn in (fill, kept) for fact in turn.facts if isinstance(fact, Filled)] == ["", key]


def test_cancels_that_are_taken_say_nothing_yet() -> None:
    """The end is the order's own."""
    found = at_bybit()
    request = only(found.carry_out(CancelOrder(venue="bybit", symbol="BTC-USDT", key=KEY), NOW_NS, over_line=True))
    reply = {"reqId": str(request.asked.nonce), "retCode": 0, "op": "order.cancel"}
    data = {"orderId": "1", "orderLinkId": KEY}
    turn = found.hear(
        found.language.entry() or found.language.stream(), json.dumps(reply | {"data": data}).encode(), NOW_NS
    )
    assert turn.facts == []
    assert found.pending == {}
    ended = bybit.push("order.spot", orderLinkId=KEY, timeInForce="GTC", cancelType="CancelByUser", rejectReason="")
    facts = found.hear(found.language.stream(), ended.encode(), NOW_NS).facts
    assert facts[-1] == Cancelled(key=KEY, venue="bybit", cum_qty=Decimal("0.004"), cause="asked")
