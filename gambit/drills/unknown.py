"""Group A: what becomes of a create is not known at first."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Final

from gambit.drills import oracle
from gambit.drills.ground import orders_of, until
from gambit.drills.registry import DATED, drill
from gambit.drills.scenario import Broken, Setting
from gambit.drills.stage import PLACE, PRIVATE, QUERY, Stage
from gambit.events.orders import Acked, OrderFound
from gambit.runtime.account_port import AccountPort

# Coinbase has no window: a create that the outage swallowed there stays in doubt until a person settles it.
WIDE: Final = Setting(name="three symbols", venues=DATED.venues, symbols=("BTC-USDT", "ETH-USDT", "SOL-USDT"))
OUTAGE_MS: Final = 9000
LARGE: Final = 2**53


def doubts(stage: Stage) -> int:
    """How often an order became doubtful since the drill began."""
    return sum(times for move, times in stage.moves().items() if move.endswith(" unknown in_doubt"))


async def one_fault(stage: Stage, venue: str, kind: str, **args: object) -> None:
    """A fault strikes a create; both sides agree afterwards, and the venue is traded at as if nothing had been."""
    fault = stage.strike(venue, kind, PLACE, **args)
    await stage.fire(fault, venue)
    await stage.settle()
    await stage.still_trades(venue)


async def over_http(stage: Stage) -> None:
    """Bybit's line for orders is cut and refused: orders go over HTTP, with a validity window."""
    port = stage.ground.dealing.ports["bybit"]
    stage.need(isinstance(port, AccountPort), "bybit is no live port")
    if isinstance(port, AccountPort):
        stage.strike("bybit", "refuse", {"path": "/v5/trade", "method": "WS"}, for_ms=90_000)
        stage.strike("bybit", "disconnect", {"path": "/v5/trade"})
        await until(lambda: port._order_link() is None, why="bybit's line for orders is down")


@drill("F01")
async def lost_reply_on_the_line(stage: Stage) -> None:
    """The order is in doubt, is found by its key, and is known from then on."""
    await one_fault(stage, "binance", "drop_reply")


@drill("F02")
async def lost_reply_over_http(stage: Stage) -> None:
    """Filled at once, so no list of open orders has it; the stream tells nothing of it either."""
    stage.strike("coinbase", "gap", PRIVATE, for_ms=2500)
    await one_fault(stage, "coinbase", "drop_reply")
    stage.need(doubts(stage), "the order was never in doubt")


@drill("F03")
async def lost_request(stage: Stage) -> None:
    """Absence is proven after the window only."""
    await one_fault(stage, "binance", "drop_request")
    stage.need(stage.kinds()["order.absent_proven"], "absence was not proven")


@drill("F04")
async def held_inside_the_window(stage: Stage) -> None:
    """3.5 s, twice our patience: nobody sends a second one, and the order is adopted when it comes."""
    await one_fault(stage, "binance", "hold", ms=3500)
    stage.need(doubts(stage), "the order was never in doubt")
    stage.need(not stage.kinds()["order.absent_proven"], "an order that came was held for absent")


@drill("F05")
async def held_beyond_the_window(stage: Stage) -> None:
    """The venue takes it no more; whoever learns that first, the order is over and never at the venue."""
    await one_fault(stage, "binance", "hold", ms=8000)
    kinds = stage.kinds()
    stage.need(kinds["order.absent_proven"] + kinds["order.rejected"], "nothing ended the stale order")


@drill("F06")
async def unavailable_but_done(stage: Stage) -> None:
    """A 503 is no refusal: the order is there."""
    stage.strike("coinbase", "gap", PRIVATE, for_ms=2000)  # else the stream settles it before the answer is read
    await one_fault(stage, "coinbase", "http", status=503, body="<html>busy</html>", applied=True)
    stage.need(doubts(stage), "the order was never in doubt")


