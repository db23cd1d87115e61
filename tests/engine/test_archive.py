"""Settled episodes, packed: what happens to them later is booked as if they had stayed, and little remains."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from gambit.engine.archive import FOREIGN, PAGE, Archive, Episode
from gambit.engine.limits import HOUR_NS, SECOND_NS
from gambit.engine.standing import Keep, Standing
from gambit.events.orders import (
    BalanceRead,
    Busted,
    ExecutionDisputed,
    Filled,
    FillsRead,
    ForeignOrderSeen,
    OrderFound,
    OrderIntended,
    PlanClosed,
    PlanReopened,
)
from tests.engine.test_desk import QUICK, Talk, fill, placed
from tests.engine.world import SYMBOL, D

MANY = replace(QUICK, trades_per_day=0)
AT_ONCE = Keep(0, 0)  # packed when they are settled


def episodes(talk: Talk, count: int, first: int = 0) -> Iterator[tuple[OrderIntended, OrderIntended, list[Filled]]]:
    """Plans that fill whole, are flat, and settled by the venues' own lists."""
    for k in range(first, first + count):
        buy, sell = talk.trade(opp_id=f"o{k}", raw_signal_id=f"r{k}")
        fills = [fill(buy, f"b{k}", str(buy.qty)), fill(sell, f"s{k}", str(sell.qty))]
        talk.tell(*fills)
        talk.wait(SECOND_NS)
        for one in fills:
            talk.tell(
                FillsRead(
                    venue=one.venue, symbol=SYMBOL, query_id=10_000 + k, asked_ns=talk.now_ns,
                    since_ns=talk.now_ns - 100 * SECOND_NS, fills=(one,),
                )
            )  # fmt: skip
        yield buy, sell, fills


def packed_one() -> tuple[Talk, OrderIntended, OrderIntended, list[Filled]]:
    """An episode in the archive, another one at hand."""
    talk = Talk(limits=MANY, keep=AT_ONCE, quote=100_000_000)
    (buy, sell, fills), _ = list(episodes(talk, 2))
    assert buy.key not in talk.desk.standing.state.orders
    assert talk.status(buy) == "reconciled"
    return talk, buy, sell, fills


def test_what_rested_is_packed_and_the_state_stays_small() -> None:
    """Nothing grows with the number of episodes but the archive; the replay packs the same."""
    talk = Talk(limits=MANY, keep=AT_ONCE, quote=100_000_000)
    sizes = []
    for k in range(3 * PAGE):
        list(episodes(talk, 1, k))
        sizes.append(len(talk.desk.standing.snapshot().state))
    assert len(talk.desk.standing.archive) == 3 * PAGE
    assert sizes[-1] - sizes[PAGE] <= 25 * 2 * PAGE  # a day's times of plans are counted
    assert talk.desk.standing.state.orders == {}
    talk.replayed()


def test_a_second_reading_of_a_packed_execution_is_known() -> None:
    """Whoever tells it, with or without the order's key: nothing is noted, nothing changes."""
    talk, _buy, _sell, fills = packed_one()
    before = talk.desk.standing.digest()
    count = len(talk.journal)
    talk.tell(fills[0], fills[1])
    assert (talk.desk.standing.digest(), len(talk.journal)) == (before, count)


def test_a_late_fill_of_a_packed_order_is_booked_and_closed() -> None:
    """The episode comes back, owes what was executed, and compensates it; the holdings are those of the executions."""
    talk, buy, _sell, _fills = packed_one()
    held = talk.desk.standing.state.holdings.balance(buy.venue, "BTC")
    commands = talk.tell(fill(buy, "late", "5"))
    assert talk.desk.standing.state.holdings.balance(buy.venue, "BTC") == held + D(5)
    assert talk.facts(PlanReopened)[-1].plan_id == buy.plan_id
    (hedge,) = [one for one in placed(commands) if one.purpose == "compensation"]
    assert (hedge.side, hedge.qty) == ("sell", D(5))
    talk.tell(fill(hedge, "h", "5"))
    assert talk.facts(PlanClosed)[-1].end == "flat"
    assert talk.desk.standing.state.holdings.audit() == []
    talk.replayed()


def test_a_packed_execution_can_be_taken_back() -> None:
    """A bust names the execution only."""
    talk, buy, _sell, fills = packed_one()
    held = talk.desk.standing.state.holdings.balance(buy.venue, "BTC")
    talk.tell(Busted(venue=buy.venue, symbol=SYMBOL, exec_id=fills[0].exec_id))
    assert talk.desk.standing.state.holdings.balance(buy.venue, "BTC") == held - fills[0].qty
    assert talk.facts(PlanReopened)[-1].cause == "bust"
    talk.replayed()


def test_a_packed_execution_that_vanished_is_taken_back() -> None:
    """F32: nobody says so, but the venue's list lacks it and its balances are off by just that: position, result and
    balances are as if it had never been, and what that leaves open is closed."""
    talk, buy, _sell, fills = packed_one()
    holdings = talk.desk.standing.state.holdings
    free = {asset: holdings.balance(buy.venue, asset) for asset in ("USDT", "BTC")}
    free["USDT"] += fills[0].qty * fills[0].price
    free["BTC"] -= fills[0].qty
    count = len(placed(talk.said))
    for query_id in (50_000, 50_001, 50_002):
        listed = FillsRead(
            venue=buy.venue, symbol=SYMBOL, query_id=query_id, asked_ns=talk.now_ns,
            since_ns=talk.now_ns - HOUR_NS, fills=(fill_of_the_other(talk, buy),),
        )  # fmt: skip
        talk.tell(listed)
        talk.wait(6 * SECOND_NS)
        talk.tell(BalanceRead(venue=buy.venue, query_id=query_id, asked_ns=talk.now_ns, free=free, locked={}))
    assert [bust.exec_id for bust in talk.facts(Busted)] == [fills[0].exec_id]
    assert {asset: holdings.balance(buy.venue, asset) for asset in free} == free
    assert holdings.positions[SYMBOL].qty == -fills[0].qty
    [hedge] = placed(talk.said)[count:]
    assert (hedge.purpose, hedge.side, hedge.qty) == ("compensation", "buy", fills[0].qty)
    talk.tell(fill(hedge, "h", str(hedge.qty)))
    assert talk.facts(PlanClosed)[-1].end == "flat"
    assert holdings.positions[SYMBOL].qty == 0
    assert holdings.audit() == []
    talk.replayed()


