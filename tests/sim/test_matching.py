"""Orders match by price, then time; the book stays whole whatever comes."""

from random import Random

import pytest

from gambit.sim.instruments import list_instrument
from gambit.sim.market import SECOND_NS, Temper
from gambit.sim.matching import Execution, MatchingBook, Order, State

NOW = 1_750_000_000 * SECOND_NS


def book(seed=1, depth=20):
    made = MatchingBook(list_instrument("okx", "BTC-USDT"), depth, Temper(), Random(seed), 1000)
    made.open(640_000.0)
    return made


def empty_book():
    """A book without a crowd."""
    return MatchingBook(list_instrument("okx", "BTC-USDT"), 20, Temper(), Random(1), 1000)


class Trader:
    """Submits orders and hears what becomes of them."""

    def __init__(self, book):
        self.book = book
        self.heard: list[Execution] = []
        self.ended: list[Order] = []
        self.count = 0
        book.on_execution = self.heard.append
        book.on_end = self.ended.append

    def order(self, side, lots, price=0, account="a", **terms):
        self.count += 1
        order = Order(
            self.count,
            account,
            "BTC-USDT",
            buys=side == "buy",
            lots=lots,
            price_ticks=price,
            arrived_ns=NOW,
            is_market=price == 0,
            **terms,
        )
        self.book.submit(order, NOW)
        return order


def test_first_come_first_served():
    """At one price the older order fills first, whatever its size."""
    trader = Trader(empty_book())
    first = trader.order("sell", 5, 100, "a")
    second = trader.order("sell", 5, 100, "b")
    taker = trader.order("buy", 7, 100, "c")
    assert (first.filled, second.filled, taker.filled) == (5, 2, 7)
    assert (first.state, second.state, taker.state) == (State.FILLED, State.OPEN, State.FILLED)


def test_better_prices_first():
    """A taker walks from the best price, each match at the price of who waited."""
    trader = Trader(empty_book())
    trader.order("sell", 5, 102, "a")
    trader.order("sell", 5, 100, "b")
    taker = trader.order("buy", 8, 103, "c")
    assert [(e.trade.price_ticks, e.trade.qty_lots) for e in trader.heard] == [(100, 5), (102, 3)]
    assert taker.cost == 5 * 100 + 3 * 102


def test_the_crowd_stands_in_the_queue():
    """An order behind the crowd waits for it; what the crowd adds later stands behind the order."""
    trader = Trader(empty_book())
    bids = trader.book.bids
    bids.put(100, 10)
    order = trader.order("buy", 5, 100)
    bids.put(100, 30)
    assert bids.lots[100] == 35
    trader.order("sell", 12, 100, "b")
    assert order.filled == 2
    trader.order("sell", 3, 100, "b")
    assert (order.filled, bids.lots[100]) == (5, 20)


def test_the_crowd_gives_back_from_the_end():
    """A crowd that shrinks keeps its place before the order as long as it can."""
    trader = Trader(empty_book())
    bids = trader.book.bids
    bids.put(100, 10)
    order = trader.order("buy", 5, 100)
    bids.put(100, 30)
    bids.put(100, 4)
    trader.order("sell", 6, 100, "b")
    assert (order.filled, bids.lots[100]) == (2, 3)


def test_ioc_takes_and_goes():
    """What an IOC cannot take expires; the filled part stays filled."""
    trader = Trader(empty_book())
    trader.order("sell", 5, 100, "a")
    taker = trader.order("buy", 8, 100, "b", tif="ioc")
    assert (taker.filled, taker.state, taker.reason) == (5, State.EXPIRED, "ioc")
    assert trader.book.bids.keys == []


def test_fok_takes_all_or_nothing():
    """A FOK that cannot be filled whole touches nothing."""
    trader = Trader(empty_book())
    maker = trader.order("sell", 5, 100, "a")
    none = trader.order("buy", 8, 100, "b", tif="fok")
    assert (none.filled, none.state, maker.filled) == (0, State.EXPIRED, 0)
    assert trader.order("buy", 5, 100, "b", tif="fok").state is State.FILLED


def test_post_only_never_takes():
    """A post-only order that would take is canceled, another one rests."""
    trader = Trader(empty_book())
    trader.order("sell", 5, 100, "a")
    crossing = trader.order("buy", 5, 100, "b", post_only=True)
    resting = trader.order("buy", 5, 99, "b", post_only=True)
    assert (crossing.state, crossing.reason, resting.state) == (State.CANCELED, "would_take", State.OPEN)


def test_market_orders_end():
    """A market order takes what there is, at any price; the rest expires."""
    trader = Trader(empty_book())
    trader.order("sell", 5, 100, "a")
    trader.order("sell", 5, 900, "a")
    taker = trader.order("buy", 20, account="b")
    assert (taker.filled, taker.state, taker.reason) == (10, State.EXPIRED, "liquidity")


