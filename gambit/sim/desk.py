"""Orders and money of one simulated venue: what is accepted, what it sets aside, what each fill costs.

Rules: exact integers only; an order is refused before anything changes; free plus locked of an account moves by fills
and fees alone; every change of an order is reported in order, with the order as it stands after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import msgspec

from gambit.sim.accounts import MONEY_DIGITS, Account, base_units, fee_of, money_text, quote_units, reserve
from gambit.sim.dialect import MILLI_NS, Fill, OrderTerms, Refusal, Report, ReportKind
from gambit.sim.instruments import Instrument
from gambit.sim.ledger import Ledger
from gambit.sim.market import Trade
from gambit.sim.matching import Execution, MatchingBook, Order, State
from gambit.sim.verbs import Fault, Faults

BAND = 5  # an order's price may be this many times the middle, or a part of it
LEVELS_PER_ORDER_MAX = 1_000  # usual level sizes in the largest order
MIN_COSTS = {"binance": "5", "bybit": "5", "kraken": "0.5", "coinbase": "1"}  # as their instrument lists say
FIRST_ORDER_ID = 10_000_000
FIRST_EXEC_ID = 50_000_000
ID_DIGITS = 20


class Rules:
    """What a venue demands of orders for one symbol; multiples are in the engine's own ticks and lots."""

    __slots__ = ("instrument", "lot_multiple", "max_lots", "min_cost", "min_lots", "status", "tick_multiple")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.tick_multiple = 1
        self.lot_multiple = 1
        self.min_lots = instrument.min_lots
        self.max_lots = instrument.level_lots * LEVELS_PER_ORDER_MAX
        self.min_cost = int(Decimal(MIN_COSTS.get(instrument.venue, "0")).scaleb(MONEY_DIGITS))  # units of quote
        self.status = "TRADING"  # or HALT, CANCEL_ONLY

    def listed(self) -> Instrument:
        """The instrument as the venue's lists tell it."""
        item = self.instrument
        return msgspec.structs.replace(
            item,
            tick=item.tick * self.tick_multiple,
            lot=item.lot * self.lot_multiple,
            min_lots=-(-self.min_lots // self.lot_multiple),
        )

    def ticks(self, text: str) -> int:
        """A price text in ticks.

        Raises Refusal "tick" for what is no positive multiple of the tick.
        """
        item = self.instrument
        return _steps(text, item.price_decimals, item.tick, self.tick_multiple, "tick")

    def lots(self, text: str) -> int:
        """A quantity text in lots.

        Raises Refusal "lot" for what is no positive multiple of the lot.
        """
        item = self.instrument
        return _steps(text, item.lot_decimals, item.lot, self.lot_multiple, "lot")


def _steps(text: str, decimals: int, step: int, multiple: int, reason: str) -> int:
    try:
        units = Decimal(text).scaleb(decimals)
    except InvalidOperation:
        raise Refusal(reason, f"{text!r} is no number") from None
    if not units.is_finite() or units <= 0 or units % (step * multiple) != 0:
        raise Refusal(reason, f"{text} is not a positive multiple of {step * multiple}e-{decimals}")
    return int(units) // step


class Desk:
    """Accepts, matches, settles."""

    def __init__(
        self,
        books: Mapping[str, MatchingBook],
        accounts: Mapping[str, Account],
        faults: Faults,
        ledger: Ledger,
        at: Callable[[int, Callable[[int], None]], None],
    ) -> None:
        """`at` runs something at a later time."""
        self.books = books
        self.accounts = accounts
        self.ledger = ledger
        self.rules = {symbol: Rules(book.instrument) for symbol, book in books.items()}
        self.open: dict[int, Order] = {}
        self.now_ns = 0
        self.on_report: Callable[[Report], None]
        self.on_trades: Callable[[str, list[Trade]], None]
        self.client_ids_for_ever = False  # else a client id is free again when its order is over
        self._by_client: dict[tuple[str, str], Order] = {}
        self._faults = faults
        self._at = at
        self._order_id = FIRST_ORDER_ID
        self._exec_id = FIRST_EXEC_ID
        self._fills_of: dict[int, list[Fill]] = {}
        for book in books.values():
            book.on_execution = self._executed
            book.on_end = self._prevented

    def place(self, account: Account, terms: OrderTerms, *, post_only_dies: bool = False) -> Order:
        """Accept an order and match it.

        A post-only order that would take is refused, or accepted and canceled at once where `post_only_dies`.
        Raises Refusal for an order that is not accepted.
        """
        try:
            rules = self._check(account, terms)
            order = self._made(account, terms)
            if terms.post_only and not post_only_dies and self.books[terms.symbol].takeable(order):
                raise Refusal("would_take", "the order would immediately match and take")
            self._lock(account, order, rules.instrument)
        except Refusal as refusal:
            self.ledger.refused(self.now_ns, account.name, terms.client_id, refusal.reason)
            raise
        self._order_id += 1
        self.ledger.orders[order.order_id] = self.open[order.order_id] = order
        if order.client_id:
            self._by_client[account.name, order.client_id] = order
        self._submit(account, order)
        return order

    def cancel(self, account: Account, order: Order, *, reason: str = "user", cancel_id: str = "") -> None:
        """Cancel a resting order.

        Raises Refusal "order_over" for one that rests no more, "halted" where nothing moves.
        """
        if order.is_over:
            raise Refusal("order_over", f"order {order.order_id} is {order.state.value}")
        if self.rules[order.symbol].status == "HALT":
            raise Refusal("halted", f"{order.symbol} is halted")
        self.books[order.symbol].cancel(order, reason, self.now_ns)
        self._ended(account, order, "canceled", cancel_id)
        self._fill_late(order)
        self.on_trades(order.symbol, [])

    def amend(self, account: Account, order: Order, *, lots: int = 0, price_ticks: int = 0) -> None:
        """Change quantity (filled part included) or price of a resting order, 0 for as it is.

        Less at the same price keeps the place in the queue, everything else loses it and may take.
        Raises Refusal for an order that is over and for terms that a new order would be refused for.
        """
        if order.is_over:
            raise Refusal("order_over", f"order {order.order_id} is {order.state.value}")
        lots, price_ticks = lots or order.lots, price_ticks or order.price_ticks
        rules, book = self.rules[order.symbol], self.books[order.symbol]
        if rules.status != "TRADING":
            raise Refusal("halted", f"{order.symbol}: {rules.status}")
        if lots <= order.filled:
            raise Refusal("min_lots", f"{lots} lots are too few")
        self._check_size(rules, OrderTerms(order.symbol, order.buys, lots, price_ticks=price_ticks))
        if price_ticks == order.price_ticks and lots <= order.lots:
            book.shrink(order, lots, self.now_ns)
            self._unlock(account, order)
            self._report("amended", order, None, [])
            self.on_trades(order.symbol, [])
            return
        self._relock(account, order, lots, price_ticks)
        order.changed_ns = self.now_ns
        self._report("amended", order, None, [])
        self._match(account, order)

    def _relock(self, account: Account, order: Order, lots: int, price_ticks: int) -> None:
        """Set aside what an order with new terms needs, and take it out of the book; all or nothing."""
        before = order.lots, order.price_ticks
        balance_asset = reserve(account.fees, self.rules[order.symbol].instrument, order)[1]
        balance = account.balance(balance_asset)
        order.lots, order.price_ticks = lots, price_ticks
        needed, _asset = reserve(account.fees, self.rules[order.symbol].instrument, order)
        if balance.free + order.locked < needed:
            order.lots, order.price_ticks = before
            raise Refusal("funds", f"{balance_asset}: too little is free")
        terms = order.lots, order.price_ticks
        order.lots, order.price_ticks = before
        self.books[order.symbol].withdraw(order)
        order.lots, order.price_ticks = terms
        balance.free += order.locked - needed
        balance.locked -= order.locked - needed
        order.locked = needed

    def cancel_all(self, account: Account, symbols: Iterable[str] | None = None, reason: str = "user") -> list[Order]:
        """Cancel an account's resting orders, of some symbols or of all that are not halted; those that were canceled.

        Raises Refusal "halted" for an order of a symbol that was named and where nothing moves.
        """
        moving = {symbol for symbol, rules in self.rules.items() if rules.status != "HALT"}
        wanted = moving if symbols is None else set(symbols)
        found = [order for order in self.open.values() if order.account == account.name and order.symbol in wanted]
        for order in found:
            self.cancel(account, order, reason=reason)
        return found

    def deposit(self, account: Account, asset: str, units: int) -> None:
        """Add to what an account has, or take away; nothing is pushed of it.

        Raises ValueError when less than that is free.
        """
        balance = account.balance(asset)
        if balance.free + units < 0:
            raise ValueError(f"{account.name} has only {money_text(balance.free)} {asset} free")
        balance.free += units
        self.ledger.deposited(self.now_ns, account.name, asset, units)

    def find(self, account: Account, order_id: str = "", client_id: str = "") -> Order:
        """An account's order by the venue's id (decimal text) or by its own.

        Raises Refusal "unknown_order".
        """
        order = self._by_client.get((account.name, client_id)) if client_id and not order_id else None
        if order_id.isdecimal() and len(order_id) <= ID_DIGITS:
            order = self.ledger.orders.get(int(order_id))
        if order is None or order.account != account.name:
            raise Refusal("unknown_order", f"no order {order_id or client_id}")
        return order

    def orders_of(self, account: Account, symbol: str | None = None, *, only_open: bool = False) -> list[Order]:
        """An account's orders, oldest first."""
        orders = self.open if only_open else self.ledger.orders
        return [o for o in orders.values() if o.account == account.name and symbol in (None, o.symbol)]

    def fills_of(self, account: Account, symbol: str | None = None, order_id: int | None = None) -> list[Fill]:
        """An account's fills that stand, oldest first."""
        fills = self.ledger.fills if order_id is None else self._fills_of.get(order_id, [])
        return [
            fill
            for fill in fills
            if fill.account == account.name and symbol in (None, fill.symbol) and not fill.is_busted
        ]

    def _check(self, account: Account, terms: OrderTerms) -> Rules:
        rules = self.rules.get(terms.symbol)
        if rules is None:
            raise Refusal("symbol", f"no symbol {terms.symbol}")
        facts = _facts(terms, account.name)
        forced = self._faults.fire("reject", self.now_ns, facts)
        if forced is not None:
            raise Refusal("forced", str(forced.args.get("msg", "")), forced.args)
        if rules.status != "TRADING":
            raise Refusal("halted" if rules.status == "HALT" else "cancel_only", f"{terms.symbol}: {rules.status}")
        if terms.client_id:
            known = self._by_client.get((account.name, terms.client_id))
            if known is not None and (self.client_ids_for_ever or not known.is_over):
                raise Refusal("duplicate", f"client id {terms.client_id} is in use")
        if not terms.quote:
            self._check_size(rules, terms)
        return rules

    def _check_size(self, rules: Rules, terms: OrderTerms) -> None:
        item, book = rules.instrument, self.books[terms.symbol]
        if terms.lots < rules.min_lots:
            raise Refusal("min_lots", f"{terms.lots} lots are less than {rules.min_lots}")
        if terms.lots > rules.max_lots:
            raise Refusal("max_lots", f"{terms.lots} lots are more than {rules.max_lots}")
        best = (book.asks if terms.buys else book.bids).best()
        near = best[0] if best is not None else 0
        if near and terms.price_ticks and not near // BAND <= terms.price_ticks <= near * BAND:
            raise Refusal("price_band", f"{terms.price_ticks} ticks are too far from {near}")
        if quote_units(item, terms.lots * (terms.price_ticks or near)) < rules.min_cost:
            raise Refusal("min_cost", "the order is worth too little")

    def _made(self, account: Account, terms: OrderTerms) -> Order:
        item = self.rules[terms.symbol].instrument
        cost_max = terms.quote // quote_units(item, 1) if terms.quote else 0
        lots = self._lots_for(terms.symbol, cost_max) if cost_max else terms.lots
        if lots <= 0:
            raise Refusal("min_cost", "the order is worth less than a lot")
        order = Order(
            self._order_id + 1,
            account.name,
            terms.symbol,
            buys=terms.buys,
            lots=lots,
            price_ticks=terms.price_ticks,
            arrived_ns=self.now_ns,
            tif=terms.tif,
            is_market=terms.is_market,
            post_only=terms.post_only,
            cost_max=cost_max,
            self_trade=terms.self_trade,
            client_id=terms.client_id,
        )
        order.words.update(terms.words)
        return order

    def _lots_for(self, symbol: str, cost: int) -> int:
        """The lots that `cost` (ticks * lots) buys now."""
        bought = 0
        for price_ticks, lots in self.books[symbol].asks.levels():
            taken = min(lots, cost // price_ticks)
            bought += taken
            cost -= taken * price_ticks
            if taken < lots:
                break
        multiple = self.rules[symbol].lot_multiple
        return bought // multiple * multiple

    def _lock(self, account: Account, order: Order, item: Instrument) -> None:
        if order.is_market and order.buys and not order.cost_max:
            order.cost_max = self._worst_cost(order)
        amount, asset = reserve(account.fees, item, order)
        balance = account.balance(asset)
        if balance.free < amount:
            raise Refusal("funds", f"{asset}: {balance.free} units are free, {amount} are needed")
        balance.free -= amount
        balance.locked += amount
        order.locked = amount

    def _worst_cost(self, order: Order) -> int:
        """What a market buy would cost now, in ticks * lots."""
        left, cost = order.lots, 0
        for price_ticks, lots in self.books[order.symbol].asks.levels():
            taken = min(left, lots)
            cost += taken * price_ticks
            left -= taken
            if not left:
                break
        return max(cost, 1)

    def _submit(self, account: Account, order: Order) -> None:
        takes = self.books[order.symbol].takeable(order)
        if not (order.post_only and takes):
            order.state = State.OPEN
            self._report("new", order, None, [])
        self._match(account, order)

    def _match(self, account: Account, order: Order) -> None:
        """Let an accepted order meet the book, and deal with what is over then."""
        book = self.books[order.symbol]
        facts = _facts_of(order)
        takes = book.takeable(order)
        partial = self._faults.fire("partial", self.now_ns, facts) if takes else None
        take_max = None if partial is None else int(order.lots * partial.number_arg("share", 0.5))
        trades = book.submit(order, self.now_ns, take_max=take_max)
        if order.is_over:
            kind: Literal["canceled", "expired"] = "canceled" if order.state is State.CANCELED else "expired"
            self._ended(account, order, kind)
        self._fill_late(order)
        over = self._faults.fire("overfill", self.now_ns, facts) if order.state is State.FILLED else None
        if over is not None:
            self._fill_later(order, over, max(1, int(order.lots * over.number_arg("share", 0.1))))
        self.on_trades(order.symbol, trades)

    def _executed(self, execution: Execution) -> None:
        trade = execution.trade
        for order in (execution.maker, execution.taker):
            if order is not None:
                is_maker = order is execution.maker
                self._fill(order, trade.trade_id, trade.price_ticks, trade.qty_lots, is_maker=is_maker)

    def _fill(self, order: Order, trade_id: int, price_ticks: int, lots: int, *, is_maker: bool) -> None:
        """Write down one side of a match and let the money change hands."""
        self._exec_id += 1
        fill = Fill(
            order,
            exec_id=self._exec_id,
            trade_id=trade_id,
            price_ticks=price_ticks,
            lots=lots,
            is_maker=is_maker,
            ts_ns=self.now_ns,
        )
        account = self.accounts[order.account]
        item = self.rules[order.symbol].instrument
        fill.fee, fill.fee_asset = fee_of(
            account.fees, item, buys=fill.buys, is_maker=is_maker, lots=lots, cost=fill.cost
        )
        self.ledger.fills.append(fill)
        self._fills_of.setdefault(order.order_id, []).append(fill)
        self._settle(account, fill, 1)
        self._unlock(account, order)
        if order.is_over:
            self.open.pop(order.order_id, None)
        self._report("trade", order, fill, sorted({item.base, item.quote, fill.fee_asset}))
        bust = self._faults.fire("bust", self.now_ns, _facts_of(order))
        if bust is not None:
            self._at(self.now_ns + int(bust.number_arg("after_ms", 1000) * MILLI_NS), lambda _ns: self._bust(fill))

    def _settle(self, account: Account, fill: Fill, sign: int) -> None:
        """Move the amounts of a fill; `sign` -1 moves them back."""
        item = self.rules[fill.symbol].instrument
        base, quote = base_units(item, fill.lots), quote_units(item, fill.cost)
        way = sign if fill.buys else -sign
        account.balance(item.base).free += way * base
        account.balance(item.quote).free -= way * quote
        account.balance(fill.fee_asset).free -= sign * fill.fee

    def _unlock(self, account: Account, order: Order) -> None:
        """Set aside what the rest of the order needs and no more."""
        needed, asset = reserve(account.fees, self.rules[order.symbol].instrument, order)
        if order.is_over:
            needed = 0
        balance = account.balance(asset)
        balance.locked -= order.locked - needed
        balance.free += order.locked - needed
        order.locked = needed

    def _ended(self, account: Account, order: Order, kind: Literal["canceled", "expired"], cancel_id: str = "") -> None:
        """An order is over: free what it set aside, and say so unless its last fill has said it."""
        self._unlock(account, order)
        self.open.pop(order.order_id, None)
        if order.state is not State.FILLED:
            item = self.rules[order.symbol].instrument
            self._report(kind, order, None, [item.quote if order.buys else item.base], cancel_id)

    def _prevented(self, order: Order) -> None:
        self._ended(self.accounts[order.account], order, "expired")

    def _fill_late(self, order: Order) -> None:
        """Let the rest of an order that is over fill after all, where a fault says so."""
        late = self._faults.fire("late_fill", self.now_ns, _facts_of(order)) if order.left and order.is_over else None
        if late is not None:
            self._fill_later(order, late, max(1, int(order.left * late.number_arg("share", 1.0))))

    def _fill_later(self, order: Order, fault: Fault, lots: int) -> None:
        """Fill `lots` more of an order that is over, at its price or its average."""

        def fill(_ns: int) -> None:
            price_ticks = order.price_ticks or order.cost // max(1, order.filled)
            book = self.books[order.symbol]
            trade = book.traded(price_ticks, lots, taker_buys=order.buys, ts_ns=self.now_ns)
            order.filled += lots
            order.cost += lots * price_ticks
            order.changed_ns = self.now_ns
            self._fill(order, trade.trade_id, price_ticks, lots, is_maker=False)
            self.on_trades(order.symbol, [trade])

        self._at(self.now_ns + int(fault.number_arg("after_ms", 1000) * MILLI_NS), fill)

    def _bust(self, fill: Fill) -> None:
        """Undo a fill."""
        fill.is_busted = True
        order = self.ledger.orders[fill.order_id]
        order.filled -= fill.lots
        order.cost -= fill.cost
        order.changed_ns = self.now_ns
        self._settle(self.accounts[fill.account], fill, -1)
        item = self.rules[fill.symbol].instrument
        if not order.is_over:  # what was filled is wanted again: it waits in the book and is set aside
            self.books[order.symbol].regrown(order)
            self._unlock(self.accounts[fill.account], order)
            self.on_trades(order.symbol, [])
        self._report("bust", order, fill, sorted({item.base, item.quote, fill.fee_asset}))

    def _report(
        self,
        kind: ReportKind,
        order: Order,
        fill: Fill | None,
        assets: list[str],
        cancel_id: str = "",
    ) -> None:
        if kind in ("new", "amended"):
            item = self.rules[order.symbol].instrument
            assets = [item.quote if order.buys else item.base]
        self.on_report(Report(kind, order, fill, assets, self.now_ns, cancel_id))


def _facts_of(order: Order) -> dict[str, Any]:
    side = "buy" if order.buys else "sell"
    return {"symbol": order.symbol, "account": order.account, "side": side, "client_id": order.client_id}


def _facts(terms: OrderTerms, account: str) -> dict[str, Any]:
    return {
        "symbol": terms.symbol,
        "account": account,
        "side": "buy" if terms.buys else "sell",
        "client_id": terms.client_id,
    }
