"""The shell of the alert rules: ticks and facts in; what comes out is journalled, published, counted, acted upon.

Facts are heard at once, but what they raise is written down in the loop's next turn: between two facts of the desk
nothing else may stand in the journal.
"""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from gambit.alerts.case import AlertRow, Kept
from gambit.alerts.engine import Engine
from gambit.alerts.rule import SECOND_NS
from gambit.bootstrap.alert_rules import Metrics, rules_of
from gambit.commands import Notify
from gambit.config import Config
from gambit.events import Fact, kind_of, read
from gambit.events.alerts import ALERT_KINDS, AlertFact, AlertRaised, AlertReminded, AlertResolved
from gambit.events.operation import Audited, TradingStateChanged
from gambit.journal import Journal, JournalError, JournalFailed
from gambit.runtime.clock import Clock
from gambit.runtime.daemon import Daemon, Log
from gambit.runtime.keeping import Keeping
from gambit.runtime.ledger import Ledger
from gambit.runtime.sampler import columns
from gambit.runtime.trading import State, TradingSwitch
from gambit.surface.control import ControlServer
from gambit.surface.metrics import Registry

TICK_SEC: Final = 1.0
POKED_SEC: Final = 0.05  # a fact that moves a number is followed by a look this much later
KEEP_SEC: Final = 10.0
BATCH: Final = 4096
FILE: Final = "alerts.json"
POKES: Final = frozenset({"feed.up", "feed.down", "book.synced", "book.lost", "state.changed", "daemon.started"})
STATE_OF: Final[dict[str, State]] = {"reduce": "REDUCING", "halt": "HALTED"}
BY: Final = "alerts"
TELLS: Final = {"critical": "error", "low": "info"}


class Post(Protocol):
    """Who tells people."""

    def tell(self, fact: AlertFact, at_ns: int) -> None: ...  # of what cannot be journalled
    def poke(self) -> None: ...  # something is in the journal
    async def test(self, by: str) -> list[dict[str, Any]]: ...  # every channel; how that went


