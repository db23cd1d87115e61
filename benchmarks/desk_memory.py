"""``python -m benchmarks.desk_memory``: a desk and its paper venues through many episodes, time compressed: what grows.

The real Desk, the real paper venues and made-up books in one process, one episode after another of many symbols, with
the routine reconciliation of every 30 s; no sockets, no journal (its records are made and dropped). A line every tenth:
resident memory, bytes per episode since the last line, objects at hand, time per episode.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from gambit.commands import Command, Notify, PlaceOrder
from gambit.engine.conditions import BookView, VenueView
from gambit.engine.desk import Decision, Desk
from gambit.engine.limits import SECOND_NS, Execution, Limits
from gambit.engine.paper import Paper, PaperTerms
from gambit.engine.plan import Opportunity
from gambit.events import written
from gambit.events.operation import DaemonStarted
from gambit.events.orders import OrderSettled
from gambit.model import Instrument
from gambit.runtime.operations import resident_bytes

D = Decimal
MS = 1_000_000
START_NS = 1_750_000_000 * SECOND_NS
VENUES = ("a", "b", "c", "d", "e")
STEP_NS = 75 * MS  # between two episodes: 13 a second, what the endurance run has
RULES = Execution(max_notional=D(2000))
LIMITS = Limits(
    trades_per_day=0, trades_per_hour=0, duplicate_window_ns=0, plans_per_second=10_000, min_liquidity=D(0),
    max_symbol_notional=D(10**9), max_venue_notional=D(10**9), max_in_flight_notional=D(10**9),
    max_price_move_bps=D(10_000), max_book_age_ns=10**18,
)  # fmt: skip


class Place:
    """Conditions: books of every symbol on every venue; one venue of a symbol is dear."""

    def __init__(self, symbols: int) -> None:
        self.symbols = [f"C{k}-USDT" for k in range(symbols)]
        self.instruments = {
            symbol: Instrument(
                symbol=symbol, spelling=symbol, base=symbol[:-5], quote="USDT", tick=D("0.01"), lot=D("0.001"),
                min_qty=D("0.001"), min_notional=D(10),
            )
            for symbol in self.symbols
        }  # fmt: skip
        self.views = {symbol: [self._view(symbol, venue) for venue in VENUES] for symbol in self.symbols}
        self.known = {name: VenueView(name=name, taker_fee_bps=D(2), latency_ns=20 * MS) for name in VENUES}
        self.worth = {"USDT": D(1)} | {symbol[:-5]: D(100) for symbol in self.symbols}

    def _view(self, symbol: str, venue: str) -> BookView:
        mid = D(101) if venue == VENUES[-1] else D(100)
        steps = [(D(k) / 50 + D("0.02"), D(6)) for k in range(20)]
        return BookView(
            venue=venue, symbol=symbol, is_synced=True, updated_ns=START_NS, seq=1,
            bids=tuple((mid - off, qty) for off, qty in steps), asks=tuple((mid + off, qty) for off, qty in steps),
        )  # fmt: skip

    def book(self, venue: str, symbol: str) -> BookView | None:
        return next((view for view in self.views[symbol] if view.venue == venue), None)

    def books(self, symbol: str) -> list[BookView]:
        return self.views[symbol]

    def touches(self, symbol: str) -> Sequence[BookView]:
        return self.books(symbol)

    def venue(self, name: str) -> VenueView | None:
        return self.known.get(name)

    def instrument(self, venue: str, symbol: str) -> Instrument | None:
        return self.instruments.get(symbol)

    def marks(self) -> dict[str, Decimal]:
        return self.worth


class Run:
    """The desk, its venues and the time."""

    def __init__(self, symbols: int) -> None:
        self.here = Place(symbols)
        self.now_ns = START_NS
        self.desk = Desk(RULES, LIMITS)
        assets = {asset: D(10**9) for asset in self.here.worth}
        self.ports = {name: Paper(name, PaperTerms(taker_fee_bps=D(2), latency_ns=MS), assets) for name in VENUES}
        self.records = self.bytes = self.orders = 0
        self.reconcile_ns = 0
        self.spent_ns: list[int] = []
        started = DaemonStarted(version="t", pid=1, epoch=1, mode="paper", config_hash="")
        self.take(self.desk.begin(started, self.here, self.now_ns))
        self.until(self.now_ns + SECOND_NS)

    def take(self, decision: Decision) -> None:
        """As gambit.runtime.dealing does it."""
        for fact in decision.facts:
            self.records += 1
            self.bytes += len(written(fact)[1])
            if isinstance(fact, OrderSettled):
                self.ports[fact.venue].settled(fact.key)
        for command in decision.commands:
            if not isinstance(command, Notify):
                self.send(command)

    def send(self, command: Command) -> None:
        venue = command.intent.venue if isinstance(command, PlaceOrder) else command.venue  # type: ignore[union-attr]
        self.orders += isinstance(command, PlaceOrder)
        for fact in self.ports[venue].send(command, self.now_ns):
            self.take(self.desk.on_fact(fact, self.here, self.now_ns))

    def until(self, end_ns: int) -> None:
        """Time passes."""
        while self.now_ns < end_ns:
            self.now_ns += 5 * MS
            for port in self.ports.values():
                for fact in port.on_time(self.here, self.now_ns):
                    self.take(self.desk.on_fact(fact, self.here, self.now_ns))
            if self.now_ns >= self.reconcile_ns:
                self.reconcile_ns = self.now_ns + 30 * SECOND_NS
                for venue in VENUES:
                    self.take(self.desk.reconcile(venue, self.here, self.now_ns, is_routine=True))
        self.take(self.desk.on_time(self.here, self.now_ns))

    def episode(self, number: int) -> None:
        """One opportunity and what becomes of it until the next."""
        symbol = self.here.symbols[number % len(self.here.symbols)]
        seen = Opportunity(
            opp_id=f"o{number}", raw_signal_id=f"r{number}", symbol=symbol, symbol_buy=symbol, symbol_sell=symbol,
            venue_buy=VENUES[number % (len(VENUES) - 1)], venue_sell=VENUES[-1], recv_ns=self.now_ns,
            ttl_ns=SECOND_NS, net_bps=D(50),
        )  # fmt: skip
        begun = time.perf_counter_ns()
        decision = self.desk.consider(seen, self.here, self.now_ns)
        self.spent_ns.append(time.perf_counter_ns() - begun)
        self.take(decision)
        self.until(self.now_ns + STEP_NS)


def sizes(run: Run) -> dict[str, int]:
    """What is kept, by name."""
    standing, state = run.desk.standing, run.desk.standing.state
    return {
        "orders": len(state.orders), "resting": len(state.resting), "packed": len(standing.archive),
        "paper orders": sum(len(port.orders) for port in run.ports.values()),
    }  # fmt: skip


def main(words: list[str] | None = None) -> int:
    """Run and tell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.desk_memory", description=__doc__)
    parser.add_argument("--episodes", type=int, default=100_000)
    parser.add_argument("--symbols", type=int, default=20)
    asked = parser.parse_args(words)
    run = Run(asked.symbols)
    before, every = resident_bytes(), asked.episodes // 10
    for number in range(asked.episodes):
        run.episode(number)
        if (number + 1) % every == 0:
            gc.collect()
            now, spent = resident_bytes(), sorted(run.spent_ns)
            run.spent_ns.clear()
            print(
                f"{number + 1:9,} episodes  {now / 2**20:7.1f} MB  {(now - before) / every:+8.0f} bytes/episode  "
                f"consider p50 {spent[len(spent) // 2] / 1000:.0f} p99 {spent[len(spent) * 99 // 100] / 1000:.0f} us  "
                f"{run.records:,} records, {run.bytes / 2**20:,.0f} MB  {told(sizes(run))}",
                flush=True,
            )
            before = now
    return 0


def told(counts: dict[str, Any]) -> str:
    """One line."""
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


if __name__ == "__main__":
    raise SystemExit(main())
