"""Lists in parts: newest first, each part with a cursor that leads to the next one."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, TypeVar

import msgspec

from gambit.surface.methods import ROWS_MAX
from gambit.web.problem import FieldError, Problem
from gambit.web.route import Query

T = TypeVar("T", bound=msgspec.Struct)

PAGE_MAX: Final = 500
Limit = Annotated[int, msgspec.Meta(ge=1, le=PAGE_MAX)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Cursor = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Ns = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Paged(Query, frozen=True, kw_only=True):
    """How much, and after what."""

    limit: Limit = 50
    cursor: Cursor | None = None


def part(rows: Sequence[Mapping[str, Any]], key: str, query: Paged) -> tuple[list[Mapping[str, Any]], str | None]:
    """The rows of one part and the cursor of the next: the key of the last row. Raises Problem when the row that the
    cursor names is not among the newest any more."""
    begin = 0
    if query.cursor is not None:
        begin = 1 + next((at for at, row in enumerate(rows) if row[key] == query.cursor), -1)
        if not begin:
            text = "cursor: what it names is not among these any more: begin again without it"
            raise Problem(422, "invalid", text, errors=(FieldError("cursor", text),))
    found = list(rows[begin : begin + query.limit])
    has_more = begin + len(found) < len(rows) and bool(found)
    return found, found[-1][key] if has_more else None


def typed(rows: Sequence[Mapping[str, Any]], kind: type[T]) -> tuple[T, ...]:
    """Rows as the type they are documented as; what that does not have stays inside."""
    return tuple(msgspec.convert(row, kind) for row in rows)


LOOKED_AT: Final = ROWS_MAX
