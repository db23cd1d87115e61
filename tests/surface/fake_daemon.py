"""A process that answers the control socket like a daemon, with canned readings: for tests of the command line.

python -m tests.surface.fake_daemon STATE_DIR [ready|silent|broken|misconfigured|deaf|stubborn]
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from gambit.model import rfc3339
from gambit.runtime.clock import SystemClock
from gambit.runtime.notify import Notifier
from gambit.runtime.process import InstanceLock, prepare_state_dir
from gambit.runtime.signals import Signals
from gambit.surface import views
from gambit.surface.control import Caller, ControlServer, Handler
from gambit.surface.methods import TOPICS, Backup, DeadLetterIds, Earned, Held, Opportunities, Reason, bind
from gambit.surface.rpc import Nothing

SECOND_NS = 1_000_000_000
RAISED_NS = 1_750_000_000 * SECOND_NS

STATUS = views.Status(
    state="running",
    trading_state="ACTIVE",
    mode="paper",
    version="9.9",
    pid=os.getpid(),
    started_ns=RAISED_NS,
    uptime_sec=3725.0,
    ready=False,
    reasons=("kraken: 1 of 2 books is not synced",),
    halted_scopes={"venue:okx": "it charges more than its fee tier says"},
    venues=(
        views.VenueStatus(
            venue="binance", state="up", connections=2, connections_up=2, books=2, books_synced=2, frames=123456,
            frames_per_sec=1234.5, last_frame_age_sec=0.012, lag_p50_ns=3_000_000, lag_p99_ns=40_000_000,
        ),
        views.VenueStatus(
            venue="kraken", state="down", reason="connection refused", connections=1, books=2, books_synced=1,
            frame_errors=7,
        ),
    ),
    books=4,
    books_synced=3,
    opportunities_open=1,
    signals=5,
    frames_per_sec=1234.5,
    signals_per_sec=0.5,
    latency={
        "tick_to_signal": views.Latency(count=5, p50_ns=12_000, p99_ns=40_000, p999_ns=41_000, max_ns=50_000),
        "scan": views.Latency(count=0, p50_ns=0, p99_ns=0, p999_ns=0, max_ns=0),
    },
    journal=views.JournalStatus(head=1200, written=1200, synced=1199),
    store=views.StoreStatus(lag_records=3),
    metrics_address="http://127.0.0.1:9464/metrics",
    rss_bytes=123_456_789,
    cpu_share=0.25,
)  # fmt: skip


def opportunity(symbol: str, net_bps: float, closed_ns: int | None) -> views.OpportunityView:
    """One of the canned opportunities."""
    return views.OpportunityView(
        opp_id=f"id-{symbol}",
        raw_signal_id=f"episode-{symbol}",
        symbol=symbol,
        base_asset=symbol.partition("-")[0],
        venue_buy="kraken",
        venue_sell="binance",
        net_bps=net_bps,
        spread_bps=net_bps + 2,
        profit_quote=net_bps * 1.5,
        quote_asset="USDT",
        qty="0.25",
        score=0.5,
        ttl_sec=10.0,
        created_at=rfc3339(RAISED_NS),
        raised_ns=RAISED_NS,
        closed_ns=closed_ns,
        close_reason="not_qualified" if closed_ns else "",
    )


OPPORTUNITIES = (opportunity("BTC-USDT", 20.5, None), opportunity("ETH-USDT", 9.0, RAISED_NS + SECOND_NS))
BOOKS = (
    views.BookView(
        venue="binance", symbol="BTC-USDT", synced=True, bid="60000", bid_qty="1", ask="60006", ask_qty="2", age_sec=0.1
    ),
    views.BookView(venue="kraken", symbol="BTC-USDT", synced=False),
)  # fmt: skip
SIGNAL = {
    "event": "raised", "recv_ns": RAISED_NS, "symbol": "BTC-USDT", "venue_buy": "kraken", "venue_sell": "binance",
    "net_bps": 20.5, "profit_quote": 30.75, "quote_asset": "USDT", "buy_vwap": 60000.0, "sell_vwap": 60100.0,
    "score": 0.5, "qty": "0.25",
}  # fmt: skip


class FakeDaemon:
    """Canned answers, a trading state that can be changed, and a memory of what was asked."""

    def __init__(self) -> None:
        self.trading_state = "ACTIVE"
        self.asked: list[tuple[str, Any]] = []
        self.stopping = asyncio.Event()

    def handlers(self) -> dict[str, Handler]:
        """What the control socket answers with."""
        return {
            "status": self.status,
            "opportunities": self.opportunities,
            "books": lambda params, caller: BOOKS,
            "halt": lambda params, caller: self.change("HALTED", params),
            "reduce": lambda params, caller: self.change("REDUCING", params),
            "resume": lambda params, caller: self.change("ACTIVE", params),
            "stop": self.stop,
            "dlq.requeue": self.requeue,
            "dlq.purge": self.requeue,
            "positions": self.positions,
            "pnl": self.pnl,
            "backup": self.backup,
        }

    def status(self, params: Nothing, caller: Caller) -> views.Status:
        import msgspec

        return msgspec.structs.replace(STATUS, trading_state=self.trading_state, pid=os.getpid())

    def opportunities(self, params: Opportunities, caller: Caller) -> list[views.OpportunityView]:
        self.asked.append(("opportunities", params))
        wanted = [one for one in OPPORTUNITIES if params.symbol in (None, one.symbol)]
        return [one for one in wanted if not (params.open_only and one.closed_ns)][: params.limit]

    def change(self, state: str, params: Reason) -> views.StateChange:
        was, self.trading_state = self.trading_state, state
        self.asked.append((state, params.reason))
        return views.StateChange(state=state, was=was, reason=params.reason)

    def stop(self, params: Any, caller: Caller) -> views.Stopping:
        self.asked.append(("stop", params.now))
        self.stopping.set()
        return views.Stopping(pid=os.getpid())

    def requeue(self, params: DeadLetterIds, caller: Caller) -> views.Requeued:
        ids = (7, 8) if params.all else params.letter_ids
        return views.Requeued(done=tuple(i for i in ids if i == 7), failed={i: "still bad" for i in ids if i != 7})

    def positions(self, params: Held, caller: Caller) -> dict[str, Any]:
        row = {"venue": params.venue, "asset": (params.symbol or "BTC").partition("-")[0], "amount": "1"}
        return {"positions": [], "balances": [row]}

    def pnl(self, params: Earned, caller: Caller) -> dict[str, Any]:
        numbers = dict.fromkeys(("equity", "result_today", "unrealised"), "1")
        parts: dict[str, Any] = {name: {} for name in ("fees", "dust", "fee_drift_bps", "funnel", "counterfactual")}
        told = {**numbers, **parts, "opportunities": 1, "opportunities_open": 0}
        if None in (params.symbol, params.venue, params.status, params.since_ns):
            return told
        return {**told, "chosen": {"plans": 2, "traded": 1, "result": {"USDT": "1.5"}, "value": "1.5"}}

    def backup(self, params: Backup, caller: Caller) -> views.File:
        return views.File(path=params.path, bytes=1, seq=2, made_ns=3)


async def main(state: Path, how: str) -> None:
    """Run until told to stop."""
    notifier = Notifier.from_environment(os.environ)
    prepare_state_dir(state)
    lock = InstanceLock(state)
    lock.acquire()
    notifier.status("opening the journal")
    daemon = FakeDaemon()
    signals = Signals(
        stop=lambda reason: daemon.stopping.set(),
        reload=lambda: None,
        halt=lambda reason: None,
        mono_ns=SystemClock().mono_ns,
    )
    if how in ("deaf", "stubborn"):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN if how == "stubborn" else signal.SIG_DFL)
    else:
        signals.install(asyncio.get_running_loop())
    if how == "broken":
        print("warming up\njournal: record 17 is damaged; see `gambit verify`", file=sys.stderr)
        sys.exit(1)
    if how == "misconfigured":
        print("x.toml:3: engine.top_n = 0 is outside 1..1000", file=sys.stderr)
        sys.exit(2)
    server = ControlServer(state / "gambit.sock", bind(daemon.handlers()), topics=TOPICS)
    if how not in ("deaf", "stubborn"):
        await server.start()
    if how != "silent":
        notifier.ready("5 venues")
    asyncio.get_running_loop().create_task(chatter(server))
    await daemon.stopping.wait()
    await server.close()
    lock.release()


async def chatter(server: ControlServer) -> None:
    """A signal now and then, for whoever follows."""
    while True:
        server.publish("arb.signal", SIGNAL)
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "ready"))
