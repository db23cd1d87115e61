"""The commands that speak to a running daemon, against a process that answers like one."""

import contextlib
import io
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import click
import pytest

from gambit.cli import detached
from gambit.cli.daemon import NoDaemon, Place, config_of_kept, config_of_readable
from gambit.cli.detached import command_of, given_to_running, start_detached, stop_daemon
from gambit.cli.options import Failure, since_of
from gambit.cli.program import run
from gambit.runtime.process import holder

ROOT = Path(__file__).parent.parent.parent


def fake(state: Path, how: str = "ready") -> list[str]:
    """The command line of a fake daemon."""
    return [sys.executable, "-m", "tests.surface.fake_daemon", str(state), how]


def place(state: Path) -> Place:
    """Where it lives."""
    return Place(state, state / "gambit.sock")


class Done(NamedTuple):
    """How a command ended and what it said."""

    returncode: int
    stdout: str
    stderr: str


def gambit(state: Path, *words: object) -> Done:
    """Run a command against the daemon of this state directory, in this process: it is the same code, only sooner."""
    out, err = io.StringIO(), io.StringIO()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GAMBIT_")}
    environ["GAMBIT_DAEMON__STATE_DIR"] = str(state)
    with (
        mock.patch.dict(os.environ, environ, clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = run([str(word) for word in words])
    return Done(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state directory of a fake daemon that runs for all tests of this file."""
    state = tmp_path_factory.mktemp("daemon") / "state"
    start_detached(fake(state), place(state), 30)
    yield state
    stop_daemon(place(state), now=True)


def test_status_for_people(daemon: Path) -> None:
    """Who, how, how much, how fast, what is missing, and every venue."""
    done = gambit(daemon, "status")
    assert done.returncode == 0
    head, *rest = done.stdout.splitlines()
    assert head == f"gambit 9.9  running  paper  ACTIVE  process {holder(daemon)}, up 1 h 2 m"
    text = "\n".join(rest)
    for told in (
        "3/4 synced", "1,234/s", "1 open", "p50 12 us  p99 40 us", "record 1,200", "3 behind", "123.5 MB",
        "25% of a core", "not ready: kraken: 1 of 2 books is not synced", "http://127.0.0.1:9464/metrics",
        "halted: venue:okx: it charges more than its fee tier says",
    ):  # fmt: skip
        assert told in text
    binance = next(line for line in rest if "binance" in line)
    assert binance.split() == ["binance", "up", "2/2", "2/2", "1,234/s", "0", "0", "3", "ms", "40", "ms", "12", "ms"]
    assert next(line for line in rest if line.startswith("  kraken")).endswith("connection refused")


def test_status_for_programs(daemon: Path) -> None:
    """The fields that the contract names."""
    found = json.loads(gambit(daemon, "status", "--json").stdout)
    named = ("state", "trading_state", "mode", "books_synced")
    assert [found[name] for name in named] == ["running", "ACTIVE", "paper", 3]
    assert found["latency"]["tick_to_signal"]["p99_ns"] == 40_000
    assert [venue["venue"] for venue in found["venues"]] == ["binance", "kraken"]


def following(state: Path, *words: str) -> subprocess.Popen[str]:
    """A command that goes on until Ctrl-C."""
    return subprocess.Popen(
        [sys.executable, "-m", "gambit", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "GAMBIT_DAEMON__STATE_DIR": str(state)},
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["status", "--watch", "--json"], '"books_synced": 3'),
        (["opportunities", "--follow", "--json"], '"net_bps": 20.5'),
        (["opportunities", "--follow"], "kraken > binance"),
    ],
)
def test_watching_goes_on_until_ctrl_c(daemon: Path, words: list[str], told: str) -> None:
    """Line after line, then exit code 130."""
    running = following(daemon, *words)
    assert running.stdout
    assert [told in running.stdout.readline() for _ in range(2)] == [True, True]
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert (running.returncode, said.strip()) == (130, "gambit: interrupted")


def test_opportunities(daemon: Path) -> None:
    """As a table and as JSON, filtered as asked."""
    done = gambit(daemon, "opportunities")
    head, first, second = done.stdout.splitlines()
    assert head.split()[:3] == ["symbol", "buy", ">"]
    assert first.split()[:9] == ["BTC-USDT", "kraken", ">", "binance", "20.5", "30.75", "USDT", "0.25", "0.500"]
    assert second.endswith("1.00 s, not qualified")
    found = json.loads(gambit(daemon, "opportunities", "--symbol", "ETH-USDT", "--since", "10m", "--json").stdout)
    assert [one["symbol"] for one in found] == ["ETH-USDT"]
    assert gambit(daemon, "opportunities", "--symbol", "ETH-USDT", "--open").stdout == "no opportunities right now\n"
    assert gambit(daemon, "opportunities", "--since", "soon").returncode == 2
    odd = gambit(daemon, "opportunities", "--symbol", "\udcff")
    assert (odd.returncode, odd.stderr) == (1, "gambit: opportunities: what it is given is not UTF-8 text\n")


def test_the_trading_state(daemon: Path) -> None:
    """Each word says what it changed."""
    assert gambit(daemon, "halt", "--reason", "drill").stdout == "trading state ACTIVE > HALTED\n"
    assert gambit(daemon, "halt").stdout == "already HALTED\n"
    assert json.loads(gambit(daemon, "reduce", "--json").stdout) == {"state": "REDUCING", "was": "HALTED", "reason": ""}
    assert gambit(daemon, "resume").stdout == "trading state REDUCING > ACTIVE\n"
    odd = json.loads(gambit(daemon, "halt", "--reason", "St\udcf6rung", "--json").stdout)
    assert (odd["state"], odd["reason"]) == ("HALTED", "St?rung")  # typed where the locale is another one
    assert gambit(daemon, "resume").returncode == 0
    done = gambit(daemon, "halt", "--reason", "x" * 501)
    assert (done.returncode, "$.reason" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    "words",
    [["status"], ["opportunities"], ["opportunities", "--follow"], ["top"], ["halt"], ["stop"]],
    ids=" ".join,
)
def test_without_a_daemon(tmp_path: Path, words: list[str]) -> None:
    """Exit code 3, and one line that says what to do or where was looked."""
    done = gambit(tmp_path, *words)
    assert (done.returncode, done.stdout) == (3, "")
    assert str(tmp_path) in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_demonstration_is_found(tmp_path: Path) -> None:
    """Without a word about which daemon, the one that a demonstration keeps in its own folder answers."""
    demo = tmp_path / "demo"
    pid = start_detached(fake(demo), place(demo), 30)
    assert json.loads(gambit(tmp_path, "status", "--json").stdout)["pid"] == pid
    assert gambit(tmp_path, "status", "--set", "engine.top_n=3").returncode == 3
    (tmp_path / "journal").mkdir()  # what another daemon left is not what `gambit status` speaks to
    with mock.patch.dict(os.environ, {"GAMBIT_DAEMON__STATE_DIR": str(tmp_path)}):
        assert config_of_readable(None, ()).daemon.state_dir == str(demo)
        assert config_of_kept(None, ()).daemon.state_dir == str(tmp_path)
    assert gambit(tmp_path, "stop").returncode == 0
    assert holder(demo) is None


# --- start, stop, restart -------------------------------------------------------------------------------------------


def test_start_returns_when_ready_and_stop_when_gone(tmp_path: Path) -> None:
    """A second start is refused meanwhile; the log is private; a second stop finds nobody."""
    pid = start_detached(fake(tmp_path), place(tmp_path), 30)
    assert holder(tmp_path) == pid
    assert (tmp_path / "gambit.log").stat().st_mode & 0o077 == 0
    with pytest.raises(Failure, match=rf"a daemon runs already \(process {pid}\); `gambit stop` ends it"):
        start_detached(fake(tmp_path), place(tmp_path), 30)
    assert os.getsid(pid) == pid
    stopped, how = stop_daemon(place(tmp_path), now=False)
    assert (stopped, how.startswith("after ")) == (pid, True)
    assert os.waitpid(pid, 0)[1] == 0
    with pytest.raises(NoDaemon, match="no daemon runs on"):
        stop_daemon(place(tmp_path), now=False)


def test_a_start_that_could_say_nothing_names_the_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its log found no room either; "it said nothing" sends nobody to the disk."""
    command = [sys.executable, "-c", "raise SystemExit(1)"]
    with pytest.raises(Failure, match=r"exit code 1:\nit said nothing; see "):
        start_detached(command, place(tmp_path), 30)
    usage = mock.Mock(return_value=mock.Mock(free=0))
    monkeypatch.setattr("gambit.cli.detached.shutil.disk_usage", usage)
    with pytest.raises(Failure, match=rf"it could say nothing: the disk of {tmp_path} is full"):
        start_detached(command, place(tmp_path), 30)


def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    """The end of its own log, not of an older one; a configuration error is one here too."""
    (tmp_path / "gambit.log").write_text("yesterday's news\n")
    (tmp_path / "gambit.lock").touch()
    with pytest.raises(Failure) as failed:
        start_detached(fake(tmp_path, "broken"), place(tmp_path), 30)
    assert failed.value.exit_code == 1
    assert failed.value.message == (
        "gambit: the daemon ended with exit code 1:\nwarming up\njournal: record 17 is damaged; see `gambit verify`"
    )
    with pytest.raises(Failure, match=r"x\.toml:3: engine\.top_n = 0") as failed:
        start_detached(fake(tmp_path, "misconfigured"), place(tmp_path), 30)
    assert failed.value.exit_code == 2


def test_a_start_that_takes_too_long_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it was doing; nothing is left running. By this clock the time is over with the first word."""
    monkeypatch.setattr(detached, "time", mock.Mock(monotonic=mock.Mock(side_effect=[0.0, 0.0, 60.0])))
    with pytest.raises(Failure, match=r"not ready after 60 s: opening the journal; see .*gambit\.log"):
        start_detached(fake(tmp_path, "silent"), place(tmp_path), 60)
    assert holder(tmp_path) is None


@pytest.mark.parametrize(("kind", "how"), [("deaf", "by SIGTERM after"), ("stubborn", "by SIGKILL after")])
def test_stop_insists(tmp_path: Path, kind: str, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not hear gets a signal, who does not heed it is killed."""
    monkeypatch.setattr(detached, "TERM_SEC", 0.5 if kind == "stubborn" else 60.0)
    pid = start_detached(fake(tmp_path, kind), place(tmp_path), 30)
    stopped, told = stop_daemon(place(tmp_path), now=True)
    assert (stopped, told.startswith(how)) == (pid, True)
    os.waitpid(pid, 0)
    assert holder(tmp_path) is None


def test_a_long_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the next start, so that it does not grow for ever."""
    monkeypatch.setattr(detached, "LOG_BYTES_MAX", 10)
    (tmp_path / "gambit.lock").touch()
    (tmp_path / "gambit.log").write_text("x" * 11)
    with pytest.raises(Failure):
        start_detached(fake(tmp_path, "broken"), place(tmp_path), 30)
    assert (tmp_path / "gambit.log.1").read_text() == "x" * 11
    assert "warming up" in (tmp_path / "gambit.log").read_text()


def test_the_daemons_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration by its whole path, the overrides as they were given."""
    monkeypatch.chdir(tmp_path)
    found = command_of(Path("x.toml"), ["engine.top_n=3", "a=b c"])
    assert found[1:] == [
        "-m",
        "gambit",
        "run",
        "-c",
        str(tmp_path / "x.toml"),
        "--set",
        "engine.top_n=3",
        "--set",
        "a=b c",
    ]
    assert command_of(None, [])[1:] == ["-m", "gambit", "run"]


def test_a_daemon_survives_whoever_started_it(tmp_path: Path) -> None:
    """Started from a terminal's process that ends, it goes on and holds none of its pipes."""
    code = (
        "import sys; from pathlib import Path; from gambit.cli.detached import *; from gambit.cli.daemon import Place;"
        "state = Path(sys.argv[1]); print(start_detached(sys.argv[2:], Place(state, state / 'gambit.sock')))"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), *fake(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    said, _ = starter.communicate(timeout=60)  # ends although the daemon lives: it has no part in our pipe
    pid = int(said)
    assert holder(tmp_path) == pid
    gone = os.pidfd_open(pid)
    stop_daemon(place(tmp_path), now=True)
    assert select.select([gone], [], [], 60)[0]
    os.close(gone)


def test_a_restart_goes_on_with_what_the_daemon_was_given(tmp_path: Path) -> None:
    """Without -c and --set; one that nothing could be started with is not stopped."""
    state, mine = tmp_path / "state", tmp_path / "mine.toml"
    given = ["run", "-c", str(mine), "--set", "engine.top_n=3"]
    assert given_to_running(place(state)) is None
    pid = start_detached([*fake(state), *given], place(state), 30)
    assert given_to_running(place(state)) == (mine, ("engine.top_n=3",))
    done = gambit(state, "restart")
    assert (done.returncode, f"{mine}: no such file" in done.stderr) == (2, True)
    mine.write_text("")
    done = gambit(state, "restart")
    assert (done.returncode, "names no venue to connect to" in done.stderr) == (2, True)
    assert holder(state) == pid
    stop_daemon(place(state), now=True)
    os.waitpid(pid, 0)


def test_a_restart_of_what_was_started_otherwise_wants_a_configuration(tmp_path: Path) -> None:
    """It cannot be told with what: it goes on, and that is said."""
    pid = start_detached(fake(tmp_path), place(tmp_path), 30)
    done = gambit(tmp_path, "restart")
    assert (done.returncode, f"how process {pid} was started cannot be told" in done.stderr) == (1, True)
    assert holder(tmp_path) == pid
    stop_daemon(place(tmp_path), now=True)
    os.waitpid(pid, 0)


def test_what_is_held_and_earned(daemon: Path) -> None:
    """The filters of the contract reach the daemon."""
    found = json.loads(gambit(daemon, "positions", "--symbol", "BTC-USDT", "--venue", "okx", "--json").stdout)
    assert found["balances"] == [{"venue": "okx", "asset": "BTC", "amount": "1"}]
    assert "okx" in gambit(daemon, "positions", "--venue", "okx").stdout
    assert "chosen" not in json.loads(gambit(daemon, "pnl", "--json").stdout)
    asked = ["--symbol", "BTC-USDT", "--venue", "okx", "--status", "closed", "--since", "1h"]
    told = json.loads(gambit(daemon, "pnl", *asked, "--json").stdout)["chosen"]
    assert told["result"] == {"USDT": "1.5"}
    shown = gambit(daemon, "pnl", *asked).stdout
    assert shown.startswith("Plans chosen\n")
    assert gambit(daemon, "opportunities", "--status", "open", "--json").returncode == 0
    assert gambit(daemon, "opportunities", "--status", "lost").returncode == 2


def test_since_is_a_duration_or_a_time() -> None:
    """Of RFC 3339, or a day; without an offset it is UTC."""
    option: Any = None
    second_ns = 1_000_000_000
    for text in ("2026-05-28", "2026-05-28T00:00:00Z", "2026-05-28T02:00:00+02:00"):
        assert since_of(option, option, text) == 1_779_926_400 * second_ns
    found = since_of(option, option, "10m")
    assert found is not None
    assert 600 <= time.time() - found / second_ns < 1200
    assert since_of(option, option, None) is None
    for wrong in ("2026-13-01", "yesterday", ""):
        with pytest.raises(click.BadParameter, match="neither a duration"):
            since_of(option, option, wrong)


def test_venues_of_a_configuration_without_any_cannot_be_checked(tmp_path: Path) -> None:
    """An empty table and exit code 0 said that all was well."""
    done = gambit(tmp_path, "venues", "check")
    assert (done.returncode, "names no venue to connect to" in done.stderr) == (2, True)
