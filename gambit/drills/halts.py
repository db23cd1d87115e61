"""Group H: whoever stops it stops it, and limits are limits."""

from __future__ import annotations

import asyncio
import json
import signal
import uuid
from collections import Counter
from typing import Final

from gambit.drills.children import site
from gambit.drills.crashes import agrees, ended_well, traded
from gambit.drills.ground import until
from gambit.drills.registry import DESK, drill
from gambit.drills.scenario import Bench, Setting
from gambit.drills.stage import PLACE, PRIVATE, Stage
from gambit.surface import client

FLOOD: Final = 10_000  # signals
SECOND_NS: Final = 1_000_000_000
FLOODED: Final = Setting(
    name="flooded",
    venues=DESK.venues,
    symbols=("BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "DOGE-USDT"),
    settings=("risk.plans_per_second = 2", "risk.duplicate_window_ms = 0"),
)
MARGIN_NS: Final = 50_000_000  # what left before a halt was acknowledged may arrive that much later (I09)
LIMITS: Final = {  # and the gate that has to refuse for it
    "risk.max_order_notional = 20": "max_order_notional",
    "risk.max_symbol_notional = 20": "max_symbol_notional",
    "risk.max_venue_notional = 20": "max_venue_notional",
    "risk.max_in_flight_notional = 20": "max_in_flight",
    "risk.position_limit_pct = 0": "position_limit",
    "risk.trades_per_hour = 1": "trades_per_hour",
}


def creates_after(stage: Stage, halted_ns: int) -> list[str]:
    """The creates that reached a venue after a halt was acknowledged."""
    requests = [one for exchange in stage.ground.exchanges.values() for one in exchange.ledger.requests]
    return [one["text"] for one in requests if one["action"] == "place" and one["ts_ns"] > halted_ns + MARGIN_NS]


@drill("F108")
async def halt_with_creates_under_way(stage: Stage) -> None:
    """Venues hold what was sent when trading is halted: none leaves after that, the doubtful are resolved."""
    stage.expects_trouble = True
    held = [stage.strike(venue, "hold", PLACE, ms=700, count=4) for venue in stage.ground.exchanges]
    stage.shift("okx", for_ms=30_000)
    await until(lambda: sum(fault.fired for fault in held) >= 2, why="creates are held")
    stage.ground.daemon.parts.switch.change("HALTED", "a drill", "a drill")
    halted_ns = stage.ground.now_ns()
    is_flat = stage.ground.dealing.desk.is_flat
    stage.need(not is_flat, "I09: flat was claimed with creates under way")
    await stage.settle()
    stage.need(not creates_after(stage, halted_ns), f"I09: {creates_after(stage, halted_ns)[:1]}")
    stage.count(held=sum(fault.fired for fault in held))


@drill("F111", None)
async def halt_outlives_a_kill(bench: Bench) -> None:
    """Halted by the control socket, killed, started again: still halted, until somebody resumes."""
    async with site(DESK, bench.folder) as there:
        child = await there.life()
        await traded(there)
        await child.ask("halt", {"reason": "a drill"})
        await child.end(signal.SIGKILL)
        before = there.orders()
        child = await there.life()
        status = await child.ask("status")
        bench.need(status["trading_state"] == "HALTED", f"I10: {status['trading_state']}")
        for _ in range(2):
            there.shift("okx")
            await asyncio.sleep(0.8)
        bench.need(there.orders() == before, "I10: orders while halted")
        await child.ask("resume", {"reason": "the drill goes on"})
        await traded(there)
        await agrees(bench, there)
        await ended_well(bench, child)


@drill("F112")
async def halt_while_a_venue_is_down(stage: Stage) -> None:
    """OKX is gone with an order in doubt there: flat is not claimed before it is back and has answered."""
    stage.expects_trouble = True
    stage.strike("okx", "drop_reply", PLACE)
    stage.strike("okx", "gap", PRIVATE, for_ms=8000)
    lost = stage.struck[0][1]
    await stage.fire(lost, "okx")
    exchange = stage.ground.exchanges["okx"]
    stage.strike("okx", "refuse", for_ms=5000)
    stage.strike("okx", "disconnect", count=max(len(exchange.sessions), 1))
    stage.ground.daemon.parts.switch.change("HALTED", "a drill", "a drill")
    halted_ns = stage.ground.now_ns()
    desk = stage.ground.dealing.desk
    for _ in range(80):
        doubtful = [order for order in desk.standing.live.values() if order.intent.venue == "okx"]
        stage.need(not (doubtful and desk.is_flat), "I09: flat was claimed")
        await asyncio.sleep(0.05)
    await stage.settle()
    stage.need(desk.is_flat, "I09: never flat")
    stage.need(not creates_after(stage, halted_ns), "I09: a create after the halt")


@drill("F113")
async def over_each_limit(stage: Stage) -> None:
    """One limit after the other is far too small: refused before the wire, with the gate's name in the journal."""
    stage.expects_trouble = True  # the daemon of this ground has other limits afterwards
    for limit, gate in LIMITS.items():
        await stage.ground.restart(limit)
        began = len(stage.ground.read_journal())
        before = sum(stage.place_requests(venue) for venue in stage.ground.exchanges)
        for _ in range(2):
            await stage.episode("okx")
        await stage.settle()
        after = sum(stage.place_requests(venue) for venue in stage.ground.exchanges)
        closed = _closed_gates(stage, began)
        stage.need(closed[gate], f"I07: {limit}: refused nothing, but {dict(closed)}")
        if gate != "trades_per_hour":
            stage.need(after == before, f"I07: {limit}: {after - before} orders")
        stage.count(limits=1, refused=closed[gate])


def _closed_gates(stage: Stage, began: int) -> Counter[str]:
    """How often each gate refused a plan, whatever the others said."""
    bodies = (json.loads(one.body) for one in stage.ground.read_journal()[began:] if one.kind == "plan.refused")
    return Counter(gate["gate"] for body in bodies for gate in body.get("gates") or () if not gate["ok"])


def _reasons(stage: Stage, began: int) -> list[str]:
    records = stage.ground.read_journal()[began:]
    return [json.loads(record.body)["reason"] for record in records if record.kind == "plan.refused"]


@drill("F114", FLOODED)
async def flood_of_opportunities(stage: Stage) -> None:
    """Ten thousand at once on five symbols, as an engine gone mad would raise them: some plans, no more than may be
    made in a second, the others refused by the gate for that; nothing is lost of what was done."""
    ground = stage.ground
    await stage.settle()
    for symbol in FLOODED.symbols:
        stage.shift("okx", for_ms=2500, symbol=symbol)
    await until(lambda: {one["symbol"] for one in ground.raised} == set(FLOODED.symbols), why="opportunities")
    patterns = list({one["symbol"]: one for one in ground.raised}.values())
    began_ns, began = ground.now_ns(), len(ground.read_journal())
    for number in range(FLOOD):
        names = {"opp_id": str(uuid.uuid4()), "raw_signal_id": str(uuid.uuid4())}
        ground.dealing.on_signal({**patterns[number % len(patterns)], **names, "recv_ns": ground.now_ns()})
    await until(lambda: not ground.dealing._raised, 60.0, "each was considered")
    await stage.settle()
    took_sec = (ground.now_ns() - began_ns) / 1e9
    made = [one.ts_ns for one in ground.read_journal()[stage.began_at :] if one.kind == "plan.made"]
    second = max((sum(at <= one < at + SECOND_NS for one in made) for at in made), default=0)
    reasons = Counter(_reasons(stage, began))
    stage.need(made, "I07: not one plan was made: nothing was to be bounded")
    most = ground.config.risk.plans_per_second
    stage.need(second <= most, f"I07: {second} plans in a second, {most} were allowed")
    stage.need(reasons["risk:plan_rate"], f"I07: nothing was refused for the rate: {dict(reasons)}")
    stage.count(plans=len(made), refused=reasons.total(), for_the_rate=reasons["risk:plan_rate"], seconds=int(took_sec))


@drill("F115")
async def twice_within_the_window(stage: Stage) -> None:
    """The same symbol again within the window: refused, with that reason."""
    stage.expects_trouble = True  # the daemon of this ground has another window afterwards
    await stage.ground.restart("risk.duplicate_window_ms = 20000")
    began = len(stage.ground.read_journal())

    def plans() -> int:
        return sum(record.kind == "plan.made" for record in stage.ground.read_journal()[began:])

    await stage.trade_until("okx", plans, why="a plan")
    for _ in range(2):
        await stage.episode("okx")
    await stage.settle()
    stage.need(plans() == 1, f"I01: {plans()} plans in a window")
    stage.need("in_flight" in _reasons(stage, began), "nothing was refused as a duplicate")


@drill("F116", None)
async def bad_limits_reloaded(bench: Bench) -> None:
    """NaN, a negative one, a word, a thousand times too much: refused, the old ones stay, and it is written down."""
    async with site(DESK, bench.folder) as there:
        child = await there.life()
        config = there.ground.folder / "state.toml"
        whole = config.read_text()
        for value in ("nan", "-1", '"much"', "1e30", "inf"):
            config.write_text(f"{whole}risk.max_order_notional = {value}\n")
            try:
                await child.ask("reload")
            except client.Failed as error:
                bench.need("max_order_notional" in str(error), f"I07: told as {error}")
                bench.count(refused=1)
            else:
                bench.need(False, f"I07: {value} was taken")
        config.write_text(whole)
        await child.ask("reload")
        await traded(there)
        await agrees(bench, there)
        audits = [json.loads(one.body) for one in there.ground.records if one.kind == "audit"]
        ends = [one["outcome"] for one in audits if one["action"] == "reload"]
        bench.need(ends == ["refused"] * 5 + ["ok"], f"I21: reloads are audited as {ends}")
        await ended_well(bench, child)
