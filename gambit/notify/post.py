"""The post at work: it follows the journal, so that what a kill left untold is told by the next life.

Its cursor and what waits are in a small file; everything behind the cursor is in the journal. A message may so be told
twice after a kill (its id stays the same), and never not at all while a channel works.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from gambit.events import read
from gambit.events.alerts import ALERT_KINDS, AlertFact, AlertRaised
from gambit.events.records import Follower
from gambit.journal import JournalError, JournalFailed
from gambit.notify.channels import Channel, NotDelivered
from gambit.notify.outbox import Left, Outbox, Route
from gambit.notify.parcel import Item, Parcel, parcel_of
from gambit.threads import in_thread

FILE: Final = "notify.json"
BATCH: Final = 1024
FIRST_NEWS_NS: Final = 24 * 3600 * 1_000_000_000  # older news is no news: after a long stop it is not told any more
CLOSE_SEC: Final = 3.0
KEEP_SEC: Final = 30.0  # the cursor is moved on at least this often, so that a start has little to read


class Journal(Protocol):
    """What is followed."""

    head: int

    @property
    def first_seq(self) -> int: ...
    @property
    def failed(self) -> str | None: ...
    def follow(self, after: int) -> Follower: ...
    async def until_synced(self, seq: int) -> None: ...


Told = Callable[[str, Parcel, str, int], None]  # channel, message, what went wrong (empty: it arrived), when


class Post:
    """All channels. `on_done` hears of every message that arrived or was given up, `on_dead` what nobody took."""

    name = "notifications"

    def __init__(
        self, channels: Mapping[str, Channel], routes: Sequence[Route], journal: Journal, state_dir: Path, *,
        now_ns: Callable[[], int], random: Callable[[], float], group_ns: int, on_done: Told,
        on_dead: Callable[[Item, str, str], None], warn: Callable[..., object],
    ) -> None:  # fmt: skip
        self.outbox = Outbox(routes, group_ns, random)
        self._channels = dict(channels)
        self._journal = journal
        self._path = state_dir / FILE
        self._now_ns = now_ns
        self._on_done = on_done
        self._on_dead = on_dead
        self._warn = warn
        self._seq = self._kept_seq = 0
        self._follower: Follower | None = None
        self._wake = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._is_changed = False

    # ---- what comes in ----

    def poke(self) -> None:
        """Something is in the journal that may have to be told."""
        self._wake.set()

    def tell(self, fact: AlertFact, at_ns: int) -> None:
        """Of what the journal does not take."""
        self.outbox.take(fact, at_ns, self._now_ns())
        self._wake.set()

    def begin(self) -> None:
        """Take up what the life before left."""
        left = self._read()
        start = max(min(left.seq, self._journal.head), self._journal.first_seq - 1)
        self._seq = start
        self._follower = self._journal.follow(start)
        for item in self.outbox.restore(left, self._now_ns()):
            self._on_dead(item, "", "its channel is not in the configuration any more")
        self._write(msgspec.json.encode(self.outbox.left(self._seq)))  # a kill before the first news has a cursor too
        self._wake.set()

    def _read(self) -> Left:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Left)
        except FileNotFoundError:
            return Left(self._journal.head)
        except (OSError, msgspec.DecodeError) as error:
            self._warn("what was still to be told cannot be read", error=str(error))
            return Left(self._journal.head)

    # ---- work ----

    async def run(self) -> None:
        """For ever: read, send, keep."""
        try:
            while True:
                await self._until_due()
                await self._take_in()
                self.send_due()
                await self._keep()
        finally:
            await self._close()

    def end(self) -> None:
        """Nothing to do before the end: what is left is kept."""

    async def _until_due(self) -> None:
        due_ns = self.outbox.next_due_ns
        span = KEEP_SEC if due_ns is None else min(KEEP_SEC, max(0.0, (due_ns - self._now_ns()) / 1e9))
        try:
            async with asyncio.timeout(span):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def _take_in(self) -> None:
        """Whatever the journal has safely."""
        if self._follower is None or self._journal.failed is not None:
            return
        try:
            await self._journal.until_synced(self._journal.head)
            await self._read_on(self._follower)
        except JournalFailed:
            return  # what it does not take comes by `tell`
        except (JournalError, OSError) as error:
            self._warn("alerts of the past cannot be read; what comes now is told", error=str(error))
            self._follower.close()
            self._seq = self._journal.head
            self._follower = self._journal.follow(self._seq)

    async def _read_on(self, follower: Follower) -> None:
        horizon_ns = self._now_ns() - FIRST_NEWS_NS
        while records := await in_thread(follower.read, BATCH):
            self._is_changed = self._is_changed or records[-1].seq - self._kept_seq > BATCH
            for record in records:
                self._seq = record.seq
                if record.kind in ALERT_KINDS and record.ts_ns >= horizon_ns:
                    fact: Any = read(record.kind, record.body)
                    self.outbox.take(fact, record.ts_ns, self._now_ns())
                    self._is_changed = True

    def send_due(self) -> None:
        """Hand out what is due; each message is a task of its own."""
        for item in self.outbox.dropped:
            self._on_dead(item, "", "too many wait")
        self.outbox.dropped.clear()
        for parcel in self.outbox.due(self._now_ns()):
            task = asyncio.get_running_loop().create_task(self._send(parcel), name=f"message to {parcel.channel}")
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send(self, parcel: Parcel) -> None:
        try:
            await self._channels[parcel.channel].send(parcel)
        except NotDelivered as error:
            self._failed(parcel, str(error), is_final=error.is_final, wait_ns=int(error.wait_sec * 1e9))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # ours; the message is not to be lost by it
            self._warn("a channel failed", channel=parcel.channel, error=repr(error))
            self._failed(parcel, type(error).__name__, is_final=False, wait_ns=0)
        else:
            self.outbox.sent(parcel)
            self._on_done(parcel.channel, parcel, "", self._now_ns())
        self._is_changed = True
        self._wake.set()

    def _failed(self, parcel: Parcel, text: str, *, is_final: bool, wait_ns: int) -> None:
        now_ns = self._now_ns()
        dead = self.outbox.failed(parcel, now_ns, is_final=is_final, wait_ns=wait_ns)
        if dead is None:
            return
        self._on_done(parcel.channel, parcel, text, now_ns)
        for item in dead:
            self._on_dead(item, parcel.channel, text)

    async def test(self, by: str) -> list[dict[str, Any]]:
        """Send a message to every channel at once, past the queue, and say how that went."""
        return list(await asyncio.gather(*(self._try_out(name, by) for name in self._channels)))

    async def _try_out(self, name: str, by: str) -> dict[str, Any]:
        now_ns = self._now_ns()
        alert = AlertRaised(
            alert_id=f"test-{now_ns}", rule_id="test", severity="low", message=f"a test by {by}: nothing is wrong",
            scope="", correlation_id="", runbook="docs/runbook/test.md",
        )  # fmt: skip
        error = ""
        try:
            await self._channels[name].send(parcel_of(name, [Item("raised", alert, now_ns)]))
        except NotDelivered as failure:
            error = str(failure)
        seconds = (self._now_ns() - now_ns) / 1e9
        return {"channel": name, "kind": self._channels[name].kind, "ok": not error, "error": error, "seconds": seconds}

    # ---- over a restart ----

    async def _keep(self) -> None:
        if self._is_changed:
            self._is_changed, self._kept_seq = False, self._seq
            await in_thread(self._write, msgspec.json.encode(self.outbox.left(self._seq)))

    def _write(self, body: bytes) -> None:
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_bytes(body)
            fresh.replace(self._path)
        except OSError as error:
            self._warn("what is still to be told is not kept", error=str(error))

    async def _close(self) -> None:
        """Give what is under way a moment; the rest is kept for the next life."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=CLOSE_SEC)
        for task in list(self._sending):
            task.cancel()
        self._write(msgspec.json.encode(self.outbox.left(self._seq)))
        if self._follower is not None:
            self._follower.close()
        for channel in self._channels.values():
            await channel.close()
