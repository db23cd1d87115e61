"""What is read of the market and the daemon: status, books, opportunities."""

from typing import Final, Literal

import msgspec

from gambit.access.permissions import RULES, Rule, Scope
from gambit.scorecard import Bin, Calibration, Verdict
from gambit.surface.methods import Books, Opportunities
from gambit.surface.rpc import Nothing
from gambit.surface.views import BookView, Latency, OpportunityView, VenueStatus
from gambit.web.history import COARSE_SEC, FINE_SEC, series
from gambit.web.pages import LOOKED_AT, Limit, Name, Ns, Paged, part, typed
from gambit.web.problem import not_found
from gambit.web.route import Answer, Ask, Page, Query, Route
from gambit.web.services import Services


class SnapshotQuery(Query, frozen=True, kw_only=True):
    """One symbol, one venue, or all."""

    symbol: Name | None = None
    venue: Name | None = None
    limit: Limit = 500


class Snapshot(Page, frozen=True, kw_only=True):
    """Every book's touch, by symbol and venue, as of `ts_ns`."""

    ts_ns: int
    books: tuple[BookView, ...]


class OpportunityQuery(Paged, frozen=True, kw_only=True):
    """Open ones best first, then the ended ones newest first."""

    symbol: Name | None = None
    venue: Name | None = None
    since_ns: Ns | None = None
    open_only: bool = False


class OpportunityPage(Page, frozen=True, kw_only=True):
    """A part of the opportunities."""

    items: tuple[OpportunityView, ...]


class StatusAnswer(Answer, frozen=True, kw_only=True):
    """The daemon at a glance; what concerns its machine is not among it."""

    ts_ns: int
    state: str
    trading_state: str
    trading_reason: str
    mode: str
    version: str
    ready: bool
    reasons: tuple[str, ...] = ()
    started_ns: int
    uptime_sec: float
    venues: tuple[VenueStatus, ...] = ()
    books: int = 0
    books_synced: int = 0
    opportunities_open: int = 0
    signals: int = 0
    frames_per_sec: float = 0.0
    signals_per_sec: float = 0.0
    latency: dict[str, Latency]
    dead_letters: int = 0


class HistoryQuery(Query, frozen=True, kw_only=True):
    """`15m`: a point a second; `24h`: one of half a minute."""

    span: Literal["15m", "24h"] = "15m"


class HistoryAnswer(Answer, frozen=True, kw_only=True):
    """One number per time of `at_ns`, null where there was none: the result of the day as decimal text, the best net
    edge by symbol in bps, the lag by venue in ms (99th percentile; of half a minute the largest). What one may not read
    is null as a whole. The daemon remembers a day, and begins anew with a restart."""

    step_sec: int
    at_ns: tuple[int, ...]
    result: tuple[str | None, ...] | None
    edges_bps: dict[str, tuple[float | None, ...]] | None
    lags_ms: dict[str, tuple[float | None, ...]]


class ScorecardAnswer(Answer, frozen=True, kw_only=True):
    """Signals of the last days by score bin: how often they won, whether a higher score wins more often, and the score
    as a probability. `as_of` is RFC 3339; rates are shares of 1, null where there is nothing to divide by."""

    days: int
    as_of: str
    n: int
    wins: int
    bins: tuple[Bin, ...]
    verdict: Verdict
    reason: str
    calibration: Calibration


async def snapshot(services: Services, ask: Ask) -> Snapshot:
    """404 for a symbol or venue that nothing is known of."""
    query: SnapshotQuery = ask.query
    params = Books(symbol=query.symbol, venue=query.venue, limit=query.limit)
    rows = await services.call("books", params, ask.principal)
    if not rows and (query.symbol is not None or query.venue is not None):
        raise not_found()
    why = tuple(services.quality())
    behind = any(not row["synced"] for row in rows)
    return Snapshot(
        ts_ns=services.now_ns(),
        books=typed(rows, BookView),
        degraded=bool(why) or behind,
        data_quality=(*why, *(["some books are not synced"] if behind else [])),
    )


async def opportunities(services: Services, ask: Ask) -> OpportunityPage:
    """404 for a symbol that nothing is known of."""
    query: OpportunityQuery = ask.query
    who = ask.principal
    if query.symbol is not None and not await services.call("books", Books(symbol=query.symbol, limit=1), who):
        raise not_found()
    params = Opportunities(
        symbol=query.symbol,
        venue=query.venue,
        since_ns=query.since_ns,
        open_only=query.open_only,
        limit=LOOKED_AT,
    )
    rows, following = part(await services.call("opportunities", params, who), "opp_id", query)
    why = tuple(services.quality())
    return OpportunityPage(
        items=typed(rows, OpportunityView), next_cursor=following, degraded=bool(why), data_quality=why
    )


async def status(services: Services, ask: Ask) -> StatusAnswer:
    """Without process id, memory and paths."""
    told = await services.call("status", Nothing(), ask.principal)
    return msgspec.convert({**told, "ts_ns": services.now_ns()}, StatusAnswer)


async def scorecard(services: Services, ask: Ask) -> ScorecardAnswer:
    """At most five minutes old."""
    return msgspec.convert(await services.call("scorecard", Nothing(), ask.principal), ScorecardAnswer)


async def history(services: Services, ask: Ask) -> HistoryAnswer:
    """What the charts show from before a page was opened."""
    step_sec = FINE_SEC if ask.query.span == "15m" else COARSE_SEC
    points = services.history.points(step_sec)
    who = ask.principal
    return HistoryAnswer(
        step_sec=step_sec,
        at_ns=tuple([point.at_ns for point in points]),
        result=tuple([point.result for point in points]) if who.has(Scope.ORDERS_READ) else None,
        edges_bps=series(points, "edges") if who.has(Scope.ARB_READ) else None,
        lags_ms=series(points, "lags_ms"),
    )


ROUTES: Final = (
    Route(
        method="GET", path="/history", summary="Result, edges and lags over time, for charts", handle=history,
        rule=Rule(Scope.MARKET_READ), query=HistoryQuery, answer=HistoryAnswer, tag="market",
    ),
    Route(
        method="GET", path="/status", summary="The daemon at a glance", handle=status, rule=RULES["status"],
        answer=StatusAnswer, tag="market",
    ),
    Route(
        method="GET", path="/market/snapshot", summary="Every book's touch", handle=snapshot, rule=RULES["books"],
        query=SnapshotQuery, answer=Snapshot, tag="market",
    ),
    Route(
        method="GET", path="/arb/opportunities", summary="Opportunities, open and over", handle=opportunities,
        rule=RULES["opportunities"], query=OpportunityQuery, answer=OpportunityPage, tag="market", has_etag=True,
    ),
    Route(
        method="GET", path="/arb/scorecard", summary="How often signals of each score won", handle=scorecard,
        rule=RULES["scorecard"], answer=ScorecardAnswer, errors=(409,), tag="market",
    ),
)  # fmt: skip
