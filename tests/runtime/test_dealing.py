"""The shell around the desk: what it refuses to replay, what it carries out, and how long a create waits."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from gambit.commands import CancelOrder, Command, PlaceOrder, QueryBalances
from gambit.engine.desk import Decision, Desk
from gambit.engine.limits import Execution, Limits
from gambit.engine.plan import Opportunity
from gambit.engine.standing import ReplayDiffers
from gambit.events import Fact
from gambit.events.operation import TradingStateChanged
from gambit.events.orders import OpportunityEnded, Sent, Unsent
from gambit.journal import JournalBehind, JournalFailed
from gambit.model import Failure
from gambit.runtime.budget import Lane
from gambit.runtime.dealing import SIGNALS_A_TURN, Dealing
from gambit.runtime.moment import Moment
from tests.engine.orders import intent
from tests.engine.world import World
from tests.runtime.test_gateway import Net, answer


class Kept(NamedTuple):
    """A journal record."""

    seq: int
    ts_ns: int
    kind: str
    body: bytes


class Book:
    """A journal that holds records and takes facts at once."""

    def __init__(self, *records: Kept) -> None:
        self.records = list(records)
        self.facts: list[Fact] = []
        self.written = 1_000_000

    def follow(self, after: int) -> "Book":
        assert after == 0
        return self

    def read(self, limit: int) -> Sequence[Kept]:
        found, self.records = self.records[:limit], self.records[limit:]
        return found

    def close(self) -> None:
        assert self.records == []

    def write(self, fact: Fact) -> int:
        self.facts.append(fact)
        return len(self.facts)

    async def until_written(self, seq: int) -> None:
        assert seq <= len(self.facts)

    until_synced = until_written


class Way:
    """A port that fails at what it is told to fail at."""

    is_up, window_ns, deadline_ns = True, None, None

    def __init__(self, fails: type) -> None:
        self.fails = fails
        self.got: list[Command] = []

    def send(self, command: Command, now_ns: int) -> Sequence[Fact]:
        assert now_ns
        if isinstance(command, self.fails):
            raise RuntimeError("a bug")
        self.got.append(command)
        return ()

    def on_time(self, conditions: Moment, now_ns: int) -> Sequence[Fact]:
        raise AssertionError((conditions, now_ns))


class Case:
    """A dealing with what it told."""

    def __init__(self, book: Book, *, disk_is_full: bool = False) -> None:
        self.defects: list[str] = []
        self.book = book

        def on_state(_fact: TradingStateChanged) -> None:
            if disk_is_full:
                raise OSError("no space left")

        self.dealing = Dealing(
            Desk(Execution(), Limits()), Net(), book, lambda f, _: book.write(f), lambda f, _: book.write(f),
            lambda: World(),  # type: ignore[arg-type,return-value]
            durability="process", notify=lambda _notice: None, on_state=on_state,
            on_defect=lambda what, error: self.defects.append(f"{what}: {error}"),
        )  # fmt: skip


def test_a_record_of_a_later_version_is_refused() -> None:
    """It may be an order's; nobody trades on a journal that is half understood (F104)."""
    with pytest.raises(ReplayDiffers, match=r"record 2 is a 'order\.teleported'"):
        Case(Book(Kept(1, 5, "signal.raised", b"{}"), Kept(2, 6, "order.teleported", b"{}"))).dealing.replay()
    assert Case(Book(Kept(1, 5, "journal.checkpoint", b"{}"))).dealing.replay() == 1


async def test_one_command_that_fails_does_not_take_the_others_along() -> None:
    """It is told (I24)."""
    case, way = Case(Book()), Way(PlaceOrder)
    case.dealing.ports = {"binance": way}
    order, question = PlaceOrder(intent(venue="binance")), QueryBalances(venue="binance", query_id=1)
    case.dealing.why_not = lambda _command: None  # type: ignore[method-assign]
    case.dealing.desk.may_send = lambda *_: None  # type: ignore[method-assign]
    case.dealing._carry_out(Decision([], [order, question]))
    assert way.got == [question]
    assert case.defects == ["sending a PlaceOrder: a bug"]


@pytest.mark.parametrize("fails_at", ["append", "sync"])
async def test_without_a_journal_cancels_leave_and_nothing_else(fails_at: str) -> None:
    """I24, and it is told; whether the journal refuses the fact or fails before it is safe."""

    class Failed(Book):
        """Takes nothing any more."""

        def write(self, fact: Fact) -> int:
            if fails_at == "append":
                raise JournalFailed("no space left")
            return super().write(fact)

        async def until_written(self, seq: int) -> None:
            raise JournalFailed(f"record {seq}: no space left")

        until_synced = until_written

    case, way = Case(Failed()), Way(QueryBalances)
    case.book.written = 0
    case.dealing.ports = {"binance": way}
    case.dealing.desk.may_send = lambda *_: None  # type: ignore[method-assign]
    order, question = PlaceOrder(intent(venue="binance")), QueryBalances(venue="binance", query_id=1)
    cancel = CancelOrder(venue="binance", symbol="BTC-USDT", key="gb1")
    halt = TradingStateChanged(state="HALTED", was="ACTIVE", reason="no journal", by="gambit")
    decision = Decision([halt], [order, cancel, question])
    if fails_at == "append":
        with pytest.raises(JournalFailed):
            case.dealing._carry_out(decision)
    else:
        case.dealing.on_facts = lambda facts: told.extend(facts)  # type: ignore[method-assign]
        told: list[Fact] = []
        case.dealing._carry_out(decision)
        await case.dealing.let_go()
        assert [type(fact) for fact in told] == [Unsent]
        assert case.defects == ["sending orders: record 1: no space left"]
    assert way.got == [cancel]


