"""Group C: one leg of a plan came out otherwise than the other."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal
from typing import Final

from gambit.drills import oracle
from gambit.drills.ground import orders_of, until
from gambit.drills.registry import DESK, PATIENT, drill
from gambit.drills.scenario import Setting
from gambit.drills.stage import ATTEMPTS, PLACE, PRIVATE, QUERY, Stage
from gambit.events.orders import DustMoved, Filled, OrderIntended, PlanMade
from gambit.sim.accounts import MONEY_DIGITS

DEAR: Final = "okx"
CHEAP: Final = "bybit"
BUY: Final = {"side": "buy"}
PAIR: Final = Setting(
    name="two symbols",
    venues=DESK.venues,
    symbols=("BTC-USDT", "ETH-USDT"),
    settings=("risk.max_balance_difference = 1000000000",),
)
ATTEMPTS_MOST: Final = 5  # execution.compensation_attempts
EPISODES_CLOSED: Final = 3  # with the halted venue the cheapest of all
OPEN_SEC: Final = 150.0  # lists are read again a minute after the refusal, and a minute later


def later_orders(stage: Stage) -> list[OrderIntended]:
    """The orders that no plan foresaw."""
    return [intent for intent in stage.intents() if intent.purpose != "entry"]


def each_plan(stage: Stage, most: int) -> None:
    """No plan had more orders after its entries than that. Raises Broken."""
    counts = Counter(intent.plan_id for intent in later_orders(stage))
    stage.need(max(counts.values(), default=0) <= most, f"I06: a plan took {max(counts.values(), default=0)} more")
    stage.count(compensations=counts.total())


@drill("F41")
async def one_leg_refused(stage: Stage) -> None:
    """For want of funds, says the venue; the other leg has filled."""
    for _ in range(ATTEMPTS):  # on a busy machine the other leg may come too late to fill
        await stage.fire(stage.strike(CHEAP, "reject", BUY), DEAR, CHEAP)
        await stage.settle()
        if later_orders(stage):
            break
    stage.need(later_orders(stage), "nothing was compensated")
    each_plan(stage, ATTEMPTS_MOST)
    await stage.still_trades(CHEAP)


@drill("F42", PATIENT)
async def one_leg_in_doubt(stage: Stage) -> None:
    """Nobody compensates what may still have filled; the doubt ends after 8 s, and so does the imbalance."""
    stage.strike(CHEAP, "gap", PRIVATE, for_ms=9000)
    fault = stage.strike(CHEAP, "drop_reply", {**PLACE})
    await stage.trade_until(DEAR, lambda: fault.fired, CHEAP)
    stage.strike(CHEAP, "http", QUERY, for_ms=7000, status=503, body="<html>")
    standing = stage.ground.dealing.desk.standing
    await until(lambda: any(str(order.status) == "in_doubt" for order in standing.live.values()), why="a doubt")
    doubtful = {key: order.intent.plan_id for key, order in standing.live.items() if str(order.status) == "in_doubt"}
    before = len(later_orders(stage))
    while still := {  # an order of another plan may be in doubt for longer
        plan for key, plan in doubtful.items() if (one := standing.live.get(key)) and str(one.status) == "in_doubt"
    }:
        blind = [intent for intent in later_orders(stage)[before:] if intent.plan_id in still]
        stage.need(not blind, f"I06: {blind} while an order may still have filled")
        await asyncio.sleep(0.05)
    await stage.settle()
    await stage.still_trades(CHEAP)


@drill("F43")
async def two_parts(stage: Stage) -> None:
    """Seven tenths and four tenths: the difference is traded once."""
    stage.strike(DEAR, "partial", {"side": "sell"}, share=0.7)
    fault = stage.strike(CHEAP, "partial", BUY, share=0.4)
    await stage.fire(fault, DEAR, CHEAP)
    await stage.settle()
    stage.need(later_orders(stage), "nothing was compensated")
    each_plan(stage, 2)


@drill("F44")
async def compensations_refused(stage: Stage) -> None:
    """No venue lets us buy: a bounded number of attempts, an alarm, and the symbol is halted."""
    stage.expects_trouble = True
    refused = [stage.strike(venue, "reject", BUY, for_ms=30_000) for venue in stage.ground.exchanges]
    await stage.trade_until(DEAR, lambda: oracle.unhedged(stage.ground.read_journal()[stage.began_at :]), CHEAP)
    await stage.settle()
    each_plan(stage, ATTEMPTS_MOST)
    trading = stage.ground.dealing.desk.standing.state.trading
    stage.need("symbol:BTC-USDT" in trading.scopes or str(trading.state) == "HALTED", "nobody is halted")
    stage.need(any(fault.fired for fault in refused), "nothing was refused")
    await quiet_again(stage)


async def quiet_again(stage: Stage) -> None:
    """The venue would take orders again, and the halted symbol gets none."""
    before = sum(stage.place_requests(venue) for venue in stage.ground.exchanges)
    for venue in stage.ground.exchanges:
        stage.clear(venue)
    await stage.episode(DEAR, CHEAP)
    after = sum(stage.place_requests(venue) for venue in stage.ground.exchanges)
    stage.need(after == before, f"I06: {after - before} orders for a halted symbol")


@drill("F45")
async def remainder_too_small(stage: Stage) -> None:
    """What is left is worth less than an order may be: it is dust, and nobody tries to trade it."""
    ledgers = [stage.ground.exchanges[venue].ledger for venue in (DEAR, CHEAP)]
    before = [len(ledger.refusals) for ledger in ledgers]
    for _ in range(ATTEMPTS):  # the order that is cut may have come too late to fill
        await stage.fire(stage.strike(CHEAP, "partial", BUY, share=0.9995), DEAR, CHEAP)
        await stage.settle()
        if cut_to_dust(stage):
            break
    stage.need(cut_to_dust(stage), "nothing that was left of an order became dust")
    stage.need([len(ledger.refusals) for ledger in ledgers] == before, "an order was too small")


def cut_to_dust(stage: Stage) -> set[str]:
    """The plans that ended in dust with a purchase at the cheap venue that was filled in part, and nothing more."""
    entries = {intent.key for intent in stage.intents()} - {intent.key for intent in later_orders(stage)}
    mended = {intent.plan_id for intent in later_orders(stage)}
    orders = (stage.ground.twin.standing.order(key) for key in entries)
    bought = [one for one in orders if one is not None and one.intent.venue == CHEAP and one.intent.side == "buy"]
    cut = {one.intent.plan_id for one in bought if 0 < one.filled_qty < one.intent.qty}
    moved = oracle.facts(stage.ground.read_journal()[stage.began_at :], DustMoved)
    return (cut - mended) & {fact.plan_id for fact in moved if isinstance(fact, DustMoved)}


@drill("F46")
async def price_runs_away(stage: Stage) -> None:
    """5 % while a leg is held and then refused: nothing is bought beyond the collar, somebody is told."""
    stage.expects_trouble = True
    stage.strike(CHEAP, "reject", BUY)
    held = stage.strike(CHEAP, "hold", PLACE, ms=1200)
    await stage.trade_until(DEAR, lambda: held.fired, CHEAP)
    for venue in stage.ground.exchanges:
        stage.shift(venue, 500.0, 25_000)
    await stage.settle()
    fills = [fact for fact in oracle.facts(await stage.records(), Filled) if isinstance(fact, Filled)]
    keys = {intent.key: intent for intent in stage.intents()}
    naked = {one.plan_id for one in oracle.unhedged(await stage.records())}
    ours = [fill for fill in fills if fill.key in keys and keys[fill.key].plan_id in naked]
    sold = [fill.price for fill in ours if fill.side == "sell"]
    stage.need(sold, "no plan was left naked after its dear leg filled")
    limit = min(sold) * (1 + stage.ground.config.execution.loss_budget_bps / 10_000)
    beyond = [f"{fill.key} {fill.price}" for fill in ours if fill.side == "buy" and fill.price > limit]
    stage.need(not beyond, f"I06: bought beyond the collar: {beyond}")


@drill("F47", PATIENT)
async def hedge_venue_in_maintenance(stage: Stage) -> None:
    """Orders are closed at the second leg's venue: another one takes it, or the first is undone."""
    held = stage.strike(CHEAP, "hold", PLACE, ms=400)
    await stage.trade_until(DEAR, lambda: held.fired, CHEAP)
    closed = stage.strike(CHEAP, "maintenance", for_ms=5000, scope="orders")
    await stage.settle()
    await until(lambda: closed.is_spent(stage.ground.exchanges[CHEAP].now_ns), why="they are taken again")
    await stage.still_trades(CHEAP)


