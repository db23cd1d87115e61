"""The way to an account at an exchange that has no adapter here, over ccxt: the same Port as any other, the slow way.

There is no stream: an order is asked about until it ended and its executions are there, and open orders are listed now
and then. The library is told to repeat nothing, and its own waiting is off: a create leaves at once or not at all. What
it raises is judged by gambit.venues.generic_orders. Orders are limit orders with our client id.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec

from gambit.commands import CancelOrder, Command, PlaceOrder, QueryBalances, QueryFills, QueryOrder
from gambit.events import Fact
from gambit.events.operation import AccountHeld
from gambit.events.orders import (
    Acked,
    Cancelled,
    CancelRejected,
    Expired,
    Filled,
    FillsRead,
    ForeignOrderSeen,
    OrderFound,
    OrderIntended,
    OrderMissing,
    OutcomeUnknown,
    Rejected,
    Sent,
    Unsent,
)
from gambit.runtime.account_port import Guard, Start
from gambit.runtime.admission import Admission, worded
from gambit.runtime.backoff import SEC
from gambit.runtime.budget import Budget, Lane
from gambit.runtime.clock import Clock
from gambit.runtime.moment import Moment
from gambit.venues.account import Turn
from gambit.venues.generic_orders import (
    SIGNIFICANT_DIGITS,
    Seen,
    balances,
    by_client_id,
    fault_of,
    filled,
    number,
    to_digits,
)
from gambit.venues.generic_pages import FULL, LEAST, Pages
from gambit.venues.orders import Asked, Fault, Keys, What
from gambit.venues.reading import Malformed

CALL_SEC: Final = 15.0
WATCH_SEC: Final = 0.3  # first distance of two questions about an order under way; it doubles
WATCH_SEC_MAX: Final = 5.0
LISTED_NS: Final = 30 * SEC
AGAIN_NS: Final = 5 * SEC
BURST: Final = 10  # calls at once, at the library's rate over time
EARLIER_MS: Final = 60_000

Answer = TypeVar("Answer")


class Failed(Exception):
    """The library's call did not give what was asked."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(worded(fault))
        self.fault = fault


