"""Whether the daemon's journal and the exchanges' ledgers tell the same story; the daemon's opinion counts for nothing.

What is compared is what /_sim/ledger serves with what stands in the journal, and with a desk that was made from that
journal alone. Each check raises Broken with the invariant's name and what was seen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from gambit.drills.ground import Ground, fills_of, orders_of
from gambit.drills.scenario import Broken
from gambit.engine.order import EDGES, On, Status
from gambit.events import read
from gambit.events.orders import (
    AbsentProven,
    Busted,
    Filled,
    OrderIntended,
    OrderMoved,
    PlanMade,
    Rejected,
    Sent,
    Unhedged,
    Unsent,
)
from gambit.journal import Record
from gambit.sim.exchange import Exchange

KEY_CHARACTERS: Final = 18  # of a client order id
DIFFERENT: Final = 5  # differences told at most
ENDED: Final = {"filled", "canceled", "expired", "failed"}


def facts(records: Iterable[Record], *kinds: type) -> list[object]:
    """The facts of some kinds among records, in order."""
    found = (read(record.kind, record.body) for record in records if not record.kind.startswith("signal."))
    return [fact for fact in found if isinstance(fact, kinds)]


def broken(invariant: str, differences: Sequence[object]) -> None:
    """Raise Broken when there are any."""
    if differences:
        more = f" and {len(differences) - DIFFERENT} more" if len(differences) > DIFFERENT else ""
        raise Broken(f"{invariant}: {'; '.join(map(str, differences[:DIFFERENT]))}{more}")


def orders_have_intents(ground: Ground, records: Sequence[Record]) -> int:
    """I01: every order at a venue has exactly one intent, written before it arrived, and is there once."""
    intended: dict[str, int] = {}
    found: list[str] = []
    for record in records:
        if record.kind == "order.intended":
            fact = read(record.kind, record.body)
            if isinstance(fact, OrderIntended):
                if fact.key in intended:
                    found.append(f"{fact.key} is intended twice")
                intended[fact.key] = record.ts_ns
    count = 0
    prefix = ground.config.execution.key_prefix
    for venue, exchange in ground.exchanges.items():
        there = Counter(order["client_id"] for order in orders_of(exchange))
        found += [f"{venue} has {key} {times} times" for key, times in there.items() if times > 1 and key]
        for order in orders_of(exchange):
            key = order["client_id"]
            if not key.startswith(prefix):
                continue
            count += 1
            if key not in intended:
                found.append(f"{venue} {key} has no intent")
        for key, ts_ns in arrivals(exchange, prefix).items():
            if intended.get(key, ts_ns) > ts_ns:
                found.append(f"{venue} {key} arrived before its intent was written")
    broken("I01", found)
    return count


def arrivals(exchange: Exchange, prefix: str) -> dict[str, int]:
    """When each key first reached a venue in a create, whatever the venue's own clock says."""
    key = re.compile(rf"{re.escape(prefix)}[0-9a-z]{{{KEY_CHARACTERS - len(prefix)}}}")
    found: dict[str, int] = {}
    for entry in exchange.ledger.requests:
        if entry["action"] == "place":
            for name in key.findall(entry["text"]):
                found.setdefault(name, entry["ts_ns"])
    return found


def creates_are_sent_once(ground: Ground, records: Sequence[Record]) -> int:
    """I02: a key reaches its venue once; a retry follows a refusal or a proof of absence."""
    found: list[str] = []
    intents = [fact for fact in facts(records, OrderIntended) if isinstance(fact, OrderIntended)]
    keys: dict[str, set[str]] = {}
    for intent in intents:
        keys.setdefault(intent.venue, set()).add(intent.key)
    for venue, exchange in ground.exchanges.items():
        asked = [entry["text"] for entry in exchange.ledger.requests if entry["action"] == "place"]
        sent = Counter(key for text in asked for key in keys.get(venue, ()) if key in text)
        found += [f"{venue} got {key} {times} times" for key, times in sent.items() if times > 1]
    definitive: set[str] = set()
    for fact in facts(records, OrderIntended, Rejected, AbsentProven, Unsent):
        if isinstance(fact, OrderIntended):
            if fact.retry_of and fact.retry_of not in definitive:
                found.append(f"{fact.key} retries {fact.retry_of}, which may still live")
        elif isinstance(fact, Rejected | AbsentProven | Unsent):
            definitive.add(fact.key)
    broken("I02", found)
    return len(intents)


def executions_agree(ground: Ground, records: Sequence[Record]) -> int:
    """I03: the journal's executions are the ledger's, one by one, with quantity, price and fee."""
    ours: Counter[tuple[str, str, Decimal, Decimal, Decimal, str]] = Counter()
    names: dict[tuple[str, str, str], Filled] = {}
    for fact in facts(records, Filled, Busted):
        if isinstance(fact, Filled):
            names.setdefault((fact.venue, fact.symbol, fact.exec_id), fact)
        elif isinstance(fact, Busted):
            names.pop((fact.venue, fact.symbol, fact.exec_id), None)
    for fill in names.values():
        ours[fill.venue, fill.symbol, fill.qty, fill.price, fill.fee, fill.fee_asset] += 1
    theirs: Counter[tuple[str, str, Decimal, Decimal, Decimal, str]] = Counter()
    for venue, exchange in ground.exchanges.items():
        for one in fills_of(exchange):
            qty, price, fee = Decimal(one["qty"]), Decimal(one["price"]), Decimal(one["fee"])
            theirs[venue, one["symbol"], qty, price, fee, one["fee_asset"]] += 1
    found = [f"only in the ledger: {one}" for one in (theirs - ours).elements()]
    found += [f"only in the journal: {one}" for one in (ours - theirs).elements()]
    broken("I03", found)
    return theirs.total()


