"""The process: one daemon per state directory, private files, signals, progress, crashes."""

import asyncio
import gc
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gambit.cli.daemon import NoDaemon, Place
from gambit.cli.detached import stop_daemon
from gambit.runtime import process
from gambit.runtime.lag import measure_lag
from gambit.runtime.notify import Notifier
from gambit.runtime.process import AlreadyRunning, InstanceLock, ProcessError, holder, prepare_state_dir, state_dir
from gambit.runtime.progress import Progress
from gambit.runtime.starts import Starts, is_safe_mode_due

SECOND = 1_000_000_000


def child(code: str, *words: str) -> subprocess.Popen[str]:
    """A Python of its own that runs this code."""
    command = [sys.executable, "-c", textwrap.dedent(code), *words]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def said(running: subprocess.Popen[str]) -> str:
    """The next line it writes."""
    assert running.stdout
    return running.stdout.readline().strip()


def end(running: subprocess.Popen[str]) -> int:
    """Its exit code."""
    running.communicate(timeout=60)
    return running.returncode


# --- where things are kept ------------------------------------------------------------------------------------------


def test_the_state_directory_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The setting, then systemd's, then XDG's, then the home's; a relative XDG path counts for nothing."""
    monkeypatch.setenv("HOME", str(tmp_path))
    systemd = {"STATE_DIRECTORY": "/var/lib/gambit:/var/lib/other", "XDG_STATE_HOME": "/xdg"}
    assert state_dir("~/here", systemd) == tmp_path / "here"
    assert state_dir("", systemd) == Path("/var/lib/gambit")
    assert state_dir("", {"XDG_STATE_HOME": "/xdg"}) == Path("/xdg/gambit")
    assert state_dir("", {"XDG_STATE_HOME": "xdg"}) == tmp_path / ".local/state/gambit"
    assert process.control_socket("", Path("/state")) == Path("/state/gambit.sock")
    assert process.control_socket("~/s.sock", Path("/state")) == tmp_path / "s.sock"


def test_the_state_directory_is_private(tmp_path: Path) -> None:
    """It is made 0700; our own that became wider is narrowed; somebody else's folder is left alone and refused."""
    new = tmp_path / "a" / "b"
    prepare_state_dir(new)
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (new, new.parent)] == [0o700, 0o700]
    new.chmod(0o755)
    (new / "gambit.lock").touch()
    prepare_state_dir(new)
    assert stat.S_IMODE(new.stat().st_mode) == 0o700
    new.parent.chmod(0o755)
    prepare_state_dir(new.parent)  # of a demonstration, whose own is inside
    assert stat.S_IMODE(new.parent.stat().st_mode) == 0o700
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    (shared / "letters").touch()
    with pytest.raises(ProcessError, match=r"shared: open to others \(mode 0755\) and not gambit's own; chmod 700 it"):
        prepare_state_dir(shared)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755
    with pytest.raises(ProcessError, match="cannot be the state directory: Not a directory"):
        prepare_state_dir(shared / "letters" / "x")


# --- one daemon -----------------------------------------------------------------------------------------------------

HOLD = """
    import sys
    from pathlib import Path
    from gambit.runtime.process import InstanceLock
    InstanceLock(Path(sys.argv[1])).acquire()
    print("held", flush=True)
    sys.stdin.read()
"""


class Time:
    """A clock that moves by sleeping alone."""

    def __init__(self) -> None:
        self.sec = 0.0

    def monotonic(self) -> float:
        return self.sec

    def sleep(self, seconds: float) -> None:
        self.sec += seconds


def test_a_second_start_is_refused_and_told_who_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first lives it is named; when it is killed the place is free at once."""
    waited = Time()
    monkeypatch.setattr(process, "time", waited)
    assert holder(tmp_path) is None
    first = child(HOLD, str(tmp_path))
    assert said(first) == "held"
    assert holder(tmp_path) == first.pid
    with pytest.raises(AlreadyRunning, match=rf"a daemon runs already \(process {first.pid}\); `gambit stop` ends it"):
        InstanceLock(tmp_path).acquire()
    assert 0 < waited.sec < 2  # the promise of I15
    first.kill()
    assert end(first) == -signal.SIGKILL
    assert holder(tmp_path) is None
    lock = InstanceLock(tmp_path)
    lock.acquire()
    assert holder(tmp_path) == os.getpid()
    lock.release()
    lock.release()
    assert holder(tmp_path) is None


def test_a_stale_lock_blocks_nobody(tmp_path: Path) -> None:
    """Whatever an old lock file says: a living stranger's number, rubbish, nothing."""
    for text in (str(os.getppid()), "rubbish", ""):
        (tmp_path / "gambit.lock").write_text(text)
        assert holder(tmp_path) is None
        lock = InstanceLock(tmp_path)
        lock.acquire()
        assert (tmp_path / "gambit.lock").read_text() == f"{os.getpid()}\n"
        lock.release()


