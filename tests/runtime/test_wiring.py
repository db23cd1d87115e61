"""From a configuration to the engine's parameters."""

from decimal import Decimal
from pathlib import Path

from gambit.config import Config, load
from gambit.engine.params import AliasParams, EngineParams, GroupParams, VenueParams
from gambit.runtime.wiring import build_market, engine_params
from gambit.venues import VENUES


def test_defaults_are_the_same_on_both_sides() -> None:
    """A configuration that says nothing gives the engine's own defaults."""
    assert engine_params(Config()) == EngineParams()


def test_every_setting_arrives(tmp_path: Path) -> None:
    """Each key of [engine], fees, sources, groups, aliases and symbols, exactly as written."""
    file = tmp_path / "x.toml"
    file.write_text(
        'symbols = ["BTC-USDT"]\n'
        "[engine]\nwindow_size_sec = 2.5\nmin_liquidity_depth = 1000.01\nmax_slippage_bps = 7\n"
        "opportunity_ttl_sec = 6.5\nmin_spread_bps = 5.5\nfee_bps = 12.5\nmax_book_age_ms = 700\n"
        "max_notional = 12.34\nsafety_margin_bps = 0.1\nmin_persistence = 0.25\nspread_ref_bps = 40\n"
        "liquidity_ref = 5000\nvolatility_ref = 3\nmax_mid_ratio = 1.5\ntop_n = 3\n"
        "ranking_weights = {spread = 0.2, liquidity = 0.2, volatility = 0.6}\n"
        '[[engine.groups]]\nname = "BTC"\nmembers = ["okx:BTC-USDT", "kraken:BTC-USD"]\n'
        '[venues.okx]\ntaker_fee_bps = 2\nsource = "bbo"\nsymbols = ["ETH-USDT"]\n[venues.kraken]\n'
        '[[assets.aliases]]\nticker = "XBT"\nasset = "BTC"\nvenue = "kraken"\n'
    )
    assert engine_params(load(file, {})) == EngineParams(
        window_sec=Decimal("2.5"),
        min_liquidity=Decimal("1000.01"),
        max_slippage_bps=Decimal(7),
        ttl_sec=Decimal("6.5"),
        min_spread_bps=Decimal("5.5"),
        fee_bps=Decimal("12.5"),
        weights=(0.2, 0.2, 0.6),
        refs=(40.0, 5000.0, 3.0),
        max_book_age_ms=Decimal(700),
        max_notional=Decimal("12.34"),
        safety_margin_bps=Decimal("0.1"),
        min_persistence=Decimal("0.25"),
        max_mid_ratio=Decimal("1.5"),
        top_n=3,
        groups=(GroupParams("BTC", ("okx:BTC-USDT", "kraken:BTC-USD")),),
        aliases=(AliasParams("XBT", "BTC", "kraken"),),
        symbols=("BTC-USDT",),
        venues={"okx": VenueParams(Decimal(2), is_bbo=True), "kraken": VenueParams(Decimal("12.5"))},
    )


def test_symbols_of_the_command_line_go_first(tmp_path: Path) -> None:
    """`--symbols` replaces those of the configuration."""
    file = tmp_path / "x.toml"
    file.write_text('symbols = ["BTC-USDT"]\n')
    config = load(file, {})
    assert engine_params(config, ["ETH-USDT"]).symbols == ("ETH-USDT",)
    assert engine_params(config).symbols == ("BTC-USDT",)
    assert engine_params(Config()).symbols is None


def test_a_market_knows_every_venue() -> None:
    """Each can be connected to by its name."""
    market = build_market(Config())
    assert [market.connect(name, "c") for name in VENUES] == list(range(len(VENUES)))
