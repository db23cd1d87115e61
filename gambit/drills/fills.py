"""Group B: what a venue tells of executions, and what it takes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from gambit.drills import oracle
from gambit.drills.ground import fills_of, orders_of, until
from gambit.drills.registry import drill
from gambit.drills.scenario import Broken
from gambit.drills.stage import PLACE, PRIVATE, Stage
from gambit.engine.holdings import Holdings
from gambit.events.orders import Busted, Cancelled, Expired, Filled, OrderMoved
from gambit.sim.accounts import Account
from gambit.sim.dialect import OrderTerms
from gambit.sim.exchange import Exchange
from gambit.sim.matching import Order

TRADES: Final = {**PRIVATE, "report": "trade"}
SYMBOL: Final = "BTC-USDT"


def taken(exchange: Exchange) -> int:
    """How many executions of ours a venue has."""
    return len(fills_of(exchange))


def more_than(exchange: Exchange, before: int) -> Callable[[], bool]:
    """Whether a venue has more executions of ours than before."""
    return lambda: taken(exchange) > before


@drill("F20")
async def rest_fills_after_the_end(stage: Stage) -> None:
    """Half fills, the rest is cancelled and fills all the same a moment later."""
    stage.strike("okx", "partial", share=0.5)
    late = stage.strike("okx", "late_fill", after_ms=500)
    await stage.fire(late, "okx")
    await until(lambda: any("late_fill" in move for move in stage.moves()), why="a fill after its order's end")
    await stage.settle()
    await stage.still_trades("okx")


@drill("F21")
async def cancel_of_what_filled(stage: Stage) -> None:
    """A cancel overtakes its create, finds nothing, and the order fills behind it."""
    for _ in range(6):
        stage.strike("okx", "hold", PLACE, ms=300)
        key = await stage.cancel_under_way("okx")
        await stage.settle()
        stage.need(stage.kinds()["order.cancel_rejected"], "the cancel found an order")
        if stage.ground.twin.standing.state.orders[key].filled_qty > 0:
            break
    else:
        raise Broken("no order filled behind its cancel")
    await stage.still_trades("okx")


@drill("F22")
async def end_before_its_fills(stage: Stage) -> None:
    """The venue's word that an order is over comes before the executions that it counts."""

    def seen() -> bool:
        told: dict[str, bool] = {}
        for fact in oracle.facts(stage.ground.read_journal()[stage.began_at :], Filled, Expired, Cancelled):
            if isinstance(fact, Expired | Cancelled) and fact.cum_qty:
                told[fact.key] = True
            elif isinstance(fact, Filled) and told.get(fact.key):
                return True
        return False

    stage.strike("bybit", "partial", share=0.4, count=12)
    stage.strike("bybit", "gap", TRADES, count=12)  # what the stream lost comes from history, behind the end
    await stage.trade_until("bybit", seen, why="an end before its fills")
    await stage.settle()


@drill("F23")
async def late_fills(stage: Stage) -> None:
    """Seconds later, much later, and while another life of the daemon begins."""
    exchange = stage.ground.exchanges["bybit"]
    for after_ms, is_restarted in ((3000, False), (9000, False), (4000, True)):
        stage.strike("bybit", "partial", share=0.5)
        late = stage.strike("bybit", "late_fill", after_ms=after_ms)
        await stage.fire(late, "bybit")
        more = more_than(exchange, taken(exchange))
        await stage.settle()
        if is_restarted:
            await stage.ground.stop()
        await until(more, why="the late fill")
        if is_restarted:
            await stage.ground.restart()
        await stage.settle()
    stage.count(lives=2)


@drill("F24")
async def executions_repeated(stage: Stage) -> None:
    """Each event of the private stream three times more, and the same after the stream was connected anew."""
    fault = stage.strike("okx", "dup", TRADES, times=3, count=20)
    await stage.fire(fault, "okx")
    await stage.settle()
    cut = stage.strike("okx", "disconnect", PRIVATE)
    await stage.trade_until("okx", lambda: cut.fired, why="the stream is cut")
    await stage.settle()
    await stage.fire(stage.strike("okx", "dup", TRADES, times=3, count=20), "okx")
    await stage.settle()
    await stage.still_trades("okx")


@drill("F25")
async def executions_with_two_contents(stage: Stage) -> None:
    """The repetition says another quantity: it is not believed, history is asked, somebody is told."""
    fault = stage.strike("bybit", "dup", TRADES, set={"execQty": "0.00001"})
    await stage.fire(fault, "bybit")
    await stage.settle()
    stage.need(stage.kinds()["execution.disputed"], "nobody noticed")
    stage.need(stage.has_told("two contents"), "nobody was told")
    await stage.still_trades("bybit")