def fill_of_the_other(talk: Talk, buy: OrderIntended) -> Filled:
    """The execution of the second episode on the venue of the first one's buy."""
    return next(each for each in talk.facts(Filled) if each.venue == buy.venue and each.key != buy.key)


def test_another_content_of_a_packed_execution_is_disputed() -> None:
    """The kept content is named; the venue's history decides."""
    talk, buy, _sell, fills = packed_one()
    other = fill(buy, fills[0].exec_id, "7")
    talk.tell(other)
    assert talk.facts(ExecutionDisputed)[-1].kept.startswith("buy|20|")
    history = FillsRead(
        venue=buy.venue, symbol=SYMBOL, query_id=77, asked_ns=talk.now_ns, since_ns=0, fills=(other,)
    )  # fmt: skip
    talk.tell(history)
    order = talk.desk.standing.order(buy.key)
    assert order is not None
    assert order.filled_qty == D(7)
    talk.replayed()


def test_a_packed_order_is_still_ours() -> None:
    """Its id is no news in a list of the account, an answer about it finds it, and no intent has its name again."""
    talk, buy, _sell, _fills = packed_one()
    count = len(talk.journal)
    talk.tell(
        ForeignOrderSeen(
            venue=buy.venue, symbol=SYMBOL, side="buy", qty=buy.qty, price=buy.price, venue_order_id="v",
            client_id=buy.key, is_open=False,
        )
    )  # fmt: skip
    assert len(talk.journal) == count
    with pytest.raises(ValueError, match="a second time"):
        talk.desk.standing.apply(buy, talk.now_ns)
    unknown = talk.desk.standing.state.unknown_keys
    talk.tell(
        OrderFound(
            key=buy.key, venue=buy.venue, query_id=1, asked_ns=1, venue_order_id="v", found_as="filled", cum_qty=D(20)
        )
    )
    assert talk.desk.standing.state.unknown_keys == unknown
    talk.replayed()


def test_foreign_executions_are_packed_too() -> None:
    """They have no episode: what stays is that they were applied."""
    talk = Talk(limits=MANY, keep=AT_ONCE, quote=100_000_000)
    list(episodes(talk, 1))
    buy, *_ = next(episodes(talk, 1, 1))
    stranger = Filled(
        key="", venue="a", symbol=SYMBOL, side="buy", exec_id="z", qty=D(1), price=D(100), fee=D(0), fee_asset="USDT"
    )
    talk.tell(stranger)
    list(episodes(talk, 2, 2))
    standing = talk.desk.standing
    name = f"a|main|{SYMBOL}|z"
    assert name not in standing.state.executions.seen
    assert standing.archive.place_of_execution(name) == FOREIGN
    assert standing.judge(stranger) == "known"
    assert standing.judge(fill(buy, "z", "2")) == ("disputed" if buy.venue == "a" else "new")
    talk.replayed()


def test_a_snapshot_has_the_archive() -> None:
    """Pages, the page that is not full, slots and what was taken out: all come back."""
    talk = Talk(limits=MANY, keep=AT_ONCE, quote=100_000_000)
    pairs = list(episodes(talk, PAGE + 5))
    talk.tell(fill(pairs[3][0], "late", "1"))
    standing = talk.desk.standing
    back = Standing.restored(standing.snapshot(), AT_ONCE)
    assert back.digest() == standing.digest()
    assert list(back.archive.newest()) == list(standing.archive.newest())
    assert len(back.archive) == len(standing.archive)
    for desk in (standing, back):
        assert desk.judge(pairs[7][2][0]) == "known"
        assert desk.archive.place_of(pairs[3][0].key) is None
        assert desk.knows(pairs[PAGE][1].key)


def test_slots_of_one_bucket_are_told_apart() -> None:
    """Names that share their first bits, contents of one name, and taking some of them out."""
    archive = Archive()
    for k in range(20_000):
        archive.add_foreign(f"e{k}", ["one", "two"] if k % 1000 == 0 else ["one"])
    assert all(archive.has_content(f"e{k}", "one") for k in range(0, 20_000, 77))
    assert archive.has_content("e3000", "two")
    assert not archive.has_content("e3001", "two")
    assert archive.place_of_execution("e20000") is None
    assert archive.place_of("e3000") is None  # an order of that name is another thing


def test_an_episode_is_the_same_wherever_it_lies() -> None:
    """In the young page, in a full one, and taken out."""
    talk, buy, *_ = packed_one()
    source = talk.desk.standing.archive
    place = source.place_of(buy.key)
    assert place is not None
    episode: Episode = source.episode(place)
    archive = Archive()
    for _ in range(PAGE):
        archive.add(episode)
    assert archive.episode(0) == archive.episode(PAGE - 1) == episode
    with pytest.raises(IndexError):
        archive.episode(PAGE)
