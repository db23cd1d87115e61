"""A backtest: the books as they were at an order's arrival, money that adds up, and the same result every time."""

import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from gambit.backtest import Axis, Result, grid, run, sweep
from gambit.backtest.measures import Measures, Point, drawdown, quantiles, result_of
from gambit.cli.backtest import summary
from gambit.cli.paint import Paint
from gambit.config import Config, load_layers
from gambit.engine.holdings import Holdings
from gambit.events.orders import Filled
from gambit.runtime.replay import replay
from gambit.sim.capture import make_capture

D = Decimal
MS, SECOND = 1_000_000, 1_000_000_000
START_NS = 1_750_000_000 * SECOND
SYMBOLS = ("BTC-USDT",)


def configured(*overrides: str) -> Config:
    """Small thresholds, no counting gates, and what a test wants besides."""
    base = (
        "engine.min_spread_bps=5", "engine.min_liquidity_depth=1000", "risk.trades_per_hour=0", "risk.trades_per_day=0",
        "execution.paper_taker_fee_bps=1", "execution.paper_slippage_bps=0", "engine.fee_bps=5",
        "venues.bybit.taker_fee_bps=1", "venues.okx.taker_fee_bps=1",
    )  # fmt: skip
    return load_layers(None, {}, [*base, *overrides]).config


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty lively seconds of three venues."""
    path = tmp_path_factory.mktemp("captures") / "made.jsonl.zst"
    make_capture(path, venues=["binance", "okx", "bybit"], symbols=["BTC-USDT", "ETH-USDT"], seconds=20, seed=3)
    return path


@pytest.fixture(scope="module")
def result(capture: Path) -> Result:
    """What the capture gives."""
    outcome = run([capture], configured())
    assert outcome.exit_code == 0
    return outcome.result


def brief(path: Path, gone_after_ms: float) -> Path:
    """Two venues a dollar apart; seven seconds in, one is cheap for `gone_after_ms`, and dear again for ever."""
    records: list[dict[str, Any]] = [{"t": "header", "v": 1, "venue": "multi"}]

    def book(venue: str, at_ns: int, bid: str, ask: str, number: int) -> None:
        bids, asks = [[bid, "5"]], [[ask, "5"]]
        if venue == "bybit":
            data = {"s": "BTCUSDT", "b": bids, "a": asks, "u": number, "seq": number}
            frame: dict[str, Any] = {
                "topic": "orderbook.50.BTCUSDT",
                "type": "snapshot",
                "ts": at_ns // MS,
                "data": data,
            }
        else:
            four = [[[price, qty, "0", "1"] for price, qty in side] for side in (asks, bids)]
            row = {"asks": four[0], "bids": four[1], "ts": str(at_ns // MS), "seqId": number, "prevSeqId": -1}
            frame = {"arg": {"channel": "books", "instId": "BTC-USDT"}, "action": "snapshot", "data": [row]}
        text = orjson.dumps(frame).decode()
        records.append({"t": "recv", "ts": at_ns, "venue": venue, "conn": venue, "data": text})

    for k in range(140):
        at_ns = START_NS + k * 50 * MS
        book("bybit", at_ns, "50000", "50001", k + 2)
        book("okx", at_ns + MS, "50000", "50001", k + 2)
    cheap_ns = START_NS + 7 * SECOND
    book("bybit", cheap_ns, "49800", "49801", 200)
    book("bybit", cheap_ns + int(gone_after_ms * MS), "50000", "50001", 201)
    for k in range(40):
        at_ns = cheap_ns + 500 * MS + k * 50 * MS
        book("bybit", at_ns, "50000", "50001", 300 + k)
        book("okx", at_ns + MS, "50000", "50001", 300 + k)
    path.write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in records))
    return path


def test_an_order_meets_the_book_of_its_arrival(tmp_path: Path) -> None:
    """Thirty milliseconds are enough for an order that takes at most 1.5 x 4 x 4 ms, not for one of at least 50."""
    file = brief(tmp_path / "brief.jsonl", gone_after_ms=30)
    quick = run([file], configured("execution.paper_latency_ms=4"), symbols=SYMBOLS).result
    slow = run([file], configured("execution.paper_latency_ms=100"), symbols=SYMBOLS).result
    assert (quick.opportunities, quick.plans, quick.fill_ratio) == (1, 1, 1.0)
    # 10000 quote at most: bought at 49801, sold at 50000, one bp of each side.
    row = quick.rows[0]
    qty = (row.total_quote / D(49801)).quantize(D("1e-8"))
    fees = sum((side * qty / 10_000).quantize(D("1e-8"), "ROUND_CEILING") for side in (D(49801), D(50000)))
    assert quick.result == row.profit == qty * 199 - fees
    assert quick.open_positions == {}
    # Too late for the cheap side: what the dear side sold had to be bought back, or nothing was traded at all.
    assert (slow.opportunities, slow.plans) == (1, 1)
    assert slow.result <= 0
    assert slow.rows[0].profit == slow.result
    assert slow.without_list == ["bybit:BTC-USDT", "okx:BTC-USDT"]


def test_an_arrival_is_not_put_off(tmp_path: Path) -> None:
    """It meets the book of that very instant, however near to the decision that is."""
    file = brief(tmp_path / "brief.jsonl", gone_after_ms=0.4)
    found = run([file], configured("execution.paper_latency_ms=0.25"), symbols=SYMBOLS).result
    assert (found.plans, found.fill_ratio, found.open_positions) == (1, 1.0, {})


def test_what_waits_at_the_end_is_no_warm_up(tmp_path: Path) -> None:
    """The recording ends with the signal: it is refused, and a latency later told what it would have earned."""
    file = brief(tmp_path / "brief.jsonl", gone_after_ms=30)
    lines = file.read_bytes().splitlines(keepends=True)
    last = max(k for k, line in enumerate(lines) if b"49801" in line)
    file.write_bytes(b"".join(lines[: last + 1]))
    config = configured("execution.paper_latency_ms=100", "risk.max_order_notional=1")
    found = run([file], config, symbols=SYMBOLS).result
    assert (found.opportunities, found.funnel) == (1, {"risk:max_order_notional": 1})
    assert found.counterfactual["risk:max_order_notional"] > 0


def test_fees_in_what_is_traded_itself_count_too() -> None:
    """USDC is the quote of one market and the base of another: its fees are in a position only where they are of a
    trade in USDC itself."""
    measures, holdings = Measures(), Holdings()
    for k, (symbol, side, qty, price, fee) in enumerate(
        (("BTC-USDC", "buy", 1, 100, 2), ("BTC-USDC", "sell", 1, 103, 2), ("USDC-USDT", "buy", 50, 1, 1))
    ):
        fact = Filled(
            key=f"gb{k}", venue="okx", symbol=symbol, side="buy" if side == "buy" else "sell", exec_id=f"e{k}",
            qty=D(qty), price=D(price), fee=D(fee), fee_asset="USDC",
        )  # fmt: skip
        base, quote = symbol.split("-")
        holdings.fill(fact, base, quote, None, START_NS)
        measures.on_fact(fact, START_NS)
    marks = {"BTC": D(100), "USDC": D(1), "USDT": D(1)}
    traded = sum((amount * marks[name.partition("|")[2]] for name, amount in holdings.traded.items()), D(0))
    assert result_of(holdings, measures.fees, marks) == traded == 3 - 2 - 2 - 1


def test_frames_that_could_not_be_used_are_told(tmp_path: Path) -> None:
    """A quarantined frame is counted with its reason in the result, on the terminal and in the report."""
    file = brief(tmp_path / "brief.jsonl", gone_after_ms=30)
    assert run([file], configured(), symbols=SYMBOLS).result.unusable == {}
    *lines, last = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines, last.replace(b'[[\\"50001\\"', b'[[\\"-7\\"')]))
    result = run([file], configured(), symbols=SYMBOLS).result
    ((reason, count),) = result.unusable.items()
    assert reason.startswith("okx: price")
    assert count == 1
    told = "\n".join(summary(result, [], [], Paint(is_coloured=False)))
    assert f"1 frames quarantined: 1 x {reason}" in told


def test_the_signals_are_those_of_replay(capture: Path, result: Result) -> None:
    """Trading along changes nothing of what is found."""
    out = io.BytesIO()
    replay([capture], configured(), symbols=None, emit="opportunities", out=out)
    events = [orjson.loads(line) for line in out.getvalue().splitlines()]
    raised = [event for event in events if event["event"] == "raised"]
    over = [event for event in events if event["event"] == "closed"]
    assert result.opportunities == len(raised) > 20
    assert result.lifetimes_ms == sorted(event["duration_ns"] / 1e6 for event in over)


def test_the_money_adds_up(result: Result) -> None:
    """Every opportunity has one end; the result is the sum of the plans, for nothing is left open."""
    assert sum(result.funnel.values()) == result.opportunities
    assert result.plans == len(result.rows) == sum(result.ends.values()) > 5
    assert result.open_positions == {}
    assert result.result == sum((row.profit for row in result.rows), D(0)) != 0
    assert result.curve[-1].result == result.result
    assert sum((route["profit"] for route in result.routes.values()), D(0)) == result.result
    assert sum(route["opportunities"] for route in result.routes.values()) == result.opportunities
    assert 0 < result.fees < result.turnover


def test_the_same_again(capture: Path, result: Result) -> None:
    """Byte for byte."""
    again = run([capture], configured()).result
    assert msgspec.json.encode(again) == msgspec.json.encode(result)


def test_a_sweep_is_the_runs_of_its_combinations(capture: Path, result: Result) -> None:
    """Each trial in its own process gives what a run alone gives."""
    axes = [Axis("engine.min_spread_bps", ("5", "30"))]
    trials = grid(axes, lambda more: configured(*more))
    assert [trial.overrides for trial in trials] == [("engine.min_spread_bps=5",), ("engine.min_spread_bps=30",)]
    found = dict(sweep([capture], trials, symbols=None, strict=False, jobs=2))
    assert msgspec.json.encode(found[0].result) == msgspec.json.encode(result)
    assert 0 < found[1].result.opportunities < result.opportunities


def test_too_many_combinations_are_refused() -> None:
    """Before the first of them runs."""
    axes = [Axis(f"engine.x{k}", tuple(map(str, range(30)))) for k in range(3)]
    with pytest.raises(ValueError, match=r"27,000 combinations"):
        grid(axes, lambda more: configured(*more))


def test_an_unlisted_venue_does_not_trade(capture: Path) -> None:
    """A venue that the configuration switches off is seen, not traded."""
    off = run([capture], configured("venues.okx.enabled=false")).result
    assert off.plans > 0
    assert all("okx" not in row.route for row in off.rows)


def test_drawdown_and_quantiles() -> None:
    """From the height reached before; a run that only loses falls from 0."""
    curve = [Point(k, D(value)) for k, value in enumerate((3, 1, 5, -2, 4))]
    assert (drawdown(curve), drawdown([Point(0, D(-4))]), drawdown([])) == (7, 4, 0)
    assert quantiles([float(k) for k in range(100)]) == {"p10": 10, "p50": 50, "p90": 90, "p99": 99}
    assert quantiles([]) == {}
