"""The way to a venue's REST interface: one per venue and account, and nobody else sends requests there.

Every call keeps within the venue's budget and asks the breaker first. Readings (idempotent) are retried by the category
of their failure (product.md, "Error category -> strategy"); an order is sent once and ends three-valued: accepted,
refused, or unknown, which only the venue's own word can settle (reliability.md R1, R2).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from gambit.model import Category, Failure
from gambit.runtime.backoff import SEC, Backoff
from gambit.runtime.breaker import Breaker
from gambit.runtime.budget import Budget, Lane
from gambit.runtime.clock import Clock
from gambit.runtime.http import Http, HttpAnswer, HttpError
from gambit.runtime.http_line import HttpLine
from gambit.venues.live import Call
from gambit.venues.wire import Venue

TRIES: Final = 6  # the call itself and at most five retries
TIMEOUT_SEC: Final = 10.0
PATIENCE_SEC: Final = 60.0  # longest a reading may wait and retry, all together
SLOTS: Final = 4  # requests under way at once
THROTTLED_SEC: Final = 30.0  # one at a time for this long after a rate limit
RETRIED: Final = frozenset({Category.RATE_LIMIT, Category.TRANSIENT_NETWORK, Category.VENDOR_5XX})


class CallFailed(Exception):
    """A call that gave nothing, after whatever retries its category allows."""

    def __init__(self, venue: str, what: str, failure: Failure) -> None:
        code = f" {failure.code}" if failure.code else ""
        super().__init__(f"{venue} {what}: {failure.category}{code}: {failure.text}")
        self.failure = failure


class Answer(NamedTuple):
    """A reading. `is_degraded`: the venue gave none, and this is the last good one, `age_ns` old."""

    url: str
    body: bytes
    is_degraded: bool = False
    age_ns: int = 0


class Accepted(NamedTuple):
    """The venue took the order request; the body says how."""

    body: bytes


class Refused(NamedTuple):
    """The order surely does not exist: the venue said so, or the request never left."""

    failure: Failure


class Unknown(NamedTuple):
    """Nobody can tell whether the order exists; ask the venue, never send it again."""

    failure: Failure


Outcome = Accepted | Refused | Unknown


class Gateway:
    """Requests to one venue, or to its test network. `sleep` and `random` are handed in, so that a test owns time and
    chance."""

    def __init__(
        self,
        venue: Venue,
        rest: str,
        http: Http,
        clock: Clock,
        *,
        random: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        is_testnet: bool = False,
    ) -> None:
        self.venue = venue
        self.rest = rest.rstrip("/")
        self.http = http
        self.clock = clock
        self.random = random
        self.sleep = sleep
        self.is_testnet = is_testnet
        self._headers = dict(venue.live.test_headers) if is_testnet else {}
        self.budget = Budget(venue.live.weight, venue.live.weight_sec)
        self.breaker = Breaker()
        self.failures: dict[Category, int] = dict.fromkeys(Category, 0)
        self.calls = 0
        self.is_degraded = False
        self._good: dict[str, tuple[bytes, int]] = {}  # path -> the last good answer of fetch() and its time
        self._busy = 0
        self._free = asyncio.Condition()
        self._throttled_until = 0

    # ---- readings ----

    async def get(self, call: Call, *, patience_sec: float = PATIENCE_SEC) -> Answer:
        """A public reading, retried as its failures allow. Raises CallFailed."""
        url = self.rest + call.path
        backoff = Backoff(self.random)
        deadline = self.clock.mono_ns() + int(patience_sec * SEC)
        for _ in range(TRIES):
            async with self._slot(call.weight, Lane.ORDINARY, deadline, is_order=False) as refusal:
                read = refusal or await self._read(url)
            if isinstance(read, HttpAnswer):
                return Answer(url, read.body)
            failure, wait_ns = read, backoff.failed()
            if failure.category not in RETRIED or refusal or self.clock.mono_ns() + wait_ns >= deadline:
                break
            await self.sleep(wait_ns / SEC)
        raise CallFailed(self.venue.name, call.path, failure)

    async def fetch(self, call: Call, *, patience_sec: float = PATIENCE_SEC, otherwise: Call | None = None) -> Answer:
        """As get(), but falls back to the last good answer, flagged degraded. Raises CallFailed where there is none.
        What the venue refuses for good is asked for by `otherwise`, where there is such."""
        try:
            answer = await self.get(call, patience_sec=patience_sec)
        except CallFailed as error:
            if otherwise is not None and error.failure.category is Category.PERMANENT_4XX:
                return await self.fetch(otherwise, patience_sec=patience_sec)
            known = self._good.get(call.path)
            if known is None:
                raise
            self.is_degraded = True
            return Answer(self.rest + call.path, known[0], True, self.clock.mono_ns() - known[1])
        self._good[call.path] = answer.body, self.clock.mono_ns()
        self.is_degraded = False
        return answer

    async def _read(self, url: str) -> HttpAnswer | Failure:
        try:
            answer = await self.http.request("GET", url, headers=self._headers, body=b"", timeout_sec=TIMEOUT_SEC)
        except HttpError as error:
            return self._note(Failure(Category.TRANSIENT_NETWORK, str(error), execution_unknown=error.sent))
        return self._judge(answer)

    # ---- orders ----

    async def send(
        self, method: str, path: str, *, headers: Mapping[str, str], body: bytes, weight: int = 1, lane: Lane
    ) -> Outcome:
        """One order request, signed by the caller, sent at most once; it does not wait for budget or breaker longer
        than a moment, because an order that leaves late is another order."""
        deadline = self.clock.mono_ns() + int(0.25 * SEC)
        async with self._slot(weight, lane, deadline) as refusal:
            if refusal is not None:
                return Refused(refusal)
            try:
                answer = await self.http.request(
                    method, self.rest + path, headers=headers, body=body, timeout_sec=TIMEOUT_SEC
                )
            except HttpError as error:
                failure = self._note(Failure(Category.TRANSIENT_NETWORK, str(error), execution_unknown=error.sent))
            else:
                judged = self._judge(answer)
                if isinstance(judged, HttpAnswer):
                    return Accepted(judged.body)
                failure = judged
        return Unknown(failure) if failure.execution_unknown else Refused(failure)

    async def carry(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        weight: int,
        lane: Lane,
        on_leave: Callable[[], str | None],
    ) -> HttpAnswer | Failure:
        """One signed request, once, and whatever the venue answers; `on_leave` is called when the bytes may be on their
        way from now on, and keeps them here with a reason why not. A Failure before that: it never left. A Failure
        after: nobody knows what became of it."""
        deadline = self.clock.mono_ns() + int(0.25 * SEC)
        async with self._slot(weight, lane, deadline) as refusal:
            if refusal is not None:
                return refusal
            why_not = on_leave()
            if why_not is not None:
                return Failure(Category.PERMANENT_4XX, why_not)
            try:
                answer = await self.http.request(
                    method, self.rest + path, headers=headers, body=body, timeout_sec=TIMEOUT_SEC
                )
            except HttpError as error:
                return self._note(Failure(Category.TRANSIENT_NETWORK, str(error), execution_unknown=True))
            self._judge(answer)
            return answer

    def may_leave(self, weight: int, lane: Lane) -> bool:
        """Whether a request may leave at this very instant, by budget, breaker and what is under way."""
        now = self.clock.mono_ns()
        has_slot = lane is Lane.URGENT or self._busy < self._slots()
        return has_slot and not self.breaker.wait_ns(now) and not self.budget.wait_ns(weight, now, lane)

    def carry_over(
        self, line: HttpLine, method: str, path: str, *, headers: Mapping[str, str], body: bytes, weight: int
    ) -> "asyncio.Future[HttpAnswer]":
        """As carry(), over a warm connection that is free, after may_leave(): the bytes are handed to the socket in
        this call. What is returned belongs to answered(), which has to be awaited."""
        now = self.clock.mono_ns()
        self.breaker.leave(now)
        self.budget.take(weight, now)
        self.calls += 1
        self._busy += 1
        return line.send(method, path, headers, body)

    async def answered(self, line: HttpLine, answer: "asyncio.Future[HttpAnswer]") -> HttpAnswer | Failure:
        """What became of a request of carry_over()."""
        try:
            async with asyncio.timeout(TIMEOUT_SEC):
                found = await answer
        except (HttpError, TimeoutError) as error:
            line.cut()  # an answer that still comes would be taken for the next request's
            reason = str(error) or f"no answer within {TIMEOUT_SEC:g} s"
            return self._note(Failure(Category.TRANSIENT_NETWORK, reason, execution_unknown=True))
        finally:
            async with self._free:
                self._busy -= 1
                self._free.notify_all()
        self._judge(found)
        return found

    # ---- what both go through ----

    @asynccontextmanager
    async def _slot(
        self, weight: int, lane: Lane, deadline: int, *, is_order: bool = True
    ) -> AsyncIterator[Failure | None]:
        """One request's leave; the failure that stands in its way where it would come too late. Readings wait for
        their turn as long as it takes."""
        is_urgent = lane is Lane.URGENT
        async with self._free:
            try:
                async with asyncio.timeout(max(deadline - self.clock.mono_ns(), 0) / SEC if is_order else None):
                    await self._free.wait_for(lambda: is_urgent or self._busy < self._slots())
                is_late = False
            except TimeoutError:
                is_late = True
            self._busy += not is_late
        if is_late:
            yield Failure(Category.RATE_LIMIT, "too many requests are under way")
            return
        try:
            yield await self._leave(weight, lane, deadline)
        finally:
            async with self._free:
                self._busy -= 1
                self._free.notify_all()

    def _slots(self) -> int:
        return 1 if self.clock.mono_ns() < self._throttled_until else SLOTS

    async def _leave(self, weight: int, lane: Lane, deadline: int) -> Failure | None:
        while True:
            now = self.clock.mono_ns()
            if wait_ns := self.breaker.wait_ns(now):
                refusal = Failure(Category.VENDOR_5XX, "the circuit is open after repeated failures")
            elif wait_ns := self.budget.wait_ns(weight, now, lane):
                refusal = Failure(Category.RATE_LIMIT, "the rate budget is used up")
            else:
                self.breaker.leave(now)
                self.budget.take(weight, now)
                self.calls += 1
                return None
            if now + wait_ns > deadline:
                return refusal
            await self.sleep(wait_ns / SEC)

    def _judge(self, answer: HttpAnswer) -> HttpAnswer | Failure:
        used = self.venue.used_weight(answer.headers)
        if used is not None:
            self.budget.learn(used, self.clock.mono_ns())
        failure = self.venue.failure(answer.status, answer.headers, answer.body)
        if failure is None:
            self.breaker.succeeded()
            return answer
        return self._note(failure)

    def _note(self, failure: Failure) -> Failure:
        """Count a failure and do to budget and breaker what its category asks for."""
        now = self.clock.mono_ns()
        self.failures[failure.category] += 1
        if failure.category is Category.VENDOR_5XX:
            self.breaker.failed(now)
        elif failure.category is not Category.TRANSIENT_NETWORK:
            self.breaker.succeeded()  # it answered
        if failure.category is Category.RATE_LIMIT:
            self._throttled_until = now + int(THROTTLED_SEC * SEC)
            self.budget.block(now + int((1.0 if failure.wait_sec is None else failure.wait_sec) * SEC))
        return failure
