"""What `gambit doctor` finds around the daemon: folder, disk, limits, clock, extras, systemd; and whether it runs."""

import ctypes
import dataclasses
import importlib.util
import os
import resource
import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from gambit.cli.daemon import Place, place_of_running
from gambit.cli.options import ConfigFailure
from gambit.surface import quantities

DISK_BYTES_MIN = 1 << 30
FILES_MIN = 1024
EXTRAS = {"textual": "tui", "ccxt": "ccxt", "opentelemetry": "otel"}
EXTRA_USES = {"textual": "gambit top", "ccxt": "exchanges without an adapter of their own", "opentelemetry": "traces"}
TIMEX_BYTES = 256  # struct timex is 208 bytes on 64-bit Linux
TIMEX_MAXERROR, TIMEX_STATUS = 24, 40  # offsets of its fields
STA_UNSYNC = 0x40
CLOCK_ERROR_US_MAX = 500_000


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: what was found, whether it will do, and what to do if not."""

    name: str
    found: str
    is_ok: bool
    advice: str = ""
    is_needed: bool = True


def surroundings(config_path: Path | None, overrides: Sequence[str]) -> Iterator[Finding]:
    """Everything around the daemon of this configuration."""
    try:
        place = place_of_running(config_path, overrides)
    except ConfigFailure as failure:
        yield Finding("configuration", failure.message.splitlines()[0], False, "`gambit config check` shows them all")
    else:
        yield _state_dir(place.state)
        yield _disk(place.state)
        yield _daemon(place)
    yield _files()
    yield _clock()
    yield from _extras()
    yield _pages()
    yield _systemd()


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _state_dir(state: Path) -> Finding:
    from gambit.runtime.process import is_ours

    if not state.exists():
        above = _existing(state)
        can_make = os.access(above, os.W_OK | os.X_OK)
        advice = f"make it, or set daemon.state_dir; {above} cannot be written"
        return Finding("state directory", f"{state}: made at the first start", can_make, advice)
    mode = state.stat().st_mode & 0o777
    is_usable = state.is_dir() and os.access(state, os.R_OK | os.W_OK | os.X_OK)
    advice = f"chmod 700 {state}" if is_usable else "it belongs to another user; become that user, or root"
    is_private = not mode & 0o077 or is_ours(state)  # ours is narrowed at the next start
    return Finding("state directory", f"{state} (mode {mode:04o})", is_usable and is_private, advice)


def _disk(state: Path) -> Finding:
    usage = shutil.disk_usage(_existing(state))
    found = f"{quantities.size(usage.free)} free of {quantities.size(usage.total)}"
    advice = "the journal needs room: without it no order leaves"
    return Finding("disk", found, usage.free >= DISK_BYTES_MIN, advice)


def _daemon(place: Place) -> Finding:
    """Whether one runs here, and whether it answers."""
    from gambit.runtime.process import holder
    from gambit.surface import client

    try:
        pid = holder(place.state)
    except OSError as error:
        return Finding("daemon", f"cannot tell: {error}", False, "become its user, or root", is_needed=False)
    if pid is None:
        return Finding("daemon", "not running", True, is_needed=False)
    try:
        status = client.call(place.socket, "status", timeout_sec=2.0)
    except client.ControlError as error:
        return Finding("daemon", f"process {pid} runs but does not answer: {error}", False, "`gambit restart`")
    words = "ready" if status["ready"] else "; ".join(status["reasons"]) or "not ready"
    return Finding("daemon", f"process {pid}, {status['state']}: {words}", bool(status["ready"]), is_needed=False)


def _files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    advice = "raise it: `ulimit -n 65536`, or LimitNOFILE in the systemd unit"
    is_ok = hard == resource.RLIM_INFINITY or hard >= FILES_MIN
    return Finding("open files", f"{soft}, may be raised to {hard}", is_ok, advice, is_needed=False)


def _clock() -> Finding:
    """Whether somebody keeps the machine's clock right; venues refuse orders of a clock that is off."""
    advice = "apt-get install chrony, or timedatectl set-ntp true"
    timex = ctypes.create_string_buffer(TIMEX_BYTES)
    if ctypes.CDLL(None, use_errno=True).adjtimex(timex) < 0:
        return Finding("clock", "cannot tell", False, advice, is_needed=False)
    (error_us,) = struct.unpack_from("q", timex, TIMEX_MAXERROR)
    (status,) = struct.unpack_from("i", timex, TIMEX_STATUS)
    if status & STA_UNSYNC:
        return Finding("clock", "nobody synchronises it", False, advice, is_needed=False)
    is_ok = error_us <= CLOCK_ERROR_US_MAX
    return Finding("clock", f"synchronised, off by at most {quantities.span(error_us * 1000)}", is_ok, advice, False)


def _extras() -> Iterator[Finding]:
    for module, extra in EXTRAS.items():
        is_there = importlib.util.find_spec(module) is not None
        found = f"{'there' if is_there else 'absent'}: {EXTRA_USES[module]}"
        yield Finding(f"extra {extra}", found, is_there, f"pip install 'gambit[{extra}]'", is_needed=False)


def _pages() -> Finding:
    """What the dashboard draws charts with, fetched when gambit was set up."""
    from gambit.web import vendor

    text = "charts can be drawn" if vendor.is_complete() else "charts are missing"
    advice = "`python -m gambit.web.vendor` fetches what draws them; everything else works without"
    return Finding("dashboard", text, vendor.is_complete(), advice, is_needed=False)


def _systemd() -> Finding:
    """What systemd knows of a unit called gambit."""
    advice = "configs/systemd/gambit.service, if it is to start with the machine"
    command = shutil.which("systemctl")
    if command is None or not Path("/run/systemd/system").exists():
        return Finding("systemd", "does not run here", True, is_needed=False)
    words = [command, "show", "gambit.service", "--property=LoadState,ActiveState", "--value"]
    try:
        said = subprocess.run(words, capture_output=True, text=True, timeout=5, check=True).stdout.split()  # noqa: S603 - fixed words
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("systemd", f"cannot tell: {error}", False, advice, is_needed=False)
    is_there = said[:1] == ["loaded"]
    return Finding("systemd", f"unit gambit.service: {', '.join(said)}", is_there, advice, is_needed=False)
