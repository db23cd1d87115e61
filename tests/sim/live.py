"""Simulated venues on sockets of this machine, and ccxt pointed at them."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import ccxt.pro

from gambit.sim.server import Server
from gambit.sim.world import Scenario, World

SYMBOLS = ("BTC-USDT", "ETH-USDT")
ROOTS = {
    "bybit": lambda http, ws: {
        "public": http,
        "private": http,
        "ws": {
            "public": {"spot": f"{ws}/v5/public/spot"},
            "private": {
                "spot": {"unified": f"{ws}/v5/private"},
                "contract": f"{ws}/v5/private",
                "trade": f"{ws}/v5/trade",
            },
        },
    },
    "kraken": lambda http, ws: {
        "public": http,
        "private": http,
        "ws": {"publicV2": f"{ws}/v2", "privateV2": f"{ws}/auth/v2", "private": f"{ws}/auth/v2"},
    },
    "coinbase": lambda http, ws: {"rest": http, "ws": ws},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "bybit": {
        "defaultType": "spot",
        "fetchMarkets": {"types": ["spot"]},
        "enableUnifiedAccount": True,
        "enableUnifiedMargin": False,
    },
    "kraken": {},
    "coinbase": {"fetchBalance": "v3PrivateGetBrokerageAccounts", "fetchTime": "v3PublicGetBrokerageTime"},
}


@asynccontextmanager
async def served(*venues: str, **fields: Any) -> AsyncIterator[Server]:
    """Venues that listen; `fields` are the scenario's."""
    scenario = Scenario(**({"symbols": SYMBOLS, "dislocations_per_s": 0.0} | fields))
    async with Server(World(venues, scenario, seed=7, start_ns=time.time_ns()), time.time_ns) as server:
        yield server


@asynccontextmanager
async def client(server: Server, venue: str, account: str = "demo", *, keys: bool = True) -> AsyncIterator[Any]:
    """ccxt.pro's class for a venue with its addresses overridden (and nothing else)."""
    entry = server.entry(venue, account)
    http = f"http://127.0.0.1:{server.ports[venue]}"
    config: dict[str, Any] = {
        "enableRateLimit": False,
        "urls": {"api": ROOTS[venue](http, http.replace("http", "ws"))},
        "options": OPTIONS[venue],
    }
    if keys:
        config |= {"apiKey": entry["key"], "secret": entry["secret"]}
    exchange = getattr(ccxt.pro, venue)(config)
    exchange.has["fetchCurrencies"] = False
    try:
        yield exchange
    finally:
        await exchange.close()