@drill("F48")
async def withdrawn_between(stage: Stage) -> None:
    """The money left the venue before the order came: refused, compensated, and the difference is told."""
    stage.expects_trouble = True  # money that left without an order pulls the kill switch
    balance = stage.account(CHEAP).balance("USDT")
    gone = balance.free - 10**MONEY_DIGITS
    stage.ground.exchanges[CHEAP].desk.deposit(stage.account(CHEAP), "USDT", -gone)
    refusals = stage.ground.exchanges[CHEAP].ledger.refusals
    before = len(refusals)
    await stage.trade_until(DEAR, lambda: len(refusals) > before, CHEAP, "an order without funds")
    told = "off its executions"
    await stage.compared(CHEAP, lambda: any(told in line for line in stage.alarms()), "the difference is told")
    await stage.settle()
    stage.need(stage.ground.daemon.parts.switch.state == "HALTED", "a theft would not halt")
    stage.is_flat()


@drill("F49")
async def rules_change(stage: Stage) -> None:
    """Coarser ticks, lots and a larger minimum: an order is refused, the list is read again, the next one fits."""
    ledger = stage.ground.exchanges[DEAR].ledger
    lists = sum("instruments" in entry["path"] for entry in ledger.requests)
    stage.strike(DEAR, "filters", tick_multiple=10, lot_multiple=100, min_cost="50")
    # An order may fit the new rules by chance: it counts for nothing.
    await stage.trade_until(DEAR, lambda: stage.kinds()["order.rejected"], CHEAP, "an order against the new rules")
    done = len(orders_of(stage.ground.exchanges[DEAR]))
    await stage.trade_until(DEAR, lambda: len(orders_of(stage.ground.exchanges[DEAR])) > done, CHEAP, "a fitting order")
    await stage.settle()
    refused = stage.kinds()["order.rejected"]
    read_again = sum("instruments" in entry["path"] for entry in ledger.requests) - lists
    stage.count(refused=refused, lists_read=read_again)
    stage.need(read_again == 1, f"I16: the list was read {read_again} times after {refused} refused orders")
    stage.need(refused <= ATTEMPTS_MOST, f"I16: {refused} orders against the rules")


