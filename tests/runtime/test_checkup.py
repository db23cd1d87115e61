"""`gambit venues check`: venues that can be reached, and one that cannot."""

import json

import pytest

from gambit.config.settings import Config, VenueSettings
from gambit.runtime.checkup import check_keys, check_venues, unaskable
from gambit.runtime.status import FeedError
from gambit.venues.orders import Keys
from tests.runtime.exchange import Exchange


async def test_venues_that_come_up_and_one_that_does_not() -> None:
    """Each with its state; the reason where there is one."""
    exchange = await Exchange().start()
    config = Config(
        symbols=("BTC-USDT", "FOO-USDT"),
        venues={
            "okx": VenueSettings(ws_url=exchange.url, rest_url=exchange.rest),
            "kraken": VenueSettings(ws_url="ws://127.0.0.1:1", rest_url=exchange.rest),
            "bybit": VenueSettings(enabled=False),
        },
    )
    statuses, said = await check_venues(config, 0.5)
    await exchange.stop()
    assert [(status.venue, status.state, status.books_synced) for status in statuses] == [
        ("okx", "up", 1),
        ("kraken", "down", 0),
    ]
    assert statuses[0].missing == ("FOO-USDT",)
    assert "okx does not list FOO-USDT; it is left out there" in said
    json.dumps([status.reason for status in statuses])


async def test_nothing_to_check_is_said() -> None:
    """A configuration without symbols."""
    with pytest.raises(FeedError, match="okx: no symbols; say which"):
        await check_venues(Config(venues={"okx": VenueSettings(rest_url="http://127.0.0.1:1")}), 1)


async def test_what_a_key_may_do_at_an_exchange_over_ccxt_is_told_to_be_unknown() -> None:
    """It is nobody's objection, and no silence either."""
    keys = {"kucoin": Keys(key="k", secret="s")}
    assert await check_keys(Config(), keys) == {}
    assert unaskable({**keys, "okx": keys["kucoin"]}).keys() == {"kucoin"}
    assert "cannot withdraw; and no watchdog" in unaskable(keys)["kucoin"]