@pytest.mark.parametrize(
    ("mode", "maker_state", "taker_state"),
    [
        ("maker", State.EXPIRED, State.OPEN),
        ("taker", State.OPEN, State.EXPIRED),
        ("both", State.EXPIRED, State.EXPIRED),
        ("none", State.FILLED, State.FILLED),
    ],
)
def test_self_trade_prevention(mode, maker_state, taker_state):
    """An account that meets itself: who gives way is the taker's choice."""
    trader = Trader(empty_book())
    maker = trader.order("sell", 5, 100)
    taker = trader.order("buy", 5, 100, self_trade=mode)
    assert (maker.state, taker.state) == (maker_state, taker_state)
    assert (trader.ended == [maker]) == (mode in ("maker", "both"))
    assert len(trader.heard) == (mode == "none")


def test_prevention_in_the_middle_of_a_queue():
    """The others of the queue still trade when one of them gives way."""
    trader = Trader(empty_book())
    trader.book.asks.put(-100, 3)
    own = trader.order("sell", 5, 100, "a")
    other = trader.order("sell", 5, 100, "b")
    taker = trader.order("buy", 7, 100, "a", self_trade="maker")
    assert (own.filled, other.filled, taker.filled, taker.state) == (0, 4, 7, State.FILLED)
    assert trader.book.asks.lots[-100] == 1


def test_less_keeps_the_place():
    """An order made smaller is still served first."""
    trader = Trader(empty_book())
    first = trader.order("sell", 5, 100, "a")
    trader.order("sell", 5, 100, "b")
    trader.book.shrink(first, 3, NOW)
    assert trader.book.asks.lots[-100] == 8
    trader.order("buy", 3, 100, "c")
    assert first.state is State.FILLED


def test_a_cancel_leaves_the_others():
    """Canceling takes one order's lots out of its level."""
    trader = Trader(empty_book())
    trader.book.bids.put(100, 4)
    order = trader.order("buy", 5, 100)
    trader.book.cancel(order, "user", NOW)
    assert (order.state, trader.book.bids.lots) == (State.CANCELED, {100: 4})
    assert trader.book.bids.queues == {}


def test_makers_trade_with_who_stands_in_their_way():
    """When the fair price passes a resting order, it fills instead of staying crossed."""
    made = book()
    trader = Trader(made)
    best = made.bids.keys[-1]
    order = trader.order("buy", made.instrument.level_lots, best - 300)
    for _ in range(30):
        made.step(float(best - 2000), NOW)
        assert made.bids.keys[-1] < -made.asks.keys[-1]
    assert order.state is State.FILLED
    assert {e.trade.price_ticks for e in trader.heard} == {best - 300}


def test_partly_taken_on_request():
    """A bound on what an order takes lets it rest uncrossed: the crowd has fled."""
    made = book()
    order = Order(1, "a", "BTC-USDT", buys=True, lots=10_000, price_ticks=-made.asks.keys[-5], arrived_ns=NOW)
    made.submit(order, NOW, take_max=100)
    assert (order.filled, order.state) == (100, State.OPEN)
    assert made.bids.keys[-1] == order.price_ticks < -made.asks.keys[-1]


@pytest.mark.parametrize("seed", range(12))
def test_the_book_stays_whole(seed):
    """After any orders, cancels and steps: uncrossed, levels are their queues, changes tell it all, fills add up."""
    rng = Random(seed)
    made = book(seed)
    trader = Trader(made)
    mid, orders = 640_000.0, []
    mirror = {True: dict(made.bids.lots), False: dict(made.asks.lots)}
    for _ in range(400):
        mid *= 1 + 3e-4 * (rng.random() - 0.5)
        act = rng.random()
        if act < 0.4:
            made.step(mid, NOW)
        elif act < 0.5:
            made.trade(NOW)
        elif act < 0.6 and orders:
            order = rng.choice(orders)
            if not order.is_over:
                made.cancel(order, "user", NOW)
        else:
            near = int(mid * (1 + 2e-3 * (rng.random() - 0.5)))
            terms = {"tif": rng.choice(["gtc", "gtc", "gtc", "ioc", "fok"]), "post_only": rng.random() < 0.2}
            side, lots = rng.choice(["buy", "sell"]), 1 + int(rng.random() * 3 * made.instrument.level_lots)
            orders.append(trader.order(side, lots, near, rng.choice("abc"), **terms))
        check(made, mirror)
    for order in orders:
        assert order.filled == sum(e.trade.qty_lots for e in trader.heard if order in (e.maker, e.taker))
        assert 0 <= order.filled <= order.lots
        assert (order.state is State.FILLED) == (order.filled == order.lots)
    assert any(order.filled for order in orders)


def check(made, mirror):
    """What must hold at any time; `mirror` follows the changes."""
    change = made.take_change(NOW)
    rows = ((True, change.bids), (False, change.asks)) if change else ()
    for is_bids, levels in rows:
        for ticks, lots in levels:
            key = ticks if is_bids else -ticks
            mirror[is_bids][key] = lots
            if not lots:
                del mirror[is_bids][key]
    for is_bids, side in ((True, made.bids), (False, made.asks)):
        assert side.lots == mirror[is_bids]
        assert side.keys == sorted(side.lots)
        for key, queue in side.queues.items():
            assert side.lots[key] == sum(entry.left if isinstance(entry, Order) else entry.lots for entry in queue)
            assert all(entry.state is State.OPEN for entry in queue if isinstance(entry, Order))
    if made.bids.keys and made.asks.keys:
        assert made.bids.keys[-1] < -made.asks.keys[-1]
