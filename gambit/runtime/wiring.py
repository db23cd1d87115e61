"""Builds the objects and hands each its collaborators; the only place that knows configuration and engine both."""

from collections.abc import Callable, Sequence
from decimal import Decimal

from gambit.config import Config
from gambit.engine.limits import HOUR_NS, MS, SECOND_NS, Execution, Limits, blackouts
from gambit.engine.market import Market
from gambit.engine.params import AliasParams, EngineParams, GroupParams, VenueParams
from gambit.model import DeadLetter
from gambit.venues import VENUES
from gambit.venues.decode import decode


def engine_params(config: Config, symbols: Sequence[str] | None = None) -> EngineParams:
    """The engine's settings; `symbols` (of the command line) goes before those of the configuration."""
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
        venues=_venues(config),
    )


def _venues(config: Config) -> dict[str, VenueParams]:
    """Fees and sources; which symbols a replay sees is for its capture and `symbols` to say (R29)."""
    return {
        name: VenueParams(
            taker_fee_bps=config.engine.fee_bps if venue.taker_fee_bps is None else venue.taker_fee_bps,
            is_bbo=venue.source == "bbo",
        )
        for name, venue in config.venues.items()
    }


def build_market(
    config: Config,
    symbols: Sequence[str] | None = None,
    on_dead_letter: Callable[[DeadLetter], None] | None = None,
) -> Market:
    """A market of all venues for a configuration."""
    return Market(engine_params(config, symbols), VENUES, decode, on_dead_letter=on_dead_letter)


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
