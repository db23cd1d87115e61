"""`gambit orders`, `plans`, `positions`, `pnl`: what the desk did; `plan`, `order`, `arm`, `disarm`: what it may do."""

import json
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation, localcontext
from pathlib import Path
from typing import Any

import click

from gambit.cli.daemon import ask, place_of_running
from gambit.cli.options import readable, seconds_of, since_of, with_config, with_json
from gambit.cli.paint import Paint, table
from gambit.surface import quantities

Row = dict[str, Any]

with_since = click.option(
    "--since", "since_ns", callback=since_of, metavar="WHEN", help="Only those made in the last 10m, or since a time."
)


def _listing(name: str, text: str, cells: Callable[[Row], list[str]], head: Sequence[str]) -> click.Command:
    """A command that lists orders or plans."""

    @click.command(name, help=text)
    @click.option("--symbol", metavar="SYMBOL", help="Only this symbol, such as BTC-USDT.")
    @click.option("--venue", metavar="VENUE", help="Only of this venue.")
    @click.option("--status", metavar="STATUS", help="Only with this status, such as filled.")
    @with_since
    @click.option("--open", "open_only", is_flag=True, help="Only those that are under way.")
    @click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
    @with_config
    @with_json
    def listing(config_path: Path | None, overrides: tuple[str, ...], as_json: bool, **asked: Any) -> None:
        found = ask(place_of_running(config_path, overrides), name, **asked)
        if as_json:
            click.echo(json.dumps(found))
        elif not found:
            click.echo(f"no {name}")
        else:
            first, *body = table([list(head), *map(cells, found)], left=4)
            click.echo("\n".join([Paint.for_stdout().strong(first), *body]))

    return listing


def _order(row: Row) -> list[str]:
    price = row["average_price"] or row["price"]
    return [
        quantities.moment(row["created_ns"]),
        row["symbol"],
        row["venue"],
        f"{row['side']} {row['purpose']}",
        f"{row['qty_filled']} of {row['qty']}",
        f"{float(price):.10g}",
        row["status"].replace("_", " "),
        row["client_order_id"],
    ]


def _plan(row: Row) -> list[str]:
    money = (f"{float(amount):+,.4f} {asset}" for asset, amount in row["result"].items() if abs(float(amount)) >= 1e-4)
    result = " ".join(money) or "-"
    return [
        quantities.moment(row["created_ns"]),
        row["symbol"],
        " ".join(row["venues"]),
        (row["end"] or row["status"]).replace("_", " "),
        f"{float(row['total_quote_amount']):,.2f}",
        f"{float(row['expected_profit']):+,.4f}",
        result,
        row["plan_id"],
    ]


orders = _listing(
    "orders",
    "List orders, newest first.",
    _order,
    ["at", "symbol", "venue", "side", "filled", "price", "status", "client order id"],
)
plans = _listing(
    "plans",
    "List order plans, newest first.",
    _plan,
    ["at", "symbol", "venues", "status", "quote", "expected", "result", "plan"],
)