class GenericPort:
    """One account. `client` is the library's object with the account's keys, its numbers texts; `spellings` are the
    markets by symbol, none while the exchange's list is not there; open orders are listed of `symbols`, the markets
    that are followed (None: of all). The other arguments are AccountPort's."""

    deadline_ns: int | None = None
    taker_fee_bps: Decimal | None = None  # the configured one holds
    window_ns: int | None = None  # nobody knows how long a create may still be accepted

    def __init__(
        self,
        name: str,
        client: Any,
        spellings: Mapping[str, str],
        clock: Clock,
        *,
        deliver: Callable[[Iterable[Fact]], None],
        reconcile: Callable[[], None],
        start: Start,
        why_not: Callable[[PlaceOrder], str | None],
        warn: Callable[[str], None],
        on_held: Callable[[AccountHeld], None],
        redact: Callable[[str], str] = lambda text: text,
        keys: Keys | None = None,
        guard: Guard | None = None,
        symbols: Collection[str] | None = None,
    ) -> None:
        self.name = name
        self.client = client
        self.keys = keys
        self.admission = Admission(name, on_held=on_held, warn=warn, wants_bound=False)
        self.admission.unknown.discard("rights")  # the library has no question for them
        self._symbols: dict[str, str] = {}  # by spelling
        self._spellings: dict[str, str] = {}
        self._followed = None if symbols is None else frozenset(symbols)
        self._clock = clock
        self._deliver = deliver
        self._reconcile = reconcile
        self._start = start
        self._why_not = why_not
        self._warn = warn
        self._redact = redact
        self._guard = guard
        self._budget = Budget(BURST, BURST * float(client.rateLimit or 100) / 1000)
        self._venue_ids: dict[str, str] = {}  # by our key
        self._keys_of: dict[str, str] = {}  # ours by the venue's id
        self._executions: dict[str, set[str]] = {}  # told, by our key
        self._tasks = 0
        self._lacks_ioc = _lacks_ioc(client)
        self._listed_ns: int | None = None
        self._open: dict[str, ForeignOrderSeen] = {}  # as listed last, by the venue's id
        self.learn(spellings)

    # ---- the port ----

    @property
    def is_up(self) -> bool:
        """Whether the markets and the open orders are known and the keys are not refused."""
        return not self.reason

    @property
    def reason(self) -> str:
        """Why it is not up. Orders of ours end at once, so an exchange that denies these gets none (orders.md)."""
        if self._lacks_ioc:
            return "it takes no immediate-or-cancel orders"
        if self.admission.held is None and not self._markets():
            return "its markets are not known yet"
        return self.admission.reason

    def learn(self, spellings: Mapping[str, str]) -> None:
        """The exchange's list is new. Open orders of a market that is new are asked for before any order leaves; one
        that is gone keeps its spelling, for what is under way there."""
        before = self._markets()
        self._spellings = {**self._spellings, **spellings}
        self._symbols |= {spelling: symbol for symbol, spelling in spellings.items()}
        if self._markets() != before:
            self.admission.unknown.add("open_orders")
            self._listed_ns = None

    def _markets(self) -> dict[str, str]:
        """Spellings of the markets that are followed, by symbol."""
        return {s: spelling for s, spelling in self._spellings.items() if self._followed is None or s in self._followed}

    def send(self, command: Command, now_ns: int) -> Sequence[Fact]:
        """See Port."""
        if self.admission.is_refused:
            return self.admission.unsent(command)
        match command:
            case PlaceOrder():
                return self._send_create(command, now_ns)
            case CancelOrder():
                self._begin("cancel", self._cancel(command))
            case QueryOrder():
                self._begin("query", self._query(command, now_ns))
            case QueryFills():
                self._begin("fills", self._fills(command, now_ns))
            case QueryBalances():
                self._begin("balances", self._balances(command, now_ns))
        return ()

    def on_time(self, conditions: Moment, now_ns: int) -> Sequence[Fact]:
        """The open orders now and then, and sooner while they are not known."""
        del conditions, now_ns
        mono_ns = self._clock.mono_ns()
        wait_ns = AGAIN_NS if self.admission.unknown else LISTED_NS
        if not self.admission.is_refused and (self._listed_ns is None or mono_ns - self._listed_ns >= wait_ns):
            self._listed_ns = mono_ns
            self._begin("open orders", self._list_open())
        return ()

    async def run(self) -> None:
        """For ever: there is no line to keep."""
        self._reconcile()
        await asyncio.Event().wait()

    async def close(self) -> None:
        """The library's connections."""
        await self.client.close()

    def release(self, keys: Keys | None = None) -> None:
        """Try again, with other keys where some are given."""
        if keys is not None:
            self.keys = keys
            self.client.apiKey, self.client.secret, self.client.password = keys.key, keys.secret, keys.passphrase
        self.admission.release()
        self.admission.unknown.discard("rights")
        self._listed_ns = None

    # ---- orders ----

    def _send_create(self, command: PlaceOrder, now_ns: int) -> Sequence[Fact]:
        intent = command.intent
        mono_ns = self._clock.mono_ns()
        if self._lacks_ioc:
            return [Unsent(key=intent.key, venue=self.name, reason=self.reason)]
        if intent.symbol not in self._spellings:
            return [Unsent(key=intent.key, venue=self.name, reason=f"{self.name} does not list {intent.symbol}")]
        if self._budget.wait_ns(1, mono_ns, Lane.URGENT):  # questions leave a part of it
            return [Unsent(key=intent.key, venue=self.name, reason="the rate budget is used up")]
        self._budget.take(1, mono_ns)
        if self._guard is not None:
            self._guard.opened(self.name, intent.symbol, intent.key)
        self._begin("place", self._place(command, now_ns))
        return ()

    async def _place(self, command: PlaceOrder, now_ns: int) -> None:
        """Once, whatever happens."""
        intent = command.intent
        why_not = self._why_not(command)
        if why_not is not None:
            self._deliver([Unsent(key=intent.key, venue=self.name, reason=why_not)])
            return
        price = self._worded(intent)
        if price is None:
            reason = f"how {self.name} writes prices of {intent.symbol} is not known yet"
            self._deliver([Unsent(key=intent.key, venue=self.name, reason=reason)])
            return
        self._deliver([Sent(key=intent.key, venue=self.name)])
        params = {"clientOrderId": intent.key, "timeInForce": intent.tif.upper()}
        if self.client.id == "coinbase":  # takes the exchange's own name for it only
            params["client_order_id"] = intent.key
        spelling, qty = self._spellings[intent.symbol], f"{intent.qty:f}"
        try:
            call = self.client.create_order(spelling, "limit", intent.side, qty, f"{price:f}", params)
            row = await self._call("place", call, is_free=True)
        except Failed as failed:
            if failed.fault.is_definite:
                self._deliver([_rejected(self.name, intent.key, failed.fault)])
            else:
                self._deliver([OutcomeUnknown(key=intent.key, venue=self.name, during="create", reason=str(failed))])
            return
        seen = Seen(row)
        if not seen.venue_id:
            reason = "the exchange's answer has no order id"
            self._deliver([OutcomeUnknown(key=intent.key, venue=self.name, during="create", reason=reason)])
            return
        self._remember(intent.key, seen.venue_id)
        self._deliver([Acked(key=intent.key, venue=self.name, venue_order_id=seen.venue_id)])
        await self._watch(intent, seen.venue_id, now_ns)

    def _worded(self, intent: OrderIntended) -> Decimal | None:
        """The price as the exchange takes it: where it counts significant digits the library would round to the
        nearest, beyond our limit. None where it is not known how many."""
        if self.client.precisionMode != SIGNIFICANT_DIGITS:
            return intent.price
        market = (self.client.markets or {}).get(self._spellings[intent.symbol]) or {}
        digits = number((market.get("precision") or {}).get("price"))
        return to_digits(intent.price, intent.side, int(digits)) if digits else None

    async def _watch(self, intent: OrderIntended, venue_id: str, sent_ns: int) -> None:
        """Until it ended and its executions are told; what cannot be asked now is asked again, ever more rarely."""
        wait_sec = WATCH_SEC
        said = ""
        while True:
            try:
                seen = await self._fetch(intent.symbol, venue_id)
                told = await self._tell_executions(intent, venue_id, seen, sent_ns)
                if seen.is_over and told >= (seen.cum_qty or 0):
                    self._deliver(self._ended(intent, seen))
                    return
            except Failed as failed:
                if self.admission.is_refused:
                    return
                self._warn(f"{self.name}: order {intent.key}: {failed}")
            except Malformed as error:  # asked for again; said once
                if str(error) != said:
                    said = str(error)
                    self._warn(f"{self.name}: order {intent.key}: {said}")
            await asyncio.sleep(wait_sec)
            wait_sec = min(2 * wait_sec, WATCH_SEC_MAX)

    async def _tell_executions(self, intent: OrderIntended, venue_id: str, seen: Seen, sent_ns: int) -> Decimal:
        """Those that are new; the quantity of all that were told. Raises Malformed once the others are told."""
        if not seen.cum_qty:
            return Decimal(0)
        since_ms = sent_ns // 1_000_000 - EARLIER_MS
        rows = (await self._executed(self._spellings[intent.symbol], since_ms)).rows
        known, told = self._executions.setdefault(intent.key, set()), Decimal(0)
        unreadable: Malformed | None = None
        for row in rows:
            if str(row.get("order")) == venue_id:
                try:
                    fill = self._filled(row)
                except Malformed as error:
                    unreadable = error
                    continue
                if fill is not None:
                    told += fill.qty
                    if fill.exec_id not in known:
                        known.add(fill.exec_id)
                        self._deliver([fill])
        if unreadable is not None:
            raise unreadable
        return told

    def _ended(self, intent: OrderIntended, seen: Seen) -> list[Fact]:
        """What a state says by itself; one that filled whole is told by its executions."""
        cum_qty = seen.cum_qty or Decimal(0)
        if seen.found_as == "rejected" and not cum_qty:
            return [Rejected(key=intent.key, venue=self.name, code="rejected", text="")]
        if seen.found_as == "expired" or (seen.found_as != "filled" and intent.tif != "gtc"):
            return [Expired(key=intent.key, venue=self.name, cum_qty=cum_qty)]
        if seen.found_as == "filled" and cum_qty >= intent.qty:
            return []
        return [Cancelled(key=intent.key, venue=self.name, cum_qty=cum_qty, cause="asked")]

    async def _cancel(self, command: CancelOrder) -> None:
        spelling = self._spellings.get(command.symbol)
        if spelling is None:
            self._not_cancelled(command, "unsent", f"{command.symbol} is not among the markets known of {self.name}")
            return
        try:
            venue_id = command.venue_order_id or self._venue_ids.get(command.key, "")
            if not venue_id:
                venue_id = await self._search(command.key, spelling)
            if not venue_id:
                self._not_cancelled(command, "missing", "the exchange has no such open order")
                return
            await self._call("cancel", self.client.cancel_order(venue_id, spelling), Lane.URGENT)
        except Failed as failed:
            if failed.fault.is_definite or failed.fault.means in ("missing", "done"):
                self._not_cancelled(command, failed.fault.means, str(failed))
            else:
                reason = str(failed)
                self._deliver([OutcomeUnknown(key=command.key, venue=self.name, during="cancel", reason=reason)])

    async def _search(self, key: str, spelling: str) -> str:
        rows = await self._call("open_orders", self.client.fetch_open_orders(spelling), Lane.URGENT)
        seen = by_client_id(rows, key)
        return seen.venue_id if seen is not None else ""

    def _not_cancelled(self, command: CancelOrder, code: str, text: str) -> None:
        self._deliver([CancelRejected(key=command.key, venue=self.name, code=code, text=text)])

    # ---- questions ----

    async def _query(self, command: QueryOrder, now_ns: int) -> None:
        """By the venue's id; else among the open and then the done ones, by ours."""
        key, spelling = command.key, self._spellings.get(command.symbol)
        if spelling is None:
            return  # the desk asks again
        venue_id = command.venue_order_id or self._venue_ids.get(key, "")
        searched_history = False
        try:
            seen = await self._fetch(command.symbol, venue_id) if venue_id else None
        except Failed as failed:
            if failed.fault.means not in ("missing", "done"):
                return  # the desk asks again
            seen = None
        try:
            if seen is None:
                seen = by_client_id(await self._call("query", self.client.fetch_open_orders(spelling)), key, venue_id)
            if seen is None and self.client.has.get("fetchClosedOrders") is True:
                closed = await self._call("query", self.client.fetch_closed_orders(spelling))
                seen, searched_history = by_client_id(closed, key, venue_id), True
            elif seen is None and self.client.has.get("fetchOrders") is True:
                every = await self._call("query", self.client.fetch_orders(spelling))
                seen, searched_history = by_client_id(every, key, venue_id), True
        except Failed:
            return
        if seen is None:
            self._deliver([
                OrderMissing(
                    key=key, venue=self.name, query_id=command.query_id, asked_ns=now_ns,
                    searched_history=searched_history,
                )
            ])  # fmt: skip
        elif seen.found_as is not None and seen.cum_qty is not None:
            self._remember(key, seen.venue_id)
            self._deliver([
                OrderFound(
                    key=key, venue=self.name, query_id=command.query_id, asked_ns=now_ns,
                    venue_order_id=seen.venue_id, found_as=seen.found_as, cum_qty=seen.cum_qty,
                )
            ])  # fmt: skip

    async def _fills(self, command: QueryFills, now_ns: int) -> None:
        """Whole or not at all: what cannot be read is asked for again by the desk."""
        spelling, since_ms = self._spellings.get(command.symbol), command.since_ns // 1_000_000
        if spelling is None:
            return
        try:
            pages = await self._executed(spelling, since_ms)
            found = tuple(fill for row in pages.rows if (fill := self._filled(row)) is not None)
        except Failed:
            return
        except Malformed as error:
            self._warn(f"{self.name}: executions of {command.symbol}: {error}")
            return
        if not pages.is_whole:
            self._warn(f"{self.name}: executions of {command.symbol}: more than its pages tell, {len(found)} were read")
            return
        self._deliver([
            FillsRead(
                venue=self.name, symbol=command.symbol, query_id=command.query_id, asked_ns=now_ns,
                since_ns=command.since_ns, fills=found,
            )
        ])  # fmt: skip

    async def _executed(self, spelling: str, since_ms: int) -> Pages:
        """The account's executions of a market. Raises Failed."""
        told = ((self.client.features or {}).get("spot") or {}).get("fetchMyTrades") or {}
        limit = min(told["limit"], FULL) if told.get("limit") else None

        async def ask(since_ms: int, until_ms: int | None) -> Sequence[Mapping[str, Any]]:
            params = {} if until_ms is None else {"until": until_ms}
            call = self.client.fetch_my_trades(spelling, since_ms, limit, params)
            rows: Sequence[Mapping[str, Any]] = await self._call("fills", call)
            return rows

        pages = Pages(ask, since_ms, limit or LEAST)
        await pages.read()
        return pages

    async def _balances(self, command: QueryBalances, now_ns: int) -> None:
        try:
            answer = await self._call("balances", self.client.fetch_balance())
        except Failed:
            return
        self._deliver([balances(self.name, command.query_id, now_ns, answer)])

    async def _list_open(self) -> None:
        """Of each market that is followed, for some exchanges list them by market only."""
        found: dict[str, ForeignOrderSeen] = {}
        markets = self._markets()
        if not markets:
            return
        try:
            if self.client.markets and any(spelling not in self.client.markets for spelling in markets.values()):
                await self._call("open_orders", self.client.load_markets(True))
            for symbol, spelling in markets.items():
                for row in await self._call("open_orders", self.client.fetch_open_orders(spelling)):
                    seen = Seen(row).foreign(self.name, symbol)
                    if seen is not None:
                        found[seen.venue_order_id] = seen
        except Failed as failed:
            self._warn(f"{self.name}: the open orders are not known: {failed}")
            return
        if self._markets() != markets:
            return  # not of all of them; the list is under way again
        gone = [one for venue_id, one in self._open.items() if venue_id not in found]
        self._open = found
        self._deliver([*found.values(), *(msgspec.structs.replace(one, is_open=False) for one in gone)])
        if "open_orders" in self.admission.unknown:
            self.admission.unknown.discard("open_orders")
            self._reconcile()

    async def _fetch(self, symbol: str, venue_id: str) -> Seen:
        params = {"acknowledged": True} if self.client.id == "bybit" else {}  # it warns otherwise, by an error
        return Seen(await self._call("query", self.client.fetch_order(venue_id, self._spellings[symbol], params)))

    # ---- the library ----

    async def _call(
        self, what: What, call: Coroutine[Any, Any, Any], lane: Lane = Lane.ORDINARY, *, is_free: bool = False
    ) -> Any:
        """One call, once, within the budget and CALL_SEC. Raises Failed."""
        try:
            while not is_free and (wait_ns := self._budget.wait_ns(1, self._clock.mono_ns(), lane)):
                await asyncio.sleep(wait_ns / SEC)
        except BaseException:
            call.close()
            raise
        if not is_free:
            self._budget.take(1, self._clock.mono_ns())
        fault: Fault | None = None
        try:
            async with asyncio.timeout(CALL_SEC):
                return await call
        except TimeoutError as error:
            fault = fault_of(["RequestTimeout", "NetworkError"], f"no answer within {CALL_SEC:g} s")
            raise Failed(fault) from error
        except Exception as error:  # whatever the library raises
            fault = fault_of([kind.__name__ for kind in type(error).__mro__], self._redact(str(error)))
            raise Failed(fault) from error
        finally:
            self.admission.learn(Asked(what=what, nonce=0, now_ns=0), Turn(fault=fault, is_more=True))

    def _filled(self, row: Mapping[str, Any]) -> Filled | None:
        symbol = self._symbols.get(str(row.get("symbol")))
        key = self._keys_of.get(str(row.get("order")), "")
        return filled(self.name, symbol, key, row) if symbol is not None else None

    def _remember(self, key: str, venue_id: str) -> None:
        self._venue_ids[key] = venue_id
        self._keys_of[venue_id] = key

    def _begin(self, what: str, work: Coroutine[Any, Any, object]) -> None:
        self._tasks += 1
        self._start(f"{self.name} {what} {self._tasks}", work)


def _rejected(venue: str, key: str, fault: Fault) -> Rejected:
    return Rejected(key=key, venue=venue, code=fault.code, category=fault.category.value, text=fault.text)


def _lacks_ioc(client: Any) -> bool:
    """Whether the library says of an exchange that it takes no immediate-or-cancel limit orders."""
    features = ((client.features or {}).get("spot") or {}).get("createOrder") or {}
    return (features.get("timeInForce") or {}).get("IOC") is False
