"""`gambit start`, `stop` and `restart`: the daemon in the background."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click

from gambit.cli import interrupts
from gambit.cli.daemon import NoDaemon, Place, place_of, place_of_running
from gambit.cli.options import Failure, finite, load_config, with_config, with_json
from gambit.cli.run import check_retention, need_venues
from gambit.cli.run import run as run_command

LOG_NAME = "gambit.log"
LOG_BYTES_MAX = 64 << 20  # a longer one is put aside at the next start
TAIL_LINES = 20
ROOM_BYTES = 1 << 16  # less than this left on a disk: what was said may not have found room
READY_SEC = 90.0
DRAIN_SEC = 20.0  # how long a stop may take before it is asked again by signal
NOW_SEC = 5.0
TERM_SEC = 5.0

with_timeout = click.option(
    "--timeout", "timeout_sec", type=click.FloatRange(0.1, 86_400.0), callback=finite, default=READY_SEC,
    show_default=True, metavar="SECONDS", help="How long the start may take.",
)  # fmt: skip


@click.command("start")
@with_timeout
@with_config
@with_json
def start(timeout_sec: float, config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Start the daemon in the background; returns when it is ready, or fails with the reason."""
    place = place_of(config_path, overrides)
    pid = start_detached(command_of(config_path, overrides), place, timeout_sec)
    _say({"pid": pid, "log": str(place.state / LOG_NAME)}, f"gambit runs (process {pid})", as_json)


@click.command("stop")
@click.option("--now", is_flag=True, help="Do not wait for what is in flight.")
@with_config
@with_json
def stop(now: bool, config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Stop the daemon: finish or cancel what is in flight, flush, end. Exit code 3 when none runs."""
    pid, how = stop_daemon(place_of_running(config_path, overrides), now)
    _say({"pid": pid, "how": how}, f"gambit stopped (process {pid}, {how})", as_json)


@click.command("restart")
@with_timeout
@click.option("--now", is_flag=True, help="Do not wait for what is in flight.")
@with_config
@with_json
def restart(timeout_sec: float, now: bool, config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Stop the daemon if it runs, and start it with this configuration; without -c and --set with those that it was
    started with. One that could not be started again is not stopped."""
    place = place_of(config_path, overrides)
    if config_path is None and not overrides:
        config_path, overrides = given_to_running(place) or (config_path, overrides)
    config = load_config(config_path, overrides).config
    need_venues(config)
    check_retention(config)
    with suppress(NoDaemon):
        stop_daemon(place, now)
    pid = start_detached(command_of(config_path, overrides), place, timeout_sec)
    _say({"pid": pid, "log": str(place.state / LOG_NAME)}, f"gambit runs again (process {pid})", as_json)


def given_to_running(place: Place) -> tuple[Path | None, tuple[str, ...]] | None:
    """The -c and --set of the `gambit run` that holds the state directory, None without one. Raises Failure where they
    cannot be told."""
    from gambit.runtime.process import holder

    pid = holder(place.state)
    if pid is None:
        return None
    try:
        words = [os.fsdecode(word) for word in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]]
        given = run_command.make_context("run", words[words.index("run") + 1 :]).params
        path: Path | None = given["config_path"]
        if path is not None and not path.is_absolute():
            path = Path(os.readlink(f"/proc/{pid}/cwd"), path)
    except (OSError, ValueError, click.ClickException) as error:
        told = f"gambit: how process {pid} was started cannot be told ({error}); say with which configuration: -c FILE"
        raise Failure(told) from error
    return path, given["overrides"]


def command_of(config_path: Path | None, overrides: Sequence[str]) -> list[str]:
    """The command line of the daemon in the foreground."""
    words = [sys.executable, "-m", "gambit", "run"]
    if config_path is not None:
        words += ["-c", str(config_path.absolute())]
    return words + [word for override in overrides for word in ("--set", override)]