@drill("F50", limit_sec=400.0)
async def halted_between_the_legs(stage: Stage) -> None:
    """The second leg's symbol is halted while its create travels; at another venue, the same with cancels only. Their
    books go on moving, and no further order goes there until they are open again."""
    cheap = {"HALT": CHEAP, "CANCEL_ONLY": "kraken"}
    for status, venue in cheap.items():
        held = stage.strike(venue, "hold", PLACE, ms=300)
        await stage.fire(held, DEAR, venue)
        stage.strike(venue, "status", status=status)
        await stage.settle()
        await _refused_once(stage, venue)
        before = stage.place_requests(venue)
        for _ in range(EPISODES_CLOSED):
            await stage.episode(DEAR, venue)
        await stage.settle()
        sent = stage.place_requests(venue) - before
        stage.need(not sent, f"I06: {sent} orders to {venue}, which is in {status}")
    for venue in cheap.values():
        stage.clear(venue)
    await until(lambda: not any(_is_closed(stage, venue) for venue in cheap.values()), OPEN_SEC, "all is open again")
    await until(stage.ground.is_synced, why="books are synced again")
    for venue in cheap.values():
        await stage.still_trades(venue)


async def _refused_once(stage: Stage, venue: str) -> None:
    """On a busy machine the create that travelled was taken before the halt; then the next one is refused."""
    if not _is_closed(stage, venue):
        await stage.trade_until(DEAR, lambda: _is_closed(stage, venue), venue, f"{venue} refuses an order")
        await stage.settle()


def _is_closed(stage: Stage, venue: str) -> bool:
    """Whether we take the market for closed."""
    catalog = stage.ground.daemon.parts.market.venues[venue].catalog
    return not catalog.by_symbol[stage.ground.setting.symbols[0]].is_open


@drill("F51", PAIR)
async def one_balance_for_two(stage: Stage) -> None:
    """Two symbols are cheap at a venue that has money for one order: no order is refused for want of it."""
    balance = stage.account(CHEAP).balance("USDT")
    left = 7000 * 10**MONEY_DIGITS
    stage.ground.exchanges[CHEAP].desk.deposit(stage.account(CHEAP), "USDT", left - balance.free)
    await until(lambda: _is_known(stage, Decimal(7000)), 60.0, "the balance is known")
    before = len(stage.ground.exchanges[CHEAP].ledger.refusals)
    for symbol in stage.ground.setting.symbols:
        stage.shift(DEAR, symbol=symbol)
        stage.shift(CHEAP, -60.0, symbol=symbol)
    await until(lambda: stage.kinds()["plan.made"], why="a plan")
    await asyncio.sleep(2.0)
    await stage.settle()
    refused = list(stage.ground.exchanges[CHEAP].ledger.refusals)[before:]
    stage.need(not refused, f"I07: {refused}")


def _is_known(stage: Stage, most: Decimal) -> bool:
    known = stage.ground.balances_of(CHEAP).get("USDT", Decimal(0)) <= most
    if not known:
        stage.ground.dealing.reconcile(CHEAP)
    return known


@drill("F52")
async def one_opportunity_many_ticks(stage: Stage) -> None:
    """Answers come late while the opportunity goes on: one plan for it."""
    for venue in (DEAR, CHEAP):
        stage.strike(venue, "hold", PLACE, ms=1000, count=2)
    raised = len(stage.ground.raised)
    for _ in range(3):
        await stage.episode(DEAR, CHEAP)
    await stage.settle()
    plans = [fact for fact in oracle.facts(await stage.records(), PlanMade) if isinstance(fact, PlanMade)]
    counts = Counter(plan.raw_signal_id for plan in plans if plan.raw_signal_id)
    stage.need(plans and max(counts.values()) == 1, f"I01: {dict(counts)}")
    stage.count(plans=len(plans), signals=len(stage.ground.raised) - raised)


@drill("F54")
async def late_fill_and_compensation(stage: Stage) -> None:
    """The rest fills after all, just when it has been bought elsewhere: flat again, without ping-pong."""
    for after_ms in (5, 20, 60):
        stage.strike(CHEAP, "partial", BUY, share=0.5)
        fault = stage.strike(CHEAP, "late_fill", BUY, after_ms=after_ms)
        await stage.fire(fault, DEAR, CHEAP)
        await asyncio.sleep(0.2)
        await stage.settle()
    each_plan(stage, 3)
