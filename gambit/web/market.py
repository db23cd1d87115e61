"""What is read of the market and the daemon: status, books, opportunities."""

from typing import Final

import msgspec

from gambit.access.permissions import RULES
from gambit.scorecard import Bin, Calibration, Verdict
from gambit.surface.methods import Books, Opportunities
from gambit.surface.rpc import Nothing
from gambit.surface.views import BookView, Latency, OpportunityView, VenueStatus
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


ROUTES: Final = (
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
