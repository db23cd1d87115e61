"""The order languages against the simulated exchanges, which were written from the venues' documents and not from here.

No sockets: requests and frames are handed over as bytes, signatures and filters are checked by the other side, and its
ledger is the truth that our facts are held against.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from gambit.commands import CancelOrder, PlaceOrder, QueryBalances, QueryFills, QueryOrder, client_order_id
from gambit.events.orders import (
    Acked,
    BalanceRead,
    Cancelled,
    Expired,
    Filled,
    FillsRead,
    ForeignOrderSeen,
    OrderFact,
    OrderFound,
    OrderIntended,
    OrderMissing,
    OutcomeUnknown,
    Rejected,
)
from gambit.model import Instrument
from gambit.sim.dialect import Close, Ping, Session
from gambit.sim.verbs import FaultOrder
from gambit.venues import VENUES
from gambit.venues.account import Account, Turn
from gambit.venues.binance_orders import BinanceOrders
from gambit.venues.bybit_orders import BybitOrders
from gambit.venues.coinbase_orders import CoinbaseOrders
from gambit.venues.key_rights import objection
from gambit.venues.kraken_orders import KrakenOrders
from gambit.venues.okx_orders import OkxOrders
from gambit.venues.orders import (
    Fault,
    Frame,
    Garbled,
    KeyRights,
    Keys,
    Line,
    OrderLanguage,
    Report,
    RestRequest,
    Stamp,
    StreamFault,
    StreamLost,
)
from tests.sim.talk import Talk

SYMBOLS = {"binance": "BTC-USDT", "okx": "BTC-USDT", "bybit": "BTC-USDT", "kraken": "BTC-USD", "coinbase": "BTC-USD"}
PATHS = {"kraken": "/auth/v2", "coinbase": "/user"}  # two hosts of the real venue are two paths of one port here
ORDERS_PATHS = {"coinbase": "/api/v3/brokerage/orders"}
WAYS = [(venue, over_line) for venue in SYMBOLS for over_line in (False, True) if venue != "coinbase" or not over_line]
MS = 1_000_000


def language(venue: str, keys: Keys, found: Instrument, codes: dict[str, int]) -> OrderLanguage:
    """A venue's order language."""
    match venue:
        case "binance":
            return BinanceOrders(keys)
        case "okx":
            return OkxOrders(keys, codes)
        case "bybit":
            return BybitOrders(keys)
        case "kraken":
            return KrakenOrders(keys, [found.spelling])
        case _:
            return CoinbaseOrders(keys)


