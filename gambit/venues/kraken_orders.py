"""Kraken's order language: signed forms over HTTP, one private line that takes orders as JSON numbers.

1. Every private request has a nonce that grows over all processes of a key; one key per process.
2. The line wants a token from HTTP in every private message; a new line wants a new one.
3. HTTP's `closed` is filled; what an IOC leaves is `canceled` with what it filled.
4. HTTP spells assets and markets in its own way (XXBT, XBTUSD).
Source: kraken.md 5 to 8.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from gambit.model import Instrument, Side
from gambit.venues.failure import wait_of
from gambit.venues.key_rights import kraken_rights
from gambit.venues.kraken import REST_ASSETS
from gambit.venues.kraken_line import STATUSES, KrakenLine, ended
from gambit.venues.orders import (
    Absent,
    Accepted,
    Addresses,
    Answer,
    Asked,
    BalanceSet,
    CancelTaken,
    DeadManSet,
    FeeRates,
    Frame,
    Keys,
    Lane,
    Limit,
    NoSuchWay,
    OrderLanguage,
    OrderState,
    Placing,
    Ref,
    RestRequest,
    SessionToken,
    Stamp,
    Steps,
    Terms,
    Traded,
    What,
    asked_for,
    checked_client_id,
)
from gambit.venues.reading import (
    Malformed,
    Row,
    above_zero,
    amount,
    at_least_zero,
    failed,
    ident,
    inner,
    loaded,
    maybe_above_zero,
    maybe_amount,
    maybe_at_least_zero,
    needed_id,
    needed_text,
    rfc3339_ns,
    same_order,
    side_of,
    text_of,
    told_by,
    unreadable,
    whole,
)
from gambit.venues.refusals import http_fault, kraken_fault, shown
from gambit.venues.signing import decoded_secret, keyed, kraken_signature, okx_time, percent_encoded
from gambit.venues.wire import packed

CLIENT_ID: Final = re.compile(
    r"[A-Za-z0-9_-]{1,18}|[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)
RELATIVE: Final = re.compile(r"[+#-][0-9.]+%?|[0-9.]+%")
FORM: Final = ("Content-Type", "application/x-www-form-urlencoded")
NS_A_MS: Final = 1_000_000
REFUSAL_BYTES: Final = 1000  # a refusal by its nonce is shorter; long answers are read once only
NS_A_SEC: Final = 1_000_000_000
DEADLINE_MS: Final = range(500, 60_001)
# Assets that HTTP spells with a letter in front; newer ones have none (ZETA is ZETA).
OLD_ASSETS: Final = {
    "XXBT": "BTC", "XXDG": "DOGE", "XETH": "ETH", "XETC": "ETC", "XLTC": "LTC", "XMLN": "MLN", "XREP": "REP",
    "XXLM": "XLM", "XXMR": "XMR", "XXRP": "XRP", "XZEC": "ZEC", "ZUSD": "USD", "ZEUR": "EUR", "ZGBP": "GBP",
    "ZCAD": "CAD", "ZJPY": "JPY", "ZAUD": "AUD",
}  # fmt: skip
_OLD_NAMES: Final = {name: old for old, name in OLD_ASSETS.items()}
_REST_NAMES: Final = {name: rest for rest, name in REST_ASSETS.items()}
TIFS: Final[Mapping[Terms, str]] = {"gtc": "GTC", "ioc": "IOC", "fok": "FOK", "post_only": "GTC"}
CANCEL_UNITS: Final = 8  # what a cancel within 5 s adds to a market's counter; a later one adds less (kraken.md)
TIERS: Final = {"starter": (15, 0.33, 60, 1.0), "intermediate": (20, 0.5, 125, 2.34), "pro": (20, 1.0, 180, 3.75)}


class KrakenOrders(OrderLanguage):
    """An account at Kraken spot. `spellings` are the markets it trades (BTC/USD). Raises signing.UnusableKey, and
    ValueError for a window that is no deadline of theirs."""

    name = "kraken"
    wants_nonces_in_order = True
    addresses = Addresses(rest="https://api.kraken.com", ws="wss://ws-auth.kraken.com")

    def __init__(self, keys: Keys, spellings: Iterable[str], *, window_ms: int = 5000, tier: str = "starter") -> None:
        if window_ms not in DEADLINE_MS:
            raise ValueError(f"kraken: a deadline is 500 to 60000 ms ahead, not {window_ms}")
        self.key = keys.key
        self.mac = keyed(decoded_secret(keys.secret, self.name), "sha512")
        self.window_ms = window_ms
        self.window_ns: int | None = window_ms * NS_A_MS
        self.token_text = ""  # as JSON, quotes included
        self._spellings: dict[str, str] = {}
        self._name(spellings)
        calls, decay, orders, orders_decay = TIERS[tier]
        self.limits: tuple[Limit, ...] = (
            Limit(units=calls, per_sec=calls / decay, lanes=(Lane.READ,), counts="weight", decays=True),
            Limit(
                units=orders,
                per_sec=orders / orders_decay,
                lanes=(Lane.CREATE,),
                of="market",
                decays=True,
                cancel_units=CANCEL_UNITS,
            ),
        )

    def learn(self, instruments: Iterable[Instrument]) -> None:
        """What HTTP calls its markets."""
        self._name(each.spelling for each in instruments)

    def placing(self, instrument: Instrument, side: Side, terms: Terms) -> "KrakenPlacing":
        """A limit order, its fee in the quote currency."""
        return KrakenPlacing(self, instrument, side, terms)

    def cancel(self, instrument: Instrument, ref: Ref, at: Stamp) -> RestRequest:
        """By our client id."""
        asked = asked_for("cancel", at, instrument, ref)
        return self._post("CancelOrder", f"&cl_ord_id={self._id(ref)}", 0, Lane.CANCEL, asked)

    def cancel_frame(self, instrument: Instrument, ref: Ref, at: Stamp) -> Frame:
        """By our client id."""
        ids = packed([self._id(ref)]).decode()
        data = (
            f'{{"method":"cancel_order","params":{{"cl_ord_id":{ids},"token":{self.needed_token()}}},"req_id":{at.nonce}}}'
        ).encode()
        return Frame(data, Lane.CANCEL, asked_for("cancel", at, instrument, ref))

    def query(self, instrument: Instrument, ref: Ref, since_ns: int, at: Stamp, page: str = "") -> RestRequest:
        """By the venue's id at once; by ours among the open, then (`page` "closed") among the closed ones."""
        asked = asked_for("query", at, instrument, ref, page, since_ns)
        if ref.venue_id:
            return self._post("QueryOrders", f"&txid={percent_encoded(ref.venue_id)}", 1, Lane.READ, asked)
        name = "ClosedOrders" if page else "OpenOrders"
        return self._post(name, f"&cl_ord_id={self._id(ref)}", 1, Lane.READ, asked)

    def query_together(self, refs: Sequence[Ref], at: Stamp) -> RestRequest:
        """One call of the counter for all."""
        asked = msgspec.structs.replace(asked_for("query", at, ref=refs[0]), others=tuple(refs[1:]))
        ids = percent_encoded(",".join(ref.venue_id for ref in refs))
        return self._post("QueryOrders", f"&txid={ids}", 1, Lane.READ, asked)

    def open_orders(self, instrument: Instrument | None, at: Stamp, page: str = "") -> RestRequest:
        """Always of the whole account."""
        return self._post("OpenOrders", "", 1, Lane.READ, asked_for("open_orders", at, instrument, page=page))

    def fills(self, instrument: Instrument, since_ns: int, at: Stamp, page: str = "") -> RestRequest:
        """Of all markets, fifty a page, one by one; those of others are dropped. `page` is an offset."""
        seconds, rest = divmod(since_ns, NS_A_SEC)
        form = f"&start={seconds}.{rest:09d}&consolidate_taker=false" + (f"&ofs={page}" if page else "")
        asked = asked_for("fills", at, instrument, None, page, since_ns)
        return self._post("TradesHistory", form, 2, Lane.READ, asked)

    def balances(self, at: Stamp, page: str = "") -> RestRequest:
        """With what open orders hold."""
        return self._post("BalanceEx", "", 1, Lane.READ, asked_for("balances", at, page=page))

    def fee_rates(self, instrument: Instrument, at: Stamp) -> RestRequest:
        """Of one market."""
        form = f"&pair={rest_name(instrument.spelling)}"
        return self._post("TradeVolume", form, 1, Lane.READ, asked_for("fees", at, instrument))

    def cancel_all_after(self, seconds: int, at: Stamp) -> RestRequest:
        """60 seconds, renewed every 15 to 30, are advised; it is disarmed once it fired."""
        asked = asked_for("cancel_all_after", at)
        return self._post("CancelAllOrdersAfter", f"&timeout={seconds}", 0, Lane.CANCEL, asked)

    def rights(self, at: Stamp) -> RestRequest:
        """Any key may ask about itself."""
        return self._post("GetApiKeyInfo", "", 1, Lane.READ, asked_for("rights", at))

    def token(self, at: Stamp) -> RestRequest:
        """For the next line."""
        return self._post("GetWebSocketsToken", "", 1, Lane.READ, asked_for("token", at))

    def use_token(self, text: str) -> None:
        """From now on; without one there are no lines."""
        self.token_text = packed(text).decode() if text else ""

    def needed_token(self) -> str:
        """The token as JSON. Raises NoSuchWay."""
        if not self.token_text:
            raise NoSuchWay("kraken: the private line needs a token; ask for one first")
        return self.token_text

    def stream(self) -> "KrakenLine":
        """The private line; orders are entered over it too. Raises NoSuchWay without a token."""
        return KrakenLine(self.needed_token())

    def read(self, asked: Asked, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        """What an HTTP answer says."""
        message = loaded(body)
        errors = message.get("error") if message is not None else None
        if message is None or not isinstance(errors, list) or not all(isinstance(text, str) for text in errors):
            if 200 <= status < 300:
                return unreadable(asked, f"no answer: {shown(body[:80])!r}")
            return failed(asked, msgspec.structs.replace(http_fault(status, body), wait_sec=wait_of(headers) or 0.0))
        return self._answer(asked, message, [text for text in errors if not text.startswith("W")], status)

    def _answer(self, asked: Asked, message: Row, errors: Sequence[str], status: int) -> Answer:
        if not errors and 200 <= status < 300:
            try:
                return _ANSWERS[asked.what](self, asked, inner(message, "result"))
            except Malformed as error:
                return unreadable(asked, str(error))
        fault = kraken_fault(errors[0] if errors else f"HTTP {status}", status)
        if asked.what == "query" and fault.means == "missing" and not fault.execution_unknown and not asked.others:
            return missing(asked)
        return failed(asked, fault)

    def signed(self, path: str, form: str, nonce: int) -> tuple[tuple[str, str], ...]:
        """The headers that sign a form that starts with its nonce."""
        signature = kraken_signature(self.mac, path.encode(), str(nonce).encode(), form.encode())
        return (("API-Key", self.key), ("API-Sign", signature), FORM)

    def renewed(self, request: RestRequest, nonce: int) -> RestRequest:
        """The nonce stands first in the form."""
        _, mark, params = request.body.decode().partition("&")
        form = f"nonce={nonce}{mark}{params}"
        headers = self.signed(request.path, form, nonce)
        return msgspec.structs.replace(request, headers=headers, body=form.encode())

    def is_out_of_order(self, body: bytes) -> bool:
        """By the first error, as everywhere."""
        message = loaded(body) if len(body) <= REFUSAL_BYTES else None
        errors = message.get("error") if message is not None else None
        return isinstance(errors, list) and bool(errors) and kraken_fault(str(errors[0])).means == "nonce"

    def spelling(self, name: str) -> str:
        """The market that HTTP calls so; its own name where it is none of ours."""
        return self._spellings.get(name, name)

    def _name(self, spellings: Iterable[str]) -> None:
        self._spellings |= {name: spelling for spelling in spellings for name in rest_names(spelling)}

    def _post(self, name: str, params: str, weight: int, lane: Lane, asked: Asked) -> RestRequest:
        path, form = f"/0/private/{name}", f"nonce={asked.nonce}{params}"
        headers = self.signed(path, form, asked.nonce)
        return RestRequest("POST", path, headers, form.encode(), weight, lane, asked)

    def _id(self, ref: Ref) -> str:
        return checked_client_id(self.name, ref.client_id, CLIENT_ID)


class KrakenPlacing(Placing):
    """The constant parts of a limit order."""

    def __init__(self, language: KrakenOrders, instrument: Instrument, side: Side, terms: Terms) -> None:
        self.language = language
        self.steps = Steps("kraken", instrument)
        self.spelling = instrument.spelling
        self._terms = terms
        flags = "post%2Cfciq" if terms == "post_only" else "fciq"
        self._form = (
            f"&ordertype=limit&type={side}&pair={rest_name(instrument.spelling)}&timeinforce={TIFS[terms]}"
            f"&oflags={flags}&volume="
        )
        post = ',"post_only":true' if terms == "post_only" else ""
        self._params = (
            f'{{"method":"add_order","params":{{"order_type":"limit","side":"{side}",'
            f'"symbol":{packed(instrument.spelling).decode()},"time_in_force":"{TIFS[terms].lower()}"{post},'
            f'"fee_preference":"quote","order_qty":'
        )

    def rest(self, client_id: str, qty: Decimal, price: Decimal, at: Stamp) -> RestRequest:
        """AddOrder with a deadline."""
        checked_client_id("kraken", client_id, CLIENT_ID)
        form = (
            f"nonce={at.nonce}{self._form}{self.steps.qty(qty)}&price={self.steps.price(price)}"
            f"&cl_ord_id={client_id}&deadline={self._deadline(at).replace(':', '%3A')}"
        )
        headers = self.language.signed("/0/private/AddOrder", form, at.nonce)
        asked = Asked(what="place", nonce=at.nonce, now_ns=at.now_ns, spelling=self.spelling, client_id=client_id)
        return RestRequest("POST", "/0/private/AddOrder", headers, form.encode(), 0, Lane.CREATE, asked)

    def frame(self, client_id: str, qty: Decimal, price: Decimal, at: Stamp) -> Frame:
        """add_order, its numbers as JSON numbers. Fill-or-kill is certain over HTTP only."""
        if self._terms == "fok":
            raise NoSuchWay("kraken: fill-or-kill orders go over HTTP")
        checked_client_id("kraken", client_id, CLIENT_ID)
        data = (
            f'{self._params}{self.steps.qty(qty)},"limit_price":{self.steps.price(price)},"cl_ord_id":"{client_id}",'
            f'"deadline":"{self._deadline(at)}","token":{self.language.needed_token()}}},"req_id":{at.nonce}}}'
        ).encode()
        asked = Asked(what="place", nonce=at.nonce, now_ns=at.now_ns, spelling=self.spelling, client_id=client_id)
        return Frame(data, Lane.CREATE, asked)

    def _deadline(self, at: Stamp) -> str:
        return okx_time(at.now_ns + self.language.window_ms * NS_A_MS)


def missing(asked: Asked) -> Answer:
    """Not among the open ones: look among the closed; nowhere: absent."""
    if not asked.page and not asked.venue_id:
        return Answer(page="closed")
    return Answer((Absent(client_id=asked.client_id, venue_id=asked.venue_id, searched_history=True),))


def _placed(language: KrakenOrders, asked: Asked, result: Row) -> Answer:  # noqa: ARG001
    ids = result.get("txid")
    if not isinstance(ids, list) or len(ids) != 1 or not isinstance(ids[0], str) or not ids[0]:
        raise Malformed(f"`txid` is no list of one id: {ids!r:.60}")
    return Answer((Accepted(client_id=asked.client_id, venue_id=str(ids[0]), on_book=False),))


def _cancelled(language: KrakenOrders, asked: Asked, result: Row) -> Answer:  # noqa: ARG001
    if whole(result, "count") < 1:
        raise Malformed("a cancel of nothing")
    return Answer((CancelTaken(client_id=asked.client_id, venue_id=asked.venue_id),))


def _queried(language: KrakenOrders, asked: Asked, result: Row) -> Answer:
    found = result if asked.venue_id else inner(result, "closed" if asked.page else "open")
    if not found and not asked.others:
        return missing(asked)
    states = [_order_state(language, name, inner(found, name)) for name in found]
    if asked.others:
        return Answer(tuple(_of_several(asked, states)))
    for state in states:
        if state.client_id == asked.client_id or (asked.venue_id and state.venue_id == asked.venue_id):
            same_order(asked, state.client_id)
            return Answer((state,))
    raise Malformed(f"asked about {asked.client_id}, answered about {', '.join(map(str, found))[:100]}")


def _of_several(asked: Asked, states: Iterable[OrderState]) -> Iterator[OrderState | Absent]:
    """Each that was asked about, as it is told or absent."""
    told = {state.venue_id: state for state in states}
    for ref in (Ref(asked.client_id, asked.venue_id), *asked.others):
        state = told.get(ref.venue_id)
        if state is None:
            yield Absent(client_id=ref.client_id, venue_id=ref.venue_id, searched_history=True)
            continue
        if state.client_id and state.client_id != ref.client_id:
            raise Malformed(f"asked about {ref.client_id}, answered about {state.client_id}")
        yield state


def _open(language: KrakenOrders, asked: Asked, result: Row) -> Answer:  # noqa: ARG001
    found = inner(result, "open")
    return Answer(tuple(_order_state(language, name, inner(found, name)) for name in found))


def _order_state(language: KrakenOrders, name: str, row: Row) -> OrderState:
    described, cum_qty = inner(row, "descr"), at_least_zero(row, "vol_exec")
    status = told_by(STATUSES, needed_text(row, "status"), "status")
    status, cause = ended(status, text_of(row, "reason"), text_of(row, "timeinforce").lower(), cum_qty)
    return OrderState(
        client_id=text_of(row, "cl_ord_id"),
        venue_id=str(name),
        status=status,
        spelling=language.spelling(needed_text(described, "pair")),
        side=side_of(described, "type"),
        qty=maybe_above_zero(row, "vol"),
        price=_limit(described),
        cum_qty=cum_qty,
        avg_price=maybe_above_zero(row, "price"),
        cum_fee=maybe_amount(row, "fee"),
        cause=cause,
        text=text_of(row, "reason"),
    )


def _limit(described: Row) -> Decimal | None:
    """An order's price; None where it has none yet: a trailing stop's is an offset from the market's (+5.0000%)."""
    is_offset = RELATIVE.fullmatch(text_of(described, "price")) is not None
    return None if is_offset else maybe_above_zero(described, "price")


def _fills(language: KrakenOrders, asked: Asked, result: Row) -> Answer:
    found = inner(result, "trades")
    reports = []
    for name in found:
        row = inner(found, name)
        spelling = language.spelling(needed_text(row, "pair"))
        if spelling != asked.spelling:
            continue
        maker = row.get("maker")
        reports.append(
            Traded(
                client_id=text_of(row, "cl_ord_id"),
                venue_id=needed_id(row, "ordertxid"),
                spelling=spelling,
                side=side_of(row, "type"),
                exec_id=str(name),
                qty=above_zero(row, "vol"),
                price=above_zero(row, "price"),
                fee=amount(row, "fee"),
                fee_asset=spelling.partition("/")[2],
                exec_ns=int(above_zero(row, "time") * NS_A_SEC),
                is_maker=maker if isinstance(maker, bool) else None,
            )
        )
    after = int(asked.page or "0") + len(found)
    return Answer(tuple(reports), str(after) if found and after < whole(result, "count") else "")


def _balances(language: KrakenOrders, asked: Asked, result: Row) -> Answer:  # noqa: ARG001
    free: dict[str, Decimal] = {}
    locked: dict[str, Decimal] = {}
    for name in result:
        row = inner(result, name)
        held = maybe_at_least_zero(row, "hold_trade") or Decimal(0)
        free[asset(name)], locked[asset(name)] = amount(row, "balance") - held, held
    return Answer((BalanceSet(free=free, locked=locked, is_whole=True),))


def _fees(language: KrakenOrders, asked: Asked, result: Row) -> Answer:
    """Percents; a market without a maker's fee has the taker's for both."""
    taker = _percent(language, asked, inner(result, "fees"))
    maker = _percent(language, asked, inner(result, "fees_maker")) if result.get("fees_maker") else taker
    return Answer((FeeRates(spelling=asked.spelling, maker=maker, taker=taker),))


def _percent(language: KrakenOrders, asked: Asked, fees: Row) -> Decimal:
    for name in fees:
        if language.spelling(name) == asked.spelling:
            return amount(inner(fees, name), "fee") / 100
    raise Malformed(f"no fee of {asked.spelling}")


def _dead_man(language: KrakenOrders, asked: Asked, result: Row) -> Answer:  # noqa: ARG001
    when = ident(result, "triggerTime")
    return Answer((DeadManSet(0 if when in ("", "0") else rfc3339_ns(result, "triggerTime")),))


def _token(language: KrakenOrders, asked: Asked, result: Row) -> Answer:  # noqa: ARG001
    return Answer((SessionToken(needed_text(result, "token"), whole(result, "expires")),))


_ANSWERS: Final[Mapping[What, Callable[[KrakenOrders, Asked, Row], Answer]]] = {
    "place": _placed,
    "cancel": _cancelled,
    "query": _queried,
    "open_orders": _open,
    "fills": _fills,
    "balances": _balances,
    "fees": _fees,
    "cancel_all_after": _dead_man,
    "token": _token,
    "rights": lambda _language, _asked, result: Answer((kraken_rights(result),)),
}


def asset(name: str) -> str:
    """XXBT, XBT -> BTC; ZUSD -> USD; ZETA stays."""
    return OLD_ASSETS.get(name, REST_ASSETS.get(name, name))


def rest_name(spelling: str) -> str:
    """BTC/USD -> XBTUSD."""
    return "".join(_REST_NAMES.get(part, part) for part in spelling.split("/"))


def rest_names(spelling: str) -> list[str]:
    """All names that HTTP has for a market: XBTUSD, XXBTZUSD, and what lies between."""
    base, quote = (
        {_REST_NAMES.get(part, part), _OLD_NAMES.get(part, part), part} for part in spelling.partition("/")[::2]
    )
    return sorted(one + other for one in base for other in quote)
