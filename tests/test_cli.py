"""The command line: what it prints, how it ends, and that bad input never shows a traceback."""

import gzip
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import pytest

from gambit import __version__
from gambit.cli.demo import SETTINGS, VENUES, _clear, _port
from gambit.cli.options import Failure
from gambit.cli.program import run
from gambit.cli.run import run_loop
from gambit.config import load, load_layers
from gambit.engine.standing import ReplayDiffers
from gambit.runtime.process import LOCK_NAME
from gambit.sim.capture import make_capture
from tests.tools import free_port

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("GAMBIT_")}
COMMAND = [sys.executable, "-m", "gambit"]
WAIT_SEC = 60


def gambit(*words: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does; whatever happens there is no traceback."""
    words = tuple(str(word) for word in words)
    done = subprocess.run(
        [*COMMAND, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=WAIT_SEC,
        env={**ENVIRONMENT, **(env or {})},
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few seconds of two simulated exchanges."""
    path = tmp_path_factory.mktemp("captures") / "made.jsonl"
    make_capture(path, venues=["binance", "kraken"], symbols=["BTC-USDT"], seconds=4, seed=3)
    return path


@pytest.fixture(scope="module")
def long_capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some megabytes."""
    path = tmp_path_factory.mktemp("captures") / "long.jsonl"
    make_capture(path, venues=["okx", "bybit"], symbols=["BTC-USDT"], seconds=100, seed=1)
    return path


def test_version_and_help() -> None:
    """The version is the package's; help names every command."""
    assert gambit("--version").stdout == f"gambit {__version__}\n"
    text = gambit("--help").stdout
    assert all(f"  {command} " in text for command in ("replay", "demo", "config", "venues", "doctor"))


def test_importing_the_command_line_is_light() -> None:
    """`gambit --help` pays for click and the standard library only."""
    code = "import sys, gambit.cli.program; print(' '.join(sorted({m.split('.')[0] for m in sys.modules})))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"msgspec", "orjson", "zstandard", "numpy"}.isdisjoint(loaded)


@pytest.mark.parametrize(
    "words",
    [
        ["replay"],
        ["replay", "no-such-file.jsonl"],
        ["replay", "CAPTURE", "--emit", "everything"],
        ["replay", "CAPTURE", "--symbols", "btc-usdt"],
        ["replay", "CAPTURE", "--symbols", ","],
        ["replay", "CAPTURE", "-o", "CAPTURE"],
        ["replay", "CAPTURE", "-c", "no-such-file.toml"],
        ["replay", "CAPTURE", "--set", "engine.top_n=0"],
        ["replay", "CAPTURE", "--set", "engine"],
        ["demo", "--for", "0s"],
        ["demo", "--for", "soon"],
        ["demo", "--seed", "-1"],
        ["config", "check", "-c", "no-such-file.toml"],
        ["unheard-of"],
        ["replay", "--unheard-of", "CAPTURE"],
    ],
    ids=" ".join,
)
def test_usage_and_configuration_errors_exit_2(capture: Path, words: list[str]) -> None:
    """Nothing is written, the reason is on stderr, the input is untouched."""
    before = capture.read_bytes()
    done = gambit(*(str(capture) if word == "CAPTURE" else word for word in words))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip()
    assert capture.read_bytes() == before


def test_config_check(tmp_path: Path) -> None:
    """Good: exit 0 and the files that were read. Bad: exit 2 and every problem with its line."""
    file = tmp_path / "x.toml"
    file.write_text("[engine]\ntop_n = 3\n")
    done = gambit("config", "check", "-c", file)
    assert (done.returncode, done.stdout) == (0, f"{file}: ok\n")
    file.write_text("[engine]\nwindow_size_sec = 99\ntopn = 3\n")
    done = gambit("config", "check", "-c", file)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"{file}:2: engine.window_size_sec = 99 is outside 1..30",
        f"{file}:3: engine.topn is not a known key; did you mean top_n?",
    ]
    answer = json.loads(gambit("config", "check", "-c", file, "--json").stdout)
    assert answer["ok"] is False
    assert answer["problems"][0] == {
        "where": f"{file}:2",
        "key": "engine.window_size_sec",
        "text": "= 99 is outside 1..30",
    }
    assert json.loads(gambit("config", "check", "--json").stdout) == {
        "ok": True,
        "files": [],
        "problems": [],
        "notes": [],
    }


