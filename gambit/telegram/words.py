"""The bot's words: answers of the table as Telegram's HTML, everything that is not ours escaped (S38)."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from gambit.telegram.commands import COMMANDS

TEXT_CHARS: Final = 3800  # Telegram takes 4096
RAW_CHARS: Final = 2500
NUMBERS: Final = (
    "process_resident_memory_bytes", "gambit_uptime_seconds", "gambit_journal_seq", "gambit_store_lag_records",
    "gambit_ws_subscribers", "gambit_control_connections", "gambit_degraded", "gambit_ready",
)  # fmt: skip
LESSONS: Final = {
    "spread": "The distance between the best bid of one venue and the best ask of another, in hundredths of a percent "
    "(bps). What is left after both fees is the net spread.",
    "slippage": "What the price moves against you while you take more than the best level holds. gambit walks the book "
    "before it calls anything executable.",
    "arbitrage": "Buying where it is cheap and selling where it is dear, at the same moment. What can go wrong lies "
    "between the two: a leg that does not fill is a position.",
    "leg": "One order of a plan. A plan has at least two, and is done when what they filled is equal.",
    "halt": "Nothing new leaves and open orders are cancelled. It outlives a restart; only a person resumes.",
    "paper": "Real market data, play money: orders fill at the book as it stands, a little worse, a little later.",
    "fee": "A taker pays for what is taken at once, a maker for what waits in the book. Fees decide most arbitrage.",
    "risk": "Risk and reward of a signal: what is earned when all fills as seen, against what unwinding one leg costs.",
}


def escaped(text: object) -> str:
    """Any text, inert."""
    return html.escape(str(text), quote=False)


def cut(text: str) -> str:
    """What Telegram takes; a cut never falls into an entity or tag, for it falls between lines."""
    if len(text) <= TEXT_CHARS:
        return text
    return text[: text.rfind("\n", 0, TEXT_CHARS)] + "\n..."


def signal(row: Mapping[str, Any], now_ns: int) -> str:
    """One opportunity in two parts: for people (what, until when, what it may earn and cost), then raw (system D)."""
    told = row["signal"]
    ends_ns = row["raised_ns"] + int(float(told.get("ttl_sec") or 0) * 1e9)
    qty, sell = _number(row["qty"]), _number(told.get("sell_vwap"))
    at_risk = qty * sell * _number(told.get("impact_bps")) / 10_000
    reward = _number(row["profit_quote"])
    ratio = f"1 : {reward / at_risk:.2f}" if at_risk > 0 else "not known"
    net, gross = _number(row["net_bps"]), _number(row["spread_bps"])
    human = [
        f"<b>{escaped(row['symbol'])}</b> {net:+.2f} bps net, {gross:.2f} gross",
        f"buy {escaped(row['qty'])} on <b>{escaped(row['venue_buy'])}</b> at {escaped(told.get('buy_vwap', '?'))}, "
        f"sell on <b>{escaped(row['venue_sell'])}</b> at {escaped(told.get('sell_vwap', '?'))}",
        f"earns {reward:.4f} {escaped(row['quote_asset'])}, risk to reward {ratio}, score {_number(row['score']):.2f}",
        f"expires {_moment(ends_ns)}" + (" (it has)" if now_ns >= ends_ns else ""),
    ]
    raw = json.dumps({name: told[name] for name in sorted(told)}, separators=(",", ":"), default=str)
    if len(raw) > RAW_CHARS:
        raw = json.dumps({name: row[name] for name in sorted(row) if name != "signal"}, default=str)[:RAW_CHARS]
    return "\n".join(human) + f'\n<pre><code class="language-json">{escaped(raw)}</code></pre>'


def opportunities(rows: Sequence[Mapping[str, Any]], now_ns: int) -> str:
    """The best in two parts, the others a line each."""
    if not rows:
        return "no opportunity lasts right now"
    others = [
        f"{escaped(row['symbol'])} {escaped(row['venue_buy'])} &gt; {escaped(row['venue_sell'])} "
        f"{_number(row['net_bps']):+.2f} bps"
        for row in rows[1:]
    ]
    return "\n".join([signal(rows[0], now_ns), *others])


def status(found: Mapping[str, Any]) -> str:
    """A few lines."""
    venues = [
        f"{escaped(one['venue'])}: {escaped(one['state'])}, {one['books_synced']}/{one['books']} books"
        for one in found["venues"]
    ]
    state = (
        f"<b>{escaped(found['state'])}</b>, trading <b>{escaped(found['trading_state'])}</b>, {escaped(found['mode'])}"
    )
    reasons = [f"! {escaped(reason)}" for reason in found.get("reasons", ())[:5]]
    rates = f"{found['opportunities_open']} opportunities, {found['frames_per_sec']:.0f} frames/s"
    return "\n".join([state, rates, *reasons, *venues])


def pnl(found: Mapping[str, Any]) -> str:
    """Equity, today, fees."""
    fees = ", ".join(f"{_number(amount):.4f} {escaped(asset)}" for asset, amount in found["fees"].items()) or "none"
    return "\n".join(
        [
            f"equity {_number(found['equity']):,.2f}, today <b>{_number(found['result_today']):+,.4f}</b>",
            f"unrealised {_number(found['unrealised']):+,.4f}, fees {fees}",
            f"{found['opportunities']} opportunities so far",
        ]
    )


def trades(rows: Sequence[Mapping[str, Any]]) -> str:
    """The last orders, a line each."""
    lines = [
        f"{_moment(row['created_ns'])} {escaped(row['side'])} {escaped(row['qty_filled'])} {escaped(row['symbol'])} "
        f"{escaped(row['venue'])}: {escaped(row['status'])}"
        for row in rows
    ]
    return "\n".join(lines) or "no orders yet"


def mood(found: Mapping[str, Any], alerts: Sequence[Mapping[str, Any]]) -> str:
    """One word, and why."""
    worst = {row["severity"] for row in alerts}
    if found["trading_state"] == "HALTED" or "critical" in worst:
        word = "alarmed"
    elif found["trading_state"] == "REDUCING" or "high" in worst:
        word = "worried"
    elif worst - {"low"} or found.get("reasons"):
        word = "watchful"
    else:
        word = "calm" if not found["opportunities_open"] else "busy"
    why = [f"- {escaped(row['message'])}" for row in alerts[:5]] or [f"- trading is {escaped(found['trading_state'])}"]
    return "\n".join([f"<b>{word}</b>", *why])


def admin_stats(exposition: str) -> str:
    """Some of the daemon's numbers."""
    found = dict(re.findall(r"^(\w+) ([0-9.e+-]+)$", exposition, re.MULTILINE))
    lines = [f"{name.removeprefix('gambit_')}: {float(found[name]):,.10g}" for name in NUMBERS if name in found]
    return "<pre>" + escaped("\n".join(lines) or "no numbers") + "</pre>"


