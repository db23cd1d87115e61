"""`gambit explain`: why an opportunity, a plan or an order came out as it did."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from gambit.cli import interrupts
from gambit.cli.daemon import config_of_readable
from gambit.cli.options import Failure, utf8, with_config, with_json
from gambit.cli.paint import Paint, table
from gambit.cli.query import open_store, seconds_of
from gambit.surface import quantities

Row = dict[str, Any]
LEG = ("venue", "symbol", "side", "qty", "price", "average_price", "worst_price", "tif", "fee_bps", "book_seq")
# What stands elsewhere, or says nothing to a reader.
NOT_TOLD = {"seq", "ts_ns", "kind", "key", "venue", "plan_id", "opp_id", "order_id", "symbol", "schema_ver",
            "idempotency_key", "raw_signal_id", "side", "account", "gates"}  # fmt: skip


@click.command("explain")
@click.argument("identity", metavar="ID", callback=utf8)
@with_config
@with_json
@click.option(
    "--max-age",
    default="1s",
    show_default=True,
    metavar="DURATION",
    callback=lambda ctx, param, text: seconds_of(ctx, param, text),
    help="How old the copy of the database may be.",
)
def explain(identity: str, config_path: Path | None, overrides: tuple[str, ...], as_json: bool, max_age: float) -> None:
    """Tell why an opportunity, a plan or an order came out as it did.

    ID is an opp_id, a plan_id, an order_id or a client order id: the signal it began with, the verdict of every gate
    with value and limit, the legs, every order with its moves and executions, and the end. Works on a copy of the
    store, and on the store itself while the daemon is down.
    """
    from gambit.store.explanation import explain as explained

    config = config_of_readable(config_path, overrides)
    with interrupts.heeded(), open_store(config, max_age) as connection:
        found = explained(connection, identity.strip())
    if found is None:
        raise Failure(
            f"gambit: nothing is known by {identity!r}; ID is an opp_id, plan_id, order_id or client order id: "
            '`gambit plans --json`, `gambit orders --json`, `gambit query "from arbitrage_opportunity"` have them'
        )
    if as_json:
        click.echo(json.dumps(found))
    else:
        click.echo("\n".join(lines(found, Paint.for_stdout())))


def lines(found: Row, paint: Paint) -> Iterator[str]:
    """The whole explanation as text."""
    begun_ns = start_of(found)
    yield paint.strong(f"{found['what']} {found['id']}")
    if found["signal"]:
        yield from signal_lines(found["signal"], found["episode"], paint)
    yield from decision_lines(found, begun_ns, paint)
    for order in found["orders"]:
        yield from order_lines(order, begun_ns, paint)
    yield from end_lines(found, paint)


def start_of(found: Row) -> int:
    """The moment that all times count from."""
    parts = [found["signal"], found["decision"], found["plan"], *found["orders"]]
    first = next(part for part in parts if part)
    return int(first["ts_ns"] if "ts_ns" in first else first["created_ns"])


def signal_lines(signal: Row, episode: Row | None, paint: Paint) -> Iterator[str]:
    """What was seen."""
    yield (
        f"signal   {quantities.moment(signal['created_ns'])} {signal['symbol']}: buy {signal['venue_buy']} at "
        f"{signal['buy_vwap']}, sell {signal['venue_sell']} at {signal['sell_vwap']}, {signal['qty']} "
        f"{signal['base_asset']}"
    )
    yield (
        f"         net {signal['net_bps']:.2f} of {signal['spread_bps']:.2f} bps, profit {signal['profit_quote']} "
        f"{signal['quote_asset']}, score {signal['score']:.3f}, data {signal['data_quality']}"
        + (", degraded" if signal["degraded"] else "")
    )
    yield (
        f"         books {signal['seq_buy']} ({quantities.span(signal['book_age_buy_ns'])} old) and "
        f"{signal['seq_sell']} ({quantities.span(signal['book_age_sell_ns'])} old), "
        f"liquidity {signal['liquidity']:,.0f}"
    )
    if episode:
        yield paint.faint(
            f"         its episode lasted {quantities.span(episode['duration_ns'])} and ended: "
            f"{words(episode['reason'])}"
        )


def decision_lines(found: Row, begun_ns: int, paint: Paint) -> Iterator[str]:
    """Refused or planned, gate by gate, and what became of the plan."""
    decision = found["decision"]
    if decision is None:
        yield "decision none is recorded: no desk considered it"
        return
    at = after(decision["ts_ns"], begun_ns)
    if decision["kind"] == "plan.refused":
        detail = f" ({decision['detail']})" if decision.get("detail") else ""
        yield f"decision {at} {paint.bad('refused')}: {decision['reason']}{detail}"
    else:
        yield (
            f"decision {at} {paint.good('planned')} as {decision['plan_id']}: {decision['strategy']}, "
            f"{decision['approval']}, total {decision['total_quote']}, expected profit {decision['expected_profit']}"
        )
    yield from gate_lines(decision["gates"], paint)
    if not decision["gates"]:
        yield "gates    none was asked"
    if decision["legs"]:
        yield from block("legs", [LEG, *([str(leg[name]) for name in LEG] for leg in decision["legs"])], paint)
    yield from history_lines("plan", found["history"], begun_ns, paint)


def gate_lines(gates: Sequence[Row], paint: Paint) -> Iterator[str]:
    """The verdicts of one moment."""
    if gates:
        head, *body = table([["gate", "verdict", "value", "limit"], *map(gate_cells, gates)], left=4)
        yield paint.faint(f"         {head}")
        for line, gate in zip(body, gates, strict=True):
            yield f"         {line if gate['ok'] else paint.bad(line)}"


def gate_cells(gate: Row) -> list[str]:
    """One verdict."""
    return [gate["gate"], "ok" if gate["ok"] else "refused", gate["value"], gate["limit"]]


def order_lines(order: Row, begun_ns: int, paint: Paint) -> Iterator[str]:
    """One order: what was meant, every move, every execution."""
    intent = order["intent"] or order
    why = f", again for {order['retry_of']}" if order["retry_of"] else ""
    why += f", compensates {order['compensates']}" if order["compensates"] else ""
    yield (
        f"order    {paint.strong(order['client_order_id'])} {order['venue']} {order['side']} {intent['qty']} "
        f"{order['symbol']} at {intent['price']}, {order['tif']}, {order['purpose']}{why}: "
        f"{paint.strong(words(order['status']))}"
    )
    yield f"         {after(order['created_ns'], begun_ns)} intended"
    yield from history_lines("", order["history"], begun_ns, paint)
    for one in order["executions"]:
        if one["busted_ns"]:
            yield f"         {after(one['busted_ns'], begun_ns)} execution {one['venue_exec_id']} was taken back"
    filled = f"{order['qty_filled']} of {order['qty']}"
    price = f" at {order['average_price']}" if order["average_price"] else ""
    net = "".join(f", settled {one['amount_net']} ({words(one['status'])})" for one in order["settlements"])
    yield f"         executed {filled}{price}{net}"


def history_lines(label: str, history: Sequence[Row], begun_ns: int, paint: Paint) -> Iterator[str]:
    """Records in order, each on a line; below it what gates said at that moment."""
    for fact in history:
        if fact["kind"] == "order.status":
            told = f"{words(fact['was'])} -> {words(fact['status'])} ({words(fact['on'])})"
        else:
            named = {name: value_of(value) for name, value in fact.items() if name not in NOT_TOLD}
            rest = ", ".join(f"{words(name)} {value}" for name, value in named.items() if value)
            told = f"{fact['kind']}" + (f": {rest}" if rest else "")
        yield f"{label:<8} {after(fact['ts_ns'], begun_ns)} {told}"
        yield from gate_lines(fact.get("gates") or (), paint)
        label = ""


def end_lines(found: Row, paint: Paint) -> Iterator[str]:
    """How it ended, in one line."""
    plan, ends = found["plan"], [fact for fact in found["history"] if fact["kind"] == "opportunity.ended"]
    told = [f"the opportunity counts as {ends[-1]['reason']}"] if ends else []
    if ends and ends[-1].get("counterfactual") is not None and ends[-1]["reason"] != "traded":
        told.append(f"it would have earned {ends[-1]['counterfactual']} then")
    if plan and plan["plan_id"]:
        end = f", {plan['ended']}, result {plan['profit']}" if plan["ended"] else ""
        told.append(f"the plan is {plan['status']}{end}")
    if found["what"] == "order" and found["orders"]:
        told.append(f"the order is {words(found['orders'][0]['status'])}")
    yield f"end      {paint.strong('; '.join(told) or 'open')}"


def block(label: str, rows: Sequence[Sequence[str]], paint: Paint) -> Iterator[str]:
    """A table with a label in front."""
    head, *body = table([[words(cell) for cell in rows[0]], *rows[1:]], left=3)
    yield f"{label:<8} {paint.faint(head)}"
    yield from (f"         {line}" for line in body)


def after(ts_ns: int, begun_ns: int) -> str:
    """A moment, counted from the beginning."""
    return f"{'-' if ts_ns < begun_ns else '+'}{quantities.span(abs(ts_ns - begun_ns))}"


def value_of(value: Any) -> str:
    """A field of a record in one line."""
    if isinstance(value, dict):
        return " ".join(f"{inner} {name}" for name, inner in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)


def words(text: str) -> str:
    """A name as people read it."""
    return text.replace("_", " ")
