"""Kraken's private line: executions and balances, and the answers to orders entered over it.

1. Updates of executions are sparse: an order's client id, market, side and time in force come with its first update or
   the snapshot and are remembered here until the line ends.
2. `sequence` counts each channel's messages from 1; a jump means that updates were lost.
3. A trade that completes an order may still say partially_filled; the update behind it says filled.
Source: kraken.md 5.3 to 5.5.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from gambit.model import Side
from gambit.venues.failure import VENDOR
from gambit.venues.orders import (
    Accepted,
    Asked,
    BalanceSet,
    CancelTaken,
    Cause,
    Fault,
    Garbled,
    Heard,
    Line,
    OrderState,
    Report,
    Stamp,
    Status,
    StreamFault,
    StreamLost,
    StreamReady,
    Traded,
)
from gambit.venues.reading import (
    Malformed,
    Row,
    above_zero,
    amount,
    failed,
    ident,
    inner,
    kept,
    loaded,
    maybe_above_zero,
    maybe_at_least_zero,
    maybe_side,
    needed_id,
    needed_text,
    never_was,
    rfc3339_ns,
    rows,
    same_order,
    text_of,
    told_by,
    unnamed,
    unreadable,
    whole,
)
from gambit.venues.refusals import kraken_fault, shown
from gambit.venues.wire import packed

KNOWN_MAX: Final = 4096  # orders that a line remembers
STATUSES: Final[Mapping[str, Status]] = {
    "pending_new": "accepted",
    "pending": "accepted",
    "new": "open",
    "open": "open",
    "partially_filled": "partial",
    "filled": "filled",
    "closed": "filled",
    "canceled": "cancelled",
    "expired": "expired",
}


class _Known(msgspec.Struct):
    """What a line remembers of an order."""

    client_id: str = ""
    spelling: str = ""
    side: Side | None = None
    tif: str = ""
    qty: Decimal | None = None


class KrakenLine(Line):
    """The private connection: executions and balances, orders in between. The token is this line's own."""

    path = "/v2"

    def __init__(self, token: str) -> None:
        self._token = token  # as JSON
        self._orders: dict[str, _Known] = {}
        self._sequences: dict[str, int] = {}

    def opening(self, at: Stamp) -> Sequence[bytes]:
        """Two subscriptions; the snapshot of open orders tells whose sparse updates will come."""
        executions = '"channel":"executions","snap_orders":true,"snap_trades":false,"order_status":true'
        return [
            f'{{"method":"subscribe","params":{{{params},"token":{self._token}}},"req_id":{at.nonce}}}'.encode()
            for params in (executions, '"channel":"balances","snapshot":true')
        ]

    def ping(self, at: Stamp) -> bytes:
        """JSON."""
        return packed({"method": "ping", "req_id": at.nonce})

    def probe(self, at: Stamp) -> bytes:
        """A subscription that stands is refused as that; with a token that is good no more, for want of one."""
        params = f'"channel":"executions","snap_orders":false,"token":{self._token}'
        return f'{{"method":"subscribe","params":{{{params}}},"req_id":{at.nonce}}}'.encode()

    def hear(self, data: bytes, pending: Mapping[int, Asked]) -> Heard:
        """An answer, or news."""
        message = loaded(data)
        if message is None:
            return Heard((Garbled(f"no JSON object: {shown(data[:80])!r}"),))
        try:
            if "method" in message or "error" in message:
                return _answered(message, pending)
        except Malformed as error:
            return Heard((Garbled(str(error)),))
        return Heard(kept(self._news(message)))

    def _news(self, message: Row) -> Iterator[Report]:
        channel = text_of(message, "channel")
        if channel == "status":
            for row in rows(message, "data"):
                system = text_of(row, "system")
                if system != "online":
                    yield StreamFault(Fault(category=VENDOR, code="status", text=system, means="news"))
        elif channel in ("executions", "balances"):
            yield from self._in_order(channel, message)
            for row in rows(message, "data"):
                if channel == "executions":
                    yield from self._execution(row)
            if channel == "balances":
                yield _balance_set(rows(message, "data"), is_whole=text_of(message, "type") == "snapshot")

    def _in_order(self, channel: str, message: Row) -> Iterator[Report]:
        """Each channel counts for itself, from 1; a repetition is none of a loss."""
        if "sequence" not in message:
            return
        number, last = whole(message, "sequence"), self._sequences.get(channel, 0)
        self._sequences[channel] = max(number, last)
        if number > last + 1:
            yield StreamLost(f"{channel}: {number} came after {last}")

    def _execution(self, row: Row) -> Iterator[Report]:
        venue_id, kind = needed_id(row, "order_id"), needed_text(row, "exec_type")
        known = self._learn(venue_id, row)
        if kind == "trade":
            fee, fee_asset = _fee(row)
            if known.side is None or not known.spelling:
                raise Malformed(f"a trade of {venue_id}, whose market and side were never told")
            fill = Traded(
                client_id=known.client_id,
                venue_id=venue_id,
                spelling=known.spelling,
                side=known.side,
                exec_id=ident(row, "exec_id"),
                qty=above_zero(row, "last_qty"),
                price=above_zero(row, "last_price"),
                fee=fee,
                fee_asset=fee_asset,
                exec_ns=rfc3339_ns(row, "timestamp"),
                is_maker={"m": True, "t": False}.get(text_of(row, "liquidity_ind")),
            )
            yield fill if fill.exec_id else unnamed(venue_id)
        word, reason = needed_text(row, "order_status"), text_of(row, "reason")
        cum_qty = maybe_at_least_zero(row, "cum_qty")
        status, cause = ended(told_by(STATUSES, word, "order_status"), reason, known.tif, cum_qty)
        yield OrderState(
            client_id=known.client_id,
            venue_id=venue_id,
            status=status,
            spelling=known.spelling,
            side=known.side,
            qty=known.qty,
            price=maybe_above_zero(row, "limit_price"),
            cum_qty=cum_qty,
            avg_price=maybe_above_zero(row, "avg_price"),
            cause=cause,
            text=reason,
        )

    def _learn(self, venue_id: str, row: Row) -> _Known:
        """What this update adds to what is known of its order."""
        before = self._orders.get(venue_id, _Known())
        known = _Known(
            client_id=text_of(row, "cl_ord_id") or before.client_id,
            spelling=text_of(row, "symbol") or before.spelling,
            side=maybe_side(row, "side") or before.side,
            tif=text_of(row, "time_in_force").lower() or before.tif,
            qty=maybe_above_zero(row, "order_qty") or before.qty,
        )
        if venue_id not in self._orders and len(self._orders) >= KNOWN_MAX:
            del self._orders[next(iter(self._orders))]
        self._orders[venue_id] = known
        return known


