"""The control socket's methods about orders and plans, bound to a daemon's desk."""

from collections.abc import Callable
from typing import Any

from gambit.bootstrap.audit import audit, audited
from gambit.runtime import books_of_account
from gambit.runtime.daemon import Daemon
from gambit.runtime.dealing import Dealing
from gambit.surface.control import Caller, Handler
from gambit.surface.methods import Arming, Earned, Held, OrderId, PlanId, Reason, Rows, ScopeName
from gambit.surface.rpc import Refused

SECOND_NS = 1_000_000_000
HOUR_NS = 3600 * SECOND_NS


def desk_handlers(daemon: Callable[[], Daemon]) -> dict[str, Handler]:
    """By method name; `daemon` is asked at each call."""

    def dealing() -> Dealing:
        return daemon().parts.dealing

    def orders(params: Rows, _caller: Caller) -> list[dict[str, Any]]:
        return books_of_account.orders(dealing().desk, params)

    def order(params: OrderId, _caller: Caller) -> dict[str, Any] | None:
        return books_of_account.order(dealing().desk, params.order_id)

    def plans(params: Rows, _caller: Caller) -> list[dict[str, Any]]:
        return books_of_account.plans(dealing().desk, params, dealing().marks())

    def positions(params: Held, _caller: Caller) -> dict[str, Any]:
        desk, marks = dealing().desk, dealing().marks()
        return {
            "positions": books_of_account.positions(desk, marks, params.symbol),
            "balances": books_of_account.balances(desk, params.symbol, params.venue),
        }

    def pnl(params: Earned, _caller: Caller) -> dict[str, Any]:
        desk, marks = dealing().desk, dealing().marks()
        told = books_of_account.pnl(desk, marks, daemon().parts.clock.now_ns())
        if params == Earned():
            return told
        return {**told, "chosen": books_of_account.chosen(desk, params, marks)}

    def arm(params: Arming, caller: Caller) -> dict[str, Any]:
        with audited(daemon(), caller, "arm", "" if params.for_sec is None else f"for {params.for_sec:g} s"):
            awake(dealing()).arm(caller.by, arming_ns(params, dealing().desk.rules.arm_ns))
        return {"armed_until_ns": dealing().desk.standing.state.trading.armed_until_ns}

    def disarm(params: Reason, caller: Caller) -> dict[str, Any]:
        audit(daemon(), caller, "disarm", params.reason)
        awake(dealing()).disarm(caller.by, params.reason)
        return {"armed_until_ns": 0}

    def release(params: ScopeName, caller: Caller) -> dict[str, Any]:
        with audited(daemon(), caller, "release", params.scope):
            halted = dealing().desk.standing.state.trading.scopes
            if params.scope not in halted:
                raise Refused(f"{params.scope} is not halted; {', '.join(sorted(halted)) or 'nothing'} is")
            awake(dealing()).release(params.scope, caller.by)
        return {"done": params.scope}

    return {
        "orders": orders,
        "order.show": order,
        "plans": plans,
        "positions": positions,
        "pnl": pnl,
        "arm": arm,
        "disarm": disarm,
        "release": release,
        **_decisions(daemon),
    }


def _decisions(daemon: Callable[[], Daemon]) -> dict[str, Handler]:
    """What is decided about one plan or order."""

    def approve(params: PlanId, caller: Caller) -> dict[str, Any]:
        return decide("plan.approve", params.plan_id, caller)

    def reject(params: PlanId, caller: Caller) -> dict[str, Any]:
        return decide("plan.reject", params.plan_id, caller)

    def cancel(params: OrderId, caller: Caller) -> dict[str, Any]:
        return decide("order.cancel", key_of(daemon().parts.dealing, params.order_id), caller)

    def decide(action: str, name: str, caller: Caller) -> dict[str, Any]:
        with audited(daemon(), caller, action, name):
            decided(action, name, caller)
        return {"done": name}

    def decided(action: str, name: str, caller: Caller) -> None:
        dealing = awake(daemon().parts.dealing)
        do = {"plan.approve": dealing.approve, "plan.reject": dealing.reject, "order.cancel": dealing.cancel}[action]
        try:
            do(name, caller.by)
        except KeyError as error:
            what = "no live order" if action == "order.cancel" else "no plan that waits for approval"
            raise Refused(f"{name}: {what}") from error
        trade = dealing.desk.standing.state.trades.get(name)
        if action == "plan.approve" and trade is not None and trade.stopped:
            why_not = trade.stopped.replace("_", " ")
            raise Refused(f"{name} does not go: {why_not}; `gambit explain {name}` has the verdict of every gate")

    return {"plan.approve": approve, "plan.reject": reject, "order.cancel": cancel}


def arming_ns(params: Arming, most_ns: int) -> int | None:
    """How long live orders may leave; None: as configured. Raises Refused for longer than that."""
    if params.for_sec is None:
        return None
    for_ns = int(params.for_sec * SECOND_NS)
    if for_ns > most_ns:
        raise Refused(f"execution.arm_hours is {most_ns / HOUR_NS:g}: not for longer at a time")
    return for_ns


def awake(dealing: Dealing) -> Dealing:
    """The desk's shell, when it can be asked. Raises Refused."""
    if dealing.frozen:
        raise Refused(dealing.frozen)
    return dealing


def key_of(dealing: Dealing, name: str) -> str:
    """The client order id of an order that is named by it or by its order_id."""
    live = dealing.desk.standing.live
    return next((key for key, order in live.items() if name in (key, order.intent.order_id)), name)