def start_detached(command: Sequence[str], place: Place, timeout_sec: float = READY_SEC) -> int:
    """Run the command in a session of its own, its output in the state directory's log, until it says READY=1 over the
    pipe that GAMBIT_READY_FD names; its process number. Raises Failure with the end of its log when it ends before."""
    from gambit.runtime.process import LOCK_NAME, AlreadyRunning, ProcessError, holder, prepare_state_dir, work_at

    try:
        prepare_state_dir(place.state)
        pid = holder(place.state)
    except (ProcessError, OSError) as error:
        raise Failure(f"gambit: {error}") from error
    if pid is not None:
        raise Failure(f"gambit: {AlreadyRunning(place.state / LOCK_NAME, pid, work_at(place.state))}")
    log = place.state / LOG_NAME
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_suffix(".log.1"))
    reader, writer = os.pipe()
    with open(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as output, open(reader, "rb") as ready:
        begin = output.seek(0, os.SEEK_END)
        try:
            daemon = subprocess.Popen(  # noqa: S603 - our own command line
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=[writer],
                env={**os.environ, "GAMBIT_READY_FD": str(writer)},
            )
        finally:
            os.close(writer)
        try:
            with interrupts.heeded():
                _await_ready(daemon, ready.fileno(), timeout_sec, log, begin)
        except BaseException:
            _end(daemon)
            raise
    daemon.returncode = 0  # it lives on without us; Popen need not mind
    return daemon.pid


def _await_ready(daemon: "subprocess.Popen[bytes]", fd: int, timeout_sec: float, log: Path, begin: int) -> None:
    deadline = time.monotonic() + timeout_sec
    said = ""
    status = "nothing yet"
    while "READY=1" not in said.splitlines():
        left = max(0.0, deadline - time.monotonic())
        if not select.select([fd], [], [], left)[0]:
            raise Failure(f"gambit: not ready after {timeout_sec:g} s: {status}; see {log}")
        piece = os.read(fd, 4096).decode(errors="replace")
        if not piece:
            code = daemon.wait(max(TERM_SEC, left))
            failure = _BadConfig if code == _BadConfig.exit_code else Failure
            raise failure(f"gambit: the daemon ended with exit code {code}:\n{_tail(log, begin)}")
        said += piece
        status = next((line[7:] for line in reversed(said.splitlines()) if line.startswith("STATUS=")), status)


class _BadConfig(Failure):
    """The daemon could not use its configuration."""

    exit_code = 2


def _tail(log: Path, begin: int) -> str:
    """The last lines of what was logged since `begin`."""
    with log.open("rb") as file:
        file.seek(begin)
        lines = file.read().decode(errors="replace").splitlines()
    if not lines and shutil.disk_usage(log.parent).free < ROOM_BYTES:
        return f"it could say nothing: the disk of {log.parent} is full"
    return "\n".join(lines[-TAIL_LINES:]) or f"it said nothing; see {log}"


def _end(daemon: "subprocess.Popen[bytes]") -> None:
    """Take back a start that failed."""
    if daemon.poll() is None:
        daemon.terminate()
        try:
            daemon.wait(TERM_SEC)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def stop_daemon(place: Place, now: bool) -> tuple[int, str]:
    """Ask, then insist, then kill; (process number, how it ended). Raises NoDaemon when none runs."""
    from gambit.runtime.process import holder, work_at
    from gambit.surface import client

    pid = holder(place.state)
    if pid is None:
        raise NoDaemon(f"gambit: no daemon runs on {place.state}")
    if work := work_at(place.state):
        raise NoDaemon(f"gambit: no daemon runs on {place.state}: `gambit {work}` (process {pid}) is at work there")
    began = time.monotonic()
    if pid == 0:
        raise Failure(f"gambit: somebody holds {place.state} without saying who; `fuser {place.state}/gambit.lock`")
    try:
        gone = os.pidfd_open(pid)
    except ProcessLookupError:
        return pid, "it had just ended"
    try:
        if holder(place.state) != pid:
            return pid, "it had just ended"
        asked = True
        try:
            client.call(place.socket, "stop", {"now": now})
        except client.ControlError:
            asked = False
        if asked and _ended(gone, NOW_SEC if now else DRAIN_SEC):
            return pid, f"after {time.monotonic() - began:.1f} s"
        drain_sec = TERM_SEC if now or asked else DRAIN_SEC
        for number, patience_sec in ((signal.SIGTERM, drain_sec), (signal.SIGKILL, TERM_SEC)):
            signal.pidfd_send_signal(gone, number)
            if _ended(gone, patience_sec):
                return pid, f"by {number.name} after {time.monotonic() - began:.1f} s"
    except ProcessLookupError:
        return pid, "it had just ended"
    except PermissionError as error:
        raise Failure(f"gambit: process {pid} belongs to another user; become that user, or root") from error
    finally:
        os.close(gone)
    raise Failure(f"gambit: process {pid} does not end, not even killed; a disk that does not answer?")


def _ended(gone: int, patience_sec: float) -> bool:
    """Whether the process behind the descriptor ends in time."""
    return bool(select.select([gone], [], [], patience_sec)[0])


def _say(answer: dict[str, object], text: str, as_json: bool) -> None:
    click.echo(json.dumps(answer) if as_json else text)