def _fee(row: Row) -> tuple[Decimal, str]:
    """The fee of a trade, in one asset."""
    paid = [(amount(each, "qty"), needed_text(each, "asset")) for each in rows(row, "fees")] if row.get("fees") else []
    told = [fee for fee in paid if fee[0]] or paid[:1]
    if len(told) > 1:
        raise Malformed(f"a fee in {len(told)} assets")
    return told[0] if told else (Decimal(0), "")


def _balance_set(found: Sequence[Row], *, is_whole: bool) -> BalanceSet:
    """The main spot wallet; what open orders hold is not told."""
    free: dict[str, Decimal] = {}
    for row in found:
        if text_of(row, "wallet_type") not in ("", "spot") or text_of(row, "wallet_id") not in ("", "main"):
            continue
        wallets = rows(row, "wallets") if "wallets" in row else [row]
        own = [each for each in wallets if text_of(each, "type") == "spot" and text_of(each, "id") == "main"]
        free[needed_text(row, "asset")] = sum(
            (amount(each, "balance") for each in (own if "wallets" in row else wallets)), Decimal(0)
        )
    return BalanceSet(free=free, locked=None, is_whole=is_whole)


def ended(status: Status, reason: str, tif: str, cum_qty: Decimal | None) -> tuple[Status, Cause]:
    """Why an order was cancelled, in words and by its time in force."""
    if status == "open" and cum_qty:
        return "partial", ""
    if status == "expired":
        return status, "venue"
    if status != "cancelled":
        return status, ""
    if reason.startswith("Post only"):
        return never_was(cum_qty), "post_only"
    if reason.startswith("User requested"):
        return status, "asked"
    return ("expired", "ioc") if tif in ("ioc", "fok") else (status, "venue")


def _answered(message: Row, pending: Mapping[int, Asked]) -> Heard:
    """Pongs, acks of subscriptions, and answers by their req_id."""
    method, name = text_of(message, "method"), ident(message, "req_id")
    error = text_of(message, "error")
    if method == "pong":
        return Heard()
    asked = pending.get(int(name)) if name.isascii() and name.isdigit() else None
    if method in ("subscribe", "unsubscribe") or asked is None:
        if error == "Already subscribed":
            return Heard()
        if error or message.get("success") is False:
            return Heard((StreamFault(kraken_fault(error)),))
        is_ack = method == "subscribe" and message.get("success") is True
        return Heard((StreamReady(needed_text(inner(message, "result"), "channel")),)) if is_ack else Heard()
    if error or message.get("success") is not True:
        return Heard(failed(asked, kraken_fault(error)).reports, (asked.nonce,))
    return Heard((_accepted(asked, message),), (asked.nonce,))


def _accepted(asked: Asked, message: Row) -> Report:
    """What the gateway took; an answer that cannot be read leaves it unclear."""
    try:
        result = inner(message, "result")
        same_order(asked, text_of(result, "cl_ord_id"))
        if asked.what == "cancel":
            return CancelTaken(client_id=asked.client_id, venue_id=ident(result, "order_id"))
        return Accepted(client_id=asked.client_id, venue_id=needed_id(result, "order_id"), on_book=False)
    except Malformed as error:
        return unreadable(asked, str(error)).reports[0]
