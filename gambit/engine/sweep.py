"""The dust book, emptied: remainders of many episodes that together are large enough to trade."""

from collections.abc import Iterator
from typing import Final

from gambit.commands import plan_id
from gambit.engine.hedge import Imbalance, is_dust
from gambit.engine.limits import MINUTE_NS
from gambit.engine.order import ZERO
from gambit.engine.standing import Standing
from gambit.engine.trade import SWEEP, Surroundings, fair_price
from gambit.engine.trading_state import Trading
from gambit.events.orders import DustMoved, OrderFact, PlanMade

PAUSE_NS: Final = MINUTE_NS  # between two attempts at one symbol


def sweeps(standing: Standing, around: Surroundings) -> Iterator[OrderFact]:
    """At most one sweep at a time: its plan, and the dust that goes into it."""
    state = standing.state
    is_unarmed = around.rules.mode == "live" and not state.trading.is_armed(around.now_ns)
    if state.trading.state is not Trading.ACTIVE or is_unarmed or standing.open:
        return
    for asset, qty in sorted(state.holdings.dust.items()):
        for symbol, position in sorted(state.holdings.positions.items()):
            is_resting = around.now_ns - state.swept_ns.get(symbol, -PAUSE_NS) < PAUSE_NS
            if position.base != asset or is_resting or f"symbol:{symbol}" in state.trading.scopes:
                continue
            found = Imbalance(asset, qty, (symbol,), fair_price([symbol], around))
            if found.reference > 0 and not is_dust(found, around):
                made = _plan(symbol, standing, around)
                yield made
                yield DustMoved(asset=asset, qty=-qty, plan_id=made.plan_id)
                return


def _plan(symbol: str, standing: Standing, around: Surroundings) -> PlanMade:
    state, rules = standing.state, around.rules
    number = state.plan_number + 1
    return PlanMade(
        plan_id=plan_id(rules.key_prefix, state.epoch, number), number=number, epoch=state.epoch, opp_id=SWEEP,
        raw_signal_id="", user_id=rules.user_id, symbol=symbol, strategy="partial", approval="auto", legs=(),
        total_quote=ZERO, expected_profit=ZERO, expires_ns=0, gates=(),
    )  # fmt: skip
