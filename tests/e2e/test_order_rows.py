"""What a daemon that traded on paper kept: the rows are the desk's own books, and the journal gives them again."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from gambit.bootstrap import socket_path
from gambit.config import Config
from gambit.engine.desk import Desk
from gambit.engine.standing import Standing, State
from gambit.events import read
from gambit.events.orders import GateVerdict, OrderMoved
from gambit.journal import WrittenJournal, read_journal
from gambit.runtime.keeping import journal_places, store_folders
from gambit.sim.server import Server
from gambit.store import rebuild as rebuilding
from gambit.store.explanation import explain
from gambit.surface.client import call
from tests.e2e.live import config_for, dear_until, exchanges, running, until
from tests.e2e.test_paper_trading import CALM, SETTINGS, SYMBOL, closed_trades
from tests.engine.test_risk import GATE_NAMES
from tests.test_kept import Ran


async def traded(server: Server, config: Config) -> Desk:
    """A daemon's whole life: some trades, then a halt and some refusals; its desk as it was at the end."""
    async with running(config) as (daemon, _):
        desk = daemon.parts.dealing.desk
        await until(lambda: desk.standing.state.holdings.balances)
        await dear_until(server, "okx", SYMBOL, lambda: closed_trades(daemon) > 0)
        await until(lambda: desk.is_flat)
        await until(lambda: any(str(o.status) == "reconciled" for o in desk.standing.state.orders.values()))
        await asyncio.to_thread(call, socket_path(config), "halt", {"reason": "a test"})
        ended, refusals = desk.standing.state.funnel.ended, {"halted", "risk:kill_switch"}
        await dear_until(server, "kraken", SYMBOL, lambda: set(ended) & refusals)
        return desk


def decimal_of(value: Decimal | None) -> Decimal | None:
    return None if value is None else value.quantize(Decimal("1e-18"))


def books_of(state: State) -> dict[str, list[tuple[Any, ...]]]:
    """The desk's plans, orders and executions as rows."""
    plans = [
        (one.made.plan_id, one.made.opp_id or None, str(one.phase), one.end or None, one.stopped or None)
        for one in state.trades.values()
    ]
    orders = [
        (
            order.intent.order_id, order.intent.plan_id, key, order.intent.venue, order.intent.side, order.qty,
            order.price, str(order.status), order.filled_qty, decimal_of(order.average_price),
            order.intent.idempotency_key, order.venue_order_id or None,
        )
        for key, order in state.orders.items()
    ]  # fmt: skip
    executions = [
        (order.intent.order_id, one.exec_id, one.qty, one.price, decimal_of(one.fee), one.fee_asset, one.is_busted)
        for order in state.orders.values()
        for one in order.executions.values()
    ]
    return {"plans": sorted(plans), "orders": sorted(orders), "executions": sorted(executions)}


ROWS = {
    "plans": "SELECT plan_id::VARCHAR, opp_id::VARCHAR, status, ended, reason FROM order_plan "
    "WHERE plan_id IS NOT NULL",
    "orders": "SELECT order_id::VARCHAR, plan_id::VARCHAR, client_order_id, venue, side, qty, price, status, "
    "qty_filled, average_price, idempotency_key, venue_order_id FROM orders",
    "executions": "SELECT order_id::VARCHAR, venue_exec_id, qty_filled, price, fee, fee_asset, "
    "busted_at IS NOT NULL FROM executions",
}


def times_in(database: Path) -> dict[str, tuple[int, int]]:
    """When each order was intended and last moved, as the rows have it."""
    with duckdb.connect(str(database), read_only=True) as connection:
        asked = "SELECT client_order_id, epoch_ns(created_at), epoch_ns(updated_at) FROM orders"
        return {key: (made_ns, moved_ns) for key, made_ns, moved_ns in connection.execute(asked).fetchall()}


def times_of(journal: WrittenJournal) -> dict[str, tuple[int, int]]:
    """The same as a replay has it; moves are dated when they were written down."""
    standing, follower = Standing(), journal.follow(journal.first_seq - 1)
    moved_ns: dict[str, int] = {}
    for record in follower.read(1_000_000):
        fact = read(record.kind, record.body)
        standing.replay(fact, record.ts_ns)
        if isinstance(fact, OrderMoved):
            moved_ns[fact.key] = record.ts_ns
    follower.close()
    return {key: (order.intended_ns, moved_ns[key]) for key, order in standing.state.orders.items()}


