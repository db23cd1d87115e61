"""Orders and money: whatever is ordered, canceled, amended and struck by faults, the books of account are right."""

from random import Random

import pytest

from gambit.sim.accounts import base_units, quote_units, reserve, start_amount
from gambit.sim.dialect import OrderTerms, Refusal
from gambit.sim.matching import Order, State
from gambit.sim.verbs import FaultOrder
from gambit.sim.world import DIALECTS, Scenario, World

START_NS = 1_750_000_000_000_000_000
MS = 1_000_000
SYMBOLS = ("BTC-USDT", "ETH-USDT")
FAULTS = (
    FaultOrder("partial", {"share": 0.3}),
    FaultOrder("late_fill", {"after_ms": 700}),
    FaultOrder("overfill", {"after_ms": 300, "share": 0.2}),
    FaultOrder("bust", {"after_ms": 400}),
    FaultOrder("reject", {"code": 1}),
    FaultOrder("status", {"status": "CANCEL_ONLY"}, for_ms=300),
    FaultOrder("status", {"status": "HALT"}, for_ms=300),
    FaultOrder("fee", {"rate": 0.002}, for_ms=500),
    FaultOrder("cross", count=2),
)


class Life:
    """Two accounts that trade at random on one venue."""

    def __init__(self, venue: str, seed: int) -> None:
        self.rng = Random(seed)
        self.world = World([venue], Scenario(symbols=SYMBOLS, rate=20.0), seed=seed, start_ns=START_NS)
        self.exchange = self.world.exchanges[venue]
        self.desk = self.exchange.desk
        self.reports = []
        tell = self.desk.on_report
        self.desk.on_report = lambda report: (self.reports.append((report.kind, report.order.order_id)), tell(report))
        self.refused: set[str] = set()
        self.now_ns = START_NS

    def live(self, steps: int) -> None:
        for _ in range(steps):
            self.now_ns += 20 * MS
            self.world.advance(self.now_ns)
            account = self.desk.accounts[self.rng.choice(["demo", "demo2"])]
            try:
                self.act(account)
            except Refusal as refusal:
                self.refused.add(refusal.reason)
            if self.rng.random() < 0.1:
                self.exchange.strike(self.rng.choice(FAULTS))

    def act(self, account) -> None:
        kind = self.rng.random()
        resting = self.desk.orders_of(account, only_open=True)
        if kind < 0.15 and resting:
            self.desk.cancel(account, self.rng.choice(resting))
        elif kind < 0.3 and resting:
            order = self.rng.choice(resting)
            price = int(order.price_ticks * (1 + 2e-3 * (self.rng.random() - 0.5)))
            self.desk.amend(account, order, lots=int(order.lots * (0.3 + 1.5 * self.rng.random())), price_ticks=price)
        elif kind < 0.32:
            self.desk.cancel_all(account)
        else:
            self.desk.place(account, self.terms(), post_only_dies=self.rng.random() < 0.5)

    def terms(self) -> OrderTerms:
        symbol, buys = self.rng.choice(SYMBOLS), self.rng.random() < 0.5
        book = self.exchange.books[symbol]
        is_market = self.rng.random() < 0.2
        near = (book.asks.best() or book.bids.best())[0]
        lots = 1 + int(self.rng.random() * 4 * book.instrument.level_lots)
        by_quote = is_market and buys and self.rng.random() < 0.5
        return OrderTerms(
            symbol,
            buys,
            0 if by_quote else lots,
            price_ticks=0 if is_market else int(near * (1 + 1e-3 * (self.rng.random() - 0.5))),
            tif="gtc" if is_market else self.rng.choice(["gtc", "gtc", "ioc", "fok"]),
            is_market=is_market,
            post_only=not is_market and self.rng.random() < 0.2,
            quote=quote_units(book.instrument, lots * near) if by_quote else 0,
            self_trade=self.rng.choice(["none", "maker", "taker", "both"]),
            client_id=self.rng.choice(["", f"c{self.rng.randrange(40)}"]),
        )

    def check(self) -> None:
        """Balances are what fills made of them, set aside is what orders need, orders are what fills made of them."""
        for account in self.desk.accounts.values():
            due = {asset: start_amount(asset) for asset in account.balances}
            locked = dict.fromkeys(account.balances, 0)
            for fill in self.desk.fills_of(account):
                item = self.desk.rules[fill.symbol].instrument
                sign = 1 if fill.buys else -1
                due[item.base] += sign * base_units(item, fill.lots)
                due[item.quote] -= sign * quote_units(item, fill.cost)
                due[fill.fee_asset] -= fill.fee
            for order in self.desk.orders_of(account, only_open=True):
                _amount, asset = reserve(account.fees, self.desk.rules[order.symbol].instrument, order)
                locked[asset] += order.locked
            assert {asset: b.free + b.locked for asset, b in account.balances.items()} == due
            assert {asset: b.locked for asset, b in account.balances.items()} == locked
        for order in self.desk.ledger.orders.values():
            self.check_order(order)

    def check_order(self, order: Order) -> None:
        fills = self.desk.fills_of(self.desk.accounts[order.account], order_id=order.order_id)
        assert (order.filled, order.cost) == (sum(f.lots for f in fills), sum(f.cost for f in fills))
        assert (order.state is State.OPEN) == (order.order_id in self.desk.open) == (not order.is_over)
        book = self.exchange.books[order.symbol]
        side = book.bids if order.buys else book.asks
        queue = side.queues.get(order.price_ticks * side.sign, [])
        assert (order in queue) == (order.state is State.OPEN)
        if order.is_over:
            assert order.locked == 0


