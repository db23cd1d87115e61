"""The way to one account: which line takes orders, and when the stream counts as up."""

import asyncio
import base64
from collections.abc import Coroutine, Iterable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest

from gambit.commands import CancelOrder, PlaceOrder, QueryBalances
from gambit.events.orders import CancelRejected, Filled, Rejected, Unsent
from gambit.model import Category
from gambit.runtime import account_port
from gambit.runtime.ear import Ear
from gambit.runtime.fee_tier import EVERY_NS, SEC, FeeTier
from gambit.runtime.transport import LinkError
from gambit.venues.account import Account, Turn
from gambit.venues.kraken_orders import KrakenOrders
from gambit.venues.okx_orders import OkxOrders
from gambit.venues.orders import (
    Asked,
    Fault,
    FeeRates,
    KeyRights,
    Keys,
    Line,
    Means,
    NoSuchWay,
    StreamFault,
    StreamReady,
    What,
)
from tests.runtime.ports import Tasks, port_of
from tests.runtime.test_gateway import Net, answer

LINE = cast(Line, object())


class Intent(NamedTuple):
    """What of an intent an account's port looks at."""

    key: str
    venue: str


class Wire:
    """An open connection."""

    def __init__(self) -> None:
        self.is_closed = False

    def send(self, data: bytes) -> None:
        assert data

    def ping(self) -> None:
        assert not self.is_closed

    def close(self) -> None:
        self.is_closed = True


class Language:
    """A venue with a line of its own for orders, or without."""

    name, window_ns, limits, wants_nonces_in_order = "bybit", 5_000_000_000, (), False

    def __init__(self, has_entry: bool) -> None:
        self.has_entry = has_entry

    def entry(self) -> Line | None:
        return LINE if self.has_entry else None


class Told:
    """An account that hears what the test wants it to hear."""

    def __init__(self, has_entry: bool) -> None:
        self.language = Language(has_entry)
        self.next: Turn | Exception = Turn()
        self.downs: list[str] = []

    def hear(self, line: Line, data: bytes, now_ns: int) -> Turn:
        assert data, (line, now_ns)
        if isinstance(self.next, Exception):
            raise self.next
        return self.next

    def open_orders(self, now_ns: int) -> Turn:
        assert now_ns
        return Turn()

    def ask_rights(self, now_ns: int) -> Turn:
        assert now_ns
        return Turn()

    def line_down(self, reason: str) -> Turn:
        self.downs.append(reason)
        return Turn()


class Case:
    """A port with nothing behind it."""

    def __init__(self, has_entry: bool) -> None:
        self.account = Told(has_entry)
        self.compared = 0
        self.said: list[str] = []

        def start(_name: str, work: Coroutine[Any, Any, object]) -> None:
            work.close()

        def reconcile() -> None:
            self.compared += 1

        self.port = port_of(
            cast(Account, self.account), Net(answer(200)), Tasks(), reconcile=reconcile, start=start,
            on_defect=lambda what, error: self.said.append(f"{what}: {error}"), warn=self.said.append,
            on_held=lambda fact: self.said.append(f"{fact.cause}: {fact.reason}"),
        )  # fmt: skip

    def line(self, *, is_entry: bool) -> tuple[Ear, Wire]:
        """A connection that stands."""
        ear, wire = Ear(self.port, LINE, is_entry=is_entry), Wire()
        ear.on_open(wire)
        if is_entry:
            self.port._entry = ear
        else:
            self.port._stream = ear
        return ear, wire

    def answered(self, what: What = "open_orders", turn: Turn | None = None) -> None:
        """The venue answered a question over HTTP."""
        self.port.admission.learn(Asked(what=what, nonce=1, now_ns=1), turn or Turn())

    def hear(self, ear: Ear, told: StreamReady | StreamFault) -> None:
        """A frame that says this."""
        self.account.next = Turn(told=[told])
        self.port.heard(ear, b"frame", 1)


