"""What a route is: path, types, who may, and the function behind it. From these the server routes, checks and
documents, so that none of the three can say something else than the others."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from gambit.access.permissions import Principal, Rule
from gambit.web.limits import ANONYMOUS, Quota

JSON: Final = "application/json"


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Parameters of a query string or a path, by name, each once."""


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A JSON object in a request; a field that is not declared is an error."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON object in an answer."""

    schema_version: str = "1"


class Page(Answer, frozen=True, kw_only=True):
    """A part of a list, and how far it can be trusted: `degraded` with the reasons in `data_quality` when some of what
    it is made of is late or missing. `next_cursor` leads to the next part."""

    degraded: bool = False
    data_quality: tuple[str, ...] = ()
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request whose every part has been checked."""

    who: Principal | None
    names: Any  # of the path
    query: Any
    body: Any
    address: str
    label: str  # what the client calls itself
    cookie: str  # the refresh cookie, empty without one
    is_secure: bool
    is_loopback: bool
    raw: bytes = b""  # the body as it came
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case; the last of several

    @property
    def principal(self) -> Principal:
        """Who asks, on a route that is not for everybody."""
        if self.who is None:
            raise TypeError("this route is for everybody: it has no principal")
        return self.who


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that is more than its struct. `cookie`: a refresh token to keep; empty text: one to forget."""

    body: Any = None  # a struct, or bytes as they leave
    status: int | None = None  # of the route, unless said
    headers: Mapping[str, str] = field(default_factory=dict)
    cookie: str | None = None


Handle = Callable[[Any, Ask], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    summary: str
    handle: Handle
    rule: Rule | None  # None: for everybody
    answer: Any  # the type of a good answer; None: no content
    status: int = 200
    names: type[msgspec.Struct] = Query
    query: type[msgspec.Struct] = Query
    body: type[msgspec.Struct] | None = None
    errors: tuple[int, ...] = ()  # beside those that its types and its rule bring
    tag: str = ""
    media: str = JSON
    quota: Quota = ANONYMOUS  # for whom there is no token; those with one have their own
    may_show: bool = False  # for everybody, and who shows a credential is known all the same
    takes_key: bool = False  # an Idempotency-Key
    has_etag: bool = False
    action: str = ""  # as it is audited

    @property
    def named(self) -> str:
        """GET /orders"""
        return f"{self.method} {self.path}"

    def statuses(self) -> list[int]:
        """Every status it can answer with."""
        found = {self.status, 400, 404, 429, *self.errors}
        found |= {304} if self.has_etag else set()
        found |= {401, 403} if self.rule is not None else set()
        found |= {422} if self.query is not Query or self.names is not Query or self.body is not None else set()
        found |= {413, 415, 422} if self.body is not None else set()
        found |= {409} if self.takes_key else set()
        return sorted(found | {422})
