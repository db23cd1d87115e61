"""The process that cancels our orders when the daemon is gone: `python -m gambit.runtime.sweeper`, a child of it.

It has keys of its own and one purpose. On its standard input the daemon tells whom to reach (Hello), what is open, how
far each venue's clock is from ours, and every second that it lives. Where that ends without a goodbye, or nothing comes
for `silence_sec`, it cancels what it was told of, then asks each venue for open orders and cancels ours until none was
seen for as long as a create may still be accepted. Ours are those with the daemon's prefix and an epoch not above its
own: the next daemon's are left alone. It asks no faster than each venue's limits let it, for the next daemon draws on
them too, and not at all for as long as a venue says. A signal that ends the daemon's group does not end it before that
is done.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final

import msgspec

from gambit.commands import key_parts
from gambit.model import Category, Instrument
from gambit.runtime.http import AiohttpClient, Http, HttpError
from gambit.runtime.process import forbid_core_dumps
from gambit.venues.accounts import order_language
from gambit.venues.orders import Answer, Fault, Keys, Limit, NoSuchWay, OrderState, Ref, RestRequest, Stamp

LINE_BYTES_MAX: Final = 32 << 20  # all instruments of all venues
REQUEST_SEC: Final = 5.0
ROUND_SEC: Final = 0.5
SLOW_SEC: Final = 5.0  # between rounds at a venue that does not answer
GIVE_UP_SEC: Final = 600.0
SHARE: Final = 0.8  # of a venue's limits
LATE_SEC: Final = 2.0  # beyond the venue's window: requests on their way
NO_WINDOW_SEC: Final = 10.0
PAGES_MAX: Final = 50
NS_A_SEC: Final = 1_000_000_000


class Place(msgspec.Struct, frozen=True):
    """A venue: where its private requests go, with which keys, and what is traded there."""

    venue: str
    rest: str
    key: str
    secret: str
    passphrase: str
    instruments: list[Instrument]
    is_testnet: bool = False


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The first line."""

    places: list[Place]
    prefix: str
    epoch: int
    silence_sec: float


class Open(msgspec.Struct, frozen=True, tag="open"):
    """An order that is about to leave."""

    venue: str
    symbol: str
    key: str
    venue_id: str = ""


class Beat(msgspec.Struct, frozen=True, tag="beat"):
    """The daemon lives; `live` is all that is open as far as it knows, `offsets_ns` the venues' clocks minus ours."""

    live: list[Open] = []
    offsets_ns: dict[str, int] = {}


class Bye(msgspec.Struct, frozen=True, tag="bye"):
    """The daemon ends in good order, and what is open is left as it is."""


Word = Hello | Open | Beat | Bye


class Report(msgspec.Struct, frozen=True):
    """What became of it, on standard output: a line a venue."""

    venue: str
    cancelled: list[str]
    is_clean: bool
    reason: str = ""


