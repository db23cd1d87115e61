"""Group A: what becomes of a create is not known at first."""

from __future__ import annotations

from gambit.drills.registry import drill
from gambit.drills.stage import PLACE, PRIVATE, Stage


async def one_fault(stage: Stage, venue: str, kind: str, **args: object) -> None:
    """A fault strikes a create; both sides agree afterwards, and the venue is traded at as if nothing had been."""
    fault = stage.strike(venue, kind, PLACE, **args)
    await stage.fire(fault, venue)
    await stage.settle()
    await stage.still_trades(venue)


@drill("F01")
async def lost_reply_on_the_line(stage: Stage) -> None:
    """The order is in doubt, is found by its key, and is known from then on."""
    await one_fault(stage, "binance", "drop_reply")


@drill("F02")
async def lost_reply_over_http(stage: Stage) -> None:
    """Filled at once, so no list of open orders has it; the stream tells nothing of it either."""
    stage.strike("coinbase", "gap", PRIVATE, count=2)
    await one_fault(stage, "coinbase", "drop_reply")
    stage.need(stage.moves()["submitted unknown in_doubt"], "the order was never in doubt")


@drill("F03")
async def lost_request(stage: Stage) -> None:
    """Absence is proven after the window only."""
    await one_fault(stage, "binance", "drop_request")
    stage.need(stage.kinds()["order.absent_proven"], "absence was not proven")


@drill("F06")
async def unavailable_but_done(stage: Stage) -> None:
    """A 503 is no refusal: the order is there."""
    await one_fault(stage, "coinbase", "http", status=503, body="<html>busy</html>", applied=True)
    stage.need(stage.moves()["submitted unknown in_doubt"], "the order was never in doubt")
