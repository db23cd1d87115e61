"""Builds the objects and hands each its collaborators; the only place that knows configuration and engine both."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from gambit.config import Config
from gambit.config.settings import VenueSettings
from gambit.engine.limits import HOUR_NS, MS, SECOND_NS, Execution, Limits, blackouts
from gambit.engine.market import Market
from gambit.engine.paper import PaperTerms
from gambit.engine.params import AliasParams, EngineParams, GroupParams, VenueParams
from gambit.model import DeadLetter
from gambit.runtime.status import FeedError, FeedSettings
from gambit.venues import VENUES
from gambit.venues.accounts import ADDRESSES, STREAM_PATHS
from gambit.venues.decode import decode
from gambit.venues.generic import Generic
from gambit.venues.wire import Venue

WORTH: Final = Decimal(100_000)  # of every asset on every paper venue, where the configuration gives no balances


def engine_params(config: Config, symbols: Sequence[str] | None = None, *, is_live: bool = False) -> EngineParams:
    """The engine's settings; `symbols` (of the command line) goes before those of the configuration. Live, a venue's
    own `symbols` go before the general ones; which symbols a replay sees is for its capture to say (R29)."""
    engine = config.engine
    weights = engine.ranking_weights
    return EngineParams(
        window_sec=engine.window_size_sec,
        min_liquidity=engine.min_liquidity_depth,
        max_slippage_bps=engine.max_slippage_bps,
        ttl_sec=engine.opportunity_ttl_sec,
        min_spread_bps=engine.min_spread_bps,
        fee_bps=engine.fee_bps,
        weights=(float(weights.spread), float(weights.liquidity), float(weights.volatility)),
        refs=(float(engine.spread_ref_bps), float(engine.liquidity_ref), float(engine.volatility_ref)),
        max_book_age_ms=engine.max_book_age_ms,
        max_notional=engine.max_notional,
        safety_margin_bps=engine.safety_margin_bps,
        min_persistence=engine.min_persistence,
        max_mid_ratio=engine.max_mid_ratio,
        top_n=engine.top_n,
        groups=tuple(GroupParams(group.name, group.members) for group in engine.groups),
        aliases=tuple(AliasParams(alias.ticker, alias.asset, alias.venue) for alias in config.assets.aliases),
        symbols=tuple(symbols) if symbols is not None else tuple(config.symbols) or None,
        venues=_venues(config, is_live=is_live),
    )


def _venues(config: Config, *, is_live: bool) -> dict[str, VenueParams]:
    return {
        name: VenueParams(
            taker_fee_bps=config.engine.fee_bps if venue.taker_fee_bps is None else venue.taker_fee_bps,
            is_bbo=venue.source == "bbo",
            symbols=venue.symbols if is_live and venue.symbols else None,
        )
        for name, venue in config.venues.items()
    }


def build_market(
    config: Config,
    symbols: Sequence[str] | None = None,
    on_dead_letter: Callable[[DeadLetter], None] | None = None,
    *,
    is_live: bool = False,
) -> Market:
    """A market of all venues for a configuration, to replay into or to feed live."""
    params = engine_params(config, symbols, is_live=is_live)
    return Market(params, languages(config), decode, on_dead_letter=on_dead_letter)


def languages(config: Config) -> Mapping[str, Venue]:
    """Every venue with an adapter of its own, and those of the configuration that are reached over ccxt."""
    others = {name: Generic(name) for name, venue in config.venues.items() if _ccxt_name(name, venue)}
    return {**VENUES, **others}


def _ccxt_name(name: str, venue: VenueSettings) -> str:
    """The library's name of an exchange with `adapter = "ccxt"` or `"ccxt:NAME"`; empty for all others."""
    adapter, _, other = venue.adapter.partition(":")
    return (other or name) if adapter == "ccxt" else ""


def feed_settings(config: Config) -> list[FeedSettings]:
    """What to connect to: every venue of the configuration that is enabled. Raises FeedError."""
    return [_feed_of(config, name, venue) for name, venue in config.venues.items() if venue.enabled]


def _feed_of(config: Config, name: str, venue: VenueSettings) -> FeedSettings:
    language = languages(config).get(name)
    ccxt_name = _ccxt_name(name, venue)
    if language is None or not (ccxt_name or venue.adapter in ("", name)):
        known = ", ".join(VENUES)
        raise FeedError(f"venues.{name}: no adapter {venue.adapter or name}; there are {known}, and ccxt for any other")
    live = language.live
    has_both = (live.test_ws or venue.ws_url) and (live.test_rest or venue.rest_url)
    if venue.testnet and not (has_both or ccxt_name):
        raise FeedError(f"venues.{name}.testnet: {name} has no test network; give ws_url and rest_url, or leave it out")
    if config.execution.mode == "live" and name in ADDRESSES and not ccxt_name:
        private_roots(config, name)
    if not (venue.symbols or config.symbols):
        raise FeedError(f"venues.{name}: no symbols; say which in `symbols` or `[venues.{name}] symbols`")
    depth = venue.depth or 0
    try:
        language.subscribe(["X"], source=venue.source, depth=depth)
    except ValueError as error:
        raise FeedError(f"venues.{name}.depth: {error}") from error
    return FeedSettings(
        venue=language,
        symbols=venue.symbols or config.symbols,
        ws=language.stream_url(venue.ws_url or (live.test_ws if venue.testnet else live.ws)),
        rest=venue.rest_url or (live.test_rest if venue.testnet else live.rest),
        source=venue.source,
        depth=depth,
        is_testnet=venue.testnet,
        adapter=ccxt_name,
    )


