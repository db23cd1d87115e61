"""The scorecard that the daemon hands out: made of a copy, once for all who ask within five minutes."""

import asyncio
from pathlib import Path
from typing import Any

import duckdb

from gambit.bootstrap.scoring import KEPT_SEC, Scores

SCHEMA = """
CREATE TABLE signal_outcomes (
    score DOUBLE, won BOOLEAN, outcome_quote DOUBLE, published_at TIMESTAMP_NS, basis VARCHAR
);
INSERT INTO signal_outcomes VALUES (0.55, true, 2, '2026-05-28 20:00:00', 'executed'),
    (0.85, false, -1, '2026-05-20 20:00:00', 'executed'), (0.65, false, -1, '2026-05-28 20:00:01', 'counterfactual')
"""
NOW_NS = 1_780_000_000 * 10**9  # 2026-05-28 20:26:40


class Copies:
    """What keeps the store, as far as it is asked."""

    def __init__(self, folder: Path) -> None:
        self.exports = folder / "exports"
        self.path = folder / "copy.duckdb"
        self.asked = 0
        with duckdb.connect(str(self.path)) as connection:
            connection.execute(SCHEMA)

    async def snapshot(self, max_age_sec: float) -> dict[str, Any]:
        self.asked += 1
        return {"path": str(self.path)}


async def test_one_answer_for_all(tmp_path: Path) -> None:
    """Seven days, nothing older; asked together one copy is made, and another when the answer is old."""
    copies, now = Copies(tmp_path), [NOW_NS]
    scores = Scores(lambda: copies, lambda: now[0])  # type: ignore[arg-type,return-value]
    first, second = await asyncio.gather(scores(), scores())
    assert first is second
    assert (first["n"], first["wins"], first["days"], copies.asked) == (2, 1, 7, 1)
    now[0] += int(KEPT_SEC * 1e9) + 1
    assert (await scores())["as_of"] > first["as_of"]
    assert copies.asked == 2