class Place:
    """One of our accounts at one simulated venue: lines open, facts collected."""

    def __init__(self, venue: str) -> None:
        self.venue, self.symbol = venue, SYMBOLS[venue]
        self.talk = Talk(venue, (self.symbol,))
        self.facts: list[OrderFact] = []
        self.told: list[Report] = []
        self._lines: dict[Session, Line] = {}
        self._count = 0
        if self.talk.ask("POST", ORDERS_PATHS.get(venue, "/")).status == 404 and venue in ORDERS_PATHS:
            pytest.skip(f"the simulated {venue} takes no orders")
        call = VENUES[venue].instruments_call()
        path, _, query = call.path.partition("?")
        listed = self.talk.ask("GET", path, query).body.encode()
        instruments = VENUES[venue].instruments(call.path, listed) or []
        (self.instrument,) = (each for each in instruments if each.symbol == self.symbol)
        codes = {each.spelling: each.code for each in instruments if each.code is not None}
        known = self.talk.exchange.accounts["demo"].credentials
        keys = Keys(key=known.key, secret=known.secret, passphrase=known.passphrase)
        self.account = Account(language(venue, keys, self.instrument, codes), [self.instrument], prefix="gb")
        self.do(self.account.ask_token(self.talk.now_ns))
        self.entry = self._open(self.account.language.stream())
        line = self.account.language.entry()
        self.entry = self.entry if line is None else self._open(line)
        self.wait(50)
        self.facts.clear()

    def _open(self, line: Line) -> Session:
        session = self.talk.open(PATHS.get(self.venue, line.path))
        self._lines[session] = line
        for frame in self.account.opening(line, self.talk.now_ns):
            self._send(session, frame)
        self.listen()
        return session

    def _send(self, session: Session, frame: bytes) -> None:
        self.talk.exchange.receive(session, frame.decode(), self.talk.now_ns)

    def do(self, turn: Turn) -> None:
        """Everything that a turn wants, and what comes of it."""
        self.facts += turn.facts
        self.told += turn.told
        for request in turn.requests:
            if isinstance(request, Frame):
                self._send(self.entry, request.data)
            else:
                self.do(self.ask(request))
        self.listen()

    def ask(self, request: RestRequest) -> Turn:
        """An HTTP request, answered."""
        path, _, query = request.path.partition("?")
        headers = {name.lower(): text for name, text in request.headers}
        reply = self.talk.ask(request.method, path, query, headers, request.body.decode())
        named = {name.lower(): text for name, text in reply.headers.items()}
        return self.account.read(request.asked, reply.status, named, reply.body.encode(), self.talk.now_ns)

    def listen(self) -> None:
        """Whatever came on the lines."""
        for session, frames in list(self.talk.exchange.drain()):
            line = self._lines.get(session)
            for frame in frames if line is not None else []:
                if isinstance(frame, Close | Ping) or not isinstance(frame, str) or line is None:
                    continue
                turn = self.account.hear(line, frame.encode(), self.talk.now_ns)
                for text in turn.frames:
                    self._send(session, text)
                self.do(turn)

    def wait(self, ms: int) -> None:
        """Let time pass and listen."""
        self.talk.pass_ms(ms)
        self.listen()

    def price(self, side: str, share: str) -> Decimal:
        """So much of the best price of a side, on the tick."""
        tick = self.instrument.tick
        assert tick is not None
        book = self.talk.exchange.books[self.symbol]
        ticks, _lots = getattr(book, side).best()
        item = book.instrument
        return Decimal(int(ticks * Decimal(share))) * Decimal(item.tick).scaleb(-item.price_decimals) // tick * tick

    def order(self, price: Decimal, *, tif: str = "ioc", qty: str = "0.01", over_line: bool = False) -> str:
        """Buy; the order's key."""
        self._count += 1
        key = client_order_id("gb", 1, self._count, str(self._count))
        base, quote = self.symbol.split("-")
        intent: Any = {
            "key": key, "venue": self.venue, "order_id": "o", "plan_id": "p", "user_id": "u", "idempotency_key": "i",
            "symbol": self.symbol, "base": base, "quote": quote, "side": "buy", "qty": Decimal(qty), "price": price,
            "tif": tif, "purpose": "entry", "leg": 0, "fee_bps": Decimal(10), "window_ns": None,
        }  # fmt: skip
        command = PlaceOrder(OrderIntended(**intent))
        self.do(self.account.carry_out(command, self.talk.now_ns, over_line=over_line))
        self.wait(300)
        return key

    def about(self, key: str) -> list[OrderFact]:
        """The facts of an order, repetitions of an execution left out."""
        seen: dict[Any, OrderFact] = {}
        for number, fact in enumerate(self.facts):
            if getattr(fact, "key", "") == key:
                seen.setdefault((fact.exec_id,) if isinstance(fact, Filled) else number, fact)
        return list(seen.values())


def filled(facts: Sequence[OrderFact]) -> list[Filled]:
    """The executions."""
    return [fact for fact in facts if isinstance(fact, Filled)]


@pytest.mark.parametrize(("venue", "over_line"), WAYS)
def test_a_taking_order(venue: str, over_line: bool) -> None:
    """Acknowledged once, its executions those of the ledger with quantity, price, fee and fee asset."""
    place = Place(venue)
    key = place.order(place.price("asks", "1.005"), over_line=over_line)
    facts = place.about(key)
    assert [type(fact) for fact in facts].count(Acked) == 1
    assert not [fact for fact in facts if isinstance(fact, Rejected | OutcomeUnknown)]
    assert sum((fill.qty for fill in filled(facts)), Decimal(0)) == Decimal("0.01")
    truth = place.talk.exchange.ledger.fills
    assert len(truth) == len(filled(facts))
    place.do(
        place.account.carry_out(QueryOrder(venue=venue, symbol=place.symbol, key=key, query_id=1), place.talk.now_ns)
    )
    (found,) = (fact for fact in place.facts if isinstance(fact, OrderFound))
    assert (found.found_as, found.cum_qty) == ("filled", Decimal("0.01"))
    query = QueryFills(venue=venue, symbol=place.symbol, since_ns=place.talk.now_ns - 10**10, query_id=2)
    place.do(place.account.carry_out(query, place.talk.now_ns))
    (whole,) = (fact for fact in place.facts if isinstance(fact, FillsRead))
    on_line = {fill.exec_id: (fill.qty, fill.price, fill.fee, fill.fee_asset, fill.side) for fill in filled(facts)}
    assert {
        fill.exec_id: (fill.qty, fill.price, fill.fee, fill.fee_asset, fill.side) for fill in whole.fills
    } == on_line


