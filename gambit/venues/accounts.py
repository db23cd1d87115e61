"""The order languages by venue: which class speaks for an account, and what it has to know beside the keys."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gambit.model import Instrument
from gambit.venues.binance_orders import BinanceOrders
from gambit.venues.bybit_orders import BybitOrders
from gambit.venues.coinbase_orders import CoinbaseOrders
from gambit.venues.kraken_orders import KrakenOrders
from gambit.venues.okx_orders import OkxOrders
from gambit.venues.orders import Addresses, Keys, OrderLanguage

LANGUAGES: Final[Mapping[str, Callable[[Keys, Sequence[Instrument], bool], OrderLanguage]]] = {
    "binance": lambda keys, _instruments, _is_testnet: BinanceOrders(keys),
    "okx": lambda keys, instruments, is_testnet: OkxOrders(
        keys, {each.spelling: each.code for each in instruments if each.code is not None}, is_demo=is_testnet
    ),
    "bybit": lambda keys, _instruments, _is_testnet: BybitOrders(keys),
    "kraken": lambda keys, instruments, _is_testnet: KrakenOrders(keys, [each.spelling for each in instruments]),
    "coinbase": lambda keys, _instruments, _is_testnet: CoinbaseOrders(keys),
}
ADDRESSES: Final[Mapping[str, Addresses]] = {
    kind.name: kind.addresses for kind in (BinanceOrders, OkxOrders, BybitOrders, KrakenOrders, CoinbaseOrders)
}


# What is behind the venue's address on the private stream.
STREAM_PATHS: Final[Mapping[str, str]] = {
    "binance": "/ws-api/v3",
    "okx": "/ws/v5/private",
    "bybit": "/v5/private",
    "kraken": "/v2",
    "coinbase": "",
}


def order_language(
    venue: str, keys: Keys, instruments: Sequence[Instrument], *, is_testnet: bool = False
) -> OrderLanguage:
    """An account's language; `is_testnet` for one at the venue's test network. Raises ValueError for a venue without a
    language, and for keys that cannot sign."""
    make = LANGUAGES.get(venue)
    if make is None:
        raise ValueError(f"{venue}: no orders can be sent there; they can to {', '.join(LANGUAGES)}")
    return make(keys, instruments, is_testnet)