async def test_the_rows_are_the_desks_books(tmp_path: Path) -> None:
    """Plans, orders and executions row by row, settlements and checks by what they must add up to; a rebuild agrees."""
    async with exchanges(CALM) as server:
        config = config_for(server, tmp_path / "state", *SETTINGS, symbols=[SYMBOL])
        desk = await traded(server, config)
    state, database = desk.standing.state, store_folders(config).database
    with duckdb.connect(str(database), read_only=True) as connection:
        found = {name: sorted(connection.execute(sql).fetchall()) for name, sql in ROWS.items()}
        assert found == books_of(state)
        reconciled = {order.intent.order_id for order in state.orders.values() if str(order.status) == "reconciled"}
        asked = "SELECT order_id::VARCHAR, status, amount_net, fee_total FROM settlements"
        settlements = connection.execute(asked).fetchall()
        assert {row[0] for row in settlements if row[1] == "confirmed"} == reconciled
        for identity, _, net, fee in settlements:
            (order,) = (one for one in state.orders.values() if one.intent.order_id == identity)
            sign = -1 if order.intent.side == "buy" else 1
            assert net == decimal_of(sign * order.filled_quote - fee)
        unequal = "SELECT count(*) - count(DISTINCT (idempotency_key, venue)) FROM orders"
        assert connection.execute(unequal).fetchall() == [(0,)]
        checked = "SELECT count(DISTINCT plan_id), bool_and(passed) FROM pre_trade_checks_log WHERE plan_id IS NOT NULL"
        assert connection.execute(checked).fetchall() == [
            (sum(bool(trade.made.legs) for trade in state.trades.values()), True)
        ]
        refused = "SELECT body FROM facts WHERE kind = 'plan.refused'"
        refusals = [json.loads(body) for (body,) in connection.execute(refused).fetchall()]
        count = connection.execute("SELECT count(*) FROM order_plan WHERE status = 'refused'").fetchone()
        assert refusals
        assert count == (len(refusals),)
    journal = read_journal(journal_places(config))
    assert journal is not None
    assert times_in(database) == times_of(journal)
    rebuilding.rebuild(journal, tmp_path / "rebuilt.duckdb", journal.synced, lambda *_: None)
    compared = rebuilding.compare(database, tmp_path / "rebuilt.duckdb", {})
    assert [one for one in compared if one.only_there or one.only_rebuilt] == []
    assert {"order_plan", "orders", "executions", "settlements", "pre_trade_checks_log"} <= {
        one.table for one in compared if one.rows
    }
    explained_well(state, database)
    shown_well(state, tmp_path / "state")


def explained_well(state: State, database: Path) -> None:
    """By any of its names an order leads to the signal, the gates and every move; a refusal has no order."""
    trade = next(one for one in state.trades.values() if one.is_traded)
    opp_id, plan_id, key = trade.made.opp_id, trade.made.plan_id, trade.keys[0]
    order = state.orders[key]
    with duckdb.connect(str(database), read_only=True) as connection:
        by_opp, by_plan = explain(connection, opp_id), explain(connection, plan_id.upper())
        by_order, by_key = explain(connection, order.intent.order_id), explain(connection, key)
        refused = connection.execute("SELECT opp_id::VARCHAR FROM order_plan WHERE status = 'refused'").fetchone()
        assert refused is not None
        refusal = explain(connection, refused[0])
        assert explain(connection, "nothing") is None
    assert by_opp
    assert by_plan
    assert by_order
    assert by_key
    assert refusal
    assert [one["what"] for one in (by_opp, by_plan, by_order, by_key)] == ["opportunity", "plan", "order", "order"]
    assert {one["signal"]["opp_id"] for one in (by_opp, by_plan, by_order, by_key)} == {opp_id}
    assert [one["client_order_id"] for one in by_plan["orders"]] == trade.keys
    assert [one["client_order_id"] for one in by_order["orders"]] == [key]
    gates = [GateVerdict(**gate) for gate in by_plan["decision"]["gates"]]
    assert [gate.gate for gate in gates] == GATE_NAMES
    assert all(gate.ok for gate in gates)
    assert [leg["venue"] for leg in by_plan["decision"]["legs"]] == [leg.venue for leg in trade.made.legs]
    moves = [fact["status"] for fact in by_key["orders"][0]["history"] if fact["kind"] == "order.status"]
    assert moves[0] == "submitted"
    assert moves[-1] == str(order.status)
    assert sum(Decimal(one["qty_filled"]) for one in by_key["orders"][0]["executions"]) == order.filled_qty
    assert [fact["reason"] for fact in by_opp["history"] if fact["kind"] == "opportunity.ended"] == ["traded"]
    assert refusal["orders"] == []
    assert refusal["decision"]["kind"] == "plan.refused"


def shown_well(state: State, state_dir: Path) -> None:
    """The command tells the same to people and to programs, and says what it cannot find."""
    trade = next(one for one in state.trades.values() if one.is_traded)
    ran = Ran(state_dir, "explain", trade.made.plan_id)
    assert ran.code == 0
    assert all(name in ran.text for name in GATE_NAMES)
    assert all(key in ran.text for key in trade.keys)
    assert "the opportunity counts as traded; the plan is closed, flat" in ran.text
    assert Ran(state_dir, "explain", trade.keys[0], "--json").json["what"] == "order"
    unknown = Ran(state_dir, "explain", "no-such-thing")
    assert unknown.code == 1
    assert "nothing is known by 'no-such-thing'" in unknown.text
