"""What the store has for a scorecard: outcomes of signals counted by score, and the samples kept for review."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import duckdb

Row = dict[str, Any]
WEEK: Final = "%G-W%V"  # ISO 8601
_NUMBERS: Final = ("n", "wins", "score_sum", "square_sum", "profit")

_CELLS: Final = """
SELECT
    CASE WHEN score < 0.5 THEN 0.0 WHEN score < 0.6 THEN 0.5 WHEN score < 0.7 THEN 0.6 WHEN score < 0.8 THEN 0.7
         ELSE 0.8 END::DOUBLE AS low,
    least(floor(score * 10), 9)::BIGINT AS tenth,
    count(*) AS n,
    count(*) FILTER (won) AS wins,
    sum(score) AS score_sum,
    sum((score - won::INTEGER) ** 2) AS square_sum,
    sum(outcome_quote)::DOUBLE AS profit
FROM signal_outcomes
WHERE won IS NOT NULL AND published_at >= ? AND published_at < ? AND (basis = 'executed' OR NOT ?)
GROUP BY ALL ORDER BY low, tenth
"""


def span_of(week: str) -> tuple[datetime, datetime]:
    """First instant of an ISO week such as `2026-W47`, and of the next, UTC. Raises ValueError."""
    try:
        start = datetime.strptime(f"{week}-1", "%G-W%V-%u").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"{week!r} is no week such as 2026-W47") from None
    return start, start + timedelta(days=7)


def cells(
    connection: duckdb.DuckDBPyConnection, since: datetime, until: datetime, *, executed_only: bool = False
) -> list[Row]:
    """Signals published from `since` to before `until` whose outcome is known, counted by bin and tenth of the score.
    Raises duckdb.Error."""
    bounds = [moment.astimezone(UTC).replace(tzinfo=None) for moment in (since, until)]
    names = ("low", "tenth", *_NUMBERS)
    rows = connection.execute(_CELLS, [*bounds, executed_only]).fetchall()
    return [dict(zip(names, row, strict=True)) for row in rows]


def samples(connection: duckdb.DuckDBPyConnection, week: str) -> list[Row]:
    """The signals of a week that are kept for review, each with its outcome as far as it is known, oldest first.
    Raises duckdb.Error."""
    result = connection.execute(
        "SELECT s.opp_id::VARCHAR AS signal_id, s.ts::VARCHAR AS published_at, o.reason, o.basis, o.won, "
        "o.outcome_quote::VARCHAR AS outcome_quote, s.signal FROM signal_samples AS s "
        "LEFT JOIN signal_outcomes AS o ON o.signal_id = s.opp_id WHERE s.week = ? ORDER BY s.ts, s.opp_id",
        [week],
    )
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