@drill("F26")
async def equal_trade_ids(stage: Stage) -> None:
    """Two venues count their trades alike."""
    exchanges = [stage.ground.exchanges[name] for name in ("binance", "okx")]
    most = max(book.trade_id for exchange in exchanges for book in exchange.books.values()) + 10_000
    for exchange in exchanges:
        for book in exchange.books.values():
            book.trade_id = most

    def alike() -> int:
        names: dict[str, set[str]] = {}
        for fact in oracle.facts(stage.ground.read_journal()[stage.began_at :], Filled):
            if isinstance(fact, Filled):
                names.setdefault(fact.exec_id, set()).add(fact.venue)
        return sum(len(venues) > 1 for venues in names.values())

    await stage.trade_until("binance", alike, cheap="okx", why="equal ids")
    await stage.settle()
    stage.count(equal_ids=alike())


@drill("F27")
async def executions_without_ids(stage: Stage) -> None:
    """What the stream tells without an id is not booked but asked for over HTTP, where it has its own: applied once."""
    stage.strike("okx", "dup", TRADES, count=6, times=2)
    fault = stage.strike("okx", "strip_id", TRADES, count=6)
    await stage.fire(fault, "okx")
    await stage.settle()
    given = {str(fill["trade_id"]) for fill in fills_of(stage.ground.exchanges["okx"])}
    told = [fact for fact in oracle.facts(await stage.records(), Filled) if isinstance(fact, Filled)]
    made = {fact.exec_id for fact in told if fact.venue == "okx"} - given
    stage.need(not made, f"I03: ids that the venue never gave: {sorted(made)}")
    await stage.still_trades("okx")


@drill("F28")
async def more_than_asked(stage: Stage) -> None:
    """A tenth more than the order had: taken as it is, told, and the excess is hedged."""
    fault = stage.strike("bybit", "overfill", after_ms=300, share=0.1)
    exchange = stage.ground.exchanges["bybit"]
    await stage.fire(fault, "bybit")
    before = taken(exchange)
    await until(lambda: any("late_fill" in move for move in stage.moves()), why="the excess is applied")
    await until(lambda: stage.has_told("beyond its size"), why="an alarm about the excess")
    await stage.settle()
    stage.need(taken(exchange) >= before, "the ledger lost executions")
    await stage.still_trades("bybit")


@drill("F29")
async def executions_lost(stage: Stage) -> None:
    """The private stream tells nothing for 5 s while plans are carried out in parts: read from history."""
    stage.strike("okx", "partial", share=0.5, count=3)
    silent = stage.strike("okx", "gap", PRIVATE, for_ms=5000)
    await stage.fire(silent, "okx")
    await stage.settle()
    await stage.still_trades("okx")


@drill("F30")
async def told_twice_by_two_ways(stage: Stage) -> None:
    """The stream stalls for 4 s, the order is asked about and its fills are read; then the stream tells them too."""
    lost = stage.strike("okx", "drop_reply", PLACE)
    stalled = stage.strike("okx", "burst", PRIVATE, ms=4000)
    await stage.trade_until("okx", lambda: lost.fired and stalled.fired, why="an order while the stream stalls")
    await stage.settle()
    await asyncio.sleep(4.0)
    await stage.settle()
    await stage.still_trades("okx")


@contextmanager
def failing_once(owner: type, name: str) -> Iterator[list[int]]:
    """A method that raises the next time it is called; gives a list that then has an element."""
    whole, failed = getattr(owner, name), list[int]()

    def fails(*args: Any, **words: Any) -> Any:
        if not failed:
            failed.append(1)
            raise RuntimeError(f"a drill's failure in {name}")
        return whole(*args, **words)

    setattr(owner, name, fails)
    try:
        yield failed
    finally:
        setattr(owner, name, whole)


@drill("F31")
async def broken_between_check_and_apply(stage: Stage) -> None:
    """The execution is not lost: trading halts, the event is taken up again, and both sides agree."""
    stage.expects_trouble = True
    with failing_once(Holdings, "_trade") as failed:
        await stage.trade_until("okx", lambda: failed, why="an execution is applied")
    await until(lambda: stage.ground.daemon.parts.switch.state == "HALTED", 1.0, "a halt within a second")
    stage.need(stage.ground.daemon.problems, "nobody was told")
    await stage.ground.restart()
    stage.ground.daemon.parts.switch.change("ACTIVE", "the drill goes on", "a drill")
    await stage.settle()