@drill("F07")
async def unavailable_and_not_done(stage: Stage) -> None:
    """A 503 is no refusal here either: absence is proven after the window."""
    await over_http(stage)
    await one_fault(stage, "bybit", "http", status=503, body="<html>busy</html>", applied=False)
    stage.need(stage.kinds()["order.absent_proven"], "absence was not proven")


@drill("F08")
async def status_unknown_in_words(stage: Stage) -> None:
    """A 200 and a 4xx that say that nobody knows: in doubt, and found."""
    await over_http(stage)
    said = json.dumps({"retCode": 10016, "retMsg": "execution status unknown", "result": {}, "time": 0})
    stage.strike("bybit", "gap", PRIVATE, count=3)
    await one_fault(stage, "bybit", "http", status=200, body=said, applied=True)
    stage.strike("coinbase", "gap", PRIVATE, for_ms=2000)  # else the stream settles it before the answer is read
    await one_fault(stage, "coinbase", "http", status=408, body="execution status unknown", applied=True)
    stage.need(doubts(stage) >= 2, "an order was not in doubt")


@drill("F09")
async def unreadable_answers(stage: Stage) -> None:
    """Empty, cut in the middle, no JSON at all: in doubt each time, and found."""
    for body in ("", '{"success": tr', "<html>"):
        stage.strike("coinbase", "gap", PRIVATE, for_ms=2000)  # else the stream settles it before the answer is read
        await one_fault(stage, "coinbase", "http", status=200, body=body, applied=True)
    stage.need(doubts(stage) >= 3, "an unreadable answer was read")


@drill("F10")
async def closed_after_the_request(stage: Stage) -> None:
    """The kept connection is closed under a create that was done, one that was not, and under a cancel."""
    await one_fault(stage, "coinbase", "close_after_read", applied=True)
    stage.strike("okx", "hold", PLACE, ms=1200)
    cut = stage.strike("okx", "close_after_read", {"action": "cancel"})
    await stage.cancel_under_way("okx")
    await until(lambda: cut.fired, why="the cancel is read")
    await stage.settle()
    await over_http(stage)
    await one_fault(stage, "bybit", "close_after_read")


@drill("F11")
async def fill_before_the_answer(stage: Stage) -> None:
    """The stream is faster than the answer to the request."""
    await one_fault(stage, "coinbase", "delay", ms=1200)


@drill("F12")
async def refusal_at_once(stage: Stage) -> None:
    """The refusal is there before the send is noted: it belongs to its order."""
    fault = stage.strike("bybit", "reject")
    await stage.fire(fault, "bybit")
    await stage.settle()
    stage.need(stage.kinds()["order.rejected"], "the refusal was not matched")


@drill("F13")
async def used_id_taken_again(stage: Stage) -> None:
    """A venue that would take the key again is not asked to."""
    stage.need(not stage.ground.exchanges["binance"].desk.client_ids_for_ever, "this venue refuses used ids")
    for _ in range(2):
        stage.strike("binance", "gap", PRIVATE, count=2)
        await one_fault(stage, "binance", "drop_reply")


