"""What a run came to: frames, books, the best signals, latencies; of a replay and of a daemon alike."""

from collections.abc import Sequence
from typing import Any

from gambit._core.score import rank
from gambit.engine.market import Market
from gambit.venues.wire import Kind

RANKED_BY = ("symbol", "venue_buy", "venue_sell", "symbol_buy", "symbol_sell", "recv_ns")  # where the numbers are equal

Best = tuple[float, float, float, tuple[object, ...], dict[str, object]]


class Tally:
    """Hears every event of a market and sums up at the end."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.best: list[Best] = []

    def take(self, event: dict[str, Any]) -> None:
        """Keep the best signals, a few times as many as are asked for between two rankings."""
        if event["event"] != "raised":
            return
        name = tuple(event[part] for part in RANKED_BY)
        self.best.append((event["score"], event["net_bps"], event["profit_quote"], name, event))
        if len(self.best) > 16 * self.market.params.top_n:
            self.best = self.top()

    def top(self) -> list[Best]:
        """The best `top_n` so far, best first."""
        by_name = {entry[3]: entry for entry in self.best}
        kept = rank([entry[:4] for entry in by_name.values()], self.market.params.top_n)
        return [by_name[name] for _, _, _, name in kept]

    def stats(self, frames: int, seconds: float, *, latencies: bool) -> dict[str, object]:
        """Counts, books, best signals; with `latencies` the stages' histograms."""
        market = self.market
        signals, closed, still_open = market.pairs.totals
        books = [{**book, **self._touch(book)} for book in market.books(levels=False)]
        return {
            "frames": frames,
            "seconds": seconds,
            "frames_per_s": frames / seconds if seconds > 0 else 0.0,
            "venues": {name: self._venue(name, books) for name in market.venues},
            "books": books,
            "signals": signals,
            "closed": closed,
            "open": still_open,
            "top": [entry[4] for entry in self.top()],
            "latency_ns": market.hot.latencies() if latencies else {},
            "dead_letters": [
                {"venue": venue, "reason": reason, "count": count}
                for (venue, reason), count in market.dead_letter_counts.most_common()
            ],
            "notices": [{"venue": venue, "text": notice.text} for venue, notice in market.notices],
        }

    def _touch(self, book: dict[str, object]) -> dict[str, object]:
        index = self.market.listings.index((book["venue"], book["symbol"]))  # type: ignore[arg-type]
        bid, ask = self.market.pairs.touch(index)
        return {"bid": bid or None, "ask": ask or None}

    def _venue(self, name: str, books: Sequence[dict[str, Any]]) -> dict[str, object]:
        own = [book for book in books if book["venue"] == name]
        counts = self.market.hot.venue_counts(self.market.venues[name].index)
        counts["by_kind"] = {(Kind(kind).name or "").lower(): count for kind, count in counts["by_kind"].items()}
        sums = {key: sum(book[key] for book in own) for key in ("applied", "snapshots", "gaps", "dropped_stale")}
        return {**counts, **sums}
