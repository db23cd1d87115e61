"""What a drill on a ground works with: faults to strike, episodes to trade in, and what must hold when it is over."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from gambit.drills import oracle
from gambit.drills.ground import ACCOUNT, Ground, orders_of, until
from gambit.drills.scenario import Bench, Broken
from gambit.drills.truth import differs
from gambit.events.orders import OrderIntended
from gambit.journal import Record
from gambit.runtime.daemon import Daemon
from gambit.sim.exchange import Exchange
from gambit.sim.verbs import Fault, FaultOrder

ATTEMPTS: Final = 10  # a busy machine may be too late for one episode
SHIFT_BPS: Final = 60.0
EPISODE_MS: Final = 900
SETTLE_SEC: Final = 45.0
COMPARISONS: Final = 60
HOLDS: Final = 3
SYNCED_SEC: Final = 30.0
FOUND_SEC: Final = 3.0  # an opportunity of a second of the exchanges' time
BOUNDS: Final = ("count", "for_ms", "skip", "probability")
PLACE: Final = {"action": "place"}
QUERY: Final = {"action": "query"}
PRIVATE: Final = {"private": True}


def same(daemon: Daemon, exchange: Exchange, symbol: str) -> Callable[[], bool]:
    """Whether a book is the venue's."""
    return lambda: not differs(daemon, exchange, symbol)


