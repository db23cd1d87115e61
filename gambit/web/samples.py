"""What a value of a JSON Schema looks like, in words and as an example: for people who read the manual."""

from typing import Any, Final

Json = dict[str, Any]

DEPTH_MAX: Final = 6
# Texts that a pattern or a name asks for, so that an example could be sent as it is.
BY_PATTERN: Final = {
    "^[0-9]{6}$": "123456",
    "^[0-9a-f]{32}$": "0123456789abcdef0123456789abcdef",
    "^[0-9a-f]{64}$": "0123456789abcdef" * 4,
    r"^[!-?A-~]{1,64}@[!-?A-~]{1,189}$": "ann@desk",
}
BY_NAME: Final = {
    "email": "ann@desk", "password": "a passphrase of some length", "symbol": "BTC-USDT", "venue": "okx",
    "venue_buy": "okx", "venue_sell": "kraken", "reason": "why", "side": "buy", "message": "what is wrong",
    "scope": "venue:okx", "base_asset": "BTC", "quote_asset": "USDT", "mode": "paper", "plan_id": "804dbd74-...",
    "order_id": "5517499e-...", "name": "bot", "title": "Not Found", "type": "urn:gambit:problem:not_found",
    "schema_version": "1", "version": "0.1.0", "state": "running", "trading_state": "ACTIVE", "qty": "0.15",
    "price": "64009.55", "ts": "2026-01-31T12:00:00.000000000Z", "instance": "/orders/x", "code": "not_found",
}  # fmt: skip
NUMBERS: Final = {"integer": 1, "number": 1.5, "boolean": True, "null": None}


def resolved(schema: Json, schemas: Json) -> Json:
    """The schema itself where it is a reference to one."""
    name = schema.get("$ref", "").rpartition("/")[2]
    found: Json = schemas[name] if name else schema
    return found


def example(schema: Json, schemas: Json, name: str = "", depth: int = 0) -> Any:
    """A value that the schema takes; lists have one item."""
    schema = resolved(schema, schemas)
    if depth > DEPTH_MAX:
        return None
    if schema.get("default") not in (None, "", [], {}):
        return schema["default"]
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    for one in schema.get("anyOf", ()):
        if one.get("type") != "null":
            return example(one, schemas, name, depth)
    match schema.get("type"):
        case "object":
            return _object(schema, schemas, depth)
        case "array":
            items = schema.get("items") or (schema.get("prefixItems") or [{}])[0]
            return [example(items, schemas, name, depth + 1)] if items else []
        case "string":
            text = BY_PATTERN.get(schema.get("pattern", ""), BY_NAME.get(name, "..."))
            return text.ljust(schema.get("minLength", 0), ".")
    if name.endswith("_ns"):
        return 1_800_000_000_000_000_000
    return schema.get("minimum") or NUMBERS.get(str(schema.get("type")))


def _object(schema: Json, schemas: Json, depth: int) -> Json:
    found = {name: example(how, schemas, name, depth + 1) for name, how in schema.get("properties", {}).items()}
    values = schema.get("additionalProperties")
    if not found and isinstance(values, dict):
        return {"...": example(values, schemas, "", depth + 1)}
    return found


def wanted(schema: Json, schemas: Json) -> Json:
    """An example of a body with nothing in it that need not be; everything where nothing need be."""
    schema = resolved(schema, schemas)
    required = set(schema.get("required", ()))
    told: Json = example(schema, schemas)
    return {name: value for name, value in told.items() if name in required} or told


def described(schema: Json) -> str:
    """`integer from 1 to 500`, `one of "15m", "24h"`, `text of 1 to 64 characters`, `list of OrderView`."""
    name = schema.get("$ref", "").rpartition("/")[2]
    if name:
        return str(name)
    if "enum" in schema:
        return "one of " + ", ".join(f'"{one}"' for one in schema["enum"])
    if "anyOf" in schema:
        return " or ".join("nothing" if one.get("type") == "null" else described(one) for one in schema["anyOf"])
    match schema.get("type"):
        case "array":
            return f"list of {described(schema.get('items') or {})}"
        case "string":
            return "text" + _between(schema, "minLength", "maxLength", " characters", "of ") + _pattern(schema)
        case "integer" | "number" as kind:
            return str(kind) + _between(schema, "minimum", "maximum", "", "from ")
        case "boolean":
            return "true or false"
        case "object":
            values = schema.get("additionalProperties")
            return f"object of {described(values)}" if isinstance(values, dict) else "object"
    return "anything"


def _pattern(schema: Json) -> str:
    return f", {schema['pattern']}" if "pattern" in schema else ""


def _between(schema: Json, low: str, high: str, unit: str, word: str) -> str:
    least, most = schema.get(low, schema.get("exclusiveMinimum")), schema.get(high, schema.get("exclusiveMaximum"))
    if least is None and most is None:
        return ""
    if most is None:
        return f" {word}{least}{unit} on"
    return f" {word}{least if least is not None else 0} to {most}{unit}"
