"""Errors as RFC 9457 has them (application/problem+json): one shape for ours and for those of the server below."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import msgspec

from gambit.access.permissions import Denial
from gambit.access.refusal import Refusal

MEDIA: Final = "application/problem+json"


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field."""

    field: str
    text: str


class ProblemBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a client reads. `type` is a name, not a page: urn:gambit:problem:<code>."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    code: str
    errors: tuple[FieldError, ...] = ()


class Problem(Exception):
    """Ends a request with this answer."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: tuple[FieldError, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})

    def body(self, instance: str, request_id: str) -> bytes:
        """The JSON that leaves."""
        return msgspec.json.encode(
            ProblemBody(
                type=f"urn:gambit:problem:{self.code}",
                title=HTTPStatus(self.status).phrase,
                status=self.status,
                detail=self.detail,
                instance=instance,
                request_id=request_id,
                code=self.code,
                errors=self.errors,
            )
        )


_STATUS_OF: Final = {
    "credentials": 401,
    "second_factor": 401,
    "token": 401,
    "reused": 401,
    "locked": 429,
    "conflict": 409,
    "taken": 409,
    "code_used": 409,
    "last_admin": 409,
    "full": 409,
    "unknown": 404,
    "weak": 422,
}
CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="gambit"'}


def of_refusal(refusal: Refusal) -> Problem:
    """What access refused, as an answer."""
    status = _STATUS_OF[refusal.code]
    headers = dict(CHALLENGE) if status == 401 else {}
    if refusal.retry_sec:
        headers["Retry-After"] = str(refusal.retry_sec)
    field, is_field, _ = refusal.text.partition(": ")
    errors = (FieldError(field, refusal.text),) if status == 422 and is_field else ()
    return Problem(status, refusal.code, refusal.text, errors=errors, headers=headers)


def of_denial(denied: Denial) -> Problem:
    """A known somebody who may not."""
    return Problem(403, denied.code, denied.text)


def unauthenticated() -> Problem:
    """Nobody we know."""
    return Problem(401, "token", "an access token is due: Authorization: Bearer ...", headers=CHALLENGE)


def not_found() -> Problem:
    """Nothing here, or nothing of yours."""
    return Problem(404, "not_found", "there is nothing here")
