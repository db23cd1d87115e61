"""`python -m benchmarks.live.timed_daemon FILE OUT`: the daemon of tests.e2e.armed, every order's way through it timed.

OUT gets a line of JSON for each create: its venue, and ns since the arrival of the frame at each stage. The stages are
taken around the daemon's own calls: `begun` is when the desk begins with the signal (a frame may have raised several),
`written` when the call that hands the order's bytes to a socket came back.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import aiohttp.http_writer
import msgspec

from gambit.commands import PlaceOrder
from gambit.runtime import http_line, transport
from gambit.runtime.account_port import AccountPort
from gambit.runtime.daemon import Daemon
from tests.e2e.armed import run

STAGES = ("begun", "planned", "journalled", "worded", "written")


class Times(msgspec.Struct):
    """When an order was where, ns after its frame."""

    venue: str
    symbol: str
    begun: int
    planned: int
    journalled: int
    worded: int = 0
    written: int = 0


class Stopwatch:
    """Stages of the orders under way, by client order id."""

    def __init__(self, out: Path) -> None:
        self.out = out.open("wb")
        self.under_way: dict[str, Times] = {}
        self.now_ns: Any = None
        self.frame_ns = self.signal_ns = self.planned_ns = 0

    def watch(self, daemon: Daemon) -> None:
        """Look into a daemon that is ready."""
        self.now_ns = daemon.parts.clock.now_ns
        dealing = daemon.parts.dealing
        dealing._carry_out = self.carried(dealing._carry_out)  # type: ignore[method-assign]
        dealing.desk.consider = self.considered(dealing.desk.consider)  # type: ignore[method-assign]
        dealing._hand_all_over = self.handed(dealing._hand_all_over)  # type: ignore[method-assign]
        for port in dealing.ports.values():
            assert isinstance(port, AccountPort)
            port.account.carry_out = self.worded(port.account.carry_out)  # type: ignore[method-assign]
        transport._PicowsLink.send = self.sent(transport._PicowsLink.send)  # type: ignore[method-assign]
        http_line._Wire.ask = self.sent(http_line._Wire.ask)  # type: ignore[method-assign]
        writer: Any = aiohttp.http_writer.StreamWriter
        writer._write, writer._writelines = self.sent(writer._write), self.sent(writer._writelines)

    def considered(self, consider: Any) -> Any:
        def considering(*args: Any) -> Any:
            self.signal_ns = self.now_ns()
            decision = consider(*args)
            self.planned_ns = self.now_ns()
            return decision

        return considering

    def carried(self, carry_out: Any) -> Any:
        def carrying(decision: Any, *, frame_ns: int = 0, **more: Any) -> None:
            if frame_ns:
                self.frame_ns = frame_ns
            carry_out(decision, frame_ns=frame_ns, **more)

        return carrying

    def handed(self, hand_all_over: Any) -> Any:
        def handing(commands: Any) -> None:
            now_ns, frame_ns = self.now_ns(), self.frame_ns
            for command in commands:
                if isinstance(command, PlaceOrder) and command.intent.purpose == "entry":
                    begun, planned = self.signal_ns - frame_ns, self.planned_ns - frame_ns
                    intent = command.intent
                    self.under_way[intent.key] = Times(intent.venue, intent.symbol, begun, planned, now_ns - frame_ns)
            hand_all_over(commands)

        return handing

    def worded(self, carry_out: Any) -> Any:
        def wording(command: Any, *args: Any, **more: Any) -> Any:
            turn = carry_out(command, *args, **more)
            if isinstance(command, PlaceOrder) and command.intent.key in self.under_way:
                self.under_way[command.intent.key].worded = self.now_ns() - self.frame_ns
            return turn

        return wording

    def sent(self, send: Any) -> Any:
        def sending(of: Any, data: Any) -> Any:
            given = send(of, data)
            if self.under_way:
                self.left(data if isinstance(data, bytes) else b"".join(data))
            return given

        return sending

    def left(self, data: bytes) -> None:
        """These bytes were handed to a socket."""
        for key in [key for key in self.under_way if key.encode() in data]:
            times = self.under_way.pop(key)
            times.written = self.now_ns() - self.frame_ns
            self.out.write(msgspec.json.encode(times) + b"\n")
            self.out.flush()


if __name__ == "__main__":
    raise SystemExit(run(Path(sys.argv[1]), Stopwatch(Path(sys.argv[2])).watch))