async def test_a_desk_that_knows_more_than_its_journal_is_asked_nothing() -> None:
    """A record was not taken, and later ones will be: the desk is made anew from what the journal has."""

    class Behind(Book):
        """Takes nothing for a while."""

        def write(self, fact: Fact) -> int:
            raise JournalBehind("the disk is 256 MiB behind")

    case = Case(Behind())
    halt = TradingStateChanged(state="HALTED", was="ACTIVE", reason="a loss", by="desk")
    with pytest.raises(JournalBehind):
        case.dealing._carry_out(Decision([halt], []))
    assert "made anew from the journal" in case.dealing.frozen
    assert case.defects == ["a fact could not be written: the disk is 256 MiB behind"]
    case.dealing.on_facts([halt])
    assert len(case.defects) == 1


async def test_a_halt_that_is_not_on_disk_is_journalled_whole_and_carried_out() -> None:
    """The file fails; the facts behind the halt and the commands are not lost with it."""
    case, way = Case(Book(), disk_is_full=True), Way(PlaceOrder)
    case.dealing.ports = {"binance": way}
    halt = TradingStateChanged(state="HALTED", was="ACTIVE", reason="a loss", by="desk")
    question = QueryBalances(venue="binance", query_id=1)
    case.dealing._carry_out(Decision([halt, halt], [question]))
    assert (case.book.facts, way.got) == ([halt, halt], [question])
    assert case.defects == ["keeping the trading state: no space left"] * 2


async def test_no_create_leaves_at_the_end() -> None:
    """The next life finds its intent in the journal."""
    case, way = Case(Book()), Way(QueryBalances)
    case.dealing.ports = {"binance": way}
    case.dealing.desk.may_send = lambda *_: None  # type: ignore[method-assign]
    await case.dealing.close()
    case.dealing._carry_out(Decision([], [PlaceOrder(intent(venue="binance"))]))
    await case.dealing.let_go()
    assert (way.got, case.book.facts, case.defects) == ([], [], [])


async def test_a_create_is_kept_back_at_the_last_moment() -> None:
    """A halt came while it waited for its turn: nothing leaves (I09)."""
    net = Net(answer(200))
    found = await net.gateway().carry(
        "POST", "/x", headers={}, body=b"", weight=1, lane=Lane.ORDINARY, on_leave=lambda: "halted"
    )
    assert isinstance(found, Failure)
    assert (found.text, net.sent) == ("halted", [])


async def test_an_order_does_not_wait_behind_slow_readings() -> None:
    """It never left, and says so, when no slot is free in time."""
    gate, left = asyncio.Event(), []

    class Slow(Net):
        async def request(self, *args: object, **more: object) -> object:  # type: ignore[override]
            left.append((args, more))
            await gate.wait()
            return answer(200)

    gateway = Slow(answer(200)).gateway()

    def carry(lane: Lane) -> "asyncio.Task[object]":
        work = gateway.carry("POST", "/x", headers={}, body=b"", weight=1, lane=lane, on_leave=lambda: None)
        return asyncio.create_task(work)

    slow = [carry(Lane.ORDINARY) for _ in range(4)]
    while len(left) < 4:
        await asyncio.sleep(0)
    late = await carry(Lane.ORDINARY)
    assert isinstance(late, Failure)
    assert late.text == "too many requests are under way"
    gate.set()
    await asyncio.gather(*slow)
    assert len(left) == 4


class Swift(Way):
    """A port that sends at once."""

    def send(self, command: Command, now_ns: int) -> Sequence[Fact]:
        super().send(command, now_ns)
        assert isinstance(command, PlaceOrder)
        return (Sent(key=command.intent.key, venue=command.intent.venue),)


async def test_the_last_leg_does_not_wait_for_news_of_the_first() -> None:
    """Both are handed over, each timed at that instant, before the desk hears of either; a refused one is not timed."""
    case, way = Case(Book()), Swift(QueryBalances)
    case.dealing.ports = {"binance": way}
    took: list[int] = []
    case.dealing.on_order = took.append
    heard: list[tuple[Fact, int]] = []
    case.dealing.desk.on_fact = (  # type: ignore[method-assign]
        lambda fact, *_: heard.append((fact, len(way.got))) or Decision([], [])  # type: ignore[func-returns-value]
    )
    legs = [PlaceOrder(intent(key=key, venue="binance")) for key in ("gb1", "gb2", "gb3")]
    case.dealing.desk.may_send = (  # type: ignore[method-assign]
        lambda one, _: "halted" if one.key == "gb3" else None
    )
    case.dealing._carry_out(Decision([], [*legs]), frame_ns=case.dealing.clock.now_ns() - 7)
    assert way.got == legs[:2]
    assert [(type(fact), got) for fact, got in heard] == [(Sent, 2), (Sent, 2), (Unsent, 2)]
    assert took == [7, 7]
    assert case.dealing._frames == {}