def test_config_check_finds_alert_rules_that_cannot_be(tmp_path: Path) -> None:
    """A metric, label or fact that there is not is an error of the file, with its line, not of the next start."""
    file = tmp_path / "gambit.toml"
    rules = ('metric = "gambit_loop_lag_second"', 'fact = "order.filed"', 'metric = "gambit_ready"')
    file.write_text("".join(f'[[alerts.rules]]\nrule = "mine{at}"\n{rule}\n' for at, rule in enumerate(rules)))
    done = gambit("config", "check", "-c", file)
    assert done.returncode == 2
    assert f"{file}:1: alerts.rules[0]" in done.stderr
    assert "did you mean gambit_loop_lag_seconds?" in done.stderr
    assert f"{file}:4: alerts.rules[1]" in done.stderr
    told = json.loads(gambit("config", "check", "-c", file, "--json").stdout)
    assert (told["ok"], [one["key"] for one in told["problems"]]) == (False, ["alerts.rules[0]", "alerts.rules[1]"])


def test_config_check_notes_venues_it_does_not_know(tmp_path: Path) -> None:
    """A venue that this version does not speak to is noted with its line; the configuration is good all the same."""
    file = tmp_path / "x.toml"
    file.write_text("[venues.binanec]\ntaker_fee_bps = 3\n")
    done = gambit("config", "check", "-c", file)
    assert (done.returncode, done.stdout) == (0, f"{file}: ok\n")
    assert done.stderr == f"{file}:1: note: gambit does not speak to 'binanec'; did you mean binance?\n"


def test_config_show_has_values_and_places() -> None:
    """What is in force, from the environment and the command line too."""
    env = {"GAMBIT_ENGINE__FEE_BPS": "7.5"}
    text = gambit("config", "show", "--set", "engine.top_n=3", env=env).stdout
    assert "fee_bps = 7.5  # GAMBIT_ENGINE__FEE_BPS\n" in text
    assert "top_n = 3  # --set engine.top_n\n" in text
    assert json.loads(gambit("config", "show", "--json", env=env).stdout)["engine"]["fee_bps"] == 7.5


def test_config_schema_is_json_schema() -> None:
    """The schema is draft 2020-12 and bounds what the specification bounds."""
    schema = json.loads(gambit("config", "schema", "--json").stdout)
    assert schema["$schema"].endswith("2020-12/schema")
    window = schema["properties"]["engine"]["properties"]["window_size_sec"]
    assert (window["minimum"], window["maximum"], window["default"]) == (1, 30, 5)


def test_the_embedded_demo_is_the_example() -> None:
    """`gambit demo` runs with the settings that configs/demo.toml shows."""
    assert load_layers(None, {}, (), SETTINGS).config == load(Path("configs/demo.toml"), {})


@pytest.mark.parametrize("emit", ["opportunities", "ticks", "books"])
def test_replay_is_the_same_every_time(capture: Path, tmp_path: Path, emit: str) -> None:
    """Same input, same bytes, on stdout as in a file; each line is a JSON object."""
    words = ["replay", capture, "--emit", emit, "-c", "configs/demo.toml"]
    first = gambit(*words)
    assert (first.returncode, first.stderr) == (0, "")
    assert gambit(*words, "-o", tmp_path / "out.jsonl").stdout == ""
    assert (tmp_path / "out.jsonl").read_text() == first.stdout
    lines = [json.loads(line) for line in first.stdout.splitlines()]
    assert all(isinstance(line, dict) for line in lines)
    assert lines or emit == "opportunities"