@pytest.mark.parametrize("venue", list(DIALECTS))
@pytest.mark.parametrize("seed", range(3))
def test_the_books_of_account_are_right(venue: str, seed: int) -> None:
    """Through some hundred random acts and faults, at every tenth of them and at the end."""
    life = Life(venue, seed)
    for _ in range(12):
        life.live(30)
        life.check()
    life.world.advance(life.now_ns + 900 * MS)
    life.check()
    kinds = {kind for kind, _order in life.reports}
    assert {"new", "trade", "canceled", "expired", "amended"} <= kinds
    assert "funds" not in life.refused or len(life.refused) > 1


@pytest.mark.parametrize("seed", range(3))
def test_every_end_is_told_once(seed: int) -> None:
    """An order is accepted once and ends at most once; nothing but corrections comes behind its end."""
    life = Life("okx", seed)
    life.live(300)
    by_order: dict[int, list[str]] = {}
    for kind, order_id in life.reports:
        by_order.setdefault(order_id, []).append(kind)
    for kinds in by_order.values():
        ends = [at for at, kind in enumerate(kinds) if kind in ("canceled", "expired")]
        assert kinds.count("new") <= 1
        assert len(ends) <= 1
        if ends:
            assert set(kinds[ends[0] + 1 :]) <= {"trade", "bust"}


def test_what_is_not_there_cannot_be_spent() -> None:
    """The last unit can be ordered, one lot more cannot, and orders compete for what is free."""
    life = Life("binance", 1)
    account, rules = life.desk.accounts["demo"], life.desk.rules["BTC-USDT"]
    best = life.exchange.books["BTC-USDT"].asks.best()
    lots = account.balance("BTC").free // base_units(rules.instrument, 1)
    terms = OrderTerms("BTC-USDT", False, lots, price_ticks=best[0] * 2)
    with pytest.raises(Refusal, match="units are free"):
        life.desk.place(account, OrderTerms("BTC-USDT", False, lots + 1, price_ticks=best[0] * 2))
    order = life.desk.place(account, terms)
    assert account.balance("BTC").free < base_units(rules.instrument, 1)
    with pytest.raises(Refusal):
        life.desk.place(account, OrderTerms("BTC-USDT", False, 10, price_ticks=best[0] * 2))
    life.desk.cancel(account, order)
    assert account.balance("BTC").locked == 0
