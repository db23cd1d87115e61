"""The world around the desk: a queue of events in virtual time, a journal, a wire that loses, repeats and delays."""

import heapq
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from gambit.commands import CancelOrder, Notify, PlaceOrder, QueryBalances
from gambit.engine.archive import FOREIGN
from gambit.engine.conditions import BookView, VenueView
from gambit.engine.desk import Decision, Desk
from gambit.engine.limits import Execution, Limits
from gambit.engine.order import Status
from gambit.engine.plan import Opportunity
from gambit.engine.standing import KEEP, Keep, Standing
from gambit.engine.trade import Trade
from gambit.engine.trading_state import Trading
from gambit.events import read, written
from gambit.events.operation import DaemonStarted
from gambit.events.orders import (
    Acked,
    AmendAsked,
    BalanceRead,
    Busted,
    Cancelled,
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
from gambit.model import Instrument
from tests.simulation.checks import Checks
from tests.simulation.exchange import LOT, MS, SECOND, WINDOW_NS, Exchange, Listed
from tests.simulation.tape import Tape
from tests.simulation.trouble import TICKS, garbled, stripped, trouble

D = Decimal
SYMBOL = "BTC-USDT"
START_NS = 1_750_000_000 * SECOND
BOOK_NS = 100 * MS
HOW_SOON_MS = (2, 30, 300, 2000, 12_000)  # from what a venue says to the opposite of it
RULES = Execution(
    key_prefix="gt", max_notional=D(1500), max_slippage_bps=D(20), flat_deadline_ns=8 * SECOND, collar_bps=D(60),
    collar_widen_bps=D(60), loss_budget_bps=D(300), answer_timeout_ns=1 * SECOND, naked_budget_quote_s=D(8000),
)  # fmt: skip
LIMITS = Limits(
    trades_per_day=0, trades_per_hour=0, min_liquidity=D(0), duplicate_window_ns=0, plans_per_second=1000,
    max_price_move_bps=D(1000), max_order_notional=D(2000), max_symbol_notional=D(8000), max_venue_notional=D(8000),
    max_in_flight_notional=D(6_000), max_imbalance_quote=D(20_000),
    fee_drift_fills=6,
)  # fmt: skip
KEEPS = (KEEP, Keep(0, 0), Keep(2 * SECOND, 1000), Keep(3600 * SECOND, 2))  # settled episodes at hand, by seed
INSTRUMENTS = {
    tick: Instrument(
        symbol=SYMBOL, spelling=SYMBOL, base="BTC", quote="USDT", tick=tick, lot=LOT, min_qty=LOT, min_notional=D(10)
    )
    for tick in TICKS
}


VENUES = (("a", 2), ("b", 3), ("c", 1), ("d", 2), ("e", 3), ("f", 1))  # with their fees; a large episode has all


class Crash(Exception):
    """The process is gone, here and now."""


class Shell:
    """One episode: a desk, its exchanges and everything between them. Also the desk's Conditions."""

    venues: Sequence[tuple[str, int]] = VENUES[:3]

    def __init__(self, seed: int, fire_s: int = 10, heal_s: int = 150, muted: Collection[str] = ()) -> None:
        self.tape = Tape(seed, muted)
        self.now_ns = START_NS
        self.fire_ns, self.end_ns = START_NS + fire_s * SECOND, START_NS + (fire_s + heal_s) * SECOND
        self.exchanges = {name: Exchange(name, self.tape, D(fee), name in "be") for name, fee in self.venues}
        for exchange in self.exchanges.values() if seed % 4 == 3 else ():
            exchange.balances = {"USDT": D(2500), "BTC": D(25)}  # not enough for much at once
        self.journal: list[tuple[int, str, bytes]] = []
        self.journalled_keys: set[str] = set()
        self.queue: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self.serial = 0
        self.epoch = 0
        self.is_up = False
        self.incarnation = 0
        self.booted_ns = 0
        self.opportunities = 0
        self.fair = D(100)
        self.notices: list[str] = []
        self.steps = 0
        self.checks = Checks(self)
        self.keep = KEEPS[seed % len(KEEPS)]
        self.desk = self.fresh()

    def fresh(self) -> Desk:
        """A desk that knows nothing yet."""
        return Desk(RULES, LIMITS, Standing(keep=self.keep))

    def trades(self) -> list[Trade]:
        """Every episode, the packed ones too."""
        return list(self.desk.standing.every_trade())

    # ---- conditions ----

    def book(self, venue: str, symbol: str) -> BookView | None:
        return self.exchanges[venue].view if symbol == SYMBOL else None

    def books(self, symbol: str) -> Sequence[BookView]:
        return [e.view for e in self.exchanges.values() if e.view is not None and symbol == SYMBOL]

    def touches(self, symbol: str) -> Sequence[BookView]:
        return self.books(symbol)

    def venue(self, name: str) -> VenueView | None:
        return VenueView(
            name=name, taker_fee_bps=self.exchanges[name].fee_bps, latency_ns=20 * MS, window_ns=WINDOW_NS,
            can_trade=not self.exchanges[name].is_closed(self.now_ns),
        )  # fmt: skip

    def instrument(self, venue: str, symbol: str) -> Instrument | None:
        return INSTRUMENTS[self.exchanges[venue].tick] if symbol == SYMBOL else None

    def followed(self, venue: str) -> Sequence[str]:
        return [SYMBOL]

    def marks(self) -> Mapping[str, Decimal]:
        return {"USDT": D(1), "BTC": self.fair}

    # ---- the loop ----

    def at(self, when_ns: int, action: Callable[..., None], *args: Any) -> None:
        self.serial += 1
        heapq.heappush(self.queue, (when_ns, self.serial, action, args))

    def run(self) -> None:
        """Fire, heal, and look at the end."""
        self.at(self.now_ns, self.wander)
        self.at(self.now_ns, self.boot)
        self.at(self.fire_ns, self.heal)
        self.at(self.now_ns + 3 * SECOND, self.let_go)
        if self.tape.fault("operator halts"):
            self.at(self.now_ns + self.tape.between("halts", 500, 9000) * MS, self.operator)
        while self.queue and self.queue[0][0] <= self.end_ns:
            self.now_ns, _, action, args = heapq.heappop(self.queue)
            self.steps += 1
            try:
                action(*args)
            except Crash:
                self.die()
            self.checks.after_step()
        self.now_ns = self.end_ns
        self.checks.at_the_end()

    def wander(self) -> None:
        """The market moves; one look at what it offers."""
        self.fair += D(self.tape.between("fair", -4, 4)) / 100
        for exchange in self.exchanges.values():
            exchange.wander(self.now_ns, self.fair)
            if self.now_ns < self.fire_ns and exchange.seq % 10 == 0:
                trouble(self, exchange)
        step_ns = BOOK_NS if self.now_ns < self.fire_ns + 20 * SECOND else 10 * BOOK_NS
        self.at(self.now_ns + step_ns, self.wander)
        if self.is_up and self.now_ns < self.fire_ns:
            self.look()

    def look(self) -> None:
        """The best pair of venues, where there is any."""
        best: tuple[Decimal, str, str] | None = None
        for buy in self.exchanges.values():
            for sell in self.exchanges.values():
                asks, bids = buy.levels("buy"), sell.levels("sell")
                if buy is sell or not asks or not bids:
                    continue
                gain = bids[0][0] - asks[0][0]
                if best is None or gain > best[0]:
                    best = gain, buy.name, sell.name
        if best is None or best[0] < D("0.20"):
            return
        for _ in range(6 if self.tape.fault("burst") else 1):
            if self.is_up:
                self.offer(self.opportunity(best[1], best[2]))

    def opportunity(self, buy: str, sell: str) -> Opportunity:
        """One more."""
        self.opportunities += 1
        return Opportunity(
            opp_id=f"o{self.opportunities}", raw_signal_id=f"r{self.opportunities // 2}", symbol=SYMBOL,
            symbol_buy=SYMBOL, symbol_sell=SYMBOL, venue_buy=buy, venue_sell=sell, recv_ns=self.now_ns,
            ttl_ns=10 * SECOND, net_bps=D(20),
        )  # fmt: skip

    def offer(self, seen: Opportunity) -> None:
        self.carry_out(self.desk.consider(seen, self, self.now_ns))

    def heal(self) -> None:
        """No more faults; whatever was held back is told."""
        self.tape.is_healed = True
        if not self.is_up:
            return
        if self.desk.standing.state.trading.state is not Trading.ACTIVE:
            self.carry_out(self.desk.set_trading(Trading.ACTIVE, "drill over", "admin", self, self.now_ns))

    # ---- the daemon's life ----

    def boot(self) -> None:
        if self.is_up:
            return
        self.is_up = True
        self.incarnation += 1
        self.booted_ns = self.now_ns
        self.desk = self.fresh()
        for ts_ns, kind, body in self.journal:
            self.desk.replay(read(kind, body), ts_ns)
        self.checks.booted()
        self.epoch += 1
        started = DaemonStarted(version="t", pid=1, epoch=self.epoch, mode="paper", config_hash="")
        self.carry_out(self.desk.begin(started, self, self.now_ns))
        self.checks.conduct.started()
        for exchange in self.exchanges.values():
            self.send(QueryBalances(venue=exchange.name, query_id=0))
            for order in exchange.listing():
                self.deliver(self.incarnation, order)
        self.tick(self.incarnation)
        self.at(self.now_ns + self.tape.between("reconcile", 500, 9000) * MS, self.reconcile, self.incarnation)

    def die(self) -> None:
        """Everything that was only in memory is gone; what was told meanwhile is never told again."""
        self.is_up = False
        if self.tape.fault("power cut"):
            self.lose_the_tail()
        self.checks.died()
        self.at(self.now_ns + self.tape.between("boot", 50, 4000) * MS, self.boot)

    def lose_the_tail(self) -> None:
        """What was written in the last 5 ms was not synced: any part of it may be gone."""
        recent = sum(1 for ts_ns, _, _ in self.journal if ts_ns > self.now_ns - 5 * MS)
        lost = self.tape.between("lost records", 0, min(recent, len(self.journal)))
        if lost:
            del self.journal[-lost:]
            self.checks.rewound()

    def tick(self, incarnation: int) -> None:
        """The deadline came, or nothing is due for a while."""
        if not self.is_up or incarnation != self.incarnation:
            return
        self.carry_out(self.desk.on_time(self, self.now_ns))
        due_ns = self.desk.deadline_ns(self, self.now_ns)
        latest_ns = self.now_ns + (200 * MS if self.now_ns < self.fire_ns + 20 * SECOND else SECOND)
        self.at(min(max(due_ns or latest_ns, self.now_ns + MS), latest_ns), self.tick, incarnation)

    def reconcile(self, incarnation: int) -> None:
        if not self.is_up or incarnation != self.incarnation:
            return
        is_routine = not self.tape.fault("reconnect")
        for name, exchange in self.exchanges.items():
            self.carry_out(self.desk.reconcile(name, self, self.now_ns, is_routine=is_routine))
            for order in exchange.listing():
                self.deliver(incarnation, order)
        self.at(self.now_ns + self.tape.between("reconcile", 500, 15_000) * MS, self.reconcile, incarnation)

    def reconnected(self, exchange: Exchange) -> None:
        """A private stream is back: what was missed is asked for."""
        if self.is_up:
            self.carry_out(self.desk.reconcile(exchange.name, self, self.now_ns))
            for order in exchange.listing():
                self.deliver(self.incarnation, order)

    def operator(self) -> None:
        """Somebody pulls the kill switch and lets go again."""
        if self.is_up:
            self.carry_out(self.desk.set_trading(Trading.HALTED, "drill", "op", self, self.now_ns))
            self.at(self.now_ns + self.tape.between("halt", 1, 4) * SECOND, self.release)

    def release(self) -> None:
        if self.is_up:
            self.carry_out(self.desk.set_trading(Trading.ACTIVE, "drill over", "admin", self, self.now_ns))

    def let_go(self) -> None:
        """Somebody looks at what the desk halted by itself, and lets it trade again; not any more in the end."""
        if self.now_ns >= self.fire_ns:
            return
        self.at(self.now_ns + 3 * SECOND, self.let_go)
        for scope in list(self.desk.standing.state.trading.scopes) if self.is_up else ():
            self.carry_out(self.desk.release(scope, "admin", self, self.now_ns))

    # ---- what the desk wants ----

    def carry_out(self, decision: Decision) -> None:
        """Journal every fact, then send every command; the process may die between any two of them."""
        for fact in decision.facts:
            self.journal.append((self.now_ns, *written(fact)))
            if isinstance(fact, OrderIntended):
                self.journalled_keys.add(fact.key)
            self.checks.journalled(fact)
            if self.tape.fault("crash after fact"):
                raise Crash
        for command in decision.commands:
            if isinstance(command, Notify):
                self.notices.append(command.rule_id)
            else:
                self.gateway(command)
            if self.tape.fault("crash after command"):
                raise Crash

    def gateway(self, command: Any) -> None:
        """The send call."""
        if not isinstance(command, PlaceOrder):
            self.send(command)
            return
        if self.tape.fault("waits to leave"):
            wait_ns = self.tape.between("waited", 50, 2500) * MS
            self.at(self.now_ns + wait_ns, self.leave, self.incarnation, command)
            return
        self.leave(self.incarnation, command)

    def leave(self, incarnation: int, command: PlaceOrder) -> None:
        """A create comes to the send, at once or after it waited for a disk or a turn."""
        intent = command.intent
        if not self.is_up or incarnation != self.incarnation:
            return
        if self.tape.fault("halt before send"):
            self.at(self.now_ns + 2 * SECOND, self.release)
            self.carry_out(self.desk.set_trading(Trading.HALTED, "drill", "op", self, self.now_ns))
        refusal = self.desk.may_send(intent, self.now_ns)
        if refusal is None and self.tape.fault("circuit open"):
            refusal = "circuit open"
        if refusal is not None:
            self.hear(Unsent(key=intent.key, venue=intent.venue, reason=refusal))
            return
        self.checks.sent(intent)
        self.send(command)
        self.meddle(intent)
        sent = Sent(key=intent.key, venue=intent.venue)
        if self.tape.fault("sent noted late"):
            self.at(self.now_ns + self.tape.between("noted", 1, 400) * MS, self.deliver, self.incarnation, sent)
        else:
            self.hear(sent)

    def meddle(self, intent: OrderIntended) -> None:
        """What somebody wants of an order that is under way, and what our own side says of it in error."""
        for site, action in (
            ("amended", self.amend),
            ("amended later", self.amend),
            ("called off", self.call_off),
            ("unsent in error", self.misreport),
        ):
            if self.tape.fault(site):
                self.at(self.now_ns + self.tape.between(f"{site} at", 1, 120) * MS, action, self.incarnation, intent)
                if action == self.amend:
                    self.exchanges[intent.venue].lingering.add(intent.key)

    def amend(self, incarnation: int, intent: OrderIntended) -> None:
        """Less of an order is wanted; the venue answers late, or not at all."""
        order = self.desk.standing.live.get(intent.key)
        if not self.is_up or incarnation != self.incarnation or order is None:
            return
        if order.status not in (Status.SUBMITTED, Status.PARTIALLY_FILLED):
            return
        qty = max((order.qty * self.tape.between("amend size", 3, 9) / 10).quantize(LOT), order.filled_qty + LOT)
        self.hear(AmendAsked(key=intent.key, venue=intent.venue, qty=qty, price=intent.price))
        delay_ns = self.tape.between("amend out", 1, 900) * MS
        self.at(self.now_ns + delay_ns, self.amend_arrives, self.exchanges[intent.venue], intent.key, qty)

    def amend_arrives(self, exchange: Exchange, key: str, qty: Decimal) -> None:
        facts = exchange.amend(key, qty)
        if self.tape.fault("drop amend reply"):
            doubt = OutcomeUnknown(key=key, venue=exchange.name, during="amend", reason="timeout")
            self.at(self.now_ns + SECOND, self.deliver, self.incarnation, doubt)
            return
        self.tell(exchange, facts)

    def call_off(self, incarnation: int, intent: OrderIntended) -> None:
        """An operator cancels it."""
        order = self.desk.standing.live.get(intent.key)
        if self.is_up and incarnation == self.incarnation and order is not None:
            self.carry_out(self.desk.cancel(intent.key, "op", self, self.now_ns))

    def misreport(self, incarnation: int, intent: OrderIntended) -> None:
        """Our own line says that an order never left, after more was heard of it."""
        order = self.desk.standing.live.get(intent.key)
        if order is not None and (order.is_sent or order.venue_order_id or order.waits_for_fills):
            self.deliver(incarnation, Unsent(key=intent.key, venue=intent.venue, reason="a drill's error"))

    def send(self, command: Any) -> None:
        """Bytes on their way to a venue."""
        venue = command.intent.venue if isinstance(command, PlaceOrder) else command.venue
        kind = type(command).__name__
        if self.tape.fault(f"drop {kind}"):
            self.at(self.now_ns + SECOND, self.timed_out, self.incarnation, command)
            return
        delay_ns = self.tape.between(f"{kind} out", 1, 40) * MS
        if isinstance(command, PlaceOrder) and self.tape.fault("hold create"):
            delay_ns = self.tape.between("held", 1000, 7000) * MS
        self.at(self.now_ns + delay_ns, self.arrive, self.exchanges[venue], command, self.now_ns)

    def timed_out(self, incarnation: int, command: Any) -> None:
        """The client gave up waiting for an answer."""
        if incarnation == self.incarnation and isinstance(command, PlaceOrder | CancelOrder):
            key = command.intent.key if isinstance(command, PlaceOrder) else command.key
            venue = command.intent.venue if isinstance(command, PlaceOrder) else command.venue
            during = "create" if isinstance(command, PlaceOrder) else "cancel"
            self.deliver(incarnation, OutcomeUnknown(key=key, venue=venue, during=during, reason="timeout"))  # type: ignore[arg-type]

    def arrive(self, exchange: Exchange, command: Any, sent_ns: int) -> None:
        """A request is at the venue."""
        if isinstance(command, PlaceOrder):
            self.checks.arrived(command.intent)
        exchange.stutters = isinstance(command, PlaceOrder) and self.tape.fault("over before it began")
        facts = exchange.receive(command, sent_ns, self.now_ns)
        if isinstance(command, PlaceOrder) and self.tape.fault("halt"):
            self.at(self.now_ns + self.tape.between("halt at", 0, 60) * MS, self.operator)
        if self.tape.fault("drop reply"):
            answers = (Filled, Busted)
            facts = [fact for fact in facts if isinstance(fact, answers)]
            lost_ns = 10 * MS if self.tape.fault("status unknown") else SECOND  # a 503 comes sooner than a timeout
            self.at(self.now_ns + lost_ns, self.timed_out, self.incarnation, command)
        if isinstance(command, PlaceOrder) and self.tape.fault("late reply"):
            late = [fact for fact in facts if isinstance(fact, Acked)]
            facts = [fact for fact in facts if not isinstance(fact, Acked)]
            self.at(self.now_ns + SECOND, self.timed_out, self.incarnation, command)
            for fact in late:
                late_ns = self.tape.between("late reply at", 1100, 9000) * MS
                self.at(self.now_ns + late_ns, self.deliver, self.incarnation, fact)
        if isinstance(command, PlaceOrder) and command.intent.key in exchange.orders:
            facts = self.contradict(exchange, exchange.orders[command.intent.key], facts)
        self.tell(exchange, facts)
        if isinstance(command, PlaceOrder) and command.intent.key in exchange.orders:
            self.at(self.now_ns + self.tape.between("rest", 20, 2500) * MS, self.go_on, exchange, command.intent.key)
        self.later(exchange)

    def contradict(self, exchange: Exchange, listed: Listed, facts: list[Any]) -> list[Any]:
        """A venue says that it refused what it took and is done with, and tells of it afterwards: at once, or when the
        order was told to be over before anything else was heard of it. Gives what is told first."""
        if listed.state in ("open", "rejected"):
            return facts
        lie_ns, first = self.now_ns, list[Any]()
        if exchange.stutters:
            first = [fact for fact in facts if isinstance(fact, Cancelled | Expired)]
            lie_ns += 40 * MS
        elif not self.tape.fault("refused in error"):
            return facts
        lie = Rejected(key=listed.intent.key, venue=exchange.name, code="none of that")
        self.at(lie_ns, self.tell, exchange, [lie])
        delay = self.tape.pick("how soon", HOW_SOON_MS)
        rest = [fact for fact in facts if fact not in first]
        self.at(lie_ns + self.tape.between("afterwards", delay, 2 * delay) * MS, self.tell, exchange, rest)
        return first

    def later(self, exchange: Exchange) -> None:
        """What a venue still does to orders that are over."""
        refused = [one for one in exchange.orders.values() if one.state == "rejected"]
        if refused and self.tape.fault("fill after refusal"):
            delay = self.tape.pick("how soon", HOW_SOON_MS)
            at_ns = self.now_ns + self.tape.between("after refusal", delay, 2 * delay) * MS
            self.at(at_ns, self.late_fill, exchange, refused[-1])
        over = [one for one in exchange.orders.values() if one.state in ("canceled", "expired")]
        if over and self.tape.fault("late fill"):
            self.at(self.now_ns + self.tape.between("late", 1, 30) * SECOND, self.late_fill, exchange, over[-1])
        whole = [one for one in exchange.orders.values() if one.state == "filled"]
        if whole and self.tape.fault("overfill"):
            self.at(self.now_ns + self.tape.between("over", 1, 9) * SECOND, self.overfill, exchange, whole[-1])
        if (over or whole) and self.tape.fault("refused after all"):
            listed = (over + whole)[self.tape.draw("which") % len(over + whole)]
            lie = Rejected(key=listed.intent.key, venue=exchange.name, code="none of that")
            if listed.filled_qty > 0:
                self.at(self.now_ns + self.tape.between("refused at", 1, 900) * MS, self.deliver, self.incarnation, lie)
        if exchange.executions and self.tape.fault("bust"):
            exec_id = self.tape.pick("which execution", list(exchange.executions)[-4:])
            self.at(self.now_ns + self.tape.between("bust at", 1, 20) * SECOND, self.bust, exchange, exec_id)

    def go_on(self, exchange: Exchange, key: str) -> None:
        """An order that rests against its own word; somebody may want it gone."""
        listed = exchange.orders[key]
        if listed.state != "open":
            return
        self.at(self.now_ns + self.tape.between("rest", 20, 2500) * MS, self.go_on, exchange, key)
        self.tell(exchange, exchange.go_on(listed, self.now_ns))
        if self.tape.fault("operator cancels") and self.is_up and key in self.desk.standing.live:
            self.carry_out(self.desk.cancel(key, "op", self, self.now_ns))

    def overfill(self, exchange: Exchange, listed: Listed) -> None:
        self.tell(exchange, [exchange.execute(listed, D("0.25"), listed.intent.price, self.now_ns)])

    def late_fill(self, exchange: Exchange, listed: Listed) -> None:
        self.tell(exchange, exchange.late_fill(listed, min(self.tape.between("late size", 1, 14), 10), self.now_ns))

    def bust(self, exchange: Exchange, exec_id: str) -> None:
        """A bust, of an order that is over, is told until it is heard: venues announce them by every channel."""
        fill = exchange.executions.get(exec_id)
        if fill is not None and exchange.orders[fill.key].state != "open":
            self.at(self.now_ns, self.announce, exchange.bust(exec_id))

    def announce(self, busted: Busted) -> None:
        if not self.is_up:
            self.at(self.now_ns + SECOND, self.announce, busted)
            return
        standing, name = self.desk.standing, f"{busted.venue}|main|{busted.symbol}|{busted.exec_id}"
        place = standing.archive.place_of_execution(name)
        packed = {} if place in (None, FOREIGN) else standing.archive.episode(place).owners
        if name in standing.state.executions.owners or name in packed:
            self.deliver(self.incarnation, busted)
        if not standing.has_seen(busted):
            self.at(self.now_ns + SECOND, self.announce, busted)

    def tell(self, exchange: Exchange, facts: Sequence[Any]) -> None:
        """Facts on their way back: late, twice, or out of order; a whole stream may be cut."""
        is_cut = self.tape.fault("stream cut") or self.now_ns < exchange.deaf_until_ns
        for told in facts:
            fact = told
            if isinstance(fact, Filled) and fact.qty > LOT and self.tape.fault("wrong fill"):
                fact = msgspec.structs.replace(fact, qty=fact.qty - LOT)
            fact = garbled(fact, self.tape)
            is_answer = isinstance(fact, OrderFound | OrderMissing | FillsRead | BalanceRead)
            if is_cut and not is_answer:
                continue
            delay_ns = self.tape.between("back", 1, 40) * MS
            if self.tape.fault("slow event"):
                delay_ns = self.tape.between("slow", 1, 6000) * MS
            self.at(self.now_ns + delay_ns, self.deliver, self.incarnation, fact)
            if not is_answer and self.tape.fault("duplicate"):
                self.at(self.now_ns + self.tape.between("again", 1, 9000) * MS, self.deliver, self.incarnation, fact)

    def deliver(self, incarnation: int, fact: Any) -> None:
        """A fact reaches the daemon it was meant for."""
        if self.is_up and incarnation == self.incarnation:
            if isinstance(fact, ForeignOrderSeen) and self.desk.standing.knows(fact.client_id):
                return
            self.hear(stripped(fact, self))
            if isinstance(fact, ForeignOrderSeen):
                self.checks.conduct.rival(fact)

    def hear(self, fact: Any) -> None:
        self.carry_out(self.desk.on_fact(fact, self, self.now_ns))


class Large(Shell):
    """An episode of six venues and a minute of fire."""

    venues = VENUES

    def __init__(self, seed: int, fire_s: int = 60, heal_s: int = 200, muted: Collection[str] = ()) -> None:
        super().__init__(seed, fire_s, heal_s, muted)