@pytest.mark.parametrize(("venue", "over_line"), WAYS)
def test_balances_move_by_the_executions(venue: str, over_line: bool) -> None:
    """What the venue says before and after differs by the fills and their fees, to the last unit."""
    place = Place(venue)
    base, quote = place.symbol.split("-")

    def balances() -> BalanceRead:
        place.facts.clear()
        place.do(place.account.carry_out(QueryBalances(venue=venue, query_id=1), place.talk.now_ns))
        (read,) = (fact for fact in place.facts if isinstance(fact, BalanceRead))
        return read

    before = balances()
    key = place.order(place.price("asks", "1.005"), over_line=over_line)
    fills = filled(place.about(key))
    after = balances()
    fees = {asset: sum((f.fee for f in fills if f.fee_asset == asset), Decimal(0)) for asset in (base, quote)}
    assert after.free[base] - before.free[base] == sum((f.qty for f in fills), -fees[base])
    assert before.free[quote] - after.free[quote] == sum((f.qty * f.price for f in fills), fees[quote])


@pytest.mark.parametrize(("venue", "over_line"), WAYS)
def test_a_resting_order_is_cancelled(venue: str, over_line: bool) -> None:
    """It rests, is told among the open ones, and its cancel ends it with nothing filled."""
    place = Place(venue)
    key = place.order(place.price("bids", "0.99"), tif="gtc", over_line=over_line)
    assert [type(fact) for fact in place.about(key)] == [Acked]
    place.do(place.account.open_orders(place.talk.now_ns))
    (seen,) = (fact for fact in place.facts if isinstance(fact, ForeignOrderSeen))
    assert (seen.client_id, seen.qty, seen.is_open, seen.symbol) == (key, Decimal("0.01"), True, place.symbol)
    cancel = CancelOrder(venue=venue, symbol=place.symbol, key=key)
    place.do(place.account.carry_out(cancel, place.talk.now_ns, over_line=over_line))
    place.wait(300)
    ends = {(fact.cum_qty, fact.cause) for fact in place.about(key) if isinstance(fact, Cancelled)}
    assert ends == {(Decimal(0), "asked")}  # told by an answer, on the line, or by both


@pytest.mark.parametrize(("venue", "over_line"), WAYS)
def test_an_ioc_that_finds_nothing(venue: str, over_line: bool) -> None:
    """It is expired with nothing, in whatever word the venue has for it."""
    place = Place(venue)
    key = place.order(place.price("bids", "0.99"), over_line=over_line)
    ends = [fact for fact in place.about(key) if isinstance(fact, Expired | Cancelled | Rejected)]
    assert ends
    assert all(isinstance(end, Expired) and end.cum_qty == 0 for end in ends)


@pytest.mark.parametrize(("venue", "over_line"), WAYS)
def test_more_than_there_is_money_for(venue: str, over_line: bool) -> None:
    """Positively refused, and never acknowledged unless the venue tells afterwards."""
    place = Place(venue)
    key = place.order(place.price("bids", "0.99"), qty="60", tif="gtc", over_line=over_line)
    assert isinstance(place.about(key)[-1], Rejected)
    assert not place.talk.exchange.ledger.fills


@pytest.mark.parametrize("venue", SYMBOLS)
def test_an_order_that_never_was(venue: str) -> None:
    """Missing, after every place was searched."""
    place = Place(venue)
    key = client_order_id("gb", 1, 99, "never")
    place.do(
        place.account.carry_out(QueryOrder(venue=venue, symbol=place.symbol, key=key, query_id=5), place.talk.now_ns)
    )
    (missing,) = (fact for fact in place.facts if isinstance(fact, OrderMissing))
    assert missing.searched_history


@pytest.mark.parametrize("venue", SYMBOLS)
@pytest.mark.parametrize("applied", [True, False])
def test_a_5xx_leaves_an_order_in_doubt(venue: str, applied: bool) -> None:
    """And the venue's own answer ends it: found, or missing."""
    place = Place(venue)
    place.talk.strike("http", args={"status": 503, "applied": applied}, match={"action": "place"})
    key = place.order(place.price("asks", "1.005"))
    assert [fact for fact in place.about(key) if isinstance(fact, OutcomeUnknown)]
    assert not [fact for fact in place.about(key) if isinstance(fact, Rejected)]
    place.do(
        place.account.carry_out(QueryOrder(venue=venue, symbol=place.symbol, key=key, query_id=5), place.talk.now_ns)
    )
    told = [type(fact) for fact in place.facts if isinstance(fact, OrderFound | OrderMissing)]
    assert told == [OrderFound if applied else OrderMissing]


