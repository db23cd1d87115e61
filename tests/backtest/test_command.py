"""`gambit backtest` as it is typed."""

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from gambit.cli.program import gambit
from gambit.sim.capture import make_capture

FEES = [
    f"--set={key}"
    for key in (
        "execution.paper_taker_fee_bps=1",
        "engine.min_spread_bps=5",
        "engine.min_liquidity_depth=1000",
        "engine.fee_bps=5",
    )
]


def typed(*words: object) -> Result:
    """The command with these words."""
    return CliRunner().invoke(gambit, ["backtest", *map(str, words)], standalone_mode=False)


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifteen seconds of three venues."""
    path = tmp_path_factory.mktemp("captures") / "made.jsonl"
    make_capture(path, venues=["binance", "okx", "bybit"], symbols=["BTC-USDT", "ETH-USDT"], seconds=15, seed=3)
    return path


def test_summary_and_report(capture: Path, tmp_path: Path) -> None:
    """The terminal has the numbers, the file everything: charts, assumptions, sweep; nothing from outside."""
    report = tmp_path / "report.html"
    words = ["--sweep", "engine.min_spread_bps=5:20:15", "--latency", "5,50", "-o", report]
    done = typed(capture, *FEES, *words)
    assert done.return_value == 0, done.output
    assert "Sweep, best first" in done.output
    assert f"report: {report}" in done.output
    page = report.read_text()
    assert page.count("<svg") >= 4
    for text in ("Latency sensitivity", "Opportunity lifetimes", "What this assumes", "engine.min_spread_bps"):
        assert text in page
    assert "<script" not in page
    assert 'src="' not in page


def test_json(capture: Path) -> None:
    """Amounts are decimal strings, and a sweep says what it changed."""
    done = typed(capture, *FEES, "--json", "--sweep", "engine.min_spread_bps=5,20")
    story = orjson.loads(done.stdout)
    assert isinstance(story["result"], str)
    assert [trial["overrides"] for trial in story["sweep"]] == [
        ["engine.min_spread_bps=5"],
        ["engine.min_spread_bps=20"],
    ]
    assert story["sweep"][0]["result"] == story["result"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sweep", "engine.min_spread_bps"], "KEY=VALUE"),
        (["--sweep", "engine.min_spread_bps=9:5:1"], "KEY=VALUE"),
        (["--sweep", "engine.min_spread_bps=5", "--sweep", "engine.min_spread_bps=6"], "twice"),
        (["--sweep", "engine.min_spread_bps=5,500"], "5..50"),
        (["--sweep", "engine.nothing=5"], "nothing"),
        (["--latency", "fast"], "milliseconds"),
        (["--latency", "-1"], "not negative"),
    ],
)
def test_what_cannot_be_meant(capture: Path, words: list[str], said: str) -> None:
    """Is said before anything runs, with exit code 2."""
    done = CliRunner().invoke(
        gambit, ["backtest", str(capture), *words, *(["-o", "x.html"] if "--latency" in words else [])]
    )
    assert done.exit_code == 2
    assert said in done.output


def test_a_report_does_not_destroy_its_input(capture: Path) -> None:
    """The input as output is refused."""
    before = capture.read_bytes()
    done = CliRunner().invoke(gambit, ["backtest", str(capture), "-o", str(capture)])
    assert (done.exit_code, capture.read_bytes()) == (2, before)


def test_a_truncated_capture_gives_what_it_has(capture: Path, tmp_path: Path) -> None:
    """The run up to the damage, the place of it, exit code 1."""
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(capture.read_bytes()[: -len(capture.read_bytes()) // 3])
    done = typed(cut, *FEES)
    assert done.return_value == 1
    assert "truncated" in done.output
    assert "result" in done.output


def test_a_report_without_a_folder_is_refused_before_the_work(capture: Path, tmp_path: Path) -> None:
    """It was found out at the end; `gambit drill run` likewise."""
    for words in (["backtest", str(capture)], ["drill", "run", "all"]):
        done = CliRunner().invoke(gambit, [*words, "-o", str(tmp_path / "nowhere" / "x.html")])
        assert (done.exit_code, f"there is no folder {tmp_path}/nowhere" in done.output.replace("\n", "")) == (2, True)
