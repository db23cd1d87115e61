"""The control socket's methods about users, bound to access; a command does the same by itself while no daemon runs."""

from collections.abc import Awaitable, Callable
from typing import Any

from gambit.access.access import Access
from gambit.access.people import Invited, People
from gambit.access.permissions import Role
from gambit.access.records import User
from gambit.access.refusal import Refusal
from gambit.model import rfc3339
from gambit.surface.control import Caller, Handler
from gambit.surface.methods import Invitation, NewUser, UserName, UserPassword, UserRole
from gambit.surface.rpc import Nothing, Refused

Note = Callable[[Caller, str, str], object]


def people_handlers(access: Callable[[], Access], note: Note) -> dict[str, Handler]:
    """By method name; `note(caller, action, detail)` writes down who did what."""

    async def listed(_params: Nothing, _caller: Caller) -> list[dict[str, Any]]:
        return [_row(user, is_invited=access().people.is_invited(user.user_id)) for user in access().people.users()]

    async def add(params: NewUser, caller: Caller) -> dict[str, Any]:
        user = await access().people.add(params.email, params.password, Role(params.role))
        note(caller, "user add", f"{user.email} {user.role.value}")
        return _row(user)

    async def invite(params: Invitation, caller: Caller) -> dict[str, Any]:
        made = await _invited(access().people, params)
        note(caller, "user invite", f"{made.user.email} {made.user.role.value}")
        return {**_row(made.user), "code": made.code, "expires_ns": made.expires_ns}

    async def role(params: UserRole, caller: Caller) -> dict[str, Any]:
        note(caller, "user role", f"{params.user} {params.role}")
        return _row(await access().people.set_role(_id(params.user), Role(params.role)))

    async def disable(params: UserName, caller: Caller) -> dict[str, Any]:
        note(caller, "user disable", params.user)
        return _row(await access().people.set_status(_id(params.user), "suspended"))

    async def enable(params: UserName, caller: Caller) -> dict[str, Any]:
        note(caller, "user enable", params.user)
        return _row(await access().people.set_status(_id(params.user), "active"))

    async def passwd(params: UserPassword, caller: Caller) -> dict[str, Any]:
        note(caller, "user passwd", params.user)
        people, user_id = access().people, _id(params.user)
        if params.drop_second_factor:
            await people.drop_second_factor(user_id)
        if params.password is not None:
            await people.set_password(user_id, params.password)
        return _row(people.named(user_id))

    async def link(params: UserName, caller: Caller) -> dict[str, Any]:
        user = access().people.named(params.user)
        note(caller, "user link", user.email)
        return {"ticket": access().logins.ticket(user.user_id), "email": user.email}

    async def rotate(_params: Nothing, caller: Caller) -> dict[str, Any]:
        note(caller, "signing keys rotate", "")
        return {"kid": await access().book.rotate()}

    def _id(name: str) -> str:
        return access().people.named(name).user_id

    return {
        "user.list": _told(listed),
        "user.add": _told(add),
        "user.invite": _told(invite),
        "user.role": _told(role),
        "user.disable": _told(disable),
        "user.enable": _told(enable),
        "user.passwd": _told(passwd),
        "user.link": _told(link),
        "user.rotate_keys": _told(rotate),
    }


async def _invited(people: People, params: Invitation) -> Invited:
    """Somebody new, or without a role somebody known."""
    if params.role is None:
        return await people.invite_again(people.named(params.user).user_id)
    return await people.invite(params.user, Role(params.role))


def _row(user: User, *, is_invited: bool = False) -> dict[str, Any]:
    return {
        "user_id": user.user_id,
        "email": user.email,
        "role": user.role.value,
        "status": user.status,
        "second_factor": user.second_factor == "on",
        "is_invited": is_invited,
        "created_at": rfc3339(user.created_ns),
        "created_ns": user.created_ns,
    }


def _told(work: Callable[[Any, Caller], Awaitable[Any]]) -> Handler:
    """What access refuses, in the words of the control socket."""

    async def answer(params: Any, caller: Caller) -> Any:
        try:
            return await work(params, caller)
        except Refusal as refusal:
            raise Refused(refusal.text) from refusal

    return answer