def test_a_holder_without_a_number_is_a_holder(tmp_path: Path) -> None:
    """Somebody else's lock on the file is respected, and said to be unknown."""
    lock = InstanceLock(tmp_path)
    lock.acquire()
    (tmp_path / "gambit.lock").write_text("")
    assert holder(tmp_path) == 0
    with pytest.raises(AlreadyRunning, match="another process"):
        InstanceLock(tmp_path).acquire(patience_sec=0)
    lock.release()


def test_a_command_that_holds_the_directory_is_no_daemon_to_be_stopped(tmp_path: Path) -> None:
    """`gambit stop`, which a refused start advises, would have ended a restore half-way."""
    lock = InstanceLock(tmp_path, "restore")
    lock.acquire()
    assert (holder(tmp_path), process.work_at(tmp_path)) == (os.getpid(), "restore")
    with pytest.raises(AlreadyRunning, match=rf"`gambit restore` is at work there \(process {os.getpid()}\); wait"):
        InstanceLock(tmp_path).acquire(patience_sec=0)
    with pytest.raises(NoDaemon, match="`gambit restore`"):
        stop_daemon(Place(tmp_path, tmp_path / "gambit.sock"), now=True)
    lock.release()
    daemon = InstanceLock(tmp_path)
    daemon.acquire()
    assert (holder(tmp_path), process.work_at(tmp_path)) == (os.getpid(), "")
    daemon.release()


# --- the operating system -------------------------------------------------------------------------------------------


def test_freed_memory_goes_back() -> None:
    """Big blocks, and a small one behind them that stays: the allocator by itself keeps what they had (here in KB)."""
    code = """
        import sys
        from gambit.runtime import process
        if sys.argv[1] == "bounded":
            process.give_memory_back()
        b"x" * len(sys.argv) * (1 << 20)
        blocks = [b"x" * (1 << 20) for _ in range(40)]
        kept = [b"y" * 5000 for _ in range(500)]
        del blocks
        with open("/proc/self/status") as status:
            print(next(line.split()[1] for line in status if line.startswith("VmRSS")))
    """
    usual, bounded = (int(child(code, how).communicate(timeout=60)[0]) for how in ("usual", "bounded"))
    assert bounded < usual - 20_000


def test_limits_and_core_dumps() -> None:
    """In a process of its own: no core dumps, all the descriptors there may be, a core that no other thread uses."""
    code = """
        import os, resource, threading
        from gambit.runtime import process
        process.forbid_core_dumps()
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 200))
        hot = min(os.sched_getaffinity(0))
        usable = process.pin(hot)
        end = threading.Event()
        other = threading.Thread(target=end.wait)
        other.start()
        process.keep_clear(hot, usable)
        shared = os.sched_getaffinity(0) & os.sched_getaffinity(other.native_id)
        end.set()
        print(resource.getrlimit(resource.RLIMIT_CORE), process.raise_file_limit(), os.sched_getaffinity(0) == {hot},
              len(usable) == 1 or not shared, len(os.listdir("/proc/self/fd")) > 2)
        try:
            process.pin(100_000)
        except process.ProcessError as error:
            print(error)
    """
    running = child(code)
    assert said(running) == "(0, 0) 200 True True True"
    assert said(running).startswith("daemon.cpu = 100000 cannot be used; this process may use [")
    assert end(running) == 0
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 64


