"""/openapi.json, and /docs: the same document as a page, made on the server, without a script."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, Final

import msgspec

from gambit.access.permissions import SCOPES_OF, Role, Scope
from gambit.web.openapi import document
from gambit.web.plain_page import HTML, policy, prose, whole
from gambit.web.route import JSON, Ask, Reply, Route
from gambit.web.samples import Json, described, example, resolved, wanted
from gambit.web.services import Services

MEANING: Final = {
    200: "done", 201: "made", 202: "taken, carried out in a moment", 204: "done, nothing to tell", 304: "unchanged",
    400: "not HTTP or not JSON", 401: "no token, or none that is good any more", 403: "your role may not, or not now",
    404: "not there, or somebody else's", 409: "not as things are", 413: "more than 64 KiB",
    415: "JSON is due, uncompressed", 422: "a field is wrong: `errors` names it",
    429: "too fast: wait Retry-After seconds", 503: "not healthy or not ready: the body says why",
}  # fmt: skip
BEGIN: Final = """GAMBIT=http://127.0.0.1:8787
TOKEN=$(curl -s $GAMBIT/auth/login -H 'Content-Type: application/json' \\
  -d '{"email": "ann@desk", "password": "..."}' | python3 -c 'import json, sys
print(json.load(sys.stdin)["access_token"])')
curl -s $GAMBIT/status -H "Authorization: Bearer $TOKEN\""""


def manual_routes(routes: Sequence[Route], version: str) -> tuple[Route, Route]:
    """The two routes that tell of the others, and of themselves."""

    async def openapi(_services: Services, _ask: Ask) -> Reply:
        """The OpenAPI document of this API."""
        return Reply(body=raw)

    async def docs(_services: Services, _ask: Ask) -> Reply:
        """The same as a page."""
        return Reply(body=page, headers={"Content-Security-Policy": told_policy})

    both = (
        Route(
            method="GET", path="/openapi.json", summary="This document", handle=openapi, rule=None,
            answer=dict[str, Any], tag="daemon", has_etag=True,
        ),
        Route(
            method="GET", path="/docs", summary="This document as a page", handle=docs, rule=None, answer=str,
            tag="daemon", media=HTML, has_etag=True,
        ),
    )  # fmt: skip
    told = document([*routes, *both], version)
    raw, page, told_policy = msgspec.json.encode(told), rendered(told).encode(), policy()
    return both


def rendered(told: Json) -> str:
    """A page of the document: every operation with who may, what it takes, a request to try and what comes back."""
    schemas, operations = told["components"]["schemas"], list(_operations(told))
    title = f"{escape(told['info']['title'])} API {escape(told['info']['version'])}"
    parts = [
        _contents(told, operations),
        f"<main><h1>{title}</h1><p>{prose(told['info']['description'])}</p>"
        "<p><a href='/openapi.json'>/openapi.json</a> is this as an OpenAPI 3.1 document, for programs.</p>"
        f"<h4>To begin with</h4><pre>{escape(BEGIN)}</pre>"
        "<p class='hint'>Every line to try below takes these two variables. Live updates come by the WebSocket "
        "<code>/ws/dashboard</code>: the token in the first message, then "
        '<code>{"op":"subscribe","channels":["arb.signals"]}</code>.</p>',
    ]
    for tag in told["tags"]:
        parts.append(f"<h2 id='{escape(tag['name'])}'>{escape(tag['name'])}</h2>")
        parts += [_operation(*one, schemas) for one in operations if tag["name"] in one[2]["tags"]]
    parts.append("<h2 id='types'>types</h2>")
    parts += [_type(name, schema) for name, schema in sorted(schemas.items())]
    return whole(title, "".join([*parts, "</main>"]))


def _type(name: str, schema: Json) -> str:
    return (
        f"<details><summary><code>{escape(name)}</code>"
        f"<span>{prose(schema.get('description', ''))}</span></summary><div id='{escape(name)}'>{_fields(schema)}"
        f"<h4>JSON Schema</h4><pre>{_pretty(schema)}</pre></div></details>"
    )


def _operations(told: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _contents(told: Json, operations: Sequence[tuple[str, str, Json]]) -> str:
    parts = ["<nav><a href='/'><strong>gambit</strong></a>"]
    for tag in told["tags"]:
        parts.append(f"<h2>{escape(tag['name'])}</h2>")
        parts += [
            f"<a href='#{operation['operationId']}'><b class='{method}'>{method}</b>{escape(path)}</a>"
            for method, path, operation in operations
            if tag["name"] in operation["tags"]
        ]
    return "".join([*parts, "<h2>types</h2><a href='#types'>All types</a></nav>"])


def _operation(method: str, path: str, told: Json, schemas: Json) -> str:
    body = told.get("requestBody", {}).get("content", {}).get(JSON, {}).get("schema")
    parts = [
        f"<details><summary><b class='m {method}'>{method}</b><code>{escape(path)}</code>"
        f"<span>{escape(told['summary'])}</span><small>{escape(_who(told))}</small></summary>"
        f"<div id='{told['operationId']}'>"
        f"<p>{prose(told['description'])}</p><p class='hint'>{escape(_asks(told))}</p>"
    ]
    if told["parameters"]:
        rows = "".join(_parameter(one) for one in told["parameters"])
        parts.append(f"<h4>Parameters</h4><table><tr><th>name<th>in<th>is<th>default</tr>{rows}</table>")
    if body is not None:
        schema = resolved(body, schemas)
        parts.append(f"<h4>Body, {_named(body)}</h4><p>{prose(schema.get('description', ''))}</p>{_fields(schema)}")
    parts.append(f"<h4>Try it</h4><pre>{escape(_curl(method, path, told, body, schemas))}</pre>")
    parts.append("<h4>Answers</h4><table>")
    parts += [
        f"<tr><td>{code}<td>{prose(_meaning(int(code), how))}<td>{_named_answer(how)}</tr>"
        for code, how in told["responses"].items()
    ]
    return "".join([*parts, "</table>", _good_answer(told, schemas), "</div></details>"])


def _who(told: Json) -> str:
    """The roles that may, least first."""
    if "x-scope" not in told:
        return "for everybody"
    roles = [role.value for role in Role if Scope(told["x-scope"]) in SCOPES_OF[role]]
    return {3: "everybody logged in", 2: "trader, admin", 1: "admin"}[len(roles)]


def _asks(told: Json) -> str:
    if "x-scope" not in told:
        return "Wants no token."
    more = "".join(
        text
        for name, text in (
            ("x-needs-fresh-authentication", " Wants an authentication of the last five minutes."),
            ("x-needs-second-factor", " Wants a login with a second factor."),
        )
        if told[name]
    )
    return f"Wants a token or a signed request with the scope {told['x-scope']}.{more}"


def _parameter(one: Json) -> str:
    schema = one["schema"]
    mark = " <i>*</i>" if one["required"] else ""
    default = schema.get("default")
    shown = "" if default in (None, "") else msgspec.json.encode(default).decode()
    return (
        f"<tr><td><code>{escape(one['name'])}</code>{mark}<td>{one['in']}<td>{escape(described(schema))}"
        f"<td><code>{escape(shown)}</code></tr>"
    )


def _fields(schema: Json) -> str:
    required = set(schema.get("required", ()))
    rows = [
        f"<tr><td><code>{escape(name)}</code>{' <i>*</i>' if name in required else ''}<td>{_linked(how)}</tr>"
        for name, how in schema.get("properties", {}).items()
    ]
    return f"<table><tr><th>field<th>is</tr>{''.join(rows)}</table>" if rows else ""


def _linked(how: Json) -> str:
    """A field's type; one of ours leads to its description."""
    text = escape(described(how))
    for one in (how, how.get("items") or {}, *how.get("anyOf", ())):
        name = one.get("$ref", "").rpartition("/")[2]
        if name:
            text = text.replace(name, f"<a href='#{name}'>{name}</a>")
    return text


def _curl(method: str, path: str, told: Json, body: Json | None, schemas: Json) -> str:
    """A request as somebody would type it."""
    query = "&".join(
        f"{one['name']}={example(one['schema'], schemas, one['name'])}"
        for one in told["parameters"]
        if one["in"] == "query" and (one["required"] or one["name"] == "limit")
    )
    for one in told["parameters"]:
        if one["in"] == "path":
            path = path.replace("{" + one["name"] + "}", one["name"].upper())
    words = [f"curl -s -X {method}" if method != "GET" else "curl -s"]
    words.append(f'"$GAMBIT{path}?{query}"' if query else f"$GAMBIT{path}")
    if told["security"]:
        words.append('\\\n  -H "Authorization: Bearer $TOKEN"')
    if any(one["name"] == "Idempotency-Key" for one in told["parameters"]):
        words.append('\\\n  -H "Idempotency-Key: $(uuidgen)"')
    if body is not None:
        words.append("\\\n  -H 'Content-Type: application/json'")
        words.append(f"\\\n  -d '{msgspec.json.encode(wanted(body, schemas)).decode()}'")
    return " ".join(words)


def _good_answer(told: Json, schemas: Json) -> str:
    for code, how in told["responses"].items():
        schema = how.get("content", {}).get(JSON, {}).get("schema")
        if code.startswith("2") and schema is not None:
            name = schema.get("$ref", "").rpartition("/")[2]
            fields = _fields(schemas[name]) if name else ""
            return f"<h4>A {code} looks like</h4><pre>{_pretty(example(schema, schemas))}</pre>{fields}"
    return ""


def _meaning(code: int, how: Json) -> str:
    return MEANING.get(code, str(how["description"]))


def _named_answer(how: Json) -> str:
    return " ".join(_named(one["schema"]) for one in how.get("content", {}).values())


def _named(schema: Json) -> str:
    name = schema.get("$ref", "").rpartition("/")[2]
    return f"<a href='#{name}'>{name}</a>" if name else escape(described(schema))


def _pretty(value: Any) -> str:
    return escape(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
