"""The Telegram bot of a configuration, and the method that links an account to a user."""

import secrets as chance
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from gambit.access.access import Access
from gambit.access.permissions import Door
from gambit.access.refusal import Refusal
from gambit.bootstrap.audit import audit
from gambit.bootstrap.notifying import BOT_API, BOT_TOKEN, ChannelError, Secrets
from gambit.config import Config
from gambit.events.operation import Audited
from gambit.runtime.clock import Clock
from gambit.runtime.daemon import Daemon, Log
from gambit.runtime.ledger import Ledger
from gambit.surface.control import Caller, Handler
from gambit.surface.methods import UserName
from gambit.surface.rpc import Refused
from gambit.telegram import keeping
from gambit.telegram.bot import Bot
from gambit.telegram.core import Core, Person
from gambit.telegram.rim import ApiError, Library, NoLibrary
from gambit.telegram.update import Note


def build_bot(
    config: Config, access: Access, table: Mapping[str, Handler], ledger: Ledger, clock: Clock, log: Log,
    secrets: Secrets,
) -> Bot | None:  # fmt: skip
    """The bot; None where it cannot run, which is told: the daemon trades without it."""
    settings, state_dir = config.telegram, Path(config.daemon.state_dir)
    try:
        api = Library(
            secrets.text(settings.token or BOT_TOKEN), settings.base_url or BOT_API, float(settings.timeout_sec)
        )
        kept = keeping.load(state_dir)
    except (ChannelError, NoLibrary, ApiError, OSError, ValueError) as error:
        log.error("the Telegram bot does not run", reason=str(error))
        return None
    if not settings.users or not settings.chats:
        log.warning("the Telegram bot listens to nobody: telegram.users or telegram.chats is empty")

    def person(user_id: str) -> Person | None:
        user = access.book.state.users.get(user_id)
        return None if user is None else Person(user.user_id, user.email, user.role, user.status == "active")

    def note(said: Note) -> None:
        ledger.fact(
            Audited(
                who=said.who, door=Door.TELEGRAM.value, action=said.action, outcome=said.outcome, detail=said.detail
            )
        )

    return Bot(
        Core(settings.users, settings.chats, person, kept, chance.token_bytes),
        api,
        table,
        now_ns=clock.now_ns,
        save=partial(keeping.save, state_dir),
        audit=note,
        warn=lambda text, **fields: log.warning(text, **fields),
    )


def link_handlers(daemon: Callable[[], Daemon]) -> dict[str, Handler]:
    """`user.link_telegram`: a code that links whoever says it to the bot."""

    def link(params: UserName, caller: Caller) -> dict[str, Any]:
        bots = [each for each in daemon().parts.beside if isinstance(each, Bot)]
        if not bots:
            raise Refused("the bot does not run: set telegram.enabled, telegram.users and telegram.chats")
        try:
            user = daemon().parts.access.people.named(params.user)
        except Refusal as refusal:
            raise Refused(refusal.text) from refusal
        audit(daemon(), caller, "user link-telegram", user.email)
        return {"email": user.email, "code": bots[0].core.offer(user.user_id, daemon().parts.clock.now_ns())}

    return {"user.link_telegram": link}