def test_garbage_is_collected_when_we_say() -> None:
    """Never by itself; young objects when there are many, everything now and then."""
    was_enabled = gc.isenabled()
    try:
        garbage = process.Garbage()
        garbage.settle(0)
        assert not gc.isenabled()
        assert not garbage.turn(1)
        kept = [[] for _ in range(process.YOUNG_MAX + 1000)]  # type: ignore[var-annotated]
        assert garbage.turn(2)
        assert not garbage.turn(3)
        assert garbage.turn(process.FULL_NS)
        assert kept
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


SERVE = """
    import asyncio, sys, uvloop
    from gambit.runtime.signals import Signals

    async def main():
        stopping = asyncio.Event()
        def stop(reason):
            print(reason, flush=True)
            if sys.argv[1] == "well":
                stopping.set()
            elif sys.argv[1] == "held":
                asyncio.get_running_loop().add_reader(sys.stdin, stopping.set)
            elif sys.argv[1] == "stuck":
                while True:
                    pass
        signals = Signals(
            stop=stop, reload=lambda: print("reload", flush=True), halt=lambda reason: print(reason, flush=True),
            mono_ns=lambda: 0)
        signals.install(asyncio.get_running_loop())
        print("ready", flush=True)
        await stopping.wait()
        signals.remove()
        print("done", flush=True)

    uvloop.run(main())
"""


def test_signals_are_heard() -> None:
    """HUP reloads, USR1 halts, TERM stops."""
    running = child(SERVE, "well")
    assert said(running) == "ready"
    for number, word in (
        (signal.SIGHUP, "reload"),
        (signal.SIGUSR1, "signal SIGUSR1"),
        (signal.SIGHUP, "reload"),
        (signal.SIGTERM, "signal SIGTERM"),
    ):
        running.send_signal(number)
        assert said(running) == word
    assert said(running) == "done"
    assert end(running) == 0


@pytest.mark.parametrize("how", ["slow", "stuck"])
def test_a_second_stop_ends_at_once(how: str) -> None:
    """Also when the loop turns no more."""
    running = child(SERVE, how)
    assert said(running) == "ready"
    running.send_signal(signal.SIGINT)
    assert said(running) == "signal SIGINT"
    running.send_signal(signal.SIGTERM)
    assert end(running) == 128 + signal.SIGTERM


def test_the_echo_of_a_stop_is_the_same_stop() -> None:
    """The same signal at the same time again, as timeout(1) sends it, does not break the end off."""
    running = child(SERVE, "held")
    assert said(running) == "ready"
    running.send_signal(signal.SIGINT)
    assert said(running) == "signal SIGINT"
    running.send_signal(signal.SIGINT)
    assert running.stdin
    running.stdin.write("\n")
    running.stdin.flush()
    assert said(running) == "done"
    assert end(running) == 0


# --- telling others -------------------------------------------------------------------------------------------------


