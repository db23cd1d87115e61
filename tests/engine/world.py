"""A moment of the market to plan and check against: two venues and what a test changes about them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from gambit.engine.conditions import BookView, Level, VenueView
from gambit.engine.holdings import Holdings
from gambit.engine.limits import Execution, Limits
from gambit.engine.plan import Opportunity, Plan, build
from gambit.engine.risk import Held
from gambit.engine.trading_state import TradingState
from gambit.events.orders import BalanceCorrected
from gambit.model import Instrument

D = Decimal
NOW_NS = 1_750_000_000_000_000_000
SYMBOL = "BTC-USDT"


def levels(*pairs: tuple[str, str]) -> tuple[Level, ...]:
    """Prices and quantities of one side."""
    return tuple((D(price), D(qty)) for price, qty in pairs)


class World:
    """Conditions that a test writes down."""

    def __init__(self) -> None:
        self.by_name: dict[tuple[str, str], BookView] = {}
        self.venues: dict[str, VenueView] = {}
        self.instruments: dict[tuple[str, str], Instrument] = {}
        self.prices: dict[str, Decimal] = {"USDT": D(1), "USD": D(1), "BTC": D(100), "ETH": D(10)}

    def book(self, venue: str, symbol: str) -> BookView | None:
        return self.by_name.get((venue, symbol))

    def books(self, symbol: str) -> Sequence[BookView]:
        return [book for (_, its), book in sorted(self.by_name.items()) if its == symbol]

    def touches(self, symbol: str) -> Sequence[BookView]:
        return self.books(symbol)

    def venue(self, name: str) -> VenueView | None:
        return self.venues.get(name)

    def instrument(self, venue: str, symbol: str) -> Instrument | None:
        return self.instruments.get((venue, symbol))

    def followed(self, venue: str) -> Sequence[str]:
        return [symbol for name, symbol in self.by_name if name == venue]

    def marks(self) -> Mapping[str, Decimal]:
        return self.prices

    def put(
        self,
        venue: str,
        bids: tuple[Level, ...],
        asks: tuple[Level, ...],
        symbol: str = SYMBOL,
        **book: Any,
    ) -> None:
        """A book, with its venue and instrument where they are new."""
        fields = {"is_synced": True, "updated_ns": NOW_NS, "seq": 7} | book
        self.by_name[venue, symbol] = BookView(venue=venue, symbol=symbol, bids=bids, asks=asks, **fields)
        self.venues.setdefault(venue, VenueView(name=venue))
        base, quote = symbol.split("-")[:2]
        self.instruments.setdefault(
            (venue, symbol),
            Instrument(
                symbol=symbol, spelling=symbol, base=base, quote=quote, tick=D("0.01"), lot=D("0.001"),
                min_qty=D("0.001"), min_notional=D(10),
            ),
        )  # fmt: skip

    def rule(self, venue: str, symbol: str = SYMBOL, **changes: Any) -> None:
        """Other instrument rules."""
        old = self.instruments[venue, symbol]
        fields = {name: getattr(old, name) for name in old.__struct_fields__} | changes
        self.instruments[venue, symbol] = Instrument(**fields)

    def change(self, venue: str, **changes: Any) -> None:
        """Other properties of a venue."""
        old = self.venues[venue]
        self.venues[venue] = VenueView(**({name: getattr(old, name) for name in old.__struct_fields__} | changes))

    def touch(self, venue: str, symbol: str = SYMBOL, **changes: Any) -> None:
        """Other properties of a book."""
        old = self.by_name[venue, symbol]
        self.by_name[venue, symbol] = BookView(
            **({name: getattr(old, name) for name in old.__struct_fields__} | changes)
        )


def world() -> World:
    """Buy on a at 100, sell on b at 102, 40 of them each."""
    made = World()
    made.put("a", levels(("99.9", "200"), ("99.8", "300")), levels(("100", "30"), ("100.1", "10"), ("101", "500")))
    made.put("b", levels(("102", "30"), ("101.9", "10"), ("101.5", "500")), levels(("102.1", "200"), ("102.2", "300")))
    return made


def opportunity(**changes: Any) -> Opportunity:
    """What the engine saw in that world."""
    fields: dict[str, Any] = {
        "opp_id": "opp-1",
        "raw_signal_id": "raw-1",
        "symbol": SYMBOL,
        "symbol_buy": SYMBOL,
        "symbol_sell": SYMBOL,
        "venue_buy": "a",
        "venue_sell": "b",
        "recv_ns": NOW_NS,
        "ttl_ns": 10_000_000_000,
        "net_bps": D(180),
        "fees_bps": D(20),
    } | changes
    return Opportunity(**fields)


RULES = Execution(max_notional=D(2000))
LIMITS = Limits(min_liquidity=D(1000))


def plan(here: World | None = None, rules: Execution = RULES, **changes: Any) -> Plan:
    """The plan for it."""
    made = build(opportunity(**changes), here or world(), rules, NOW_NS)
    assert isinstance(made, Plan), made
    return made


def held(**changes: Any) -> Held:
    """Plenty of everything, nothing in flight."""
    holdings = Holdings()
    for venue in "abc":
        for asset, amount in (("USDT", D(100_000)), ("BTC", D(1000)), ("ETH", D(1000))):
            holdings.correct(BalanceCorrected(venue=venue, asset=asset, delta=amount, reason="opening"))
    fields: dict[str, Any] = {
        "holdings": holdings,
        "trading": TradingState(),
        "live": (),
        "episodes": {},
        "planned_ns": {},
        "foreign": (),
        "marks": world().prices,
    } | changes
    return Held(**fields)