class Stage(Bench):
    """One drill on a shared ground; remembers where the journal, the log and the ledgers stood when it began."""

    def __init__(self, folder: Path, ground: Ground) -> None:
        super().__init__(folder)
        self.ground = ground
        self.expects_trouble = False  # problems and halts are what this drill is about
        self.struck: list[tuple[Exchange, Fault]] = []
        self.began_at = len(ground.read_journal())
        self.lines_at = len(ground.log.lines)
        self.net_at = {symbol: oracle.net_base(ground, symbol) for symbol in ground.setting.symbols}

    # ---- faults ----

    def strike(self, venue: str, kind: str, match: Mapping[str, Any] | None = None, **args: Any) -> Fault:
        """A fault, as POST /_sim/fault takes it: `count`, `for_ms`, `skip`, `probability` bound it, the rest are the
        verb's arguments."""
        bounds = {name: args.pop(name) for name in BOUNDS if name in args}
        exchange = self.ground.exchanges[venue]
        fault = exchange.strike(FaultOrder(kind, args, dict(match or {}), **bounds))
        self.struck.append((exchange, fault))
        return fault

    def clear(self, venue: str) -> None:
        """Heal a venue, as POST /_sim/clear does."""
        self.ground.exchanges[venue].clear()

    def verbs(self) -> Counter[str]:
        """How often which verb fired."""
        fired: Counter[str] = Counter()
        for _, fault in self.struck:
            fired[fault.order.kind] += fault.fired
        return fired

    # ---- the market ----

    def shift(self, venue: str, bps: float = SHIFT_BPS, for_ms: int = EPISODE_MS, symbol: str = "") -> None:
        """A venue's price leaves the others' for a while."""
        symbol = symbol or self.ground.setting.symbols[0]
        self.ground.server.world.shift(venue, symbol, bps, self.ground.now_ns(), for_ms)

    async def episode(self, dear: str, cheap: str = "", *, over: Callable[[], object] | None = None) -> None:
        """A venue is dear for a while (and another one cheap); until it is over, or `over` says that it is enough."""
        ground = self.ground
        await until(lambda: not ground.daemon.parts.readings.board.open, why="no opportunity is open")
        ends_ns = ground.now_ns() + EPISODE_MS * 1_600_000
        self.shift(dear)
        if cheap:
            self.shift(cheap, -SHIFT_BPS)
        await until(lambda: ground.now_ns() > ends_ns or (over is not None and over()))

    async def trade_until(self, dear: str, what: Callable[[], object], cheap: str = "", why: str = "") -> None:
        """Episodes until something happened. Raises Broken."""
        for _ in range(ATTEMPTS):
            await self.episode(dear, cheap, over=what)
            if what():
                return
        raise Broken(f"no episode led to it: {why or 'what the drill waits for'}")

    async def fire(self, fault: Fault, dear: str, cheap: str = "") -> None:
        """Trade until a fault fired."""
        await self.trade_until(dear, lambda: fault.fired, cheap, f"{fault.order.kind} at {dear} fires")

    async def still_trades(self, venue: str) -> None:
        """Another arbitrage at a venue goes through, as if nothing had been."""
        exchange = self.ground.exchanges[venue]
        ports = self.ground.dealing.ports
        await until(lambda: all(port.is_up for port in ports.values()), SETTLE_SEC, "private streams")
        before = len(orders_of(exchange))
        await self.trade_until(venue, lambda: len(orders_of(exchange)) > before, why=f"{venue} trades again")
        await self.settle()

    async def cancel_under_way(self, venue: str) -> str:
        """Trade until an order is on its way to a venue, and cancel it there and then; its key."""
        standing = self.ground.dealing.desk.standing

        def under_way() -> list[str]:
            return [key for key, order in standing.live.items() if order.intent.venue == venue]

        await self.trade_until(venue, under_way, why=f"an order is on its way to {venue}")
        key = under_way()[0]
        self.ground.dealing.cancel(key, "a drill")
        return key

    async def compared(self, venue: str, what: Callable[[], object], why: str) -> None:
        """Have the desk compare with a venue, sooner than the half a minute that it takes by itself, until something
        came of it. Raises Broken."""
        for _ in range(COMPARISONS):
            self.ground.dealing.reconcile(venue)
            with suppress(Broken):
                return await until(what, 1.0)
        raise Broken(f"{COMPARISONS} comparisons did not lead to it: {why}")

    # ---- what has happened ----

    async def records(self) -> Sequence[Record]:
        """The journal since the drill began, as far as it is synced."""
        return (await self.ground.until_written_down())[self.began_at :]

    def intents(self) -> list[OrderIntended]:
        """The orders meant since the drill began, from what was read of the journal."""
        found = oracle.facts(self.ground.read_journal()[self.began_at :], OrderIntended)
        return [fact for fact in found if isinstance(fact, OrderIntended)]

    def moves(self) -> Counter[str]:
        """How often which move of an order was made since the drill began: "was on status"."""
        kinds = (json.loads(r.body) for r in self.ground.read_journal()[self.began_at :] if r.kind == "order.status")
        return Counter(f"{body['was']} {body['on']} {body['status']}" for body in kinds)

    def kinds(self) -> Counter[str]:
        """How often which kind of record was written since the drill began."""
        return Counter(record.kind for record in self.ground.read_journal()[self.began_at :])

    def alarms(self) -> list[str]:
        """What the log warned of since the drill began."""
        log = self.ground.log
        return [*log.of("warning", self.lines_at), *log.of("error", self.lines_at)]

    def has_told(self, text: str) -> bool:
        """Whether somebody was warned in such words since the ground was built: the same alarm is not told twice."""
        log = self.ground.log
        return any(text in line for line in [*log.of("warning"), *log.of("error")])

    # ---- books ----

    async def over(self, patience_sec: float = 30.0) -> None:
        """Every fault fired and is spent, and every book is synced again."""
        await until(lambda: all(fault.fired for _, fault in self.struck), patience_sec, "every fault fires")
        await until(
            lambda: all(f.is_spent(exchange.now_ns) for exchange, f in self.struck), patience_sec, "all is over"
        )
        await until(self.ground.is_synced, patience_sec, "every book is synced again")

    async def books_are_true(self) -> None:
        """I08, I14, I24: nothing was decided from a bad book, books equal the venues', and the daemon is well and not
        deaf: a venue that leaves the others is found."""
        ground, witness = self.ground, self.ground.witness
        if witness is None:
            raise Broken("this ground has no witness")
        await self._books_equal()
        witness.look()
        self.need(not witness.lies, f"I08: {witness.lies[:3]}")
        self.need(not witness.lost, f"I14: {witness.lost} ticks were overrun")
        self.need(not ground.raised, f"I08: {ground.raised[:1]}")
        errors = ground.log.of("error", self.lines_at)
        self.need(not errors and not ground.daemon.problems, f"I24: {errors} {ground.daemon.problems}")
        self.need(ground.daemon.parts.switch.state == "ACTIVE", f"I24: {ground.daemon.parts.switch.kept.reason}")
        self.count(ticks=witness.ticks)
        witness.ticks = 0
        ends_ns = 0
        for _ in range(3):  # a second of theirs is short for a process without a processor
            ends_ns = ground.now_ns() + 2_500_000_000
            self.shift(next(iter(ground.exchanges)), 90.0, 1000)
            with suppress(Broken):
                await until(lambda: ground.raised, FOUND_SEC)
                break
        self.need(ground.raised, "I08: a real opportunity is not found")
        board = ground.daemon.parts.readings.board
        await until(lambda: ground.now_ns() > ends_ns and not board.open, why="it is over again")
        ground.raised.clear()

    async def _books_equal(self) -> None:
        """With the exchanges held still and everything told, both sides have the same levels. A connection that was cut
        just now is noticed while they are held, and Binance's snapshots need diffs: then they move on, for a while."""
        for _ in range(HOLDS):
            if await self._held_equal():
                return
            await until(self.ground.is_synced, SYNCED_SEC, "every book is synced again")
        raise Broken(f"I08: held {HOLDS} times, and each time some book was lost")

    async def _held_equal(self) -> bool:
        """False when the daemon itself says that it lost a book. Raises Broken for one that it believes wrongly."""
        ground = self.ground
        ground.time.hold(True)
        try:
            for exchange in ground.exchanges.values():
                for symbol in exchange.books:
                    exchange.flush(symbol)
                ground.server._flush(exchange)
            for exchange in ground.exchanges.values():
                for symbol in exchange.books:
                    equal = same(ground.daemon, exchange, symbol)
                    why = f"I08: {exchange.venue} {symbol} is true"
                    await until(lambda equal=equal: equal() or not ground.is_synced(), 5.0, why)  # type: ignore[misc]
                    if not equal():
                        return False
            return True
        finally:
            ground.time.hold(False)

    # ---- what must hold ----

    async def settle(self) -> None:
        """Nothing is open, in doubt or unreconciled, and every invariant about orders holds. Raises Broken."""
        ground = self.ground
        standing = ground.dealing.desk.standing
        try:
            await until(lambda: not standing.live and not standing.unsettled and not standing.open, SETTLE_SEC)
        except Broken:
            live = {key: f"{order.intent.venue} {order.status}" for key, order in standing.live.items()}
            raise Broken(
                f"I06: live {live}, open {list(standing.open)}, unsettled {list(standing.unsettled)}"
            ) from None
        await self.compare()

    async def compare(self) -> None:
        """The journal against the ledgers; they get a while, for streams and reconciliation have theirs. Everything is
        compared at one instant at which nothing is open: a price that is still away makes new plans."""
        problem: list[Broken] = []
        records = self.ground.records
        standing, journal = self.ground.dealing.desk.standing, self.ground.daemon.parts.keeping.journal

        def agrees() -> bool:
            self.ground.read_journal()
            try:
                is_open = standing.live or standing.unsettled or standing.open
                self.need(not is_open, f"I06: live {list(standing.live)}, open {list(standing.open)}")
                self.need(records and records[-1].seq == journal.head, "I12: the journal on the disk is behind")
                oracle.executions_agree(self.ground, records)
                oracle.quantities_are_sums(self.ground)
                oracle.balances_agree(self.ground)
            except Broken as error:
                problem[:] = [error]
                return False
            return True

        try:
            await until(agrees, SETTLE_SEC)
        except Broken:
            raise problem[0] from None
        oracle.orders_have_intents(self.ground, records)
        oracle.moves_are_edges(records)
        oracle.creates_are_sent_once(self.ground, records)
        oracle.limits_are_kept(self.ground, records[self.began_at :])  # other drills had other limits
        oracle.books_were_fresh(self.ground, records)
        oracle.journal_is_the_state(self.ground)
        kinds = self.kinds()
        self.evidence.update(orders=kinds["order.intended"], executions=kinds["order.filled"], records=kinds.total())
        if not self.expects_trouble:
            self.is_flat()
            self.is_well()

    def is_flat(self) -> None:
        """I06: by the ledgers, no more is left of the drill than dust for each plan."""
        for symbol, before in self.net_at.items():
            left = abs(oracle.net_base(self.ground, symbol) - before)
            allowed = self.dust(symbol) * max(self.kinds()["plan.made"], 1)
            self.need(left <= allowed, f"I06: {left} {symbol} is left, dust is {allowed}")

    def dust(self, symbol: str) -> Decimal:
        """What no venue trades: the largest of lot, minimum quantity and minimum notional over the price."""
        base = symbol.split("-")[0]
        price = self.ground.dealing.marks().get(base, Decimal(1))
        least = [Decimal(self.ground.config.risk.min_order_quote) / price]
        for state in self.ground.daemon.parts.market.venues.values():
            item = state.catalog.by_symbol.get(symbol)
            if item is not None:
                least += [one for one in (item.lot, item.min_qty) if one is not None]
                least += [item.min_notional / price] if item.min_notional is not None else []
        return max(least)

    def is_well(self) -> None:
        """I24: nothing of ours broke, nobody is halted."""
        daemon = self.ground.daemon
        self.need(not daemon.problems, f"I24: {daemon.problems}")
        trading = daemon.parts.dealing.desk.standing.state.trading
        self.need(daemon.parts.switch.state == "ACTIVE", f"I24: {daemon.parts.switch.kept.reason}")
        self.need(not trading.scopes, f"I24: halted: {list(trading.scopes)}")

    def place_requests(self, venue: str) -> int:
        """How many creates a venue has received in all."""
        return sum(entry["action"] == "place" for entry in self.ground.exchanges[venue].ledger.requests)

    def account(self, venue: str) -> Any:
        """Our account there, as the venue has it."""
        return self.ground.exchanges[venue].accounts[ACCOUNT]
