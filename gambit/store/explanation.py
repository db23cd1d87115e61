"""Why an opportunity, a plan or an order came out as it did, told from a copy of the store."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import duckdb

from gambit.model import rfc3339

Row = dict[str, Any]
_INTENDED: Final = "order.intended"
_VERDICTS: Final = ("plan.made", "plan.refused")


def explain(connection: duckdb.DuckDBPyConnection, identity: str) -> Row | None:
    """Everything the store has about an opportunity (its opp_id), a plan (plan_id) or an order (order_id or client
    order id); None when it has none by that name. Raises duckdb.Error.

    Ready for JSON: amounts are text, times RFC 3339 under the columns' names and, as `_ns`, ns since the epoch. `what`
    says what was asked for; then `signal`
    and `episode` (the inputs, and how the episode ended), `decision` (the plan as it was made or refused), `history`
    (what else is known of plan and opportunity, in order) and `orders` (all of the plan, or the one asked for), each
    with its history, executions and settlements.
    """
    found = _found(connection, identity)
    if found is None:
        return None
    what, opp_id, plan_id, key = found
    signal = _one(connection, "SELECT * FROM arbitrage_opportunity WHERE opp_id::VARCHAR = ?", [opp_id])
    plan = _one(
        connection,
        "SELECT * FROM order_plan WHERE plan_id::VARCHAR = ? OR (? IS NULL AND opp_id::VARCHAR = ?)",
        [plan_id, plan_id, opp_id],
    )
    orders = _rows(connection, "SELECT * FROM orders WHERE plan_id::VARCHAR = ? ORDER BY seq", [plan_id])
    names = [name for name in (opp_id, plan_id, *(order["client_order_id"] for order in orders)) if name]
    first = min(row["seq"] for row in (signal, plan, *orders) if row)
    facts = _facts(connection, names, first)
    return {
        "what": what,
        "id": identity,
        "signal": signal,
        "episode": _episode(connection, signal),
        "decision": next((fact for fact in facts if fact["kind"] in _VERDICTS and _is_of(fact, opp_id, plan_id)), None),
        "plan": plan,
        "history": [fact for fact in facts if "key" not in fact and fact["kind"] not in _VERDICTS],
        "orders": [
            _order(connection, order, facts) for order in orders if what != "order" or order["client_order_id"] == key
        ],
    }


def _found(
    connection: duckdb.DuckDBPyConnection, identity: str
) -> tuple[str, str | None, str | None, str | None] | None:
    """(what it is, opp_id, plan_id, client order id)."""
    order = connection.execute(
        "SELECT plan_id::VARCHAR, client_order_id FROM orders WHERE order_id::VARCHAR = ? OR client_order_id = ?",
        [identity.lower(), identity],
    ).fetchone()
    plan_id = order[0] if order else identity.lower()
    plan = connection.execute("SELECT opp_id::VARCHAR FROM order_plan WHERE plan_id::VARCHAR = ?", [plan_id]).fetchone()
    if order:
        return "order", plan[0] if plan else None, plan_id, order[1]
    if plan:
        return "plan", plan[0], plan_id, None
    opp_id = identity.lower()
    known = connection.execute(
        "SELECT plan_id::VARCHAR FROM order_plan WHERE opp_id::VARCHAR = ? UNION ALL "
        "SELECT NULL FROM arbitrage_opportunity WHERE opp_id::VARCHAR = ?",
        [opp_id, opp_id],
    ).fetchall()
    if not known:
        return None
    return "opportunity", opp_id, next((plan_id for (plan_id,) in known if plan_id), None), None


def _facts(connection: duckdb.DuckDBPyConnection, names: Sequence[str], first: int) -> list[Row]:
    """The records that are about one of these, in order; a name that only stands somewhere inside does not count."""
    mentions = " OR ".join("contains(body, ?)" for _ in names)
    rows = connection.execute(
        f"SELECT seq, epoch_ns(ts), kind, body FROM facts WHERE seq >= ? AND body IS NOT NULL AND ({mentions}) "
        "ORDER BY seq",
        [first, *names],
    ).fetchall()
    facts = []
    for seq, ts_ns, kind, body in rows:
        fact = json.loads(body)
        if any(fact.get(field) in names for field in ("key", "plan_id", "opp_id")):
            facts.append({"seq": seq, "ts_ns": ts_ns, "kind": kind, **fact})
    return facts


def _is_of(fact: Row, opp_id: str | None, plan_id: str | None) -> bool:
    return fact.get("plan_id") == plan_id if plan_id else fact.get("opp_id") == opp_id


def _order(connection: duckdb.DuckDBPyConnection, order: Row, facts: Sequence[Row]) -> Row:
    its = [fact for fact in facts if fact.get("key") == order["client_order_id"]]
    by_order = [order["order_id"]]
    return {
        **order,
        "intent": next((fact for fact in its if fact["kind"] == _INTENDED), None),
        "history": [fact for fact in its if fact["kind"] != _INTENDED],
        "executions": _rows(connection, "SELECT * FROM executions WHERE order_id::VARCHAR = ? ORDER BY seq", by_order),
        "settlements": _rows(
            connection, "SELECT * FROM settlements WHERE order_id::VARCHAR = ? ORDER BY seq", by_order
        ),
    }


def _episode(connection: duckdb.DuckDBPyConnection, signal: Row | None) -> Row | None:
    """The end of the episode that a signal belongs to."""
    if signal is None:
        return None
    return _one(
        connection,
        "SELECT * FROM arbitrage_episode WHERE raw_signal_id::VARCHAR = ? AND seq > ? ORDER BY seq LIMIT 1",
        [signal["raw_signal_id"], signal["seq"]],
    )


def _one(connection: duckdb.DuckDBPyConnection, statement: str, values: Sequence[object]) -> Row | None:
    return next(iter(_rows(connection, statement, values)), None)


def _rows(connection: duckdb.DuckDBPyConnection, statement: str, values: Sequence[object]) -> list[Row]:
    """Rows by column name, ids and amounts text; a time is RFC 3339, and once more in ns as X_ns (without its _at)."""
    columns = connection.execute(statement, values).description or []
    times = [name for name, kind, *_ in columns if str(kind) == "TIMESTAMP_NS"]
    if times:
        whole = ", ".join(f"epoch_ns({name}) AS {name}" for name in times)
        connection.execute(f"SELECT * REPLACE ({whole}) FROM ({statement})", values)
    found = [dict(zip((name for name, *_ in columns), map(_plain, row), strict=True)) for row in connection.fetchall()]
    return [{**row, **_in_ns(row, times), **_worded(row, times)} for row in found]


def _in_ns(row: Row, times: Sequence[str]) -> Row:
    return {f"{name.removesuffix('_at')}_ns": row[name] for name in times}


def _worded(row: Row, times: Sequence[str]) -> Row:
    return {name: None if row[name] is None else rfc3339(row[name]) for name in times}


def _plain(cell: Any) -> Any:
    if isinstance(cell, Decimal):
        return f"{cell.normalize():f}"
    return cell if cell is None or isinstance(cell, bool | int | float | str) else str(cell)
