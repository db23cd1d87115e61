"""The bot's commands (product.md, "Telegram commands"): what each asks of the table, how often, and whether a second
tap is due. Who may is not said here: it is said by gambit.access.permissions, for each method."""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from gambit.events.alerts import SEVERITIES

Calls = tuple[tuple[str, dict[str, Any]], ...]
SYMBOL: Final = re.compile(r"[A-Z0-9]{1,15}-[A-Z0-9]{1,15}(-[A-Z0-9]{1,15})?")
NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
TOPIC: Final = re.compile(r"[a-z][a-z0-9_]{1,47}")


class BadArguments(ValueError):
    """What stands behind a command cannot be; the text says what is due."""


class Command(NamedTuple):
    """`calls` makes the table's calls of the words behind the command; raises BadArguments."""

    name: str
    text: str
    per_minute: int
    calls: Callable[[Sequence[str]], Calls]
    is_two_step: bool = False
    is_once: bool = False  # the same words within an hour give the same answer and do nothing
    is_stop: bool = False  # it goes before whatever is written about it


def _none(method: str, **params: Any) -> Callable[[Sequence[str]], Calls]:
    def calls(words: Sequence[str]) -> Calls:
        if words:
            raise BadArguments("nothing is due behind it")
        return ((method, params),)

    return calls


def _opportunities(words: Sequence[str]) -> Calls:
    if not words:
        return (("opportunities", {"open_only": True, "limit": 5}),)
    symbol = words[0].upper()
    if len(words) > 1 or not SYMBOL.fullmatch(symbol):
        raise BadArguments("a symbol such as BTC-USDT is due, or nothing")
    return (("opportunities", {"symbol": symbol, "open_only": True, "limit": 5}),)


def _confirm(words: Sequence[str]) -> Calls:
    if len(words) != 2 or not NAME.fullmatch(words[0]):
        raise BadArguments("/confirm_order PLAN_ID AMOUNT: the plan, and the most that it may trade")
    amount(words[1])
    return (("plan.approve", {"plan_id": words[0]}),)


def amount(text: str) -> Decimal:
    """A positive amount. Raises BadArguments."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal(0)
    if not found.is_finite() or found <= 0 or len(text) > 30:
        raise BadArguments(f"{text[:30]!r} is not an amount such as 1500")
    return found


def _cancel(words: Sequence[str]) -> Calls:
    if len(words) != 1 or not NAME.fullmatch(words[0]):
        raise BadArguments("/cancel_order ORDER_ID")
    return (("order.cancel", {"order_id": words[0]}),)


def _halt(words: Sequence[str]) -> Calls:
    return (("halt", {"reason": " ".join(words)[:400] or "by Telegram"}),)


def wishes(words: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """(least severity or `off`, topics) of /subscribe_alerts. Raises BadArguments."""
    if not words or words[0] not in ("off", *SEVERITIES):
        raise BadArguments("/subscribe_alerts low|medium|high|critical|off [TOPIC ...]: rules, or `signals`")
    topics = tuple(words[1:21])
    if not all(TOPIC.fullmatch(topic) for topic in topics):
        raise BadArguments("a topic is the name of a rule such as venue_down, or `signals`")
    return words[0], topics


def _mood(words: Sequence[str]) -> Calls:
    if words:
        raise BadArguments("nothing is due behind it")
    return (("status", {}), ("alerts", {"open_only": True}))


def _local(_words: Sequence[str]) -> Calls:
    return ()


COMMANDS: Final = {
    command.name: command
    for command in (
        Command("start", "who you are here; with a code, link this chat", 5, _local),
        Command("help", "this list", 10, _local),
        Command("status", "how the daemon is", 10, _none("status")),
        Command("opportunities", "the best now; with a symbol those of it", 10, _opportunities),
        Command("pnl", "the result", 10, _none("pnl")),
        Command("trades", "the last orders", 10, _none("orders", limit=10)),
        Command("mood", "the short of it", 10, _mood),
        Command("learn", "what a word means: /learn spread", 10, _local),
        Command("confirm_order", "let a waiting plan go: PLAN_ID AMOUNT", 5, _confirm, is_two_step=True, is_once=True),
        Command("cancel_order", "cancel an order: ORDER_ID", 5, _cancel, is_two_step=True, is_once=True),
        Command("halt", "stop trading", 5, _halt, is_two_step=True, is_stop=True),
        Command("subscribe_alerts", "be told of alerts: SEVERITY [TOPIC ...]", 5, _local),
        Command("admin_stats", "the daemon's own numbers", 10, _none("metrics")),
    )
}