def test_systemd_and_the_starter_hear_the_same(tmp_path: Path) -> None:
    """Over the notify socket and the ready pipe; the pipe ends with READY; children inherit nothing."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.setblocking(False)
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        environ = {
            "NOTIFY_SOCKET": address, "GAMBIT_READY_FD": str(writer), "WATCHDOG_USEC": "3000000", "HOME": "/",
            "WATCHDOG_PID": str(os.getpid()),
        }  # fmt: skip
        notifier = Notifier.from_environment(environ)
        assert environ == {"HOME": "/"}
        assert not os.get_inheritable(writer)
        assert notifier.watchdog_sec == 3.0
        notifier.status("opening the journal\nand more")
        notifier.ready("5 venues")
        notifier.alive()
        notifier.reloading(5_000)
        notifier.stopping("signal SIGTERM")
        messages = [systemd.recv(1000).decode() for _ in range(5)]
    ready = f"READY=1\nMAINPID={os.getpid()}\nSTATUS=5 venues"
    assert messages == [
        "STATUS=opening the journal", ready, "WATCHDOG=1", "RELOADING=1\nMONOTONIC_USEC=5",
        "STOPPING=1\nSTATUS=stopping: signal SIGTERM",
    ]  # fmt: skip
    assert os.read(reader, 1000).decode() == f"STATUS=opening the journal\n{ready}\n"
    assert os.read(reader, 1000) == b""
    os.close(reader)
    notifier.alive()
    notifier.alive()


def test_without_listeners_nothing_is_told() -> None:
    """No socket, no pipe, somebody else's watchdog, a starter that is gone: no harm."""
    notifier = Notifier.from_environment({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"})
    assert notifier.watchdog_sec is None
    notifier.status("")
    notifier.ready("fine")
    reader, writer = os.pipe()
    os.close(reader)
    notifier = Notifier(ready_fd=writer)
    notifier.status("gone")
    notifier.ready("fine")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.close(writer)


async def test_the_watchdog_is_fed_while_all_moves(tmp_path: Path) -> None:
    """It goes hungry, and the reason is told, as long as a part stands still."""
    address = str(tmp_path / "notify")
    told: list[list[str]] = []
    reasons: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.setblocking(False)
        notifier = Notifier(address, watchdog_sec=0.003)
        watching = asyncio.create_task(notifier.watch(lambda: reasons, lambda found: told.append(list(found))))
        loop = asyncio.get_running_loop()
        assert await loop.sock_recv(systemd, 100) == b"WATCHDOG=1"
        assert await loop.sock_recv(systemd, 100) == b"WATCHDOG=1"
        reasons.append("store: no progress for 31 s")
        while not told:
            await asyncio.sleep(0)
        reasons.clear()
        while await loop.sock_recv(systemd, 100) != b"WATCHDOG=1":
            pass
        watching.cancel()
    assert told[0] == ["store: no progress for 31 s"]
    await Notifier().watch(list, lambda found: None)


def test_progress_is_judged_part_by_part() -> None:
    """A part is late when nothing came of it for longer than its limit, unless it has nothing to do."""
    now = [0]
    progress = Progress({"loop": 2, "books": 30, "store": 30}, lambda: now[0])
    progress.expect("books", False)
    now[0] = 2 * SECOND
    assert progress.stalled() == {}
    now[0] += 1
    assert progress.reasons() == ["loop: no progress for 2 s"]
    progress.beat("loop")
    now[0] = 100 * SECOND
    progress.saw("store", 7)
    progress.beat("loop")
    assert progress.stalled() == {}
    progress.expect("books", True)
    progress.expect("books", True)
    now[0] = 131 * SECOND
    progress.beat("loop")
    progress.saw("store", 7)
    assert progress.stalled() == {"books": 31.0, "store": 31.0}
    progress.saw("store", 8)
    progress.expect("books", False)
    assert progress.stalled() == {}


def test_five_crashes_in_a_minute_call_for_safe_mode(tmp_path: Path) -> None:
    """Starts without a clean end count, those of the last minute; a clean end wipes the slate."""
    starts = Starts(tmp_path)
    counts = [starts.begin(n * 10 * SECOND) for n in range(8)]
    assert counts == [0, 1, 2, 3, 4, 5, 6, 6]
    assert [is_safe_mode_due(count) for count in counts] == [False] * 5 + [True] * 3
    assert starts.begin(500 * SECOND) == 0
    assert starts.begin(400 * SECOND) == 0  # a start in the future: the clock was set back
    starts.ended_well()
    starts.ended_well()
    assert starts.begin(501 * SECOND) == 0
    for torn in (b"", b"[1, 2", b'{"a": 1}', b"\xff"):
        (tmp_path / "starts.json").write_bytes(torn)
        assert starts.begin(SECOND) == 0
        assert starts.begin(SECOND) == 1
    assert len([starts.begin(n) for n in range(100)]) == 100
    assert (tmp_path / "starts.json").stat().st_size < 1000


def test_a_full_disk_stops_no_start(tmp_path: Path) -> None:
    """The count is lost, the daemon starts."""
    (tmp_path / "starts.new").mkdir()
    assert Starts(tmp_path).begin(SECOND) == 0


async def test_loop_lag_is_how_late_a_sleep_ends() -> None:
    """Measured with the clock it is given; early is not late."""
    now = [0]
    seen: list[int] = []
    naps = iter([20_000_000, 25_000_000, 19_999_999])

    async def sleep(seconds: float) -> None:
        assert seconds == 0.02
        nap = next(naps, None)
        if nap is None:
            raise asyncio.CancelledError
        now[0] += nap

    with pytest.raises(asyncio.CancelledError):
        await measure_lag(lambda: now[0], seen.append, sleep=sleep)
    assert seen == [0, 5_000_000, 0]
