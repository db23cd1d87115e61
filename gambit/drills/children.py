"""Daemons in processes of their own, for drills that kill, stop and starve them; their exchanges stay here."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import Any, Final

import msgspec
import orjson

from gambit.drills.clocks import Time
from gambit.drills.ground import Ground, exchanges, keys_of, lines_for, orders_of, until
from gambit.drills.scenario import Broken, Setting
from gambit.events import read
from gambit.journal import places, read_journal
from gambit.surface import client

READY_SEC: Final = 40.0
END_SEC: Final = 15.0
KEPT: Final = 400  # log lines
CALM: Final = "engine.min_spread_bps = 30"  # venues never are so far apart by themselves
CALM_SEC: Final = 0.5
CALM_LOOKS: Final = 40


class Child:
    """One process. `lines` is its log, one dict a line."""

    def __init__(self, process: Process, state_dir: Path) -> None:
        self.process = process
        self.state_dir = state_dir
        self.lines: list[dict[str, Any]] = []
        self.said = ""  # what was no JSON
        self._reading: asyncio.Task[None] | None = None

    def listen(self) -> None:
        """Read its log from now on."""
        self._reading = asyncio.create_task(self._read(), name="a child's log")

    async def _read(self) -> None:
        stream = self.process.stderr
        while stream is not None and (line := await stream.readline()):
            try:
                self.lines.append(orjson.loads(line))
            except orjson.JSONDecodeError:
                self.said += line.decode(errors="replace")
            del self.lines[:-KEPT]

    def has_said(self, text: str) -> bool:
        """Whether a line of its log begins like this."""
        return any(str(line.get("event", "")).startswith(text) for line in self.lines)

    def complaints(self) -> list[str]:
        """The warnings and errors of its log, as far as it is kept."""
        found = (line for line in self.lines if line.get("level") in ("warning", "error", "critical"))
        return [" ".join(f"{name}={text}" for name, text in line.items() if name != "ts") for line in found]

    async def until_ready(self) -> None:
        """Wait for its word. Raises Broken."""
        ended = self.process
        await until(lambda: self.has_said("ready") or ended.returncode is not None, READY_SEC, "the child is ready")
        if ended.returncode is not None:
            raise Broken(f"the child ended with {ended.returncode}: {self.said[-300:]} {self.lines[-3:]}")

    async def ask(self, method: str, params: object = None) -> Any:
        """A call on its control socket."""
        return await asyncio.to_thread(client.call, self.state_dir / "gambit.sock", method, params)

    def signal(self, number: Signals) -> None:
        """Send it a signal, unless it is gone."""
        if self.process.returncode is None:
            self.process.send_signal(number)

    async def end(self, number: Signals = SIGTERM) -> int:
        """End it and wait; its exit code. Raises Broken when it does not go."""
        self.signal(number)
        try:
            async with asyncio.timeout(END_SEC):
                code = await self.process.wait()
                if self._reading is not None:
                    await self._reading
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
            raise Broken(f"the child did not end within {END_SEC:g} s") from None
        return code


class Site:
    """Exchanges here, a state folder, and daemons on it, one life after the other. `ground` compares; it runs none."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.children: list[Child] = []
        self._shifted_until_ns = 0

    async def start(
        self,
        *settings: str,
        name: str = "state",
        is_heard: bool = True,
        words: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> Child:
        """A process; it is not ready yet. `words` is what it does to itself besides, `env` is added to ours."""
        ground = self.ground
        state_dir = ground.folder / name
        state_dir.mkdir(mode=0o700, exist_ok=True)
        lines = lines_for(ground.server, state_dir, ground.setting, 'daemon.log_format = "json"', *settings)
        config = ground.folder / f"{name}.toml"
        config.write_text("".join(f"{line}\n" for line in lines))
        command = (sys.executable, "-m", "gambit.drills.child", str(config), *words)
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=DEVNULL, stderr=PIPE, limit=1 << 22, env={**os.environ, **(env or {})}
        )
        child = Child(process, state_dir)
        self.children.append(child)
        if process.stdin is not None:
            keys = keys_of(ground.server) if ground.setting.is_live else {}
            process.stdin.write(msgspec.json.encode(keys) + b"\n")
            await process.stdin.drain()
        if is_heard:
            child.listen()
        return child

    async def life(self, *settings: str, **more: Any) -> Child:
        """A process that is ready; see start."""
        child = await self.start(*settings, **more)
        await child.until_ready()
        return child

    def shift(self, venue: str, bps: float = 60.0, for_ms: int = 700, symbol: str = "") -> None:
        """A venue's price leaves the others' for a while."""
        ground = self.ground
        now_ns = ground.now_ns()
        self._shifted_until_ns = max(self._shifted_until_ns, now_ns + for_ms * 1_000_000)
        ground.server.world.shift(venue, symbol or ground.setting.symbols[0], bps, now_ns, for_ms)

    async def calm(self, child: Child) -> None:
        """No price is away any more, and the child has seen it: with CALM it makes no plan by itself. Raises Broken."""
        await until(lambda: self.ground.now_ns() > self._shifted_until_ns, why="no price is away")
        for _ in range(CALM_LOOKS):
            await asyncio.sleep(CALM_SEC)  # a book returns with its next change
            if not await child.ask("opportunities", {"open_only": True}):
                return
        raise Broken("the child sees an opportunity although no price is away")

    async def trade_until(self, dear: str, what: Callable[[], object], why: str) -> None:
        """Shift a venue's price until something happened. Raises Broken."""
        for _ in range(20):
            self.shift(dear)
            try:
                await until(what, 1.5)
            except Broken:
                continue
            return
        raise Broken(f"no episode led to it: {why}")

    def orders(self) -> int:
        """How many orders of ours all venues have."""
        return sum(len(orders_of(exchange)) for exchange in self.ground.exchanges.values())

    def read_files(self, name: str = "state") -> None:
        """Prove the journal of a state folder and read what is new; the twin has seen it too."""
        ground = self.ground
        journal = read_journal(places(ground.folder / name))
        if journal is None:
            return
        follower = journal.follow(ground.records[-1].seq if ground.records else 0)
        try:
            while found := follower.read(4096):
                for record in found:
                    ground.twin.replay(read(record.kind, record.body), record.ts_ns)
                ground.records += found
        finally:
            follower.close()


@asynccontextmanager
async def site(setting: Setting, folder: Path) -> AsyncIterator[Site]:
    """Exchanges without a daemon yet; whatever child is left is killed at the end."""
    time = Time()
    async with exchanges(setting, time) as server:
        there = Site(Ground(setting, server, time, folder))
        try:
            yield there
        finally:
            for child in there.children:
                if child.process.returncode is None:
                    await child.end(SIGKILL)
