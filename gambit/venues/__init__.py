"""Every venue's language, no sockets. VENUES is written out by hand: gambit's name -> the venue.

CAPTURE_NAMES are other names under which a venue may stand in a capture (replay-rules R1).
"""

from collections.abc import Mapping

from gambit.venues.binance import Binance
from gambit.venues.bybit import Bybit
from gambit.venues.coinbase import Coinbase
from gambit.venues.kraken import Kraken
from gambit.venues.okx import Okx
from gambit.venues.wire import Venue

VENUES: Mapping[str, Venue] = {
    "binance": Binance("binance", "spot"),
    "binance-us": Binance("binance-us", "spot"),
    "binance-usdm": Binance("binance-usdm", "usdm"),
    "binance-coinm": Binance("binance-coinm", "coinm"),
    "okx": Okx("okx"),
    "bybit": Bybit("bybit", "spot"),
    "bybit-linear": Bybit("bybit-linear", "linear"),
    "kraken": Kraken("kraken"),
    "coinbase": Coinbase("coinbase"),
}
CAPTURE_NAMES: Mapping[str, str] = {"binance-spot": "binance", "coinbase-advanced": "coinbase"}