def private_roots(config: Config, name: str) -> tuple[str, str]:
    """Where an account's requests over HTTP and its lines go: scheme and host, as configured, else the venue's own, of
    its test network where that is wanted. Never production's for a test network: raises FeedError where there is no
    other."""
    venue, addresses = config.venues[name], ADDRESSES[name]
    rest = venue.rest_url or (addresses.test_rest if venue.testnet else addresses.rest)
    private = venue.ws_private_url.removesuffix("/").removesuffix(STREAM_PATHS[name])
    ws = private or (addresses.test_ws if venue.testnet else addresses.ws)
    if not (rest and ws):
        missing = " and ".join([*([] if rest else ["rest_url"]), *([] if ws else ["ws_private_url"])])
        raise FeedError(
            f"venues.{name}.testnet: {name} has no test network for orders; give {missing}, or leave testnet out"
        )
    return rest, ws


def limits(config: Config) -> Limits:
    """What the risk gates hold plans against. Raises ValueError for a blackout that is none."""
    risk = config.risk
    return Limits(
        min_order_quote=risk.min_order_quote,
        max_order_notional=risk.max_order_notional,
        max_symbol_notional=risk.max_symbol_notional,
        max_venue_notional=risk.max_venue_notional,
        max_in_flight_notional=risk.max_in_flight_notional,
        position_limit_bps=risk.position_limit_pct * 100,
        daily_loss_limit_bps=risk.daily_loss_limit_pct * 100,
        trades_per_day=risk.trades_per_day,
        trades_per_hour=risk.trades_per_hour,
        plans_per_second=risk.plans_per_second,
        max_price_move_bps=risk.max_price_move_bps,
        max_touch_spread_bps=risk.max_touch_spread_bps,
        fat_finger_bps=risk.fat_finger_bps,
        min_confidence=risk.min_confidence,
        min_liquidity=config.engine.min_liquidity_depth,
        max_book_age_ns=_ns(config.engine.max_book_age_ms, MS),
        max_feed_lag_ns=_ns(risk.max_feed_lag_ms, MS),
        duplicate_window_ns=_ns(risk.duplicate_window_ms, MS),
        blackouts=blackouts(risk.blackouts),
        max_imbalance_quote=risk.max_imbalance_quote,
        max_balance_difference=risk.max_balance_difference,
        max_fee_drift_bps=risk.max_fee_drift_bps,
        fee_drift_fills=risk.fee_drift_fills,
    )


def execution(config: Config) -> Execution:
    """How plans are made and driven to their end."""
    rules = config.execution
    return Execution(
        mode=rules.mode,
        approval=rules.approval,
        strategy=rules.strategy,
        key_prefix=rules.key_prefix,
        max_notional=config.engine.max_notional,
        max_slippage_bps=config.engine.max_slippage_bps,
        safety_margin_bps=config.engine.safety_margin_bps,
        max_mid_ratio=config.engine.max_mid_ratio,
        max_legs=rules.max_legs,
        latency_cost_bps_per_ms=rules.latency_cost_bps_per_ms,
        plan_ttl_ns=_ns(rules.plan_ttl_ms, MS),
        approval_ttl_ns=_ns(rules.approval_ttl_sec, SECOND_NS),
        answer_timeout_ns=_ns(rules.answer_timeout_ms, MS),
        query_interval_ns=_ns(rules.query_interval_ms, MS),
        query_interval_max_ns=_ns(rules.query_interval_max_ms, MS),
        clock_margin_ns=_ns(rules.clock_margin_ms, MS),
        flat_deadline_ns=_ns(rules.flat_deadline_ms, MS),
        compensation_attempts=rules.compensation_attempts,
        collar_bps=rules.collar_bps,
        collar_widen_bps=rules.collar_widen_bps,
        loss_budget_bps=rules.loss_budget_bps,
        naked_budget_quote_s=rules.naked_budget_quote_sec,
        arm_ns=_ns(rules.arm_hours, HOUR_NS),
    )


def _ns(value: Decimal, unit_ns: int) -> int:
    return int(value * unit_ns)


def paper_terms(config: Config) -> PaperTerms:
    """What a paper venue charges and how it behaves."""
    rules = config.execution
    return PaperTerms(
        taker_fee_bps=rules.paper_taker_fee_bps,
        slippage_bps=rules.paper_slippage_bps,
        min_order_quote=config.risk.min_order_quote,
        latency_ns=int(rules.paper_latency_ms * MS),
        recovery_ns=int(rules.paper_recovery_ms * MS),
    )
