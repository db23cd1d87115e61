"""What is wrong with an exchange for a while: its book, its orders, its fees, its stream, its clock; and a rival."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from gambit.commands import client_order_id
from gambit.events.orders import Cancelled, Expired, Filled, ForeignOrderSeen
from tests.simulation.exchange import MS, SECOND, Exchange
from tests.simulation.tape import Tape

if TYPE_CHECKING:
    from tests.simulation.shell import Shell

D = Decimal
TICKS = (D("0.01"), D("0.02"), D("0.05"))


def trouble(shell: "Shell", exchange: Exchange) -> None:
    """Once a second and exchange: what begins now."""
    tape, now_ns = shell.tape, shell.now_ns
    bad_until_ns = now_ns + tape.between("bad for", 200, 2000) * MS
    if tape.fault("frozen book"):
        exchange.spoil("frozen", bad_until_ns)
    if tape.fault("book out of step"):
        exchange.spoil("unsynced", bad_until_ns)
    if tape.fault("crossed book"):
        exchange.spoil("crossed", bad_until_ns)
    if tape.fault("closed"):
        exchange.closed_until_ns = now_ns + tape.between("closed for", 300, 2000) * MS
    if tape.fault("private stream dead"):
        exchange.deaf_until_ns = now_ns + tape.between("dead for", 1, 5) * SECOND
        shell.at(exchange.deaf_until_ns, shell.reconnected, exchange)
    if tape.fault("clock off"):
        exchange.offset_ns = tape.between("clock", -900, 900) * MS
    if exchange.seq % 50 != 30:
        return
    if tape.fault("dearer"):
        exchange.dearer_bps = D(tape.between("how dear", 1, 40))
    if tape.fault("other filters"):
        exchange.tick = tape.pick("tick", TICKS)
    if shell.is_up and tape.fault("another daemon"):
        shell.deliver(shell.incarnation, rival(shell, exchange))
        shell.at(now_ns + tape.between("seen to", 300, 3000) * MS, shell.release)


def rival(shell: "Shell", exchange: Exchange) -> ForeignOrderSeen:
    """An order of another daemon on the account: of this epoch, or of a later one."""
    number = shell.tape.between("its number", 90_000, 99_999)
    epoch = shell.epoch + shell.tape.between("its epoch", 0, 2)
    return ForeignOrderSeen(
        venue=exchange.name, symbol="BTC-USDT", side="buy", qty=D(1), price=D(90), venue_order_id=f"rival{number}",
        client_id=client_order_id(shell.desk.rules.key_prefix, epoch, number, "rival"), is_open=False,
    )  # fmt: skip


def garbled(fact: Any, tape: Tape) -> Any:
    """A number that is none, where a stream tells of quantities."""
    if isinstance(fact, Filled) and tape.fault("poison"):
        return msgspec.structs.replace(fact, qty=tape.pick("no number", (D("NaN"), D("-1"), D(0), D("Infinity"))))
    if isinstance(fact, Cancelled | Expired) and tape.fault("poison"):
        return msgspec.structs.replace(fact, cum_qty=tape.pick("no number", (D("NaN"), D("-1"), D("-Infinity"))))
    return fact


def stripped(fact: Any, shell: "Shell") -> Any:
    """An execution that says whose it is by the venue's id only; what nobody could know by it keeps its name."""
    if isinstance(fact, Filled) and shell.tape.fault("stripped"):
        order = shell.desk.standing.state.orders.get(fact.key)
        if order is not None and (order.venue_order_id or order.is_live):
            return msgspec.structs.replace(fact, key="")
    return fact