def moves_are_edges(records: Sequence[Record]) -> int:
    """I04: every move of an order is an edge of the table, from where the order was."""
    found: list[str] = []
    where: dict[str, str] = {}
    moves = [fact for fact in facts(records, OrderMoved) if isinstance(fact, OrderMoved)]
    for move in moves:
        if move.status not in EDGES.get((Status(move.was), On(move.on)), ()):
            found.append(f"{move.key}: {move.was} to {move.status} on {move.on}")
        if where.setdefault(move.key, move.was) != move.was:
            found.append(f"{move.key}: was {where[move.key]}, moves from {move.was}")
        where[move.key] = move.status
    broken("I04", found)
    return len(moves)


def quantities_are_sums(ground: Ground) -> None:
    """I05: what a desk made of the journal alone knows as filled is what the ledger has, order by order."""
    found: list[str] = []
    standing = ground.twin.standing
    for venue, exchange in ground.exchanges.items():
        theirs = {order["client_id"]: Decimal(order["filled"]) for order in orders_of(exchange)}
        for order in standing.every_order():
            key = order.intent.key
            if order.intent.venue == venue and order.filled_qty != theirs.get(key, Decimal(0)):
                found.append(f"{venue} {key}: {order.status} {order.filled_qty}, there {theirs.get(key, 0)}")
    broken("I05", found)


def balances_agree(ground: Ground) -> None:
    """I19: balances made from the journal are the ledger's to the last unit, fees included."""
    found: list[str] = []
    held = ground.twin.standing.state.holdings
    for venue, exchange in ground.exchanges.items():
        told = exchange.ledger.told(exchange.accounts, 0, ["balances"])["balances"]["demo"]
        for asset, there in told.items():
            real, ours = Decimal(there["free"]) + Decimal(there["locked"]), held.balance(venue, asset)
            if real != ours:
                found.append(f"{venue} {asset}: {ours}, there {real}")
    broken("I19", [*found, *held.audit()])


def journal_is_the_state(ground: Ground) -> None:
    """I11: a desk made from the journal alone is in the same state as the one that lives."""
    ours, twin = ground.dealing.desk.standing.digest(), ground.twin.standing.digest()
    broken("I11", [] if ours == twin else [f"the replay is {twin[:16]}, live is {ours[:16]}"])


def limits_are_kept(ground: Ground, records: Sequence[Record]) -> Decimal:
    """I07: what may fill at worst never exceeds the configured limit; the most there was."""
    open_notional: dict[str, Decimal] = {}
    most = Decimal(0)
    intents: dict[str, OrderIntended] = {}
    for fact in facts(records, OrderIntended, Sent, OrderMoved):
        if isinstance(fact, OrderIntended):
            intents[fact.key] = fact
        elif isinstance(fact, Sent) and fact.key in intents:
            open_notional[fact.key] = intents[fact.key].qty * intents[fact.key].price
            most = max(most, sum(open_notional.values(), Decimal(0)))
        elif isinstance(fact, OrderMoved) and fact.status in ENDED:
            open_notional.pop(fact.key, None)
    limit = ground.config.risk.max_in_flight_notional
    broken("I07", [f"{most} in flight, the limit is {limit}"] if most > limit else [])
    return most


def books_were_fresh(ground: Ground, records: Sequence[Record]) -> int:
    """I08: every leg of every plan names a book that was fresh."""
    limit_ns = int(ground.config.engine.max_book_age_ms * 1_000_000)
    plans = [fact for fact in facts(records, PlanMade) if isinstance(fact, PlanMade)]
    legs = [leg for plan in plans for leg in plan.legs]
    broken("I08", [f"{leg.venue}: {leg.book_age_ns} ns old" for leg in legs if leg.book_age_ns > limit_ns])
    return len(plans)


def net_base(ground: Ground, symbol: str) -> Decimal:
    """What the daemon's orders changed in a symbol's base asset over all venues, by the ledgers, fees included."""
    base = symbol.split("-")[0]
    prefix = ground.config.execution.key_prefix
    total = Decimal(0)
    for exchange in ground.exchanges.values():
        orders = exchange.ledger.orders
        for fill in fills_of(exchange):
            if fill["symbol"] == symbol and orders[fill["order_id"]].client_id.startswith(prefix):
                total += Decimal(fill["qty"]) * (1 if fill["side"] == "buy" else -1)
                total -= Decimal(fill["fee"]) if fill["fee_asset"] == base else 0
    return total


def unhedged(records: Sequence[Record]) -> list[Unhedged]:
    """The alarms about imbalances that could not be closed."""
    return [fact for fact in facts(records, Unhedged) if isinstance(fact, Unhedged)]
