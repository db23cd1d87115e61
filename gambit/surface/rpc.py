"""JSON-RPC 2.0, one object a line: requests read with every fault named, answers and events written.

No batches (one object a line needs none), parameters by name only. What is pure of the control socket lives here.
"""

from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

LINE_BYTES_MAX = 1 << 20  # of a request; answers may be longer

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
REFUSED = -32000  # the daemon understood, and says no

EVENT = "event"

Id = int | str | None


class RpcError(Exception):
    """What goes back instead of a result."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class Refused(RpcError):
    """A handler says no; the message tells the operator what was wrong and what to do."""

    def __init__(self, message: str, data: object = None) -> None:
        super().__init__(REFUSED, message, data)


class Forbidden(Refused):
    """Refused for who asks, not for how things are; `data` is the code of gambit.access.permissions.Denial."""


class Request(msgspec.Struct, frozen=True):
    """One call; without an id nobody waits for the answer."""

    jsonrpc: Literal["2.0"]
    method: str
    params: msgspec.Raw = msgspec.Raw(b"{}")
    id: int | str | msgspec.UnsetType | None = msgspec.UNSET


class Event(msgspec.Struct, frozen=True):
    """One message of a subscription; `seq` grows by one per topic, so that a reader sees what it missed."""

    topic: str
    seq: int
    data: Any


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters of a method that takes none."""


_requests = msgspec.json.Decoder(Request)
_encode = msgspec.json.Encoder().encode


def read_request(line: bytes) -> Request:
    """The request of a line; raises RpcError saying what is wrong with it."""
    try:
        return _requests.decode(line)
    except msgspec.ValidationError as error:
        raise RpcError(INVALID_REQUEST, f"not a JSON-RPC 2.0 request: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RpcError(PARSE_ERROR, f"not JSON: {error}; one object a line is due") from error


def read_params(request: Request, kind: type[msgspec.Struct]) -> Any:
    """The parameters as `kind`; an empty array is none. Raises RpcError naming the field and what the method
    takes."""
    given = bytes(request.params)
    is_none = given.startswith(b"[") and not given[1:-1].strip()
    try:
        return msgspec.json.decode(b"{}" if is_none else given, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RpcError(INVALID_PARAMS, f"{request.method}: {error}; it takes {wording(kind)}") from error


def wording(kind: type[msgspec.Struct]) -> str:
    """The parameters a method takes, as a person reads them."""
    fields = msgspec.structs.fields(kind)
    return ", ".join(f"{field.encode_name} ({type_name(field.type)})" for field in fields) or "no parameters"


def type_name(kind: Any) -> str:
    """`int`, `tuple[str, ...]`, `str | None`, `'low' | 'high'`; limits are not among it."""
    if get_origin(kind) is Annotated:
        return type_name(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return " | ".join(map(repr, get_args(kind)))
    if isinstance(kind, UnionType) or get_origin(kind) is Union:
        return " | ".join(map(type_name, get_args(kind)))
    if kind is type(None):
        return "None"
    return kind.__name__ if isinstance(kind, type) and not hasattr(kind, "__args__") else str(kind)


def request_line(method: str, params: object, call_id: int) -> bytes:
    """A request, as a client sends it."""
    return _encode({"jsonrpc": "2.0", "id": call_id, "method": method, "params": params}) + b"\n"


def result_line(call_id: Id, result: object) -> bytes:
    """An answer. Raises TypeError for what has no JSON form."""
    return _encode({"jsonrpc": "2.0", "id": call_id, "result": result}) + b"\n"


def error_line(call_id: Id, error: RpcError) -> bytes:
    """An answer that is an error."""
    told: dict[str, object] = {"code": error.code, "message": error.message}
    if error.data is not None:
        told["data"] = error.data
    return _encode({"jsonrpc": "2.0", "id": call_id, "error": told}) + b"\n"


def event_line(event: Event) -> bytes:
    """A message of a subscription."""
    return _encode({"jsonrpc": "2.0", "method": EVENT, "params": event}) + b"\n"