class Alerting:
    """One engine at work. `publish` reaches the subscribers of alerts, `sample` the time series."""

    name = "alerts"

    def __init__(
        self,
        engine: Engine,
        registry: Registry,
        ledger: Ledger,
        journal: Journal,
        clock: Clock,
        log: Log,
        switch: Callable[[], TradingSwitch],
        state_dir: Path,
        publish: Callable[[dict[str, Any]], None],
        sample: Callable[[str, list[dict[str, object]]], None],
    ) -> None:
        self.engine = engine
        self.post: Post | None = None
        self.secrets_due: Callable[[int], Iterable[str]] = lambda _now_ns: ()
        self.tellers: list[Callable[[dict[str, Any]], None]] = []  # each hears every event
        self.on_turn: list[Callable[[int], None]] = []
        self._registry = registry
        self._ledger = ledger
        self._journal = journal
        self._clock = clock
        self._log = log
        self._switch = switch
        self._path = state_dir / FILE
        self._publish = publish
        self._sample = sample
        self._counted = registry["gambit_alerts_total"]
        self._waiting: list[AlertFact] = []
        self._poked = asyncio.Event()
        self._is_changed = self._is_ending = False
        self._kept_ns = 0
        self._secrets_ns = 0
        for rule in engine.rules.values():
            self._counted.of(rule.rule_id, rule.severity)  # from 0 on, so that the first raise is an increase

    # ---- what comes in ----

    def hear(self, fact: Fact, now_ns: int) -> None:
        """A listener of the ledger."""
        if self._is_ending:
            return
        if kind_of(fact) in POKES:
            self._poked.set()
        found = self.engine.hear(fact, now_ns)
        if found:
            self._later(found)

    def notice(self, notice: Notify) -> None:
        """The desk tells something."""
        self._later(self.engine.notice(notice, self._clock.now_ns()))

    def _later(self, facts: list[AlertFact]) -> None:
        if facts and not self._waiting:
            asyncio.get_running_loop().call_soon(self._write_waiting)
        self._waiting += facts

    def _write_waiting(self) -> None:
        facts, self._waiting = self._waiting, []
        self.write(facts)

    async def run(self) -> None:
        """For ever: look every second, where something happened sooner, and when a time is up."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self.turn()
            due = max(due + TICK_SEC, loop.time())
            await self._until(due)

    async def _until(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        next_ns = self.engine.next_due_ns
        if next_ns is not None:
            due = min(due, loop.time() + max(0, next_ns - self._clock.now_ns()) / SECOND_NS + 0.001)
        try:
            async with asyncio.timeout_at(due):
                await self._poked.wait()
                await asyncio.sleep(POKED_SEC)
        except TimeoutError:
            pass
        self._poked.clear()

    async def turn(self) -> None:
        """Look at everything once; in three pieces, for the loop has frames to read."""
        self._registry.refresh()
        await asyncio.sleep(0)
        now_ns = self._clock.now_ns()
        self._remind_of_secrets(now_ns)
        for look in self.on_turn:
            look(now_ns)
        await asyncio.sleep(0)
        now_ns = self._clock.now_ns()
        self.write(self.engine.tick(now_ns))
        if self._is_changed or now_ns - self._kept_ns > KEEP_SEC * SECOND_NS:
            self._keep(now_ns)

    def _remind_of_secrets(self, now_ns: int) -> None:
        if now_ns - self._secrets_ns >= 3600 * SECOND_NS:
            self._secrets_ns = now_ns
            for text in self.secrets_due(now_ns):
                notice = Notify(rule_id="secret_rotation_due", severity="medium", message=text, scope=text.split()[0])
                self.write(self.engine.notice(notice, now_ns))

    # ---- what comes out ----

    def write(self, facts: Iterable[AlertFact]) -> None:
        """Journal, count, publish and act; what the journal does not take is told all the same."""
        for fact in facts:
            now_ns = self._clock.now_ns()
            self._is_changed = True
            try:
                self._ledger.fact(fact, now_ns)
            except (JournalFailed, JournalError) as error:
                self._log.error("an alert is not in the journal", alert=kind_of(fact), error=str(error))
                if self.post is not None:
                    self.post.tell(fact, now_ns)
            if isinstance(fact, AlertRaised):
                self._raised(fact, now_ns)
            if isinstance(fact, AlertRaised | AlertResolved | AlertReminded):
                event = worded(fact, now_ns)
                self._publish(event)
                for tell in self.tellers:
                    tell(event)
            if self.post is not None:
                self.post.poke()

    def _raised(self, fact: AlertRaised, now_ns: int) -> None:
        tell = TELLS.get(fact.severity, "warning")
        getattr(self._log, tell)(fact.message, rule=fact.rule_id, scope=fact.scope, alert=fact.alert_id)
        self._counted.of(fact.rule_id, fact.severity).add()
        row: dict[str, object] = {"ts_ns": now_ns, "rule_id": fact.rule_id, "severity": fact.severity, "alerts": 1}
        self._sample("ts_alerts", [row])
        rule = self.engine.rules.get(fact.rule_id)
        for action in rule.actions if rule is not None else ():
            self._act(STATE_OF[action], fact)

    def _act(self, to: State, fact: AlertRaised) -> None:
        """Only ever towards less risk."""
        switch = self._switch()
        if switch.state == "HALTED" or switch.state == to:
            return
        try:
            switch.change(to, f"alert {fact.rule_id}: {fact.message}", BY)
            self._ledger.fact(
                Audited(who=BY, door=BY, action=f"trading state {to}", entity_type="alert", entity_ref=fact.alert_id)
            )
        except (OSError, JournalError) as error:
            self._log.error("an alert's action is not on disk", action=to, error=str(error))

    # ---- over a restart ----

    def begin(self) -> None:
        """Take up what the life before left: its file, and the journal behind it."""
        now_ns = self._clock.now_ns()
        self.engine.seed = f"{self._journal.journal_id.hex()}|{self._journal.head}"
        kept = self._read()
        ended = self.engine.restore(kept, self._since(kept.seq), now_ns)
        state = self._switch().kept
        told = TradingStateChanged(state=state.state, was="", reason=state.reason, by=state.by or "an operator")
        self.write([*ended, *self.engine.hear(told, now_ns)])

    def end(self) -> None:
        """What ends now ends because it was asked for: nothing more is raised."""
        self._is_ending = True
        self._keep(self._clock.now_ns())

    def _read(self) -> Kept:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Kept)
        except FileNotFoundError:
            return Kept(seq=self._journal.first_seq - 1)
        except (OSError, msgspec.DecodeError) as error:
            self._log.warning("the kept alerts cannot be read; the journal is read instead", error=str(error))
            return Kept(seq=self._journal.first_seq - 1)

    def _since(self, seq: int) -> Iterable[tuple[object, int]]:
        """The alerts' own facts behind a record of the journal."""
        start = max(min(seq, self._journal.head), self._journal.first_seq - 1)
        follower = self._journal.follow(start)
        try:
            while records := follower.read(BATCH):
                for record in records:
                    if record.kind in ALERT_KINDS:
                        yield read(record.kind, record.body), record.ts_ns
        finally:
            follower.close()

    async def test(self, by: str) -> list[dict[str, Any]]:
        """Send a message to every channel; each with how that went."""
        return [] if self.post is None else await self.post.test(by)

    def _keep(self, now_ns: int) -> None:
        """The journal is the authority; this only saves reading all of it, so it is not synced."""
        self._kept_ns, self._is_changed = now_ns, False
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_bytes(msgspec.json.encode(self.engine.kept(self._journal.head)))
            fresh.replace(self._path)
        except OSError as error:
            self._log.warning("the alerts are not kept; the journal has them", error=str(error))

    def rows(self) -> list[AlertRow]:
        """What is raised and what was."""
        return self.engine.alerts()


def worded(fact: AlertRaised | AlertResolved | AlertReminded, now_ns: int) -> dict[str, Any]:
    """An alert's event for those who follow `alert.raised`."""
    told = fact.raised if isinstance(fact, AlertReminded) else fact
    return {"event": kind_of(fact).partition(".")[2], **msgspec.to_builtins(told), "ts_ns": now_ns}


def build_alerting(
    config: Config,
    registry: Registry,
    ledger: Ledger,
    keeping: Keeping,
    clock: Clock,
    log: Log,
    daemon: Callable[[], Daemon],
    control: Callable[[], ControlServer],
) -> Alerting:
    """The rules of the configuration over these metrics. Raises AlertRuleError."""
    metrics = Metrics(registry)
    return Alerting(
        Engine(rules_of(config, metrics), metrics, "", config.alerts.remind_min * 60 * SECOND_NS),
        registry,
        ledger,
        keeping.journal,
        clock,
        log,
        lambda: daemon().parts.switch,
        Path(config.daemon.state_dir),
        lambda event: control().publish("alert.raised", event),
        lambda table, rows: keeping.store.sample(table, columns(rows)),
    )