def alert(event: Mapping[str, Any]) -> str:
    """An alert's event."""
    if event["event"] == "resolved":
        return f"<b>resolved</b> {escaped(event['rule_id'])} {escaped(event['scope'])}"
    return (
        f"<b>{escaped(event['severity'])}</b> {escaped(event['message'])}\n"
        f"{escaped(event['rule_id'])} {escaped(event['scope'])}\n{escaped(event['runbook'])}"
    )


def manual() -> str:
    """Every command."""
    return "\n".join(f"/{command.name}: {escaped(command.text)}" for command in COMMANDS.values())


def lesson(words: Sequence[str]) -> str:
    """What a word means."""
    wanted = words[0].lower() if words else ""
    if wanted in LESSONS:
        return f"<b>{wanted}</b>: {escaped(LESSONS[wanted])}"
    return "/learn " + " | ".join(LESSONS)


def answer(command: str, results: Sequence[Any], now_ns: int) -> str:
    """The table's answers to a command."""
    match command:
        case "status":
            text = status(results[0])
        case "opportunities":
            text = opportunities(results[0], now_ns)
        case "pnl":
            text = pnl(results[0])
        case "trades":
            text = trades(results[0])
        case "mood":
            text = mood(results[0], results[1])
        case "admin_stats":
            text = admin_stats(results[0])
        case "halt":
            text = f"trading is <b>{escaped(results[-1]['state'])}</b> (it was {escaped(results[-1]['was'])})"
        case _:
            text = f"done: {escaped(results[-1]['done'])}"
    return cut(text)


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return 0.0


def _moment(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%H:%M:%S UTC")
