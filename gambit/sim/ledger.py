"""A simulated venue's own record: what it was asked, every order and fill, and what it answered.

Rules: orders and fills are kept for ever, requests and refusals up to REQUESTS_MAX, the oldest going first; forgotten
requests are counted. What comes out is plain JSON with amounts as decimal text and symbols in gambit's spelling.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gambit.sim.accounts import Account, base_units, money_text, quote_units
from gambit.sim.dialect import Fill
from gambit.sim.instruments import Instrument
from gambit.sim.matching import Order
from gambit.sim.spelling import decimal_text, trimmed

REQUESTS_MAX = 50_000
Entry = dict[str, Any]


class Ledger:
    """The record of one venue."""

    def __init__(self, venue: str, instruments: Mapping[str, Instrument]) -> None:
        self.venue = venue
        self.orders: dict[int, Order] = {}
        self.fills: list[Fill] = []
        self.requests: deque[Entry] = deque(maxlen=REQUESTS_MAX)
        self.requests_forgotten = 0
        self.refusals: deque[Entry] = deque(maxlen=REQUESTS_MAX)
        self.deposits: list[Entry] = []
        self.limits: dict[str, Entry] = {}
        self.connections = 0
        self._instruments = instruments
        self._count = 0

    def asked(self, ts_ns: int, channel: str, method: str, path: str, text: str, action: str) -> Entry:
        """Note a request as it came in; the caller fills in `outcome` later."""
        self._count += 1
        if len(self.requests) == REQUESTS_MAX:
            self.requests_forgotten += 1
        entry: Entry = {
            "n": self._count,
            "ts_ns": ts_ns,
            "via": channel,
            "method": method,
            "path": path,
            "text": text,
            "action": action,
            "outcome": "",
        }
        self.requests.append(entry)
        return entry

    def refused(self, ts_ns: int, account: str, client_id: str, reason: str) -> None:
        """Note an order that was not accepted."""
        self.refusals.append({"ts_ns": ts_ns, "account": account, "client_id": client_id, "reason": reason})

    def deposited(self, ts_ns: int, account: str, asset: str, units: int) -> None:
        """Note what came from outside, or went there."""
        self.deposits.append({"ts_ns": ts_ns, "account": account, "asset": asset, "amount": money_text(units)})

    def spent(self, budget: str, used: int, limit: int) -> None:
        """Note how much of a rate budget has been used."""
        entry = self.limits.setdefault(budget, {"limit": limit, "used_most": 0, "exceeded": 0})
        entry["limit"] = limit
        entry["used_most"] = max(entry["used_most"], used)
        entry["exceeded"] += used > limit

    def order_entry(self, order: Order) -> Entry:
        """An order as it stands."""
        item = self._instruments[order.symbol]
        price = trimmed(decimal_text(order.price_ticks * item.tick, item.price_decimals))
        return {
            "order_id": order.order_id,
            "account": order.account,
            "client_id": order.client_id,
            "symbol": order.symbol,
            "side": "buy" if order.buys else "sell",
            "type": "market" if order.is_market else "limit",
            "tif": order.tif,
            "post_only": order.post_only,
            "price": "" if order.is_market else price,
            "qty": money_text(base_units(item, order.lots)),
            "filled": money_text(base_units(item, order.filled)),
            "cost": money_text(quote_units(item, order.cost)),
            "state": order.state.value,
            "reason": order.reason,
            "arrived_ns": order.arrived_ns,
            "changed_ns": order.changed_ns,
        }

    def fill_entry(self, fill: Fill) -> Entry:
        """A fill, busted or not."""
        item = self._instruments[fill.symbol]
        return {
            "exec_id": fill.exec_id,
            "trade_id": fill.trade_id,
            "order_id": fill.order_id,
            "account": fill.account,
            "symbol": fill.symbol,
            "side": "buy" if fill.buys else "sell",
            "price": trimmed(decimal_text(fill.price_ticks * item.tick, item.price_decimals)),
            "qty": money_text(base_units(item, fill.lots)),
            "fee": money_text(fill.fee),
            "fee_asset": fill.fee_asset,
            "is_maker": fill.is_maker,
            "is_busted": fill.is_busted,
            "ts_ns": fill.ts_ns,
        }

    def told(self, accounts: Mapping[str, Account], now_ns: int, parts: Sequence[str] = ()) -> Entry:
        """All of it or some parts, for GET /_sim/ledger.

        Raises ValueError for a part that there is not.
        """
        tellers: dict[str, Callable[[], Any]] = {
            "orders": lambda: [self.order_entry(order) for order in self.orders.values()],
            "fills": lambda: [self.fill_entry(fill) for fill in self.fills],
            "balances": lambda: {name: balances_entry(account) for name, account in accounts.items()},
            "deposits": lambda: self.deposits,
            "refusals": lambda: list(self.refusals),
            "requests": lambda: list(self.requests),
            "requests_forgotten": lambda: self.requests_forgotten,
            "limits": lambda: self.limits,
            "connections": lambda: self.connections,
        }
        unknown = [part for part in parts if part not in tellers]
        if unknown:
            raise ValueError(f"the ledger has no {unknown[0]!r}; it has {', '.join(tellers)}")
        told = {name: tell() for name, tell in tellers.items() if not parts or name in parts}
        return {"venue": self.venue, "now_ns": now_ns, **told}


def balances_entry(account: Account) -> Entry:
    """An account's balances by asset."""
    return {
        asset: {"free": money_text(balance.free), "locked": money_text(balance.locked)}
        for asset, balance in sorted(account.balances.items())
    }
