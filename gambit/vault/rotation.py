"""How old a secret of each kind may become (product.md, "Secrets and rotation")."""

from typing import Final

import msgspec

NS_A_DAY: Final = 86_400_000_000_000
# By what the name ends in or begins with; exchange keys are due after 60 days and overdue after 90.
DAYS: Final = {"bot_token": (90, 90), "jwt": (180, 180), "webhook": (90, 90), "exchange": (60, 90)}
EXCHANGE_PARTS: Final = ("api_key", "secret", "passphrase")


class Due(msgspec.Struct, frozen=True):
    """A secret that wants to be changed; overdue when its time is over."""

    name: str
    age_days: int
    due_days: int
    is_overdue: bool


def kind_of(name: str) -> str:
    """`bot_token`, `jwt`, `webhook`, `exchange`, or empty for what need not be changed."""
    first, _, last = name.rpartition("/")
    if name.startswith("jwt/"):
        return "jwt"
    if last == "bot_token":
        return "bot_token"
    if first.startswith("webhook") or "webhook" in last:
        return "webhook"
    return "exchange" if first and last in EXCHANGE_PARTS else ""


def rotation_days(name: str) -> tuple[int, int] | None:
    """After how many days a secret of this name is due, and overdue; None where it need not be changed."""
    return DAYS.get(kind_of(name))


def due(name: str, rotated_ns: int, now_ns: int) -> Due | None:
    """Whether a secret wants to be changed now."""
    days = rotation_days(name)
    age_days = (now_ns - rotated_ns) // NS_A_DAY
    if days is None or age_days < days[0]:
        return None
    return Due(name, age_days, days[0], is_overdue=age_days >= days[1])
