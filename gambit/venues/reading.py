"""Reading private answers and frames: careful with every field, exact with every number, silent about nothing.

Numbers never pass through a float: JSON numbers are kept by their text (gambit.venues.decode). A field that is not what
it should be raises Malformed, which careful() turns into a report; what stood before it in the frame is kept, for it
was read well.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, TypeVar

from gambit.model import Side
from gambit.venues.decode import NotJson, Number, load_json
from gambit.venues.failure import DATA
from gambit.venues.orders import (
    UNREADABLE,
    Answer,
    Asked,
    CancelRefused,
    Fault,
    Garbled,
    Refused,
    Report,
    Status,
    StreamLost,
    Unclear,
)
from gambit.venues.plain_text import writable
from gambit.venues.refusals import shown

Row = Mapping[str, object]
Meaning = TypeVar("Meaning")
DIGITS_MAX: Final = 40
_DECIMAL: Final = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,2})?")
_INTEGER: Final = re.compile(r"-?[0-9]{1,40}")
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NS_A_MS: Final = 1_000_000
NS_A_SEC: Final = 1_000_000_000


class Malformed(ValueError):
    """A private message that is not what the venue promises; the message says which field."""


def loaded(data: bytes) -> Row | None:
    """The JSON object of a frame or body, its numbers as text; None when it is none."""
    message = loaded_any(data)
    return message if isinstance(message, dict) else None


def loaded_any(data: bytes) -> object | None:
    """The same where a list may be the answer."""
    try:
        return writable(load_json(data), data)
    except (NotJson, RecursionError):
        return None


def careful(data: bytes, read: Callable[[Row], Iterable[Report]]) -> tuple[Report, ...]:
    """The reports of a frame; Garbled at the end when some of it could not be read."""
    message = loaded(data)
    if message is None:
        return (Garbled(f"no JSON object: {shown(data[:80])!r}"),)
    return kept(read(message))


def kept(reports: Iterable[Report]) -> tuple[Report, ...]:
    """Reports up to the first field that cannot be read, and Garbled for that."""
    found: list[Report] = []
    try:
        for report in reports:
            found.append(report)  # noqa: PERF402  what came before the exception is kept
    except Malformed as error:
        found.append(Garbled(str(error)))
    return tuple(found)


def failed(asked: Asked, fault: Fault) -> Answer:
    """The answer to a call that met a fault: an order call is refused or unclear, anything else just failed."""
    report = failed_order(asked, fault)
    return Answer((report,), fault=fault) if report is not None else Answer(fault=fault)


def failed_order(asked: Asked, fault: Fault) -> Report | None:
    """What a fault means for the order that a create or cancel was about; None for other calls."""
    ids = {"client_id": asked.client_id, "venue_id": asked.venue_id}
    if asked.what == "place":
        return Refused(fault=fault, **ids) if fault.is_definite else Unclear(during="create", fault=fault, **ids)
    if asked.what == "cancel":
        is_told = fault.is_definite or fault.means in ("missing", "done")
        if is_told and not fault.execution_unknown:
            return CancelRefused(fault=fault, **ids)
        return Unclear(during="cancel", fault=fault, **ids)
    return None


def unreadable(asked: Asked, reason: str) -> Answer:
    """The answer to a call whose success could not be read: it may have been carried out."""
    return failed(asked, Fault(category=DATA, code=UNREADABLE, text=reason, execution_unknown=True))


def text_of(row: Row, name: str) -> str:
    """A text field, empty where it is absent or null."""
    value = row.get(name)
    if value is None:
        return ""
    if isinstance(value, str) and not isinstance(value, Number):
        return value
    raise Malformed(f"`{name}` is no text: {value!r:.60}")


def ident(row: Row, name: str) -> str:
    """An id, which venues write as text or as a number of any size; empty where it is absent or null."""
    value = row.get(name)
    if value is None:
        return ""
    if isinstance(value, Number) and _INTEGER.fullmatch(value) is None:
        raise Malformed(f"`{name}` is no id: {value!r:.60}")
    if isinstance(value, str):
        return str(value)
    raise Malformed(f"`{name}` is no id: {value!r:.60}")


def needed_id(row: Row, name: str) -> str:
    """An id that must be there."""
    found = ident(row, name)
    if not found:
        raise Malformed(f"`{name}` is missing")
    return found


def needed_text(row: Row, name: str) -> str:
    """A text that must be there."""
    found = text_of(row, name)
    if not found:
        raise Malformed(f"`{name}` is missing")
    return found


def amount(row: Row, name: str) -> Decimal:
    """A number that must be there, as text or as a JSON number."""
    found = maybe_amount(row, name)
    if found is None:
        raise Malformed(f"`{name}` is missing")
    return found


def maybe_amount(row: Row, name: str) -> Decimal | None:
    """A number; None where it is absent, null or an empty text."""
    value = row.get(name)
    if value is None or value == "":
        return None
    return decimal(value, name)


def decimal(value: object, name: str) -> Decimal:
    """The exact value of a text or JSON number of at most 40 digits a side."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return Decimal(value)
    raise Malformed(f"`{name}` is no number: {value!r:.60}")