@drill("F32")
async def execution_busted(stage: Stage) -> None:
    """The venue takes an execution back; no venue has a message for that, so balances and the list of executions tell:
    it is reversed, what is then unbalanced is traded again, and somebody is told."""
    stage.expects_trouble = True  # what is taken back is an alarm
    fault = stage.strike("bybit", "bust", after_ms=800)
    await stage.fire(fault, "bybit")

    def busted() -> list[object]:
        return oracle.facts(stage.ground.read_journal()[stage.began_at :], Busted)

    await stage.compared("bybit", busted, "I03: the execution is reversed")
    stage.need(stage.alarms(), "nobody was told")
    await stage.settle()
    stage.is_flat()
    stage.count(busts=len(busted()))


@drill("F33")
async def filled_with_an_execution_missing(stage: Stage) -> None:
    """Bybit says "filled" on one channel while an execution of the other is lost."""
    fault = stage.strike("bybit", "gap", TRADES)
    await stage.fire(fault, "bybit")
    await stage.settle()
    await stage.still_trades("bybit")


@drill("F35")
async def self_trade_prevented(stage: Stage) -> None:
    """An order of the same account, unknown to the daemon, lies in the way: the remainder expires there, no trade."""
    exchange = stage.ground.exchanges["okx"]
    desk, place = exchange.desk, exchange.desk.place
    in_the_way: list[Order] = []

    def hindered(owner: Account, terms: OrderTerms, **words: Any) -> Order:
        if not in_the_way and not terms.buys:
            bids = exchange.books[SYMBOL].bids.levels()
            own = OrderTerms(symbol=SYMBOL, buys=True, lots=bids[0][1], price_ticks=bids[0][0] + 1)
            in_the_way.append(place(owner, own))
        return place(owner, msgspec.structs.replace(terms, self_trade="taker"), **words)

    stage.strike("okx", "gap", {**PRIVATE, "report": "new"}, count=1)
    desk.place = hindered  # type: ignore[method-assign,assignment]
    try:
        await stage.trade_until("okx", lambda: any(o["reason"] == "self_trade" for o in orders_of(exchange)))
    finally:
        desk.place = place  # type: ignore[method-assign]
    for order in in_the_way:
        if not order.is_over:
            desk.cancel(stage.account("okx"), order)
    await stage.settle()
    foreign = {order.order_id for order in in_the_way}
    stage.need(not [one for one in fills_of(exchange) if one["order_id"] in foreign], "the account traded with itself")


@drill("F37")
async def foreign_order_and_fill(stage: Stage) -> None:
    """Somebody else uses the account: told, counted, left alone."""
    exchange = stage.ground.exchanges["okx"]
    account, book = stage.account("okx"), exchange.books[SYMBOL]
    low = book.bids.levels()[-1][0]
    lots = book.instrument.level_lots
    resting = exchange.desk.place(account, OrderTerms(symbol=SYMBOL, buys=True, lots=lots, price_ticks=low))
    best = book.asks.levels()[0][0]
    exchange.desk.place(account, OrderTerms(symbol=SYMBOL, buys=True, lots=lots, price_ticks=best, tif="ioc"))
    await stage.compared("okx", lambda: stage.kinds()["order.foreign"], "the foreign order is seen")
    await stage.compared("okx", lambda: stage.has_told("not of an order of ours"), "the fill is told")
    stage.need(not resting.is_over, "a foreign order was touched")
    await stage.settle()
    exchange.desk.cancel(account, resting)


@drill("F38")
async def fees_in_other_assets(stage: Stage) -> None:
    """Bought coins come less the fee; then the fee is taken in a third asset."""
    stage.strike("binance", "fee", rate=0.0001, asset="BTC")
    await stage.still_trades("binance")
    stage.clear("binance")
    exchange = stage.ground.exchanges["binance"]
    stage.account("binance").balance("BNB").free = 10**13
    stage.ground.dealing.reconcile("binance")
    await until(lambda: "BNB" in stage.ground.balances_of("binance"), why="the third asset is known")
    stage.strike("binance", "fee", rate=0.0001, asset="BNB")
    await stage.still_trades("binance")
    fees = {fill["fee_asset"] for fill in fills_of(exchange)}
    stage.need({"BTC", "BNB"} <= fees, f"fees were taken in {sorted(fees)}")


@drill("F40")
async def two_sockets_out_of_order(stage: Stage) -> None:
    """Bybit answers on one line and tells on another: first one is late, then the other."""
    late = stage.strike("bybit", "delay", PLACE, ms=700)
    await stage.fire(late, "bybit")
    await stage.settle()
    behind = stage.strike("bybit", "burst", PRIVATE, ms=700)
    await stage.fire(behind, "bybit")
    await stage.settle()
    orders = [fact for fact in oracle.facts(await stage.records(), OrderMoved) if isinstance(fact, OrderMoved)]
    if not orders:
        raise Broken("no order moved")
