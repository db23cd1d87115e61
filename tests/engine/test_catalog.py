"""Which symbol a spelling means (replay-rules R7, D3's spellings, aliases)."""

from decimal import Decimal

import pytest

from gambit.engine.catalog import Catalog
from gambit.model import Instrument
from gambit.venues import VENUES


def catalog(
    venue: str,
    wanted: list[str] | None = None,
    grouped: tuple[str, ...] = (),
    aliases: dict[str, str] | None = None,
) -> Catalog:
    """A catalog of a real venue's spellings."""
    return Catalog(VENUES[venue], wanted, grouped, aliases or {})


def listed(symbol: str, spelling: str, lot: str = "1") -> Instrument:
    """An instrument as a list has it."""
    base, quote = symbol.split("-")[:2]
    return Instrument(symbol=symbol, spelling=spelling, base=base, quote=quote, lot=Decimal(lot))


@pytest.mark.parametrize(
    ("venue", "spelling", "symbol"),
    [
        ("okx", "BTC-USDT", "BTC-USDT"),
        ("okx", "BTC-USDT-SWAP", None),
        ("okx", "BTCUSDT", None),
        ("okx", "BTC-", None),
        ("coinbase", "ETH-USD", "ETH-USD"),
        ("coinbase", "BIT-28JUL23-CDE", None),
        ("kraken", "BTC/USD", "BTC-USD"),
        ("kraken", "XBT/USD", "BTC-USD"),
        ("kraken", "XDG/USD", "DOGE-USD"),
        ("kraken", "BTC-USD", None),
        ("binance", "BTCUSDT", None),
        ("binance-usdm", "BTCUSDT", None),
        ("binance-coinm", "BTCUSD_PERP", None),
        ("bybit", "BTCUSDT", None),
        ("bybit-linear", "BTCUSDT", None),
    ],
)
def test_with_neither_a_list_nor_names(venue: str, spelling: str, symbol: str | None) -> None:
    """OKX, Coinbase and Kraken spellings of two parts are taken as they are; those without a seam are unknown."""
    assert catalog(venue).symbol(spelling) == symbol


@pytest.mark.parametrize(
    ("spelling", "is_known"),
    [
        ("币安人生-USDT", True),
        ("A" * 26 + "-USDT", True),
        ("A" * 27 + "-USDT", False),
        ("币" * 9 + "-USDT", False),
        ('B"TC-USDT', False),
        ("B\\TC-USDT", False),
        ("B\nTC-USDT", False),
        ("\ud800-USDT", False),
    ],
)
def test_what_can_be_no_name_is_unknown(spelling: str, is_known: bool) -> None:
    """Not too long for the kernels, nor anything that would not stand in JSON; by itself or in a list."""
    assert (catalog("okx").symbol(spelling) is not None) == is_known
    some = catalog("okx")
    some.add([listed(spelling, spelling), listed("BTC-USDT", "BTC-USDT")], is_list=True)
    assert (some.symbol(spelling) is not None) == is_known
    assert some.symbol("BTC-USDT") == "BTC-USDT"


@pytest.mark.parametrize(
    ("venue", "symbol", "spelling"),
    [
        ("binance", "BTC-USDT", "BTCUSDT"),
        ("binance-us", "BTC-USD", "BTCUSD"),
        ("binance-usdm", "BTC-USDT-PERP", "BTCUSDT"),
        ("binance-usdm", "BTC-USDT-240927", "BTCUSDT_240927"),
        ("binance-coinm", "BTC-USD-PERP", "BTCUSD_PERP"),
        ("binance-coinm", "BTC-USD-240927", "BTCUSD_240927"),
        ("bybit", "BTC-USDT", "BTCUSDT"),
        ("bybit-linear", "BTC-USDT-PERP", "BTCUSDT"),
        ("bybit-linear", "BTC-USDT-27DEC24", "BTCUSDT-27DEC24"),
        ("okx", "UNI-USD-SWAP", "UNI-USD-SWAP"),
        ("kraken", "BTC-USD", "BTC/USD"),
        ("coinbase", "BTC-USD", "BTC-USD"),
    ],
)
def test_asking_names_a_symbol_and_filters(venue: str, symbol: str, spelling: str) -> None:
    """What is asked for is known although no list has it, on OKX also a derivative; nothing else is."""
    asked = catalog(venue, [symbol])
    assert asked.symbol(spelling) == symbol
    others = ["ETHUSDT", "ETH-USDT", "ETH/USDT", "ETHUSD_PERP"]
    assert [asked.symbol(other) for other in others] == [None] * 4


def test_a_symbol_that_the_venue_cannot_spell_names_nothing() -> None:
    """A perpetual is nothing to a spot venue, a spot symbol nothing to a venue of derivatives."""
    assert catalog("binance", ["BTC-USDT-PERP"]).named == {}
    assert catalog("kraken", ["BTC-USDT-PERP"]).named == {}
    assert catalog("coinbase", ["BTC-USDT-PERP"]).named == {}
    assert catalog("binance-usdm", ["BTC-USDT", "BTC-USD-PERP"]).named == {}
    assert catalog("binance-coinm", ["BTC-USDT-PERP"]).named == {}
    assert catalog("bybit-linear", ["BTC-USDT"]).named == {}


def test_a_list_says_what_is_known() -> None:
    """With a list, what it lacks is unknown, spellings of two parts too."""
    known = catalog("okx")
    assert known.symbol("ETH-USDT") == "ETH-USDT"
    assert known.add([listed("BTC-USDT", "BTC-USDT")], is_list=True) == ["BTC-USDT"]
    assert known.symbol("BTC-USDT") == "BTC-USDT"
    assert known.symbol("ETH-USDT") is None


