"""The engine's settings as it uses them; ranges were checked where they were read (gambit.config)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

UNIT = Decimal(10) ** 18


def units(value: Decimal | None) -> int:
    """A positive decimal in 1e-18 units, 0 for None. What is finer than a unit is cut off."""
    return int(value * UNIT) if value is not None else 0


@dataclass(frozen=True, slots=True)
class GroupParams:
    """Books that are compared under one name, as `venue:SYMBOL`."""

    name: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AliasParams:
    """A ticker that means another asset, on one venue or ("") on all."""

    ticker: str
    asset: str
    venue: str = ""


@dataclass(frozen=True, slots=True)
class VenueParams:
    """What the engine needs to know of a venue."""

    taker_fee_bps: Decimal
    is_bbo: bool = False
    symbols: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineParams:
    """Parameters of formulas.md; defaults are product.md's. `symbols` None: everything known."""

    window_sec: Decimal = Decimal(5)
    min_liquidity: Decimal = Decimal(10_000)
    max_slippage_bps: Decimal = Decimal(20)
    ttl_sec: Decimal = Decimal(10)
    min_spread_bps: Decimal = Decimal(15)
    fee_bps: Decimal = Decimal(10)
    weights: tuple[float, float, float] = (0.5, 0.3, 0.2)
    refs: tuple[float, float, float] = (50.0, 100_000.0, 10.0)
    max_book_age_ms: Decimal = Decimal(1500)
    max_notional: Decimal = Decimal(10_000)
    safety_margin_bps: Decimal = Decimal(0)
    min_persistence: Decimal = Decimal(0)
    max_mid_ratio: Decimal = Decimal("1.2")
    top_n: int = 10
    groups: tuple[GroupParams, ...] = ()
    aliases: tuple[AliasParams, ...] = ()
    symbols: tuple[str, ...] | None = None
    venues: Mapping[str, VenueParams] = field(default_factory=dict)

    @property
    def ttl_number(self) -> int | float:
        """The time to live in seconds as JSON writes it."""
        return int(self.ttl_sec) if self.ttl_sec == int(self.ttl_sec) else float(self.ttl_sec)

    def venue(self, name: str) -> VenueParams:
        """A venue's parameters, by default the general fee."""
        return self.venues.get(name) or VenueParams(self.fee_bps)

    def wanted(self, name: str) -> Sequence[str] | None:
        """Symbols asked for on a venue; None for all that are known."""
        own = self.venue(name).symbols
        return own if own else self.symbols

    def core(self) -> dict[str, object]:
        """As gambit._core.pairs takes them: ns, doubles in bps, exact amounts in 1e-18 units."""
        ratio = Fraction(self.max_mid_ratio)
        return {
            "max_age_ns": int(self.max_book_age_ms * 1_000_000),
            "ttl_ns": int(self.ttl_sec * 1_000_000_000),
            "window_ns": int(self.window_sec * 1_000_000_000),
            "min_spread_bps": float(self.min_spread_bps),
            "min_liquidity": float(self.min_liquidity),
            "margin_bps": float(self.safety_margin_bps),
            "min_persistence": float(self.min_persistence),
            "mid_ratio": (ratio.numerator, ratio.denominator),
            "slippage": float(self.max_slippage_bps / 10_000),
            "notional": units(self.max_notional),
            "weights": self.weights,
            "refs": self.refs,
        }