async def test_the_stream_is_up_once_it_is_subscribed() -> None:
    """Not with its first frame, nor with the logon; then what was missed is asked for, once. Orders are taken when the
    open ones are known."""
    case = Case(has_entry=False)
    ear, wire = case.line(is_entry=False)
    case.account.next = Turn()
    case.port.heard(ear, b"welcome", 1)
    case.hear(ear, StreamReady())
    assert (case.port.is_up, case.port._order_link(), case.compared) == (False, None, 0)
    case.hear(ear, StreamReady("orders"))
    case.hear(ear, StreamReady("account"))
    assert (case.port.is_up, case.port._order_link(), case.compared) == (False, wire, 1)
    case.answered(turn=Turn(is_more=True))
    case.answered(turn=Turn(fault=Fault(category=Category.RATE_LIMIT, code="429", text="slower")))
    assert (case.port.is_up, case.port.reason) == (False, "the open orders are not known yet")
    case.answered()
    assert (case.port.is_up, case.port.reason) == (True, "")


@pytest.mark.parametrize(("is_ready", "category", "is_closed"), [
    (False, Category.PERMANENT_4XX, True), (True, Category.AUTH, True), (True, Category.RATE_LIMIT, False),
])  # fmt: skip
async def test_a_line_that_is_not_let_in_is_closed(is_ready: bool, category: Category, is_closed: bool) -> None:
    """With the venue's reason; another word of complaint does not end it."""
    case = Case(has_entry=False)
    ear, wire = case.line(is_entry=False)
    if is_ready:
        case.hear(ear, StreamReady("orders"))
        case.answered()
    case.hear(ear, StreamFault(Fault(category=category, code="60009", text="login failed")))
    assert (wire.is_closed, case.port.is_up) == (is_closed, is_ready)
    ear.on_close("closed by us", None)
    assert ear.reason == (f"{category} 60009: login failed" if is_closed else "closed by us")


async def test_a_line_without_its_channel_is_over_and_the_markets_state_is_news() -> None:
    """OKX acknowledges a channel and then says that too many connections have it; Kraken says before anything else that
    it takes cancels only."""
    case = Case(has_entry=False)
    ear, wire = case.line(is_entry=False)
    kraken = KrakenOrders(Keys(key="k", secret=base64.b64encode(b"s").decode()), [])
    kraken.use_token("t")
    status = (
        b'{"channel":"status","type":"update","data":[{"system":"cancel_only","connection_id":12393906104898154338}]}'
    )
    [told] = kraken.stream().hear(status, {}).reports
    assert isinstance(told, StreamFault)
    case.hear(ear, told)
    case.hear(ear, StreamReady("orders"))
    case.answered()
    assert (wire.is_closed, case.port.is_up, len(case.said)) == (False, True, 1)
    line = OkxOrders(Keys(key="k", secret="s", passphrase="p"), {}).stream()
    said = b'{"event":"channel-conn-count-error","channel":"orders","connCount":"30","connId":"a4d3ae55"}'
    [told] = line.hear(said, {}).reports
    assert isinstance(told, StreamFault)
    case.hear(ear, told)
    assert (wire.is_closed, case.port.admission.held) == (True, None)


async def test_a_line_without_a_new_token_does_not_open_with_the_old_one() -> None:
    """It may be good no more, and two sessions that are refused look like keys that are (kraken.md 5.2)."""
    keys = Keys(key="k", secret=base64.b64encode(b"s").decode())
    net = Net(answer(200, b'{"error":[],"result":{"token":"t1","expires":900}}'), answer(503, b"down"))
    account = Account(KrakenOrders(keys, ["BTC/USD"]), [], prefix="gb")
    port = port_of(account, net, Tasks(), lines=[])
    opened: list[str] = []

    class Opening:
        """A transport whose lines end at once."""

        async def open(self, url: str, _ear: Ear, _tls: object) -> None:
            opened.append(url)
            raise LinkError("cut")

    port._transport = cast(Any, Opening())
    with pytest.raises(LinkError):
        await port._one(account.language.stream, is_entry=False)
    with pytest.raises(NoSuchWay):
        await port._one(account.language.stream, is_entry=False)
    assert len(opened) == 1


