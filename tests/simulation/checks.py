"""The invariants of reliability.md 2.2, held against the exchanges' ledgers after every step and at the end."""

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from gambit.engine.order import EDGES, On, Status
from gambit.engine.risk import exposure
from gambit.engine.standing import Standing
from gambit.engine.trading_state import Trading
from gambit.events import read
from gambit.events.orders import (
    Busted,
    Cancelled,
    DustMoved,
    Expired,
    Filled,
    OrderFound,
    OrderIntended,
    OrderMoved,
    PlanClosed,
    PlanReopened,
    ScopeHalted,
    Unhedged,
)
from tests.simulation.conduct import Conduct
from tests.simulation.exchange import SECOND, WINDOW_NS

if TYPE_CHECKING:
    from tests.simulation.shell import Shell

D = Decimal


class Broken(AssertionError):
    """An invariant does not hold."""


def dust_qty(shell: "Shell") -> Decimal:
    """What no venue trades, at the worst price that may be taken for it."""
    least = min(exchange.mid for exchange in shell.exchanges.values())
    return D(10) / (least * D("0.97")) + D("0.001")


class Checks:
    """Watches one episode."""

    def __init__(self, shell: "Shell") -> None:
        self.shell = shell
        self.statuses: dict[str, str] = {}
        self.owners: dict[str, str] = {}
        self.filled: dict[str, Decimal] = {}
        self.told: dict[str, Decimal] = {}  # what a venue last said an order was filled by
        self.edges: Counter[tuple[str, str, str]] = Counter()
        self.branches: Counter[str] = Counter()
        self.travelling: dict[str, OrderIntended] = {}
        self.undecided: dict[str, OrderIntended] = {}  # of those, the ones that a venue may still accept or execute
        self.sent_ns: dict[str, int] = {}
        self.lost_keys: set[str] = set()  # intents that went with the power; to be adopted
        self.alarms = 0
        self.conduct = Conduct(self)
        self._digest: str | None = None
        self._count = 0

    def need(self, ok: bool, invariant: str, text: object) -> None:
        if not ok:
            seconds = (self.shell.now_ns - 1_750_000_000 * 10**9) / 1e9
            raise Broken(f"{invariant} at {seconds:.3f} s of seed {self.shell.tape.seed}: {text}")

    # ---- as it happens ----

    def journalled(self, fact: Any) -> None:
        """I04, I05: every move is an edge, and continues where the order was."""
        self.conduct.journalled(fact)
        if isinstance(fact, OrderIntended):
            self.need(fact.key not in self.statuses, "I01", f"{fact.key} is intended twice")
            is_again = fact.key in self.lost_keys and not fact.adopted
            self.need(not is_again, "I01", f"{fact.key} has the id of an order that was lost")
            self.edges["created", "stored", "planned"] += 1  # an intent states the three in one
            self.edges["planned", "intended", "pending_submission"] += 1
            self.branches[f"order for {fact.purpose}"] += 1
            self.branches["order adopted"] += fact.adopted
            self.branches["order retried"] += bool(fact.retry_of)
            self.statuses[fact.key] = "pending_submission"
            self.not_blind(fact)
        elif isinstance(fact, OrderMoved):
            self.need(self.statuses[fact.key] == fact.was, "I04", f"{fact} after {self.statuses[fact.key]}")
            self.need(fact.status in EDGES.get((Status(fact.was), On(fact.on)), ()), "I04", f"{fact} is no edge")
            is_down = fact.qty_filled < self.filled.get(fact.key, D(0))
            self.need(not is_down or fact.on == "bust", "I05", f"{fact} goes down")
            self.statuses[fact.key] = fact.status
            self.filled[fact.key] = fact.qty_filled
            self.edges[fact.was, fact.on, fact.status] += 1
            if fact.on in ("canceled", "expired"):
                short = f"{fact.key} is over with {fact.qty_filled} of {self.told[fact.key]}"
                self.need(fact.qty_filled >= self.told[fact.key], "F22", short)
        elif isinstance(fact, Cancelled | Expired | OrderFound):
            self.told[fact.key] = fact.cum_qty
        elif isinstance(fact, Filled):
            self.owners[fact.exec_id] = fact.key
        elif isinstance(fact, Busted):
            self.told[self.owners[fact.exec_id]] = D(0)  # what was told before counts it in
        elif isinstance(fact, Unhedged):
            self.alarms += 1
            self.branches[f"unhedged: {fact.reason}"] += 1
        self.branch(fact)

    def branch(self, fact: Any) -> None:
        """Which way the compensation went (I25)."""
        if isinstance(fact, PlanClosed):
            self.branches[f"closed {fact.end}{' after compensating' if fact.compensations else ''}"] += 1
        elif isinstance(fact, PlanReopened):
            self.branches[f"reopened by {fact.cause}"] += 1
        elif isinstance(fact, DustMoved):
            self.branches[f"dust {'in' if fact.qty > 0 else 'out'}"] += 1
        elif isinstance(fact, ScopeHalted):
            self.branches["symbol halted"] += 1

    def not_blind(self, intent: OrderIntended) -> None:
        """F42: nothing is compensated while a venue may still execute an order of the same plan."""
        if intent.purpose == "entry" or not self.shell.is_up:
            return
        for key in self.possible():
            is_same = self.travelling[key].plan_id == intent.plan_id and key != intent.key
            self.need(not is_same or key in self.lost_keys, "F42", f"{intent.key} compensates while {key} may fill")

    def sent(self, intent: OrderIntended) -> None:
        """I02, I09: a create leaves once, and never while halted."""
        desk = self.shell.desk
        self.need(desk.standing.state.trading.state is not Trading.HALTED, "I09", f"{intent.key} left while halted")
        self.need(intent.key not in self.travelling, "I02", f"{intent.key} left twice")
        self.need(intent.key in self.shell.journalled_keys, "I01", f"{intent.key} left before its intent was written")
        self.travelling[intent.key] = self.undecided[intent.key] = intent
        self.sent_ns[intent.key] = self.shell.now_ns
        self.within_limits()

    def arrived(self, intent: OrderIntended) -> None:
        """I01, I02: the ledger sees a key once, and only a journalled one."""
        requests = self.shell.exchanges[intent.venue].requests
        self.need(requests[intent.key] == 0, "I02", f"{intent.key} arrived again")
        is_known = intent.key in self.shell.journalled_keys or intent.key in self.lost_keys
        self.need(is_known, "I01", f"{intent.key} has no intent")

    def possible(self) -> dict[str, Decimal]:
        """What the venues may still execute of each key, in truth."""
        open_qty: dict[str, Decimal] = {}
        for key, intent in list(self.undecided.items()):
            exchange = self.shell.exchanges[intent.venue]
            listed = exchange.orders.get(key)
            if listed is not None and listed.state == "open":
                open_qty[key] = listed.intent.qty - listed.filled_qty
            elif listed or exchange.requests[key] or self.shell.now_ns > self.sent_ns[key] + WINDOW_NS + SECOND:
                del self.undecided[key]  # over, refused, or too late to be accepted
            else:
                open_qty[key] = intent.qty
        return open_qty

    def within_limits(self) -> None:
        """I07: what may be executed in truth is counted by the desk, and within the limit."""
        shell = self.shell
        live = shell.desk.standing.live
        worst = D(0)
        for key, qty in self.possible().items():
            if key in self.lost_keys:
                continue  # nobody can count it before it is adopted
            worst += qty * self.travelling[key].price
            order = live.get(key)
            self.need(order is not None and order.open_qty >= qty, "I07", f"{key} may fill {qty} and is not counted")
        limit = shell.desk.limits.max_in_flight_notional + D(4000)  # and what closes imbalances
        self.need(worst <= limit, "I07", f"{worst} in flight")
        if live:
            self.need(exposure(tuple(live.values()), shell.marks())[0] <= 2 * limit, "I07", "exposure runs away")

    def after_step(self) -> None:
        """Cheap ones always, the others now and then."""
        shell = self.shell
        if not shell.is_up:
            return
        self.within_limits()
        self._count += 1
        if self._count % 50 == 0:
            state = shell.desk.standing.state
            self.need(state.holdings.audit() == [], "I19", state.holdings.audit())
            self.need(state.funnel.is_whole, "funnel", state.funnel)
            self.sums()
            self.alarmed_in_time()

    def alarmed_in_time(self) -> None:
        """I06: what is more than dust for more than 10 s + 2 s has its alarm; a new life gets the time again."""
        shell = self.shell
        for plan_id, trade in shell.desk.standing.open.items():
            since_ns = max(trade.unbalanced_ns, shell.booted_ns) if trade.unbalanced_ns else shell.now_ns
            is_large = abs(trade.net.get("BTC", D(0))) > dust_qty(shell)
            is_late = shell.now_ns - since_ns > 12 * 10**9
            self.need(not (is_large and is_late) or trade.is_unhedged, "I06", f"plan {plan_id} is naked and silent")

    def sums(self) -> None:
        """I05, I06: quantities are sums of executions, and every unit of imbalance belongs to an episode or to dust."""
        state = self.shell.desk.standing.state
        for order in self.shell.desk.standing.every_order():
            key = order.intent.key
            alive = sum((e.qty for e in order.executions.values() if not e.is_busted), D(0))
            self.need(order.filled_qty == alive, "I05", f"{key}: {order.filled_qty} is not {alive}")
        owed = sum((trade.net.get("BTC", D(0)) for trade in self.shell.trades()), D(0))
        held = state.holdings.positions
        qty = held["BTC-USDT"].qty if held else D(0)
        self.need(qty == owed + state.holdings.dust.get("BTC", D(0)), "I06", f"{qty} held, {owed} owed by episodes")

    # ---- lives and ends ----

    def rewound(self) -> None:
        """The journal lost its tail: what it says now is where everything goes on from."""
        before = set(self.statuses)
        self.statuses.clear()
        self.filled.clear()
        self.conduct.rewound()
        for _, kind, body in self.shell.journal:
            if kind.startswith(("order.", "execution.", "scope.released")) and kind != "order.foreign":
                self.journalled(read(kind, body))
        self.lost_keys |= before - self.statuses.keys()

    def died(self) -> None:
        """What the journal has is what must come back."""
        again = self.shell.fresh()
        for ts_ns, kind, body in self.shell.journal:
            again.replay(read(kind, body), ts_ns)
        self._digest = again.standing.digest()
        back = Standing.restored(again.standing.snapshot(), self.shell.keep)
        self.need(back.digest() == self._digest, "I11", "a snapshot is not its state")

    def booted(self) -> None:
        if self._digest is not None:
            self.need(self.shell.desk.standing.digest() == self._digest, "I11", "the replay is another state")

    def at_the_end(self) -> None:
        """Quiescence: reconciled, flat or alarmed, the same books on both sides, and replayable."""
        shell = self.shell
        self.need(shell.is_up, "I17", "the daemon is down")
        standing = shell.desk.standing
        state = standing.state
        self.need(not standing.live, "I06", f"still live: {[(k, str(o.status)) for k, o in standing.live.items()]}")
        self.need(not standing.open, "I06", f"still open: {list(standing.open)}")
        self.sums()
        self.executions_agree()
        for name, exchange in shell.exchanges.items():
            for asset, amount in exchange.balances.items():
                held = state.holdings.balance(name, asset)
                self.need(held == amount, "I19", f"{name} {asset}: {held} held, {amount} in the ledger")
        self.need(state.holdings.audit() == [], "I19", state.holdings.audit())
        true_net = sum((exchange.signed_base() for exchange in shell.exchanges.values()), D(0))
        positions = [t for t in shell.trades() if t.end == "position" and t.net]
        left = sum((t.net.get("BTC", D(0)) for t in positions), D(0))
        # While the symbol is halted nothing is swept, and every episode may have left its own.
        is_swept = state.trading.state is Trading.ACTIVE and not state.trading.scopes
        dust = dust_qty(shell) * (1 if is_swept else max(len(shell.trades()), 1))
        forgotten = self.lost_busts()
        told = sum((qty for _, qty in forgotten), D(0))
        self.need(abs(true_net + told - left) <= dust, "I06", f"{true_net} naked, {left} alarmed, {told} forgotten")
        self.need(not forgotten or "balance_difference" in shell.notices, "I06", "a lost bust without an alarm")
        self.need(not positions or self.alarms > 0, "I06", "a position without an alarm")
        is_let_go = any(kind == "scope.released" for _, kind, _ in shell.journal)
        is_halted = "symbol:BTC-USDT" in state.trading.scopes or is_let_go  # Conduct saw the halt when it ended
        self.need(not positions or is_halted, "I06", "a position without a halt")
        self.need(state.funnel.is_whole and not state.funnel.open, "funnel", state.funnel.open)
        unsettled = set(standing.unsettled) - {key for key, _ in self.lost_busts()}
        self.need(not unsettled, "I03", f"not reconciled: {sorted(unsettled)}")
        invented = [body for _, kind, body in shell.journal if kind == "balance.corrected" and b'"difference"' in body]
        self.need(not invented or self.may_have_lost_a_bust, "I19", f"a difference was invented: {invented}")
        self.died()
        self.need(self._digest == standing.digest(), "I11", "the journal replays to another state")

    def lost_busts(self) -> list[tuple[str, Decimal]]:
        """(order, signed quantity) of executions that their venue took back, and nobody here remembers that it did:
        they rightly never agree with the venue, and the balance tells of them."""
        if not self.may_have_lost_a_bust:
            return []
        theirs = {exec_id for exchange in self.shell.exchanges.values() for exec_id in exchange.executions}
        return [
            (order.intent.key, execution.qty if order.intent.side == "buy" else -execution.qty)
            for order in self.shell.desk.standing.every_order()
            for execution in order.executions.values()
            if not execution.is_busted and execution.exec_id not in theirs
        ]

    @property
    def may_have_lost_a_bust(self) -> bool:
        """A bust whose only record went with the power, or was not written yet when the process was killed, is found by
        the balance alone: an alarm and a correction."""
        fired = {name.partition("#")[0] for name in self.shell.tape.fired}
        return "bust" in fired and bool(fired & {"power cut", "crash at an await"})

    def executions_agree(self) -> None:
        """I03: the journal's executions are the ledger's, one by one."""
        journal: Counter[str] = Counter()
        for _, kind, body in self.shell.journal:
            fact = read(kind, body) if kind in ("order.filled", "execution.busted") else None
            if isinstance(fact, Filled):
                journal[fact.exec_id] += 1
            elif isinstance(fact, Busted):
                journal[fact.exec_id] -= 1
        ours = {exec_id for exec_id, count in journal.items() if count > 0}
        self.need(all(count in (0, 1) for count in journal.values()), "I03", f"counted twice: {journal}")
        theirs = {exec_id for exchange in self.shell.exchanges.values() for exec_id in exchange.executions}
        self.need(
            ours == theirs or (theirs < ours and self.may_have_lost_a_bust),
            "I03",
            f"only ours {sorted(ours - theirs)}, only theirs {sorted(theirs - ours)}",
        )