def test_what_a_stream_describes_is_no_list() -> None:
    """Kraken's instrument channel names pairs and leaves the others as they were."""
    known = catalog("kraken")
    known.add([listed("BTC-USD", "BTC/USD")], is_list=False)
    assert known.symbol("BTC/USD") == "BTC-USD"
    assert known.symbol("ETH/USD") == "ETH-USD"


def test_asking_filters_a_list_and_adds_to_it() -> None:
    """Of a list only what is asked for; what is asked for and not in the list is known all the same."""
    known = catalog("binance", ["BTC-USDT", "NEW-USDT"])
    known.add([listed("BTC-USDT", "BTCUSDT"), listed("ETH-USDT", "ETHUSDT")], is_list=True)
    assert [known.symbol(spelling) for spelling in ("BTCUSDT", "NEWUSDT", "ETHUSDT")] == ["BTC-USDT", "NEW-USDT", None]


def test_members_of_groups_are_named_and_filter_nothing() -> None:
    """They are known where nothing was asked for, and count for nothing where something was."""
    known = catalog("binance", grouped=("BTC-USDT",))
    known.add([listed("ETH-USDT", "ETHUSDT")], is_list=True)
    assert [known.symbol(spelling) for spelling in ("BTCUSDT", "ETHUSDT")] == ["BTC-USDT", "ETH-USDT"]
    asked = catalog("binance", ["ETH-USDT"], grouped=("BTC-USDT",))
    assert [asked.symbol(spelling) for spelling in ("BTCUSDT", "ETHUSDT")] == [None, "ETH-USDT"]
    assert catalog("okx", grouped=("UNI-USD-SWAP",)).symbol("UNI-USD-SWAP") == "UNI-USD-SWAP"


def test_an_asset_is_what_the_venue_trades_under_a_ticker() -> None:
    """An alias turns the venue's ticker into the asset, as base and as quote; the suffix stays."""
    aliases = {"XBT": "BTC", "USDX": "USDT"}
    assert catalog("okx", aliases=aliases).symbol("XBT-USDX") == "BTC-USDT"
    known = catalog("binance-usdm", aliases=aliases)
    known.add([listed("XBT-USDX-PERP", "XBTUSDX")], is_list=True)
    assert known.symbol("XBTUSDX") == "BTC-USDT-PERP"


def test_an_asset_asked_for_may_be_spelled_either_way() -> None:
    """An alias for a ticker that the venue does not use makes nothing unknown."""
    aliases = {"XBT": "BTC"}
    assert catalog("binance", ["BTC-USDT"], aliases=aliases).symbol("BTCUSDT") == "BTC-USDT"
    assert catalog("binance", ["BTC-USDT"], aliases=aliases).symbol("XBTUSDT") == "BTC-USDT"
    assert catalog("kraken", ["BTC-USD"], aliases=aliases).symbol("BTC/USD") == "BTC-USD"
    assert catalog("kraken", ["BTC-USD"], aliases=aliases).symbol("XBT/USD") == "BTC-USD"


def test_a_ticker_that_means_another_asset_is_not_that_assets_name() -> None:
    """Where LUNA trades as another coin under the ticker, asking for LUNA does not bring it."""
    aliases = {"LUNA": "LUNA2"}
    assert catalog("binance", ["LUNA-USDT"], aliases=aliases).symbol("LUNAUSDT") is None
    assert catalog("binance", ["LUNA2-USDT"], aliases=aliases).symbol("LUNAUSDT") == "LUNA2-USDT"
    assert catalog("okx", aliases=aliases).symbol("LUNA-USDT") == "LUNA2-USDT"


def test_rules_are_found_by_symbol() -> None:
    """The latest list counts."""
    known = catalog("binance", aliases={"XBT": "BTC"})
    known.add([listed("XBT-USDT", "XBTUSDT", "0.1")], is_list=True)
    known.add([listed("XBT-USDT", "XBTUSDT", "0.01")], is_list=True)
    assert known.by_symbol["BTC-USDT"].lot == Decimal("0.01")


def test_a_market_that_refused_an_order_is_closed_whatever_a_list_says_for_a_while() -> None:
    """Lists are slower than the market. After that it is closed until the next list says otherwise; others are not."""
    known = catalog("binance", aliases={"XBT": "BTC"})
    rows = [listed("XBT-USDT", "XBTUSDT"), listed("ETH-USDT", "ETHUSDT")]

    def states() -> list[bool]:
        found = known.by_symbol["BTC-USDT"], known.instruments["XBTUSDT"], known.by_symbol["ETH-USDT"]
        return [one.is_open for one in found]

    known.add(rows, is_list=True)
    known.close("BTC-USDT", 100)
    assert states() == [False, False, True]
    known.end_rests(99)
    known.add(rows, is_list=True)
    assert states() == [False, False, True]
    known.end_rests(100)
    assert states() == [False, False, True]
    known.add(rows, is_list=True)
    assert states() == [True, True, True]


def test_a_market_may_be_closed_before_its_list_came() -> None:
    """The list that comes then finds it so."""
    known = catalog("binance")
    known.close("BTC-USDT", 100)
    known.add([listed("BTC-USDT", "BTCUSDT")], is_list=True)
    assert not known.by_symbol["BTC-USDT"].is_open
