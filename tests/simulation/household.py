"""The real shell around the desk (gambit.runtime.dealing) over SimLoop: tasks, waits and a disk that takes its time.

What tests.simulation.shell plays out call by call is played here with the daemon's own coroutines: facts are appended
to a journal whose writer and whose sync come later, creates wait for them, and the process may die between any two
steps of any task. A kill loses what the writer did not have yet; a power cut also part of what was not synced.
"""

import contextvars
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from gambit.commands import Command, Notify, PlaceOrder
from gambit.engine.desk import Decision, Desk
from gambit.engine.plan import Opportunity
from gambit.engine.standing import Snapshot, Standing
from gambit.engine.trading_state import Trading
from gambit.events import Fact, read, written
from gambit.events.operation import DaemonStarted, TradingStateChanged
from gambit.events.orders import OrderIntended, Sent, Unsent
from gambit.runtime.dealing import Dealing
from gambit.runtime.snapshots import Found
from tests.simulation.checks import Broken
from tests.simulation.exchange import MS, SECOND, WINDOW_NS, Exchange
from tests.simulation.shell import LIMITS, RULES, START_NS, Crash, Shell
from tests.simulation.simloop import LIFE, SimLoop

STEPS_A_LIFE = (3, 500)  # before a life ends, while there are faults


class Record(NamedTuple):
    """A journal record."""

    seq: int
    ts_ns: int
    kind: str
    body: bytes


class Disk:
    """The journal of one life, over the household's list of records: appended, then written, then synced."""

    def __init__(self, home: "Household") -> None:
        self.home = home
        self.written = self.synced = len(home.journal)
        self._waiting: list[tuple[int, bool, Any]] = []  # number, whether synced is meant, future
        self._is_writing = False

    @property
    def head(self) -> int:
        """The last record."""
        return len(self.home.journal)

    def append(self, fact: Fact, ts_ns: int) -> int:
        """A fact gets its number; the writer has it later."""
        home = self.home
        home.journal.append((ts_ns, *written(fact)))
        home.checks.journalled(fact)
        if not self._is_writing:
            self._is_writing = True
            slow = home.tape.fault("slow disk")
            delay_ns = home.tape.between("slow write", 50, 1500) * MS if slow else home.tape.between("write", 0, 4) * MS
            home.at(home.now_ns + delay_ns, self._write, home.incarnation)
        return len(home.journal)

    def append_now(self, fact: Fact, ts_ns: int) -> int:
        """The same, and written when it returns, unless the disk is busy with something else."""
        seq = self.append(fact, ts_ns)
        if not self.home.tape.fault("disk busy"):
            self._have(seq)
        return seq

    def follow(self, after: int) -> "Reader":
        """What is there."""
        return Reader(self.home.journal[after:], after)

    async def until_written(self, seq: int) -> None:
        """It survives a kill."""
        await self._until(seq, is_synced=False)

    async def until_synced(self, seq: int) -> None:
        """It survives a power cut."""
        await self._until(seq, is_synced=True)

    async def _until(self, seq: int, *, is_synced: bool) -> None:
        if (self.synced if is_synced else self.written) < seq:
            home = self.home
            if home.tape.fault("halt while it waits"):
                home.at(home.now_ns + home.tape.between("halt in", 0, 3) * MS, home.operator)
            waiting = home.loop.create_future()
            self._waiting.append((seq, is_synced, waiting))
            await waiting

    def _write(self, life: int) -> None:
        if life != self.home.incarnation or not self.home.is_up:
            return
        self._is_writing = False
        self._have(len(self.home.journal))
        tape = self.home.tape
        delay = tape.between("long sync", 50, 1500) if tape.fault("slow sync") else tape.between("sync", 1, 5)
        self.home.at(self.home.now_ns + delay * MS, self._sync, life, self.written)

    def _have(self, seq: int) -> None:
        for _, kind, body in self.home.journal[self.written : seq]:
            if kind == "order.intended":
                self.home.journalled_keys.add(_key(kind, body))
        self.written = max(self.written, seq)
        self._tell()

    def _sync(self, life: int, seq: int) -> None:
        if life == self.home.incarnation and self.home.is_up:
            self.synced = max(self.synced, seq)
            self._tell()

    def _tell(self) -> None:
        for seq, is_synced, waiting in self._waiting:
            if (self.synced if is_synced else self.written) >= seq and not waiting.done():
                waiting.set_result(None)
        self._waiting = [one for one in self._waiting if not one[2].done()]


class Reader:
    """Reads what was there when it was made."""

    def __init__(self, rows: Sequence[tuple[int, str, bytes]], after: int) -> None:
        self._records = [Record(after + k, *row) for k, row in enumerate(rows, 1)]

    def read(self, limit: int) -> Sequence[Record]:
        chunk, self._records = self._records[:limit], self._records[limit:]
        return chunk

    def close(self) -> None:
        """Nothing is held."""


