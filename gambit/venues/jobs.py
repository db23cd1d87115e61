"""What an account remembers while it waits: of each of its orders, and of each request without its whole answer."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from gambit.commands import Command, QueryOrder
from gambit.events.orders import Filled
from gambit.venues.orders import BalanceSet


class Known(msgspec.Struct):
    """What is remembered of an order of ours."""

    venue_id: str = ""
    is_acked: bool = False
    sent_ns: int = 0
    cum_qty_read: str = ""  # up to where a cumulative state has made its executions be read


class Job(msgspec.Struct):
    """A request that waits for its answer, and what came on the pages before."""

    command: Command | None
    is_over_line: bool = False
    fills: list[Filled] = msgspec.field(default_factory=list)
    balances: list[BalanceSet] = msgspec.field(default_factory=list)
    cancels: bool = False  # the order is searched to be cancelled
    asked_ns: int = 0
    pages: int = 0
    together: dict[str, QueryOrder] = msgspec.field(
        default_factory=dict
    )  # by key, where several orders are asked about

    def question(self, key: str) -> Command | None:
        """The command that an answer about an order belongs to."""
        return self.together.get(key) if self.together else self.command


def renamed(balances: Mapping[str, Decimal], assets: Mapping[str, str]) -> dict[str, Decimal]:
    """A venue's balances by our names of the assets; what it has under two tickers of one asset counts together."""
    found: dict[str, Decimal] = {}
    for ticker, qty in balances.items():
        asset = assets.get(ticker, ticker)
        found[asset] = found.get(asset, Decimal(0)) + qty
    return found