def at_least_zero(row: Row, name: str) -> Decimal:
    """A number that must be there and not negative."""
    found = amount(row, name)
    if found < 0:
        raise Malformed(f"`{name}` is negative: {found}")
    return found


def maybe_at_least_zero(row: Row, name: str) -> Decimal | None:
    """A number that is not negative; None where it is absent."""
    found = maybe_amount(row, name)
    if found is not None and found < 0:
        raise Malformed(f"`{name}` is negative: {found}")
    return found


def above_zero(row: Row, name: str) -> Decimal:
    """A number that must be there and positive: the price or quantity of an execution."""
    found = amount(row, name)
    if found <= 0:
        raise Malformed(f"`{name}` is not above zero: {found}")
    return found


def maybe_above_zero(row: Row, name: str) -> Decimal | None:
    """A positive number; None where it is absent or zero, as the price of a market order."""
    found = maybe_at_least_zero(row, name)
    return found or None


def whole(row: Row, name: str) -> int:
    """An integer that must be there, as text or as a JSON number."""
    value = row.get(name)
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    raise Malformed(f"`{name}` is no integer: {value!r:.60}")


def whole_or(row: Row, name: str, default: int) -> int:
    """An integer; the default where it is absent or empty."""
    return default if row.get(name) in (None, "") else whole(row, name)


def ms_ns(row: Row, name: str) -> int:
    """A time in ms as ns; 0 where it is absent or empty."""
    return whole_or(row, name, 0) * NS_A_MS


def rfc3339_ns(row: Row, name: str) -> int:
    """An RFC 3339 time in UTC as ns; 0 where it is absent or empty."""
    value = text_of(row, name)
    if not value:
        return 0
    found = _TIME.fullmatch(value)
    try:
        if found is not None:
            since = datetime.fromisoformat(found[1] + "+00:00") - _EPOCH
            return (since.days * 86_400 + since.seconds) * NS_A_SEC + int((found[2] or "").ljust(9, "0"))
    except ValueError as error:
        raise Malformed(f"`{name}` is no time: {value!r:.60}") from error
    raise Malformed(f"`{name}` is no time: {value!r:.60}")


def flag(row: Row, name: str) -> bool | None:
    """A boolean; None where it is absent or null."""
    value = row.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise Malformed(f"`{name}` is no boolean: {value!r:.60}")


def inner(row: Row, name: str) -> Row:
    """An object that must be there."""
    value = row.get(name)
    if isinstance(value, dict):
        return value
    raise Malformed(f"`{name}` is no object: {value!r:.60}")


def rows(row: Row, name: str) -> list[Row]:
    """A list of objects that must be there."""
    return listed(row.get(name), name)


def listed(value: object, name: str) -> list[Row]:
    """The value as a list of objects."""
    if isinstance(value, list) and all(isinstance(each, dict) for each in value):
        return value
    raise Malformed(f"`{name}` is no list of objects: {value!r:.60}")


def only_row(row: Row, name: str) -> Row:
    """The one object of a list that must have exactly one."""
    found = rows(row, name)
    if len(found) != 1:
        raise Malformed(f"`{name}` has {len(found)} elements instead of one")
    return found[0]


def side_of(row: Row, name: str) -> Side:
    """BUY, Buy, buy."""
    value = text_of(row, name).lower()
    if value == "buy":
        return "buy"
    if value == "sell":
        return "sell"
    raise Malformed(f"`{name}` is no side: {value!r:.60}")


def maybe_side(row: Row, name: str) -> Side | None:
    """A side; None where it is absent or empty."""
    return side_of(row, name) if row.get(name) else None


def told_by(names: Mapping[str, Meaning], value: str, noun: str) -> Meaning:
    """The value's translation. Raises Malformed for one that nobody knows: states are not guessed (F70)."""
    found = names.get(value)
    if found is None:
        raise Malformed(f"{noun} {value!r:.60} is unknown")
    return found


def same_order(asked: Asked, client_id: str) -> None:
    """Raises Malformed when an answer names another order than was asked about (F19)."""
    if asked.client_id and client_id and client_id != asked.client_id:
        raise Malformed(f"asked about {asked.client_id}, answered about {client_id}")


def unnamed(venue_id: str) -> StreamLost:
    """An execution without its id: HTTP has the id, and one made up here would count the execution twice (F27)."""
    return StreamLost(f"an execution of {venue_id} came without its id")


def never_was(cum_qty: Decimal | None) -> Status:
    """What to call an order that its venue calls rejected: one that filled in part was none of that."""
    return "cancelled" if cum_qty else "refused"