def raised(number: int) -> dict[str, object]:
    """A signal, as far as a desk reads it."""
    return {
        "event": "raised", "opp_id": f"o{number}", "raw_signal_id": f"r{number}", "symbol": "BTC-USDT",
        "symbol_buy": "BTC-USDT", "symbol_sell": "BTC-USDT", "venue_buy": "a", "venue_sell": "b", "recv_ns": number,
        "ttl_sec": 1, "net_bps": 5, "buy_vwap": 100, "sell_vwap": 100.05,
    }  # fmt: skip


async def test_a_burst_of_signals_leaves_the_loop_its_turns() -> None:
    """A few a turn, in their order; what waits when the daemon ends is not considered; a defect is told."""
    case = Case(Book())
    seen: list[str] = []

    def consider(opportunity: Opportunity, _conditions: World, now_ns: int) -> Decision:
        if opportunity.opp_id == "o6":
            raise RuntimeError("a bug")
        seen.append(opportunity.opp_id)
        return Decision(at_ns=now_ns)

    case.dealing.desk.consider = consider  # type: ignore[method-assign,assignment]
    case.dealing.open({})
    for number in range(4 * SIGNALS_A_TURN):
        case.dealing.on_signal(raised(number))
    assert seen == [f"o{k}" for k in range(SIGNALS_A_TURN)]
    await asyncio.sleep(0)
    assert seen == [f"o{k}" for k in range(2 * SIGNALS_A_TURN) if k < 6]
    assert case.defects == ["considering a signal: a bug"]
    await asyncio.sleep(0)
    assert seen[-1] == f"o{6 + SIGNALS_A_TURN}"
    await case.dealing.close()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert seen[-1] == f"o{6 + SIGNALS_A_TURN}"


async def test_a_stop_waits_for_what_is_under_way() -> None:
    """No signal is considered from then on; the wait ends with the last live order, and where a desk cannot tell."""
    case = Case(Book())
    live: dict[str, object] = {"gb1": object()}
    case.dealing.desk.standing.live = live  # type: ignore[assignment]
    await case.dealing.drain()  # nothing was ever sent by this life: nobody could answer
    case.dealing.open({})
    case.dealing.desk.consider = lambda *_: pytest.fail("a signal was considered")  # type: ignore[method-assign]
    for _ in range(2):
        draining = asyncio.create_task(case.dealing.drain())
        await asyncio.sleep(0)
        case.dealing.on_signal(raised(1))
        case.dealing._carry_out(Decision([], []))
        await asyncio.sleep(0)
        assert not draining.done()
        live.clear()
        case.dealing._carry_out(Decision([], []))
        await draining
        live["gb2"] = object()
        case.dealing._is_open = True
    draining = asyncio.create_task(case.dealing.drain())
    await asyncio.sleep(0)
    case.dealing._freeze("a test", RuntimeError("a bug"))
    await draining


def test_arming_for_a_shorter_time() -> None:
    """It ends then; without a word about it, when the configuration says."""
    case = Case(Book())
    now_ns = case.dealing.clock.now_ns()
    for for_ns, until_ns in ((60, now_ns + 60), (None, now_ns + case.dealing.desk.rules.arm_ns)):
        case.dealing.arm("ann", for_ns)
        assert case.dealing.desk.standing.state.trading.armed_until_ns == until_ns


async def test_signals_of_before_the_accounts_are_open_end_without_an_order() -> None:
    """Each of them has an end (the funnel's sum), and none is considered: the venues have to be asked first."""
    case = Case(Book())
    desk, funnel = case.dealing.desk, case.dealing.desk.standing.state.funnel
    seen: list[str] = []

    def consider(opportunity: Opportunity, _conditions: World, now_ns: int) -> Decision:
        seen.append(opportunity.opp_id)
        return Decision(at_ns=now_ns)

    desk.consider = consider  # type: ignore[method-assign,assignment]
    early = SIGNALS_A_TURN + 1
    for number in range(early):
        case.dealing.on_signal(raised(number))
    await asyncio.sleep(0)
    assert (seen, funnel.seen, case.book.facts) == ([], 0, [])
    case.dealing.open({})
    case.dealing.on_signal(raised(9))
    for _ in range(3):
        await asyncio.sleep(0)
    assert seen == ["o9"]
    assert (funnel.seen, funnel.ended, funnel.open) == (early, {"warm_up": early}, {})
    ended = [fact for fact in case.book.facts if isinstance(fact, OpportunityEnded)]
    assert [fact.opp_id for fact in ended] == [f"o{k}" for k in range(early)]
    assert case.defects == []