@click.command("positions")
@click.option("--symbol", metavar="SYMBOL", help="Only this symbol's position, and balances of its two assets.")
@click.option("--venue", metavar="VENUE", help="Only balances at this venue; positions are over all of them.")
@with_config
@with_json
def positions(
    symbol: str | None, venue: str | None, config_path: Path | None, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Show positions and balances."""
    found = ask(place_of_running(config_path, overrides), "positions", symbol=symbol, venue=venue)
    if as_json:
        click.echo(json.dumps(found))
        return
    paint = Paint.for_stdout()
    rows = [["symbol", "position", "average cost", "mark", "unrealised", "realised"]]
    rows += [[row[k] or "-" for k in ("symbol", "qty", "average_cost", "mark", "unrealised", "realised")]
             for row in found["positions"]]  # fmt: skip
    held = [["venue", "asset", "amount"], *([b["venue"], b["asset"], b["amount"]] for b in found["balances"])]
    for title, part, left in (("Positions", rows, 1), ("Balances", held, 2)):
        head, *body = table([[_short(cell) for cell in row] for row in part], left=left)
        click.echo("\n".join([paint.strong(title), paint.faint(head), *body, ""]))


def _short(cell: str) -> str:
    """Twelve significant digits are enough for a screen; what is small is not written with an exponent."""
    try:
        amount = Decimal(cell)
    except InvalidOperation:
        return cell
    with localcontext(prec=12):
        text = f"{+amount:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@click.command("pnl")
@click.option("--symbol", metavar="SYMBOL", help="Also what the plans of this symbol came to.")
@click.option("--venue", metavar="VENUE", help="Also what the plans with a leg on this venue came to.")
@click.option("--status", metavar="STATUS", help="Also what the plans with this status came to, such as closed.")
@with_since
@with_config
@with_json
def pnl(config_path: Path | None, overrides: tuple[str, ...], as_json: bool, **asked: Any) -> None:
    """Show the result: equity, today, fees, and what became of every opportunity.

    Of which plans the result is wanted too is said by --symbol, --venue, --status and --since: of those made then, and
    of settled ones the newest 2000.
    """
    found = ask(place_of_running(config_path, overrides), "pnl", **asked)
    if as_json:
        click.echo(json.dumps(found))
        return
    paint = Paint.for_stdout()
    if "chosen" in found:
        click.echo("\n".join([paint.strong("Plans chosen"), *table(_chosen(found["chosen"])), ""]))
    rows = [[name.replace("_", " "), _short(found[name])] for name in ("equity", "result_today", "unrealised")]
    rows += [[f"fees {asset}", _short(amount)] for asset, amount in found["fees"].items()]
    rows += [[f"dust {asset}", _short(amount)] for asset, amount in found["dust"].items()]
    click.echo("\n".join([paint.strong("Result"), *table(rows)]))
    charged = [["fees by venue", "charged", "modelled", "lately, bps more"]]
    charged += [
        [venue, *map(_short, (found["fees_charged"][venue], found["fees_modelled"][venue], drift))]
        for venue, drift in found["fee_drift_bps"].items()
    ]
    if len(charged) > 1:
        click.echo("\n".join(["", *table(charged)]))
    ends = [["opportunities", str(found["opportunities"]), ""]]
    ends += [["open", str(found["opportunities_open"]), ""]] if found["opportunities_open"] else []
    ends += [
        [reason.replace("_", " "), str(count), _short(found["counterfactual"].get(reason, "0"))]
        for reason, count in found["funnel"].items()
    ]
    click.echo(
        "\n".join(
            ["", paint.strong("What became of opportunities, and what the refused would have earned"), *table(ends)]
        )
    )


def _chosen(told: Row) -> list[list[str]]:
    rows = [["plans", str(told["plans"])], ["traded", str(told["traded"])]]
    rows += [[f"result {asset}", _short(amount)] for asset, amount in told["result"].items()]
    return [*rows, ["value", _short(told["value"])]]


def _deciding(group: click.Group, word: str, method: str, argument: str, text: str) -> None:
    """A command that decides about one plan or order."""

    @group.command(word, help=text)
    @click.argument("name", metavar="ID")
    @with_config
    @with_json
    def decide(name: str, config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
        named: dict[str, Any] = {argument: name}
        answer = ask(place_of_running(config_path, overrides), method, **named)
        click.echo(json.dumps(answer) if as_json else f"{method.replace('.', ' ')}: {answer['done']}")


@click.group("plan")
def plan() -> None:
    """Decide about plans that wait for approval."""


@click.group("order")
def order() -> None:
    """Decide about orders."""


_deciding(plan, "approve", "plan.approve", "plan_id", "Let a waiting plan go; every gate is asked again.")
_deciding(plan, "reject", "plan.reject", "plan_id", "Drop a waiting plan.")
_deciding(order, "cancel", "order.cancel", "order_id", "Cancel the rest of a live order.")


@click.command("arm")
@click.option("--for", "for_sec", callback=seconds_of, metavar="DURATION", help="A shorter time: 30m, 2h, ...")
@with_config
@with_json
def arm(for_sec: float | None, config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Let live orders leave, for execution.arm_hours."""
    answer = ask(place_of_running(config_path, overrides), "arm", for_sec=for_sec)
    click.echo(json.dumps(answer) if as_json else f"armed until {quantities.moment(answer['armed_until_ns'])} UTC")


@click.command("disarm")
@click.option("--reason", default="", callback=readable, metavar="TEXT", help="Why; goes into the audit record.")
@with_config
@with_json
def disarm(reason: str, config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Keep live orders from leaving."""
    answer = ask(place_of_running(config_path, overrides), "disarm", reason=reason)
    click.echo(json.dumps(answer) if as_json else "disarmed")


@click.command("release")
@click.argument("scope", metavar="SCOPE")
@with_config
@with_json
def release(scope: str, config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Let a halted symbol or venue trade again, such as symbol:BTC-USDT or venue:okx; see what its alert says first."""
    answer = ask(place_of_running(config_path, overrides), "release", scope=scope)
    click.echo(json.dumps(answer) if as_json else f"released {answer['done']}")


COMMANDS = (orders, plans, positions, pnl, plan, order, arm, disarm, release)