async def test_orders_never_go_over_the_stream_of_a_venue_that_has_a_line_for_them() -> None:
    """They go over HTTP while that line is down, and only its end puts them in doubt."""
    case = Case(has_entry=True)
    stream, _ = case.line(is_entry=False)
    case.hear(stream, StreamReady("order"))
    case.answered()
    assert (case.port.is_up, case.port._order_link()) == (True, None)
    entry, wire = case.line(is_entry=True)
    assert case.port._order_link() is None
    case.hear(entry, StreamReady())
    assert case.port._order_link() is wire
    case.port._down(False, "the stream is gone")
    assert (case.account.downs, case.port._order_link()) == ([], wire)
    case.port._down(True, "the line is gone")
    assert (case.account.downs, case.port._order_link()) == (["the line is gone"], None)


async def test_a_frame_that_breaks_us_is_a_defect() -> None:
    """It is told, not only logged with the reconnect (I24)."""
    case = Case(has_entry=False)
    ear, _ = case.line(is_entry=False)
    case.account.next = KeyError("a bug")
    with pytest.raises(KeyError):
        case.port.heard(ear, b"frame", 1)
    assert case.said == ["bybit: a frame of the account: 'a bug'"]
    await asyncio.sleep(0)


def refusal(means: Means = "other") -> Fault:
    """Of keys."""
    return Fault(category=Category.AUTH, code="10003", text="API key is invalid.", means=means)


PLACE = PlaceOrder(cast(Any, Intent("gb1", "bybit")))


async def test_keys_refused_at_the_logon_are_not_shown_again() -> None:
    """The venue is told nothing more; creates and cancels come back unsent; release() tries once more."""
    case = Case(has_entry=False)
    ear, wire = case.line(is_entry=False)
    case.hear(ear, StreamFault(refusal()))
    assert wire.is_closed
    assert case.port.admission.held is not None
    assert (case.port.admission.held.cause, case.said) == ("auth", ["auth: auth 10003: API key is invalid."])
    waiting = asyncio.create_task(case.port._until_released())
    await asyncio.sleep(0)
    assert not waiting.done()
    assert [type(fact) for fact in case.port.send(PLACE, 1)] == [Unsent]
    cancel = CancelOrder(key="gb1", venue="bybit", symbol="BTC-USDT", venue_order_id="")
    assert [type(fact) for fact in case.port.send(cancel, 1)] == [CancelRejected]
    assert case.port.send(QueryBalances(venue="bybit", query_id=1), 1) == []
    assert case.port.on_time(cast(Any, None), 1) == ()
    case.port.release()
    await asyncio.wait_for(waiting, 60)
    assert case.port.admission.held is None


@pytest.mark.parametrize(("means", "holds_at"), [("other", 1), ("session", 2), ("clock", None), ("nonce", None)])
async def test_a_session_that_ended_is_tried_once_more_and_a_wrong_clock_is_not_the_keys_fault(
    means: Means, holds_at: int | None
) -> None:
    case = Case(has_entry=False)
    for turn in (1, 2, 3):
        case.answered("balances", Turn(fault=refusal(means)))
        assert (case.port.admission.held is not None) == (holds_at is not None and turn >= holds_at)


async def test_a_session_counts_anew_after_a_good_answer() -> None:
    case = Case(has_entry=False)
    for _ in range(3):
        case.answered("balances", Turn(fault=refusal("session")))
        case.answered("balances")
    assert case.port.admission.held is None


async def test_an_order_refused_for_want_of_rights_logs_on_anew_and_the_next_one_holds() -> None:
    """F80 is a session that ended in silence, F82 a key that may not trade any more."""
    case = Case(has_entry=False)
    rejected = Rejected(key="gb1", venue="bybit", code="10005", category=Category.AUTH, text="Permission denied")
    for holds in (False, True):
        ear, wire = case.line(is_entry=False)
        case.hear(ear, StreamReady("order"))
        case.account.next = Turn(facts=[rejected])
        case.port.heard(ear, b"frame", 1)
        assert wire.is_closed
        assert (case.port.admission.held is not None) == holds


