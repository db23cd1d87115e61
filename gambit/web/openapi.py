"""The OpenAPI 3.1 document, made of the routes and their types. Nothing is written by hand that the code knows."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

from gambit.web.limits import ANONYMOUS, AUTHENTICATED
from gambit.web.problem import MEDIA, ProblemBody
from gambit.web.route import JSON, Route

REF: Final = "#/components/schemas/{name}"
ABOUT: Final = f"""Everything but health, readiness and login wants an access token (`Authorization: Bearer ...`, 15
minutes, from `/auth/login`) or a request signed by an API key (docs/api.md). Errors are problem documents (RFC 9457).
At most {AUTHENTICATED.most} requests a minute, {ANONYMOUS.most} without a token. Times are ns since the epoch, money
and quantities decimal text."""

Json = dict[str, Any]


def document(routes: Sequence[Route], version: str) -> Json:
    """The document; routes in their order."""
    types = [ProblemBody, *(one for route in routes for one in _types(route))]
    _, components = msgspec.json.schema_components(_unique(types), ref_template=REF)
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    told = {
        "openapi": "3.1.0",
        "info": {"title": "gambit", "version": version, "description": ABOUT, "license": {"name": "MIT"}},
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "signed": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Gambit-Key",
                    "description": "With X-Gambit-Timestamp, X-Gambit-Nonce and X-Gambit-Signature",
                },
            },
        },
    }
    plain: Json = msgspec.json.decode(msgspec.json.encode(told))  # defaults that are tuples become arrays
    return plain


def _types(route: Route) -> list[Any]:
    return [one for one in (route.names, route.query, route.body, route.answer) if one not in (None, str, bytes)]


def _unique(types: list[Any]) -> list[Any]:
    return list(dict.fromkeys(types))


def _operation(route: Route) -> Json:
    told: Json = {
        "operationId": _name(route),
        "summary": route.summary,
        "description": (route.handle.__doc__ or route.summary).strip(),
        "tags": [route.tag],
        "parameters": [*_parameters(route.names, "path"), *_parameters(route.query, "query"), *_headers(route)],
        "responses": {str(status): _response(route, status) for status in route.statuses()},
        "security": [] if route.rule is None else [{"bearer": []}, {"signed": []}],
    }
    if route.rule is not None:
        told["x-scope"] = route.rule.scope.value
        told["x-needs-fresh-authentication"] = route.rule.needs_fresh
        told["x-needs-second-factor"] = route.rule.needs_second_factor
    if route.body is not None:
        told["requestBody"] = {"required": True, "content": {JSON: {"schema": _schema(route.body)}}}
    return told


def _name(route: Route) -> str:
    words = [word.strip("{}").replace("-", "_").replace(".", "_") for word in route.path.split("/") if word]
    return "_".join([route.method.lower(), *words])


def _parameters(kind: type[msgspec.Struct], place: str) -> list[Json]:
    (_, components) = msgspec.json.schema_components([kind], ref_template=REF)
    schema = components[kind.__name__]
    required = set(schema.get("required", ()))
    return [
        {"name": name, "in": place, "required": place == "path" or name in required, "schema": _plain(how)}
        for name, how in schema.get("properties", {}).items()
    ]


def _plain(how: Json) -> Json:
    """A parameter that is absent is absent: there is no null in a query string."""
    kinds = [one for one in how.get("anyOf", ()) if one.get("type") != "null"]
    return kinds[0] if len(kinds) == 1 else {name: value for name, value in how.items() if value is not None}


def _headers(route: Route) -> list[Json]:
    told: list[Json] = []
    if route.takes_key:
        schema = {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]{1,128}$"}
        told.append({"name": "Idempotency-Key", "in": "header", "required": False, "schema": schema})
    if route.has_etag:
        told.append({"name": "If-None-Match", "in": "header", "required": False, "schema": {"type": "string"}})
    return told


def _response(route: Route, status: int) -> Json:
    told: Json = {"description": HTTPStatus(status).phrase}
    if status in (304, 204) or (route.answer is None and status < 300):
        return told
    is_good = status == route.status or (status == 503 and route.path in ("/health", "/ready"))
    if is_good and route.answer is str:
        told["content"] = {route.media.partition(";")[0]: {"schema": {"type": "string"}}}
    elif is_good:
        told["content"] = {JSON: {"schema": _schema(route.answer)}}
    else:
        told["content"] = {MEDIA: {"schema": _schema(ProblemBody)}}
    return told


def _schema(kind: Any) -> Json:
    ([schema], _) = msgspec.json.schema_components([kind], ref_template=REF)
    return schema