def test_replay_of_chosen_symbols(capture: Path) -> None:
    """`--symbols` is a filter."""
    assert gambit("replay", capture, "--emit", "ticks", "--symbols", "ETH-USDT").stdout == ""
    ticks = gambit("replay", capture, "--emit", "ticks", "--symbols", "BTC-USDT").stdout.splitlines()
    assert {json.loads(line)["symbol"] for line in ticks} == {"BTC-USDT"}


def test_stats_are_json(capture: Path) -> None:
    """`--emit stats` counts what was read."""
    stats = json.loads(gambit("replay", capture, "--emit", "stats").stdout)
    assert set(stats["venues"]) == {"binance", "kraken"}
    assert stats["frames"] > 0
    assert stats["bad_lines"] == 0


HEADER = b'{"t":"header","v":1,"venue":"binance-spot"}\n'
BAD_FILES = {
    "rubbish": (Random(1).randbytes(5000), 1),
    "empty": (b"", 1),
    "half a line": (HEADER + b'{"t":"recv","ts":1,"conn":"a","da', 1),
    "unknown venue": (b'{"t":"header","v":1,"venue":"atlantis"}\n', 1),
    "no header": (b'{"t":"recv","ts":1,"conn":"a","data":"{}"}\n', 1),
    "other version": (b'{"t":"header","v":99,"venue":"binance-spot"}\n', 1),
    "bad line": (HEADER + b"nonsense\n", 0),
    "line of 10 MB": (HEADER + b'{"t":"recv","ts":1,"conn":"a","data":"' + b"x" * 10_000_000 + b'"}\n', 0),
    "truncated gzip": (gzip.compress(HEADER * 1000)[:-20], 1),
    "not gzip": (b"plain", 1),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_files_give_a_clear_message(tmp_path: Path, kind: str) -> None:
    """Each bad file is named, with the documented exit code."""
    raw, code = BAD_FILES[kind]
    file = tmp_path / ("bad.jsonl.gz" if "gzip" in kind else "bad.jsonl")
    file.write_bytes(raw)
    done = gambit("replay", file, "--emit", "ticks")
    assert done.returncode == code, done.stderr
    assert code == 0 or str(file) in done.stderr


def test_bad_lines_are_reported_and_strict_stops(capture: Path, tmp_path: Path) -> None:
    """A bad line is named with its number and skipped; with --strict it ends the replay with exit 1."""
    lines = capture.read_bytes().splitlines(keepends=True)
    file = tmp_path / "bad.jsonl"
    file.write_bytes(b"".join([*lines[:20], b"{oops\n", *lines[20:]]))
    lenient = gambit("replay", file, "--emit", "ticks")
    assert lenient.returncode == 0
    assert f"{file}:21: " in lenient.stderr
    assert lenient.stdout == gambit("replay", capture, "--emit", "ticks").stdout
    strict = gambit("replay", file, "--emit", "ticks", "--strict")
    assert strict.returncode == 1
    assert f"{file}:21: " in strict.stderr
    assert lenient.stdout.startswith(strict.stdout)


def test_truncated_capture_gives_what_can_be_read(capture: Path, tmp_path: Path) -> None:
    """Everything before the cut is put out, then exit 1."""
    whole = gambit("replay", capture, "--emit", "ticks").stdout
    file = tmp_path / "cut.jsonl.gz"
    file.write_bytes(gzip.compress(capture.read_bytes())[:-3000])
    done = gambit("replay", file, "--emit", "ticks")
    assert done.returncode == 1
    assert str(file) in done.stderr
    assert done.stdout
    assert whole.startswith(done.stdout)


def test_a_reader_that_goes_away_ends_it_quietly(capture: Path) -> None:
    """`gambit replay ... | head -1` leaves no message behind."""
    words = [*COMMAND, "replay", str(capture), "--emit", "ticks"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        message = process.stderr.read()
        assert (process.wait(WAIT_SEC), message) == (141, b"")


@contextmanager
def started(words: Sequence[object]) -> Iterator[subprocess.Popen[bytes]]:
    """A running command that heeds Ctrl-C; it does not outlive the block, whatever happens there."""
    words = [str(word) for word in words]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT, preexec_fn=heed_ctrl_c
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def heed_ctrl_c() -> None:
    """A shell's background jobs, and all they start, ignore Ctrl-C; a user's command does not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_at_any_moment_is_quiet(tmp_path: Path) -> None:
    """While modules load, too, Ctrl-C ends the command with exit 130 and shows no traceback."""
    source = tmp_path / "silent.jsonl"
    os.mkfifo(source)
    pipe = os.open(source, os.O_RDWR)
    start = "from gambit.cli import interrupts as i; i.leave_at_once(); print(flush=True)"
    words = [sys.executable, "-c", f"{start}; from gambit.__main__ import main; main()", "replay", str(source)]
    for wait_ms in range(0, 360, 40):
        with started(words) as process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                process.wait(wait_ms / 1000)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
            message = process.communicate(timeout=WAIT_SEC)[1]
            assert (process.returncode, b"Traceback" in message) == (130, False), (wait_ms, message)
    os.close(pipe)


def test_ctrl_c_keeps_what_was_found(long_capture: Path, tmp_path: Path) -> None:
    """Interrupted in the middle of its input, replay exits 130 with whole lines in its output."""
    source, output = tmp_path / "endless.jsonl", tmp_path / "out.jsonl"
    os.mkfifo(source)
    pipe = os.open(source, os.O_RDWR | os.O_NONBLOCK)  # for writing too, so that the input never ends
    words = [*COMMAND, "replay", str(source), "--emit", "ticks", "-o", str(output)]
    with started(words) as process:
        rest = memoryview(long_capture.read_bytes())
        while rest and process.poll() is None:
            if select.select([], [pipe], [], 1.0)[1]:
                rest = rest[os.write(pipe, rest[:4096]) :]
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        message = process.communicate(timeout=WAIT_SEC)[1]
        assert process.returncode == 130, message
    os.close(pipe)
    assert b"Traceback" not in message
    lines = output.read_text().splitlines()
    assert lines
    assert all("bid" in json.loads(line) for line in lines)


def on_terminal(words: Sequence[str], env: dict[str, str]) -> tuple[str, str]:
    """Run with stdout and stderr on a terminal each; what was written to them."""
    ends = [pty.openpty(), pty.openpty()]
    texts = [bytearray(), bytearray()]

    def drain(at: int) -> None:
        while True:
            try:
                piece = os.read(ends[at][0], 65536)
            except OSError:  # the other side is closed
                return
            texts[at].extend(piece)

    readers = [threading.Thread(target=drain, args=(at,)) for at in (0, 1)]
    for reader in readers:
        reader.start()
    done = subprocess.run(
        [*COMMAND, *words], stdout=ends[0][1], stderr=ends[1][1], env=env, timeout=WAIT_SEC, check=False
    )
    for _, inner in ends:
        os.close(inner)
    for reader in readers:
        reader.join()
    for outer, _ in ends:
        os.close(outer)
    assert done.returncode == 0
    return texts[0].decode(), texts[1].decode()


def test_progress_is_for_terminals(long_capture: Path, tmp_path: Path) -> None:
    """A bar on a terminal's stderr while the lines go to a file, and taken away at the end."""
    words = ["replay", str(long_capture), "--emit", "ticks", "-o", str(tmp_path / "out.jsonl")]
    _, errors = on_terminal(words, {**ENVIRONMENT, "TERM": "xterm"})
    assert "%" in errors
    assert errors.endswith("\r")


def test_colours_are_for_terminals(tmp_path: Path) -> None:
    """The demo is coloured on a terminal, not in a pipe and not against NO_COLOR."""
    words = ["demo", "--for", "1s"]
    terminal = {**ENVIRONMENT, "TERM": "xterm", "XDG_STATE_HOME": str(tmp_path)}
    assert "\x1b[" in on_terminal(words, terminal)[0]
    assert "\x1b[" not in on_terminal(words, {**terminal, "NO_COLOR": "1"})[0]
    assert "\x1b[" not in gambit(*words, env={"XDG_STATE_HOME": str(tmp_path)}).stdout


def test_demo_is_a_daemon_that_shows_opportunities_and_sums_up(tmp_path: Path) -> None:
    """The demo comes up by itself, finds something, and ends in order; for people and for programs."""
    env = {"XDG_STATE_HOME": str(tmp_path)}
    lines = [json.loads(line) for line in gambit("demo", "--for", "8s", "--json", env=env).stdout.splitlines()]
    assert {line["event"] for line in lines} >= {"ready", "raised", "closed", "summary"}
    assert lines[0]["event"] == "ready"
    assert lines[0]["books"] == lines[0]["books_synced"] == 2 * len(VENUES)
    assert lines[-1]["event"] == "summary"
    assert all(lines[-1]["venues"][venue]["gaps"] == 0 for venue in VENUES)
    assert all(book["synced"] for book in lines[-1]["books"])
    done = gambit("demo", "--for", "3s", "--seed", "5", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(venue in done.stdout for venue in VENUES)
    assert "Books at the end" in done.stdout


def test_a_demonstration_ends_with_its_reader(tmp_path: Path) -> None:
    """`gambit demo | head -1` went on: halted, by a defect that was none."""
    env = {**ENVIRONMENT, "XDG_STATE_HOME": str(tmp_path)}
    pipe = subprocess.PIPE
    with subprocess.Popen([*COMMAND, "demo", "--json"], stdout=pipe, stderr=pipe, env=env) as running:
        assert running.stdout
        assert running.stderr
        assert json.loads(running.stdout.readline())["event"] == "ready"
        running.stdout.close()
        said = running.stderr.read()
        assert (running.wait(WAIT_SEC), said) == (141, b"")


def test_two_demonstrations_do_not_want_the_same_port() -> None:
    """Not even when both look before either listens; one that has ended leaves it to the next."""
    port = free_port()
    with ExitStack() as first, ExitStack() as second:
        assert (_port("127.0.0.1", port, first), _port("127.0.0.1", port, second)) == (port, 0)
    with ExitStack() as third, socket.create_server(("127.0.0.1", port)):
        assert _port("127.0.0.1", port, third) == 0
    with ExitStack() as fourth:
        assert _port("127.0.0.1", port, fourth) == port


def test_a_demonstration_on_ipv6_has_the_port_it_was_told() -> None:
    """It was tried with a socket of IPv4, which refuses such an address, and another port taken without a word."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as trial:
            port = trial.getsockname()[1]
    except OSError:
        pytest.skip("no IPv6 here")
    with ExitStack() as held:
        assert _port("::1", port, held) == port


def test_a_demonstration_without_exchanges_says_so(tmp_path: Path) -> None:
    """Before it starts anything; it asked for keys of nobody."""
    off = [word for name in VENUES for word in ("--set", f"venues.{name}.enabled=false")]
    done = gambit("demo", *off, "--set", f"daemon.state_dir={tmp_path}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "enable one of binance" in done.stderr


def test_a_demonstration_empties_no_folder_but_its_own(tmp_path: Path) -> None:
    """Somebody's own folder may be called demo; one of a demonstration has its lock."""
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "thesis.txt").touch()
    with pytest.raises(Failure, match="demo is no demonstration's and would be emptied: move it away"):
        _clear(folder)
    assert (folder / "thesis.txt").exists()
    (folder / LOCK_NAME).touch()
    _clear(folder)
    assert not folder.exists()
    folder.mkdir()
    _clear(folder)
    _clear(folder)
    assert not folder.exists()


def test_a_journal_that_cannot_be_replayed_is_no_defect() -> None:
    """What to do is said, and nobody is asked for a traceback."""

    async def start() -> int:
        raise ReplayDiffers("record 7 is a 'tomorrow', which this version does not know")

    with pytest.raises(Failure, match=r"record 7 is a 'tomorrow'.* Start the version of gambit that wrote it"):
        run_loop(start)


def test_a_retention_that_cannot_be_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    """By the check and by the start, with its place."""
    file = tmp_path / "mine.toml"
    file.write_text("[store.retention]\norders = 5\n[venues.binance]\n")
    done = gambit("config", "check", "-c", file)
    assert done.returncode == 2
    assert f"{file}:2" in done.stderr
    assert "no table that leaves by days" in done.stderr
    done = gambit("run", "-c", file, "--set", f"daemon.state_dir={tmp_path / 'state'}")
    assert (done.returncode, "store.retention.orders: no table that leaves by days" in done.stderr) == (2, True)


def test_venues_list() -> None:
    """Every venue of this version is listed, for people and for programs."""
    names = {
        "binance",
        "binance-us",
        "binance-usdm",
        "binance-coinm",
        "okx",
        "bybit",
        "bybit-linear",
        "kraken",
        "coinbase",
    }
    assert {venue["name"] for venue in json.loads(gambit("venues", "list", "--json").stdout)} == names
    assert all(name in gambit("venues", "list").stdout for name in names)


def test_doctor_finds_this_machine_fit() -> None:
    """Where the suite runs, everything that is needed is there."""
    done = gambit("doctor")
    assert done.returncode == 0, done.stdout
    answer = json.loads(gambit("doctor", "--json").stdout)
    assert answer["ok"] is True
    assert {"python", "compiled kernels"} <= {check["name"] for check in answer["checks"]}


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_stream_is_nothing_and_no_defect(closed: str, tmp_path: Path) -> None:
    """What is opened later does not get its number, and a child has one too."""
    seen = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *COMMAND, "config", "show"],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=WAIT_SEC, env=ENVIRONMENT, check=False,
    )  # fmt: skip
    assert (seen.returncode, seen.stderr) == (0, b"")
    assert bool(seen.stdout) == (">&-" not in closed.replace("2>&-", ""))
    told = tmp_path / "told"
    probe = (
        "import subprocess, sys; from gambit.cli.streams import open_closed; open_closed();"
        "kept = open(sys.argv[1], 'w');"
        "asked = 'import sys; sys.exit(None in (sys.stdin, sys.stdout, sys.stderr))';"
        "child = subprocess.run([sys.executable, '-c', asked]);"
        "print(kept.fileno(), child.returncode, file=kept)"
    )
    subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", sys.executable, "-c", probe, str(told)],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=WAIT_SEC, env=ENVIRONMENT, check=True,
    )  # fmt: skip
    number, child = told.read_text().split()
    assert (int(number) > 2, child) == (True, "0")


