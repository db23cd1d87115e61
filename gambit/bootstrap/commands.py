"""The control socket's methods bound to a daemon: what each does, in a line or two."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from gambit.access.permissions import denial
from gambit.bootstrap.audit import audit, audit_anyway, audited
from gambit.bootstrap.people import people_handlers
from gambit.bootstrap.scoring import Scores
from gambit.bootstrap.trading import awake, desk_handlers
from gambit.journal import JournalError, JournalFailed
from gambit.runtime.backup import BackupError
from gambit.runtime.daemon import Daemon
from gambit.runtime.letters import Letters
from gambit.runtime.trading import HaltFileThere, State
from gambit.store import StoreError
from gambit.surface.control import Caller, Handler
from gambit.surface.methods import Backup, Books, DeadLetterIds, Opportunities, Reason, Snapshot, Stop
from gambit.surface.metrics import Registry
from gambit.surface.rpc import INVALID_PARAMS, Forbidden, Nothing, Refused, RpcError
from gambit.surface.views import Reloaded, StateChange, Stopping


def handlers(
    daemon: Callable[[], Daemon], registry: Registry, letters: Letters, reload: Callable[[], Reloaded]
) -> dict[str, Handler]:
    """By method name; `daemon` is asked at each call, for it is built after its servers."""

    def status(_params: Nothing, _caller: Caller) -> dict[str, Any]:
        return daemon().parts.readings.status()

    def opportunities(params: Opportunities, _caller: Caller) -> list[dict[str, Any]]:
        return daemon().parts.readings.opportunities(params)

    def books(params: Books, _caller: Caller) -> list[dict[str, Any]]:
        return daemon().parts.readings.books(params)

    def metrics(_params: Nothing, _caller: Caller) -> str:
        return registry.render().decode()

    def stop(params: Stop, caller: Caller) -> Stopping:
        audit_anyway(daemon(), caller, "stop", "now" if params.now else "")
        daemon().stop(f"stop by {caller.by}", now=params.now)
        return Stopping(pid=daemon().parts.started.pid)

    def read_again(_params: Nothing, caller: Caller) -> Reloaded:
        with audited(daemon(), caller, "reload", ""):
            try:
                return reload()
            except ValueError as error:
                raise Refused(str(error)) from error

    return {
        **desk_handlers(daemon),
        **_kept(daemon, letters),
        **people_handlers(lambda: daemon().parts.access, lambda *said: audit(daemon(), *said)),
        "reload": read_again,
        "status": status,
        "opportunities": opportunities,
        "books": books,
        "metrics": metrics,
        "stop": stop,
        "halt": _change(daemon, "HALTED"),
        "reduce": _change(daemon, "REDUCING"),
        "resume": _change(daemon, "ACTIVE"),
    }


def _kept(daemon: Callable[[], Daemon], letters: Letters) -> dict[str, Handler]:
    """What works on what the daemon kept."""
    scores = Scores(lambda: daemon().parts.keeping, lambda: daemon().parts.clock.now_ns())

    async def snapshot(params: Snapshot, _caller: Caller) -> dict[str, Any]:
        return await daemon().parts.keeping.snapshot(params.max_age_sec)

    async def scorecard(_params: Nothing, _caller: Caller) -> dict[str, Any]:
        return await scores()

    async def backup(params: Backup, caller: Caller) -> dict[str, Any]:
        audit(daemon(), caller, "backup", params.path)
        return await daemon().parts.keeping.backup(Path(params.path))

    async def requeue(params: DeadLetterIds, caller: Caller) -> dict[str, Any]:
        _one_of_two(params)
        audit(daemon(), caller, "dlq requeue", _worded(params))
        return await letters.requeue(params.letter_ids, caller.by)

    async def purge(params: DeadLetterIds, caller: Caller) -> dict[str, Any]:
        _one_of_two(params)
        audit(daemon(), caller, "dlq purge", _worded(params))
        return await letters.purge(params.letter_ids, caller.by)

    return {
        "scorecard": told(scorecard),
        "snapshot": told(snapshot),
        "query": told(snapshot),
        "backup": told(backup),
        "dlq.requeue": told(requeue),
        "dlq.purge": told(purge),
    }


def told(handler: Callable[[Any, Caller], Awaitable[dict[str, Any]]]) -> Handler:
    """A handler whose expected failures are told to the caller in their own words."""

    async def answer(params: Any, caller: Caller) -> dict[str, Any]:
        try:
            return await handler(params, caller)
        except (StoreError, JournalError, BackupError, OSError) as error:
            raise Refused(str(error)) from error

    return answer


def _one_of_two(params: DeadLetterIds) -> None:
    """Who says nothing does not mean all of them. Raises RpcError."""
    if params.all == bool(params.letter_ids):
        raise RpcError(INVALID_PARAMS, 'name some letter_ids, or say "all": true')


def in_words(table: Mapping[str, Handler]) -> dict[str, Handler]:
    """The same methods by their names; what a journal that failed keeps from being done is refused in its words."""
    return {name: _in_words(handler) for name, handler in table.items()}


def _in_words(handler: Handler) -> Handler:
    def answer(params: Any, caller: Caller) -> object:
        try:
            given = handler(params, caller)
        except JournalFailed as error:
            raise Refused(str(error)) from error
        return awaited(given) if inspect.isawaitable(given) else given

    async def awaited(given: Awaitable[object]) -> object:
        try:
            return await given
        except JournalFailed as error:
            raise Refused(str(error)) from error

    return answer


def _worded(params: DeadLetterIds) -> str:
    return ", ".join(map(str, params.letter_ids)) or "all"


def _change(daemon: Callable[[], Daemon], to: State) -> Handler:
    def change(params: Reason, caller: Caller) -> StateChange:
        switch = daemon().parts.switch
        is_release = to == "REDUCING" and switch.state == "HALTED"  # orders leave again: those that close what is open
        if is_release:
            _may_release(caller, daemon().parts.clock.now_ns())
        if to != "HALTED":
            _check_journal(daemon())
        if to == "ACTIVE" or is_release:
            awake(daemon().parts.dealing)
        try:
            done = switch.change(to, params.reason, caller.by)
        except HaltFileThere as error:
            raise Refused(str(error)) from error
        except (OSError, JournalFailed) as error:  # a halt is in force all the same
            raise Refused(f"trading is {switch.state} now, but a restart may not know it: {error}") from error
        (audit_anyway if to == "HALTED" else audit)(daemon(), caller, f"trading state {to}", params.reason)
        return StateChange(state=done.state, was=done.was, reason=done.reason)

    return change


def _check_journal(daemon: Daemon) -> None:
    """Without a journal nothing trades until the next start, and what is changed here is not known there. Raises
    Refused."""
    failed = daemon.parts.keeping.journal.failed
    if failed is not None:
        raise Refused(f"the journal takes no more records: {failed}")


def _may_release(caller: Caller, now_ns: int) -> None:
    """Leaving HALTED is resuming, whatever follows (I10). Raises Forbidden."""
    denied = denial(caller.principal, "resume", now_ns) if caller.principal is not None else None
    if denied is not None:
        text = f"trading is HALTED and leaving that is resuming, to REDUCING too: {denied.text}"
        raise Forbidden(text, denied.code)