class Sweep:
    """The cancelling at one venue."""

    def __init__(self, place: Place, hello: Hello, http: Http, offset_ns: int = 0) -> None:
        self.cancelled: dict[str, None] = {}
        self.reason = ""
        self._place = place
        self._hello = hello
        self._http = http
        keys = Keys(key=place.key, secret=place.secret, passphrase=place.passphrase)
        self._language = order_language(place.venue, keys, place.instruments, is_testnet=place.is_testnet)
        self._by_symbol = {each.symbol: each for each in place.instruments}
        self._by_spelling = {each.spelling: each for each in place.instruments}
        self._nonce, self._offset_ns = 0, offset_ns
        self._owed_sec = 0.0  # what was asked since the last round takes so long to come back
        self._silent_until = 0.0  # the venue wants to be left alone

    async def run(self, known: Sequence[Open]) -> Report:
        """Until nothing of ours was open for a venue's window, or GIVE_UP_SEC are over."""
        begin = time.monotonic()
        for order in known:
            await self._cancel(self._by_symbol.get(order.symbol), Ref(order.key, order.venue_id))
        window_ns = self._language.window_ns
        quiet_sec = LATE_SEC + (NO_WINDOW_SEC if window_ns is None else window_ns / NS_A_SEC)
        quiet_since = begin
        while time.monotonic() - begin < GIVE_UP_SEC:
            found = await self._open_orders()
            if found is None or found:
                quiet_since = time.monotonic()
            for state in found or ():
                await self._cancel(self._by_spelling.get(state.spelling), Ref(state.client_id, state.venue_id))
            if found == [] and time.monotonic() - quiet_since >= quiet_sec:
                return Report(self._place.venue, list(self.cancelled), is_clean=True)
            await asyncio.sleep(max(SLOW_SEC if found is None else ROUND_SEC, self._owed_sec))
            self._owed_sec = 0.0
        return Report(self._place.venue, list(self.cancelled), is_clean=False, reason=self.reason)

    async def _open_orders(self) -> list[OrderState] | None:
        """Ours; None where the venue does not say."""
        ours: list[OrderState] = []
        page = ""
        for _ in range(PAGES_MAX):
            read = await self._ask(partial(self._language.open_orders, None, page=page))
            if read is None or read.fault is not None:
                return None
            ours += [each for each in read.reports if isinstance(each, OrderState) and self._is_ours(each.client_id)]
            if not read.page:
                return ours
            page = read.page
        return ours

    async def _cancel(self, instrument: Instrument | None, ref: Ref) -> None:
        if instrument is None:
            return
        try:
            answer = await self._ask(partial(self._language.cancel, instrument, ref))
        except NoSuchWay:  # by the venue's id only: it is in the list of open orders
            return
        if answer is not None:
            self.cancelled[ref.client_id] = None

    async def _ask(self, make: Callable[[Stamp], RestRequest]) -> Answer | None:
        """What came back of a request, which is made when it may leave; None where nothing did."""
        await asyncio.sleep(max(0.0, self._silent_until - time.monotonic()))
        request = make(self._stamp())
        self._owed_sec += pace_sec(self._language.limits, request)
        url = self._place.rest + request.path
        try:
            found = await self._http.request(
                request.method, url, headers=dict(request.headers), body=request.body, timeout_sec=REQUEST_SEC
            )
        except HttpError as error:
            self.reason = str(error)
            return None
        answer = self._language.read(request.asked, found.status, found.headers, found.body)
        if answer.fault is not None:
            self._heed(answer.fault)
        return answer

    def _heed(self, fault: Fault) -> None:
        """A refusal, and for how long the venue wants silence."""
        self.reason = f"{fault.category} {fault.code}: {fault.text}"
        if fault.category is Category.RATE_LIMIT:
            wait_sec = fault.wait_ns(time.time_ns() + self._offset_ns) / NS_A_SEC
            self._silent_until = time.monotonic() + min(wait_sec or SLOW_SEC, GIVE_UP_SEC)

    def _is_ours(self, client_id: str) -> bool:
        parts = key_parts(client_id, self._hello.prefix)
        return parts is not None and parts.epoch <= self._hello.epoch

    def _stamp(self) -> Stamp:
        now_ns = time.time_ns()
        self._nonce = max(self._nonce + 1, now_ns // 1000)
        return Stamp(now_ns + self._offset_ns, self._nonce)


def pace_sec(limits: Sequence[Limit], request: RestRequest) -> float:
    """How long the share of a venue's limits that is used takes to make up for a request."""
    own = [limit for limit in limits if not limit.lanes or request.lane in limit.lanes]
    costs = [(request.weight if limit.counts == "weight" else 1) * limit.per_sec / limit.units for limit in own]
    return max(costs, default=0.0) / SHARE


class Listening:
    """What the daemon said so far."""

    def __init__(self) -> None:
        self.offsets_ns: Mapping[str, int] = {}
        self.hello: Hello | None = None
        self.live: dict[str, Open] = {}
        self._fresh: dict[str, Open] = {}  # since the last beat: they may not be in the next one yet

    def take(self, line: bytes) -> bool:
        """One line; whether it was the goodbye. Raises msgspec.DecodeError."""
        word = msgspec.json.decode(line, type=Word)
        if isinstance(word, Hello):
            self.hello = word
        elif isinstance(word, Open):
            self.live[word.key] = self._fresh[word.key] = word
        elif isinstance(word, Beat):
            self.live = {order.key: order for order in word.live} | self._fresh
            self._fresh = {}
            self.offsets_ns = word.offsets_ns
        return isinstance(word, Bye)

    async def until_end(self, reader: asyncio.StreamReader) -> bool:
        """Whether the daemon said goodbye; False where it ended otherwise or was silent for too long."""
        while True:
            try:
                async with asyncio.timeout(self.hello.silence_sec if self.hello is not None else None):
                    line = await reader.readline()
            except TimeoutError:
                return False
            except ValueError:  # a line beyond the limit: nothing that it says can be trusted
                return False
            if not line.endswith(b"\n"):
                return False
            if self.take(line):
                return True


async def sweep(
    hello: Hello, live: Mapping[str, Open], http: Http, offsets_ns: Mapping[str, int] = MappingProxyType({})
) -> list[Report]:
    """All venues at once; `offsets_ns` are their clocks minus ours."""
    sweeps = [Sweep(place, hello, http, offsets_ns.get(place.venue, 0)) for place in hello.places]
    return await asyncio.gather(
        *(each.run([order for order in live.values() if order.venue == each._place.venue]) for each in sweeps)
    )


async def main() -> int:
    """Listen, and sweep where that is due. 0: nothing of ours is open, or nothing was to be done."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, lambda: None)
    forbid_core_dumps()
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    listening = Listening()
    if await listening.until_end(reader) or listening.hello is None:
        return 0
    http = AiohttpClient()
    try:
        reports = await sweep(listening.hello, listening.live, http, listening.offsets_ns)
    finally:
        await http.close()
    for report in reports:
        print(msgspec.json.encode(report).decode(), flush=True)
    return 0 if all(report.is_clean for report in reports) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
