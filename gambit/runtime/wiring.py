"""Builds the objects and hands each its collaborators; the only place that knows configuration and engine both."""

from collections.abc import Callable, Sequence

from gambit.config import Config
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