@pytest.mark.parametrize("venue", SYMBOLS)
def test_repeated_executions_have_one_id(venue: str) -> None:
    """F24: the same execution told three times is the same fact three times."""
    place = Place(venue)
    place.talk.strike("dup", args={"times": 2}, match={"private": True, "report": "trade"}, for_ms=60_000)
    key = place.order(place.price("asks", "1.005"))
    told = [fact for fact in place.facts if isinstance(fact, Filled) and fact.key == key]
    assert len({fact.exec_id for fact in told}) == len(place.talk.exchange.ledger.fills)
    assert len({(fact.exec_id, fact.qty, fact.price, fact.fee) for fact in told}) == len({f.exec_id for f in told})


@pytest.mark.parametrize(("venue", "over_line"), WAYS)
def test_executions_without_an_id_are_fetched(venue: str, over_line: bool) -> None:
    """F27: one made up would count twice beside the true one; HTTP has it, and nothing is booked before."""
    place = Place(venue)
    place.talk.strike("strip_id", match={"private": True}, for_ms=60_000)
    key = place.order(place.price("asks", "1.005"), over_line=over_line)
    if venue != "coinbase":
        assert [report for report in place.told if isinstance(report, StreamLost)]
    query = QueryFills(venue=venue, symbol=place.symbol, since_ns=place.talk.now_ns - 10**10, query_id=2)
    place.do(place.account.carry_out(query, place.talk.now_ns))
    (whole,) = (fact for fact in place.facts if isinstance(fact, FillsRead))
    assert sum((fill.qty for fill in whole.fills), Decimal(0)) == Decimal("0.01")
    true_ids = {fill.exec_id for fill in whole.fills}
    assert {fill.exec_id for fill in filled(place.about(key))} <= true_ids


@pytest.mark.parametrize("venue", list(SYMBOLS))
@pytest.mark.parametrize("given", [{}, {"withdraw": True}, {"trade": False}, {"bound": False}])
def test_what_a_key_may_do_is_read_as_the_venue_tells_it(venue: str, given: dict[str, bool]) -> None:
    """S47. Coinbase tells no addresses; that a Kraken key may not trade is not believed of a list of unknown words."""
    place = Place(venue)
    place.talk.exchange.strike(FaultOrder(kind="rights", args=dict(given)))
    place.do(place.account.ask_rights(place.talk.now_ns))
    [rights] = [report for report in place.told if isinstance(report, KeyRights)]
    trades = {"kraken": None}.get(venue, False) if given.get("trade") is False else True
    is_bound = None if venue == "coinbase" else given.get("bound", True)
    assert rights == KeyRights(trades=trades, withdraws=given.get("withdraw", False), is_bound=is_bound)
    may_trade = not given.get("withdraw") and trades is not False and is_bound is not False
    assert (objection(venue, rights, wants_bound=True) == "") == may_trade


@pytest.mark.parametrize("venue", list(SYMBOLS))
def test_a_logon_that_ended_in_silence_is_found(venue: str) -> None:
    """F80, without an order under way: a probe says nothing while all is well, then that the logon is gone; Coinbase's
    subscribes anew."""
    place = Place(venue)
    [(session, line)] = [(session, line) for session, line in place._lines.items() if line.probe(Stamp(1, 1))]

    def probe() -> list[Fault]:
        place.told.clear()
        place._send(session, place.account.probe(line, place.talk.now_ns))
        place.wait(50)
        assert not [report for report in place.told if isinstance(report, Garbled | StreamLost)]
        return [report.fault for report in place.told if isinstance(report, StreamFault)]

    assert probe() == probe() == []
    place.talk.strike("expire_session", match={"private": True})
    place.wait(1000)
    faults = probe()
    if venue == "coinbase":
        assert faults == []
        place.facts.clear()
        key = place.order(place.price("asks", "0.5"), tif="gtc")
        assert [fact for fact in place.about(key) if isinstance(fact, Acked)]
    else:
        assert [(fault.category, fault.means) for fault in faults] == [("auth", "session")]