class Port:
    """The way to one exchange, over the household's wire."""

    is_up = True
    window_ns: int | None = WINDOW_NS
    deadline_ns: int | None = None

    def __init__(self, home: "Household", venue: str) -> None:
        self.home = home
        self.venue = venue

    def send(self, command: Command, now_ns: int) -> Sequence[Fact]:
        home = self.home
        if not isinstance(command, PlaceOrder):
            home.send(command)
            return ()
        intent = command.intent
        if home.tape.fault("circuit open"):
            return (Unsent(key=intent.key, venue=intent.venue, reason="circuit open"),)
        home.checks.sent(intent)
        home.send(command)
        sent = Sent(key=intent.key, venue=intent.venue)
        if home.tape.fault("sent noted late"):
            home.at(now_ns + home.tape.between("noted", 1, 400) * MS, home.deliver, home.incarnation, sent)
            return ()
        return (sent,)

    def on_time(self, conditions: Any, now_ns: int) -> Sequence[Fact]:
        return ()


class Household(Shell):
    """One episode of the daemon's own coroutines. `clock`, `journal` and `ports` of Dealing are simulated."""

    def __init__(self, seed: int, fire_s: int = 10, heal_s: int = 150, muted: Collection[str] = ()) -> None:
        super().__init__(seed, fire_s, heal_s, muted)
        self.loop = SimLoop(self.tape, START_NS)
        self.loop.before_step = self.before_step
        self.loop.set_exception_handler(lambda _loop, context: self.lost(context))
        self.durability: Any = "power" if seed % 3 == 0 else "process"
        self.disk = Disk(self)
        self.defects: list[str] = []
        self.broken: Broken | None = None
        self.steps_left = 0
        self.forgotten: set[str] = set()  # orders that left and went with the power, where that may be
        self.dealing: Dealing | None = None
        self.snapshot: tuple[int, Snapshot] | None = None  # records in it
        self.starts: Counter[str] = Counter()

    # ---- Clock ----

    @property
    def now_ns(self) -> int:  # type: ignore[override]
        return self.loop.now_ns if hasattr(self, "loop") else START_NS

    @now_ns.setter
    def now_ns(self, value: int) -> None:
        """The loop says what time it is."""

    # ---- the loop ----

    def at(self, when_ns: int, action: Callable[..., None], *args: Any) -> None:
        self.loop.at(int(when_ns), action, *args)

    def run(self) -> None:
        self.at(self.loop.now_ns, self.wander)
        self.at(self.loop.now_ns, self.boot)
        self.at(self.fire_ns, self.heal)
        self.at(self.end_ns, self.loop.stop)
        self.at(self.loop.now_ns + 3 * SECOND, self.let_go)
        self.at(self.loop.now_ns + SECOND, self.take_snapshot)
        if self.tape.fault("operator halts"):
            self.at(self.loop.now_ns + self.tape.between("halts", 500, 9000) * MS, self.operator)
        try:
            self._live()
            self.checks.need(self.defects == [], "I24", self.defects)
            self.checks.at_the_end()
        finally:
            self.loop.bury()

    def _live(self) -> None:
        while True:
            try:
                return self.loop.run_forever()
            except Crash:
                self.die()

    def before_step(self) -> None:
        """Hold the invariants after the last step; perhaps nothing comes after it."""
        if self.broken is not None:
            raise self.broken
        self.checks.after_step()
        if self.is_up and not self.tape.is_healed:
            self.steps_left -= 1
            if self.steps_left <= 0:
                self.tape.fired.append(f"crash at an await#{self.incarnation}")
                raise Crash

    def inside(self, act: Callable[..., Any], *args: Any) -> Any:
        """Let the daemon do something: what it schedules then is of its own life."""

        def lived() -> Any:
            LIFE.set(self.incarnation)
            return act(*args)

        return contextvars.copy_context().run(lived)

    # ---- the daemon's life ----

    def boot(self) -> None:
        if self.is_up:
            return
        self.is_up = True
        self.incarnation += 1
        self.booted_ns = self.loop.now_ns
        self.steps_left = self.tape.between("steps of a life", *STEPS_A_LIFE)
        self.disk = Disk(self)
        after, standing = self.found()
        self.desk = Desk(RULES, LIMITS, standing)
        self.starts["from a snapshot" if after else "from the first record"] += 1
        self.inside(self._boot, after)

    def take_snapshot(self) -> None:
        """Between two turns of the daemon, as its keeper does."""
        if self.is_up and self.the_dealing.is_whole and self.now_ns < self.fire_ns:
            self.snapshot = len(self.journal), self.desk.standing.snapshot()
        self.at(self.now_ns + self.tape.between("next snapshot", 200, 3000) * MS, self.take_snapshot)

    def found(self) -> tuple[int, Standing]:
        """What a start goes on from: the last snapshot where the journal has all of its records, else nothing."""
        if self.snapshot is None or self.snapshot[0] > len(self.journal):
            self.snapshot = None  # the journal lost records of it, and will have others in their place
            return 0, Standing(keep=self.keep)
        return self.snapshot[0], Standing.restored(self.snapshot[1], self.keep)

    def _boot(self, after: int) -> None:
        disk = self.disk
        self.dealing = dealing = Dealing(
            self.desk, _Clock(self), disk, disk.append, disk.append_now, lambda: self,  # type: ignore[arg-type]
            durability=self.durability, notify=self.notice, on_state=self.state_changed, on_defect=self.defect,
            fresh=lambda: Found(self.fresh().standing, 0),
        )  # fmt: skip
        dealing.replay(after)
        self.checks.booted()
        self.epoch += 1
        dealing.begin(DaemonStarted(version="t", pid=1, epoch=self.epoch, mode="paper", config_hash=""))
        dealing.open({name: Port(self, name) for name in self.exchanges})
        for exchange in self.exchanges.values():
            for order in exchange.listing():
                self.deliver(self.incarnation, order)
        self.loop.create_task(dealing.run())
        self.at(self.loop.now_ns + self.tape.between("reconcile", 500, 9000) * MS, self.reconcile, self.incarnation)

    def die(self) -> None:
        self.loop.power_off(self.incarnation)
        self.is_up = False
        kept = self.disk.written
        if self.tape.fault("power cut") or self.durability == "power":  # what was promised against them sees only them
            self.tape.fired.append(f"power cut#{self.incarnation}")
            unsynced = self.disk.written - self.disk.synced
            kept -= self.tape.pick("lost records", [unsynced, self.tape.between("some records", 0, unsynced)])
        is_promised = kept == self.disk.written or self.durability == "power"
        if kept < len(self.journal):
            del self.journal[kept:]
            self.checks.rewound()
        # What was lost before it left may have been decided again, under the same key, and have left then.
        forgotten = (self.checks.lost_keys & self.checks.travelling.keys()) - self.checks.statuses.keys()
        self.checks.need(not (is_promised and forgotten - self.forgotten), "I12", f"{forgotten} left and is forgotten")
        self.forgotten |= forgotten
        self.checks.died()
        self.at(self.loop.now_ns + self.tape.between("boot", 50, 4000) * MS, self.boot)

    def notice(self, notice: Notify) -> None:
        self.notices.append(notice.rule_id)

    def state_changed(self, fact: TradingStateChanged) -> None:
        """The switch's file follows; here nobody reads it."""

    def defect(self, where: str, error: BaseException) -> None:
        if isinstance(error, Broken) and self.broken is None:
            self.broken = error  # raised where nobody catches it
        self.defects.append(f"{where}: {type(error).__name__}: {error}")

    def lost(self, context: Mapping[str, Any]) -> None:
        """An exception that a callback or a task let out."""
        self.defect(str(context.get("message")), context.get("exception") or RuntimeError("no exception"))

    # ---- the world's ways in ----

    def deliver(self, incarnation: int, fact: Any) -> None:
        self.inside(super().deliver, incarnation, fact)

    def hear(self, fact: Any) -> None:
        self.the_dealing.on_facts([fact])

    def offer(self, seen: Opportunity) -> None:
        event = {
            "event": "raised", "opp_id": seen.opp_id, "raw_signal_id": seen.raw_signal_id, "symbol": seen.symbol,
            "symbol_buy": seen.symbol_buy, "symbol_sell": seen.symbol_sell, "venue_buy": seen.venue_buy,
            "venue_sell": seen.venue_sell, "recv_ns": int(seen.recv_ns), "ttl_sec": seen.ttl_ns // SECOND,
            "net_bps": seen.net_bps, "buy_vwap": 1, "sell_vwap": 1 + (seen.net_bps + seen.fees_bps) / 10_000,
        }  # fmt: skip
        self.inside(self.the_dealing.on_signal, event)

    def carry_out(self, decision: Decision) -> None:
        self.inside(self.the_dealing._carry_out, decision)

    def reconcile(self, incarnation: int) -> None:
        if not self.is_up or incarnation != self.incarnation:
            return
        is_routine = not self.tape.fault("reconnect")
        self.inside(lambda: self.the_dealing.reconcile(is_routine=is_routine))
        for exchange in self.exchanges.values():
            for order in exchange.listing():
                self.deliver(incarnation, order)
        self.at(self.loop.now_ns + self.tape.between("reconcile", 500, 15_000) * MS, self.reconcile, incarnation)

    def reconnected(self, exchange: Exchange) -> None:
        if self.is_up:
            self.inside(lambda: self.the_dealing.reconcile(exchange.name))
            for order in exchange.listing():
                self.deliver(self.incarnation, order)

    def heal(self) -> None:
        self.tape.is_healed = True
        if self.is_up and self.desk.standing.state.trading.state is not Trading.ACTIVE:
            self.inside(self.the_dealing.set_trading, "ACTIVE", "drill over", "admin")

    @property
    def the_dealing(self) -> Dealing:
        assert self.dealing is not None
        return self.dealing


class _Clock:
    """Virtual time as gambit.runtime.clock gives it."""

    def __init__(self, home: Household) -> None:
        self.home = home

    def now_ns(self) -> int:
        return self.home.loop.now_ns

    def mono_ns(self) -> int:
        return self.home.loop.now_ns


def _key(kind: str, body: bytes) -> str:
    fact = read(kind, body)
    assert isinstance(fact, OrderIntended)
    return fact.key
