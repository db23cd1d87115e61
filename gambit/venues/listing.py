"""Reading instrument lists and addresses: what the five venues' REST answers have in common."""

import json
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from urllib.parse import SplitResult, parse_qs, urlsplit

SUFFIX_PERPETUAL = "PERP"
DECIMALS = 18  # what is finer, or as large as 10 to that power, is no price or quantity


def _split(url: str) -> SplitResult:
    """The parts of an address; all empty where it is none."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def path_of(url: str) -> str:
    """The path of an address without the slash at its end; `depth?limit=1000` has the path `depth`."""
    return _split(url).path.rstrip("/")


def query_of(url: str, name: str) -> str | None:
    """The first value of a query parameter."""
    values = parse_qs(_split(url).query).get(name)
    return values[0] if values else None


def _no_error(_answer: Mapping[str, object]) -> object:
    return None


def load_rows(
    data: bytes, *path: str, error_of: Callable[[Mapping[str, object]], object] = _no_error
) -> Iterator[Mapping[str, object]]:
    """The objects of the array (or the values of the object) at a path of an answer. `error_of` an answer is what it
    complains of, where that may stand beside a list of nothing. Raises ValueError."""
    try:
        node: object = json.loads(data, parse_float=str, parse_int=str)
    except RecursionError as error:
        raise ValueError("instrument list is nested too deep") from error
    answer = node
    for name in path:
        if not isinstance(node, dict) or name not in node:
            raise ValueError(f"instrument list without `{name}`")
        node = node[name]
    if not isinstance(node, (list, dict)):
        raise ValueError("instrument list is no array")
    if isinstance(answer, dict) and (words := error_of(answer)):
        raise ValueError(f"an error answer instead of an instrument list: {words!r:.60}")
    for row in node.values() if isinstance(node, dict) else node:
        if isinstance(row, dict):
            yield row


def exact(value: object) -> Decimal | None:
    """A positive decimal of the size that prices and quantities may have (R21), None for anything else (an unknown or
    switched off rule)."""
    if not isinstance(value, str):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() and number > 0 and -DECIMALS <= number.adjusted() < DECIMALS else None


def whole(value: object) -> int | None:
    """A count of decimals from 0 to 18, None for anything else."""
    return int(value) if isinstance(value, str) and value.isdigit() and int(value) <= 18 else None


def text(row: Mapping[str, object], name: str) -> str:
    """A field's text, empty when it is not there."""
    value = row.get(name)
    return value if isinstance(value, str) else ""


def two_parts(spelling: str, separator: str) -> tuple[str, str] | None:
    """Base and quote of a spelling of exactly two parts."""
    parts = spelling.split(separator)
    return (parts[0], parts[1]) if len(parts) == 2 and all(parts) else None