async def test_a_venue_that_does_not_tell_its_fees_is_not_held_for_that() -> None:
    """What was known stays, or else what is configured; it is asked again, ever later, and complained of once."""
    case = Case(has_entry=False)
    case.answered("fees", Turn(fault=refusal()))
    assert case.port.admission.held is None
    tier, now_ns, asked = FeeTier("bybit", case.said.append), 0, []
    while now_ns < 2 * EVERY_NS:
        if tier.is_asked(now_ns):
            asked.append(now_ns // SEC)
            assert tier.learn(Turn(fault=refusal()), now_ns) is None
        now_ns += SEC
    assert asked == [0, 20, 60, 140, 300, 620, 1260, 2540, 5100]
    assert case.said == ["bybit: does not tell its fees, the configured one holds: auth 10003: API key is invalid."]
    told = Turn(told=[FeeRates(spelling="BTCUSDT", maker=Decimal("0.0001"), taker=Decimal("0.00055"))])
    assert tier.learn(told, now_ns) == Decimal("5.5")
    assert tier.learn(Turn(fault=refusal()), now_ns) == Decimal("5.5")
    assert not tier.is_asked(now_ns + EVERY_NS - 1)
    assert tier.is_asked(now_ns + EVERY_NS)


def executed(fee: str, asset: str, price: str = "200") -> Filled:
    """Half a BTC."""
    return Filled(
        key="gb1", venue="bybit", symbol="BTC-USDT", side="buy", exec_id="1", qty=Decimal("0.5"), price=Decimal(price),
        fee=Decimal(fee), fee_asset=asset,
    )  # fmt: skip


@pytest.mark.parametrize(("fact", "is_asked"), [
    (executed("0.055", "USDT"), False),
    (executed("0.0604", "USDT"), True),
    (executed("0.00027", "BTC"), False),
    (executed("0.0006", "BTC"), True),
    (executed("9", "BNB"), False),
    (executed("-0.01", "USDT"), False),
    (executed("1", "USDT", price="0"), False),
    (refusal(), False),
])  # fmt: skip
def test_an_execution_that_cost_more_than_the_tier_asks_for_it_anew(fact: object, *, is_asked: bool) -> None:
    """At once, and not within 10 s of the last question, whatever is charged; 5.5 bps were told (F73)."""
    tier, now_ns = FeeTier("bybit", lambda _text: None), 100 * SEC
    told = Turn(told=[FeeRates(spelling="BTCUSDT", maker=Decimal("0.0001"), taker=Decimal("0.00055"))])
    tier.saw([executed("50", "USDT")])  # nothing was told yet
    assert tier.is_asked(now_ns)
    tier.learn(told, now_ns)
    tier.saw([executed("0.05", "USDT"), fact])
    assert not tier.is_asked(now_ns + 10 * SEC - 1)
    assert tier.is_asked(now_ns + 10 * SEC) == is_asked
    if is_asked:
        tier.learn(told, now_ns + 11 * SEC)
        assert not tier.is_asked(now_ns + 21 * SEC)


def rates(taker: str) -> Turn:
    """A venue's answer about its fees."""
    return Turn(told=[FeeRates(spelling="BTCUSDT", maker=Decimal(0), taker=Decimal(taker))])


async def test_a_fee_is_told_on_when_it_is_another() -> None:
    """Once each time; an answer that does not say changes nothing."""
    case, heard = Case(has_entry=False), []
    case.port._on_fee = heard.append  # type: ignore[assignment]
    for turn in (Turn(), rates("0.0001"), rates("0.0001"), Turn(), rates("0.0002")):
        case.port._learn_fee(turn)
    assert heard == [Decimal(1), Decimal(2)]
    assert case.port.taker_fee_bps == 2


async def test_a_port_asks_for_its_fees_when_the_stream_tells_of_a_dear_execution() -> None:
    """What passes through the port is seen."""
    case = Case(has_entry=False)
    case.port._learn_fee(rates("0.0001"))
    ear, _wire = case.line(is_entry=False)
    for fee, is_asked in (("0.01", False), ("1", True)):
        case.account.next = Turn(facts=[executed(fee, "USDT")])
        case.port.heard(ear, b"frame", 1)
        assert case.port.fees.is_asked(0) == is_asked


@pytest.mark.parametrize(("rights", "wants_bound", "text"), [
    (KeyRights(trades=True, withdraws=True, is_bound=True), True, "may withdraw"),
    (KeyRights(trades=False, withdraws=False, is_bound=True), True, "may not trade"),
    (KeyRights(trades=True, withdraws=False, is_bound=False), True, "from any address"),
    (KeyRights(trades=True, withdraws=False, is_bound=False), False, ""),
    (KeyRights(trades=True, withdraws=None, is_bound=None), True, ""),
])  # fmt: skip
async def test_keys_that_may_do_too_much_take_no_new_orders(rights: KeyRights, wants_bound: bool, text: str) -> None:
    """The stream stays, and so do cancels and questions (S47)."""
    case = Case(has_entry=False)
    case.port.admission._wants_bound = wants_bound
    case.port.admission.unknown = {"rights", "open_orders"}
    ear, wire = case.line(is_entry=False)
    case.port._ask_rights = list  # type: ignore[method-assign]  # the answer comes below
    case.hear(ear, StreamReady("order"))
    case.answered()
    assert not case.port.is_up
    case.answered("rights", Turn(told=[rights]))
    assert case.port.is_up == (not text)
    assert text in case.port.reason
    assert not wire.is_closed
    held = case.port.admission.held
    assert (held.cause if held else "", case.port.admission.is_refused) == ("rights" if text else "", False)


async def test_a_venue_that_does_not_tell_what_a_key_may_do_is_traded_at() -> None:
    """It is said; a venue that is only busy is asked again."""
    case = Case(has_entry=False)
    case.port.admission.unknown = {"rights"}
    for category, is_known in ((Category.VENDOR_5XX, False), (Category.PERMANENT_4XX, True)):
        case.answered("rights", Turn(fault=Fault(category=category, code="404", text="no such path")))
        assert ("rights" not in case.port.admission.unknown) == is_known
    assert case.port.admission.held is None
    assert len(case.said) == 1


class Pinged(Wire):
    """A connection on which each ping is answered, or none; after `most` pings its other end hangs up."""

    def __init__(self, ear: Ear, *, answers: bool, most: int) -> None:
        super().__init__()
        self.ear, self.answers, self.most, self.pings = ear, answers, most, 0

    def ping(self) -> None:
        super().ping()
        self.pings += 1
        if self.answers:
            self.ear.on_heard(1)
        if self.pings == self.most:
            self.ear.on_close("hung up", None)


class Silent:
    """A line that is kept alive by WebSocket pings, and has nothing to probe."""

    def ping(self, at: object) -> bytes:
        assert at
        return b""


async def pinged(monkeypatch: pytest.MonkeyPatch, looks_ns: Iterable[int], *, answers: bool) -> tuple[Ear, Pinged]:
    """A line after its end; the clock stands at these times when it is looked at."""
    monkeypatch.setattr(account_port, "PING_SEC", 0.001)
    case = Case(has_entry=True)
    times = iter(looks_ns)
    case.port._clock = SimpleNamespace(mono_ns=lambda: next(times), now_ns=lambda: 1_700_000_000 * SEC)  # type: ignore[assignment]
    ear = Ear(case.port, cast(Line, Silent()), is_entry=True)
    wire = Pinged(ear, answers=answers, most=20)
    ear.on_open(wire)
    await case.port._ping_until_ended(ear)
    return ear, wire


async def test_a_line_that_answers_nothing_any_more_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """F78: orders sent into a half-open line are never heard of, so it is closed after 8 s without an answer."""
    ear, wire = await pinged(monkeypatch, (look * 4 * SEC for look in range(99)), answers=False)
    assert (wire.is_closed, wire.pings, ear.reason) == (True, 1, "nothing was heard for 8 s")


async def test_a_line_that_answers_pings_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though nothing else is heard on it for minutes."""
    ear, wire = await pinged(monkeypatch, (look * 4 * SEC for look in range(99)), answers=True)
    assert (wire.is_closed, wire.pings, ear.reason) == (False, 20, "hung up")


async def test_a_line_is_not_dead_because_this_process_stood_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute between two looks: what came meanwhile waits in the socket and is heard before the next one."""
    times = [0, 4, 64, 68, 128, *range(132, 999, 4)]
    _, wire = await pinged(monkeypatch, (at * SEC for at in times), answers=True)
    assert (wire.is_closed, wire.pings) == (False, 20)
    _, wire = await pinged(monkeypatch, (at * SEC for at in [0, 60, 61, 62]), answers=False)
    assert wire.pings == 1  # the second silent look is enough