def test_a_password_is_not_asked_for_without_a_terminal(tmp_path: Path) -> None:
    """It says how to give it, instead of a warning of Python's and `interrupted`."""
    for words in (("add", "ann@desk"), ("passwd", "ann@desk")):
        done = gambit("user", *words, "--set", f"daemon.state_dir={tmp_path}")
        assert (done.returncode, "--password-stdin" in done.stderr) == (2, True)
        assert "Warning" not in done.stderr


def test_a_state_directory_that_is_not_ours_is_no_defect_of_user(tmp_path: Path) -> None:
    """`gambit user` says what is wrong with it, as every other command does."""
    tmp_path.chmod(0o755)
    (tmp_path / "somebody's").touch()
    done = gambit("user", "list", "--set", f"daemon.state_dir={tmp_path}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"gambit: {tmp_path}: open to others")


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    """No file may grow here, which is what a full disk is to `user add`."""
    words = ["user", "add", "ann@desk", "--password-stdin", "--set", f"daemon.state_dir={tmp_path / 'state'}"]
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *COMMAND, *words],
        input=b"correct horse battery staple\n", capture_output=True, timeout=WAIT_SEC, env=ENVIRONMENT, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.decode() == f"gambit: {tmp_path / 'state'}: File too large\n"


def test_a_defect_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Even a bug of ours shows no traceback unless it is asked for."""
    monkeypatch.setattr("gambit.cli.doctor._python", lambda: 1 / 0)
    monkeypatch.delenv("GAMBIT_TRACEBACK", raising=False)
    assert run(["doctor"]) == 1
    assert "a defect in gambit: ZeroDivisionError" in capsys.readouterr().err
    monkeypatch.setenv("GAMBIT_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        run(["doctor"])
