"""Requests of one account over HTTP, within the limits of the account and of the address: creates and cancels over a
connection that is warm, where one is free, else the ordinary way.

Where nonces have to arrive in their order, each request waits for its turn (gambit.runtime.turns) and is given its
nonce as it leaves. A reading or a cancel that is refused for its nonce was not carried out; it leaves once more, at
once (kraken.md 7). A create is sent once, whatever happens.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import nullcontext
from typing import Any, Final

from gambit.model import Failure
from gambit.runtime.allowance import Allowance, urgency
from gambit.runtime.backoff import SEC
from gambit.runtime.clock import Clock
from gambit.runtime.gateway import Gateway
from gambit.runtime.http import HttpAnswer
from gambit.runtime.http_line import HttpLine
from gambit.runtime.turns import Turns
from gambit.venues.account import Account
from gambit.venues.orders import Frame, Lane, RestRequest

WAIT_NS: Final = 8 * SEC  # for a limit

Answered = Callable[[HttpAnswer | Failure, bool], None]


class Courier:
    """Those of one account; `lines` are its warm connections."""

    def __init__(
        self, account: Account, gateway: Gateway, allowance: Allowance, clock: Clock, lines: Sequence[HttpLine]
    ) -> None:
        self._account, self._gateway, self._allowance = account, gateway, allowance
        self._clock, self._lines = clock, lines
        self._turns = Turns() if account.language.wants_nonces_in_order else None

    # ---- limits ----

    def wait_ns(self, request: RestRequest | Frame) -> int:
        """How long until a request may leave by the account's limits, a frame by those of the address too."""
        now_ns = self._clock.mono_ns()
        wait_ns = self._allowance.wait_ns(request, now_ns)
        weight = self._allowance.weight(request)
        if isinstance(request, RestRequest) or not weight:
            return wait_ns
        return max(wait_ns, self._gateway.budget.wait_ns(weight, now_ns, urgency(request)))

    async def within_limits(self, request: RestRequest | Frame) -> bool:
        """Take a request's share of the account's own limits. A create does not wait for one; everything else does, for
        as long as its stamp is good: what comes too late is asked anew, with a stamp of its own."""
        late_ns = self._clock.mono_ns() + (0 if request.lane is Lane.CREATE else WAIT_NS)
        while wait_ns := self.wait_ns(request):
            if self._clock.mono_ns() + wait_ns > late_ns:
                return False
            await asyncio.sleep(wait_ns / SEC)
        self._allowance.take(request, self._clock.mono_ns())
        return True

    # ---- at this very instant ----

    def line_now(self, request: RestRequest) -> HttpLine | None:
        """A warm connection for a create or cancel that may leave at this very instant."""
        if request.lane is Lane.READ:
            return None
        line = next((each for each in self._lines if each.is_free), None)
        if line is None or not self._gateway.may_leave(self._allowance.weight(request), urgency(request)):
            return None
        if self._turns is not None and not self._turns.is_free(request.lane):
            return None
        return line if not self._allowance.wait_ns(request, self._clock.mono_ns()) else None

    def send_over(self, line: HttpLine, request: RestRequest, answered: Answered) -> Coroutine[Any, Any, None]:
        """Hand a request to line_now()'s connection within this call, without a turn of the loop in between; what is
        returned waits for its answer, and has to be awaited."""
        self._allowance.take(request, self._clock.mono_ns())
        number = self._turns.begin(request.lane) if self._turns is not None else None
        answer = self._gateway.carry_over(
            line,
            request.method,
            request.path,
            headers=dict(request.headers),
            body=request.body,
            weight=self._allowance.weight(request),
        )
        return self._read_over(line, answer, number, answered)

    async def _read_over(
        self, line: HttpLine, answer: "asyncio.Future[HttpAnswer]", number: int | None, answered: Answered
    ) -> None:
        try:
            found = await self._gateway.answered(line, answer)
        finally:
            if self._turns is not None and number is not None:
                self._turns.end(number)
        answered(found, True)

    # ---- the ordinary way ----

    async def carry(self, request: RestRequest, on_leave: Callable[[], str | None], answered: Answered) -> None:
        """A request that has its share of the limits, and its answer. `on_leave` is asked as it leaves, and says why it
        may not; `answered` hears what came back, and whether the request left."""
        left = False

        def leaves() -> str | None:
            nonlocal left
            why_not = on_leave()
            left = why_not is None
            return why_not

        answer = await self._once(request, leaves)
        if left and self._is_out_of_order(request, answer):
            left = False
            if await self.within_limits(request):
                answer = await self._once(request, leaves)
        answered(answer, left)

    async def _once(self, request: RestRequest, leaves: Callable[[], str | None]) -> HttpAnswer | Failure:
        async with self._turns.one(request.lane) if self._turns is not None else nullcontext():
            if self._turns is not None:
                request = self._account.renewed(request, self._clock.now_ns())
            return await self._gateway.carry(
                request.method,
                request.path,
                headers=dict(request.headers),
                body=request.body,
                weight=self._allowance.weight(request),
                lane=urgency(request),
                on_leave=leaves,
            )

    def _is_out_of_order(self, request: RestRequest, answer: HttpAnswer | Failure) -> bool:
        if self._turns is None or isinstance(answer, Failure) or request.lane is Lane.CREATE:
            return False
        return self._account.language.is_out_of_order(answer.body)
