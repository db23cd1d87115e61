"""A venue that charges our account something else than configured: signals are reckoned with it, in a replay too."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gambit.bootstrap import Options
from gambit.events.orders import Filled
from gambit.runtime import fee_tier
from gambit.runtime.verification import verify
from gambit.sim.server import Server
from gambit.sim.verbs import FaultOrder
from tests.e2e.live import config_for, dear_until, exchanges, running, until
from tests.e2e.test_live_trading import CALM, SETTINGS, SYMBOL, accounts_of, keys_of, told_fees

VENUE = "okx"
TOLD = (Decimal(20), Decimal("-0.5"))  # bps; makers get rebates, and so may whoever trades much


def charge(server: Server, bps: Decimal) -> None:
    """From now on takers pay that."""
    rate = float(bps / 10_000)
    server.world.exchanges[VENUE].strike(FaultOrder(kind="fee", args={"rate": rate}, match={"account": "demo"}))


def expected_bps(signal: dict[str, Any], fee_bps: float) -> float:
    """What a sale at the venue leaves after fees; everybody else takes the configured 1 bp (formulas.md)."""
    buy, sell = float(signal["buy_vwap"]), float(signal["sell_vwap"])
    return (sell * (1 - fee_bps / 1e4) - buy * (1 + 1 / 1e4)) / buy * 1e4


async def test_a_fee_that_changes_is_what_signals_and_their_replay_reckon_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told when the account comes up and again when an execution cost more than that; each in its place of the
    recording."""
    monkeypatch.setattr(fee_tier, "AGAIN_NS", 0)
    decisions: list[dict[str, Any]] = []
    async with exchanges(CALM) as server:
        charge(server, TOLD[0])
        config = config_for(server, tmp_path / "state", *SETTINGS, symbols=[SYMBOL])
        options = Options(keys=keys_of(server), record_to=tmp_path / "session", listeners=[decisions.append])
        async with running(config, options) as (daemon, _):
            for fee_bps in TOLD:
                if fee_bps != TOLD[0]:
                    charge(server, fee_bps)
                    dear = Filled(
                        key="", venue=VENUE, symbol=SYMBOL, side="buy", exec_id="1", qty=Decimal(1), price=Decimal(100),
                        fee=Decimal(1), fee_asset="USDT",
                    )  # fmt: skip
                    accounts_of(daemon)[VENUE].fees.saw([dear])
                await until(lambda fee_bps=fee_bps: told_fees(daemon).get(VENUE) == fee_bps)
                await until(lambda: not daemon.parts.readings.board.open)
                begun = len(decisions)

                def sold(begun: int = begun) -> list[dict[str, Any]]:
                    raised = (one for one in decisions[begun:] if one["event"] == "raised")
                    return [one for one in raised if one["venue_sell"] == VENUE]

                await dear_until(server, VENUE, SYMBOL, sold)
                assert all(abs(one["net_bps"] - expected_bps(one, float(fee_bps))) < 1e-6 for one in sold())
            assert daemon.problems == []
    verdict = verify(tmp_path / "session", warn=pytest.fail)
    assert (verdict.difference, verdict.decisions) == (None, len(decisions))