@drill("F15", WIDE)
async def all_down_after_accepts(stage: Stage) -> None:
    """Three plans' creates are accepted everywhere, then nothing answers any more; all are recovered."""
    ground = stage.ground
    venues = list(ground.exchanges)
    replies = [stage.strike(venue, "drop_reply", PLACE, count=6) for venue in venues]
    silence = [stage.strike(venue, "gap", PRIVATE, for_ms=OUTAGE_MS) for venue in venues]
    for symbol in ground.setting.symbols:
        stage.shift("okx", symbol=symbol, for_ms=2000)
    await until(lambda: sum(fault.fired for fault in replies) >= 6, why="six accepts")
    stage.need(silence, "no venue is silent")
    for venue in venues:
        stage.strike(venue, "refuse", for_ms=OUTAGE_MS)
        stage.strike(venue, "disconnect", count=4, for_ms=500)
    found = [order for exchange in ground.exchanges.values() for order in orders_of(exchange)]
    accepted = {order["client_id"]: Decimal(order["filled"]) for order in found}  # one may have come too late to fill
    await asyncio.sleep(OUTAGE_MS / 1000)
    stage.expects_trouble = True  # beyond its deadline an imbalance in doubt is alarmed and halts its symbol
    await until(ground.is_synced, 40.0, "books are synced again")
    await until(ground.is_trading_possible, 40.0, "private streams stand again")
    await stage.settle()
    known = ground.twin.standing.state.orders
    lost = [key for key, filled in accepted.items() if key not in known or known[key].filled_qty < filled]
    stage.need(not lost, f"accepted orders were lost: {lost}")
    stage.need(any(accepted.values()), "no accepted order filled")
    stage.count(accepted=len(accepted))


@drill("F16")
async def older_answer_last(stage: Stage) -> None:
    """Asked while the create is held, answered "not found" long after a newer question found it."""
    stage.strike("bybit", "hold", PLACE, ms=2400)
    stage.strike("bybit", "gap", PRIVATE, count=3)
    late = stage.strike("bybit", "delay", {**QUERY, "path": "/v5/order/realtime"}, ms=4000)
    await stage.fire(late, "bybit")
    await stage.settle()
    stage.need(not stage.kinds()["order.absent_proven"], "an old answer was believed")
    await stage.still_trades("bybit")


@drill("F17")
async def not_found_for_a_while(stage: Stage) -> None:
    """The venue has the order and says for 3 s that it has not: nothing is concluded from that."""
    nothing = json.dumps({"retCode": 0, "retMsg": "OK", "result": {"list": [], "nextPageCursor": ""}, "time": 0})
    stage.strike("bybit", "gap", PRIVATE, count=3)
    lost = stage.strike("bybit", "drop_reply", PLACE)
    blind = [
        stage.strike("bybit", "http", {**QUERY, "path": path}, count=3, status=200, body=nothing)
        for path in ("/v5/order/realtime", "/v5/order/history", "/v5/execution/list")
    ]
    await stage.fire(lost, "bybit")
    await stage.settle()
    stage.need(any(fault.fired for fault in blind), "nobody asked")
    stage.need(not stage.kinds()["order.absent_proven"], "an order was given up")
    await stage.still_trades("bybit")


@drill("F18")
async def large_numbers(stage: Stage) -> None:
    """Ids that a float cannot hold come back digit by digit."""
    exchange = stage.ground.exchanges["binance"]
    exchange.desk._order_id += LARGE | 1
    exchange.desk._exec_id += LARGE | 1
    await stage.still_trades("binance")
    told = oracle.facts(await stage.records(), Acked, OrderFound)
    ours = {fact.venue_order_id for fact in told if isinstance(fact, Acked | OrderFound) and fact.venue == "binance"}
    theirs = {str(order["order_id"]) for order in orders_of(exchange)}
    large = {name for name in ours if int(name) > LARGE}
    stage.need(large and large <= theirs, f"{sorted(ours)} are not among {sorted(theirs)}")
    stage.count(large_ids=len(large))


@drill("F19")
async def another_orders_answer(stage: Stage) -> None:
    """The answer to a create names an order of before: nothing of it is believed, the order is asked about."""
    await stage.still_trades("coinbase")
    told = oracle.facts(await stage.records(), Acked)
    before = next((fact for fact in told if isinstance(fact, Acked) and fact.venue == "coinbase"), None)
    if before is None:
        raise Broken("no order was acknowledged")
    answer = {"order_id": before.venue_order_id, "product_id": "BTC-USDT", "client_order_id": before.key}
    body = json.dumps({"success": True, "success_response": {**answer, "side": "SELL"}})
    await one_fault(stage, "coinbase", "http", status=200, body=body, applied=True)
