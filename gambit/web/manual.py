"""/openapi.json, and /docs: the same document as a page, made on the server, without a script."""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from typing import Any, Final

import msgspec

from gambit.web.openapi import document
from gambit.web.route import Ask, Reply, Route
from gambit.web.services import Services

HTML: Final = "text/html; charset=utf-8"
POLICY: Final = (
    "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
STYLE: Final = (
    ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem}"
    "body{margin:2rem auto;padding:0 1rem}"
    "h2{margin-top:2.5rem}details{border:1px solid #8884;border-radius:6px;margin:.5rem 0;padding:.4rem .8rem}"
    "summary{cursor:pointer}code,pre{font-family:ui-monospace,monospace;font-size:13px}pre{overflow:auto}"
    "summary b{display:inline-block;width:4.5rem}table{border-collapse:collapse}td{padding:.1rem .8rem .1rem 0}"
)


def manual_routes(routes: Sequence[Route], version: str) -> tuple[Route, Route]:
    """The two routes that tell of the others, and of themselves."""

    async def openapi(_services: Services, _ask: Ask) -> Reply:
        """The OpenAPI document of this API."""
        return Reply(body=raw)

    async def docs(_services: Services, _ask: Ask) -> Reply:
        """The same as a page."""
        return Reply(body=page, headers={"Content-Security-Policy": policy})

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
    raw, page, policy = msgspec.json.encode(told), rendered(told).encode(), _policy()
    return both


def rendered(told: dict[str, Any]) -> str:
    """A page of the document: every operation with its parameters, body, answers and scope."""
    schemas = told["components"]["schemas"]
    parts = [
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(told['info']['title'])} API</title>"
        f"<meta name='viewport' content='width=device-width'><style>{STYLE}</style></head><body>"
        f"<h1>gambit API {escape(told['info']['version'])}</h1><p>{escape(told['info']['description'])}</p>"
        "<p><a href='/openapi.json'>OpenAPI document</a></p>"
    ]
    for tag in told["tags"]:
        parts.append(f"<h2>{escape(tag['name'])}</h2>")
        parts += [
            _operation(method, path, operation)
            for path, methods in told["paths"].items()
            for method, operation in methods.items()
            if tag["name"] in operation["tags"]
        ]
    parts.append("<h2>types</h2>")
    parts += [
        f"<details id='{escape(name)}'><summary><code>{escape(name)}</code> {escape(schema.get('description', ''))}"
        f"</summary><pre>{_pretty(schema)}</pre></details>"
        for name, schema in sorted(schemas.items())
    ]
    return "".join([*parts, "</body></html>"])


def _operation(method: str, path: str, told: dict[str, Any]) -> str:
    scope = told.get("x-scope")
    rows = [("scope", scope or "for everybody")]
    rows += [
        (f"{one['in']} {one['name']}" + (" *" if one["required"] else ""), msgspec.json.encode(one["schema"]).decode())
        for one in told["parameters"]
    ]
    body = told.get("requestBody")
    rows += [("body", _ref(body["content"]))] if body else []
    rows += [(code, f"{how['description']} {_ref(how.get('content', {}))}") for code, how in told["responses"].items()]
    cells = "".join(f"<tr><td>{escape(str(name))}</td><td>{escape(text)}</td></tr>" for name, text in rows)
    return (
        f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code> {escape(told['summary'])}</summary>"
        f"<p>{escape(told['description'])}</p><table>{cells}</table></details>"
    )


def _ref(content: dict[str, Any]) -> str:
    found = [how["schema"].get("$ref", "").rpartition("/")[2] for how in content.values()]
    return ", ".join(one for one in found if one)


def _pretty(schema: dict[str, Any]) -> str:
    return escape(msgspec.json.format(msgspec.json.encode(schema), indent=2).decode())


def _policy() -> str:
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return POLICY.format(style=digest)
