"""`gambit schema`: the journal's events as JSON Schema, and whether a change of them can still read old records."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from gambit.cli.compatibility import Schema, breaks
from gambit.cli.options import Failure, with_json
from gambit.cli.paint import Paint, table

FAILED = 1
STATES = "order.states"  # the table of an order's moves: no event, and shown all the same


@click.group("schema")
def schema_commands() -> None:
    """List, show and check the schemas of the events in the journal."""


def event_schemas() -> dict[str, Schema]:
    """The JSON Schema of every kind of event, by kind."""
    import msgspec

    from gambit.events import KINDS

    return {kind: {"$id": kind, **ordered(msgspec.json.schema(struct))} for kind, struct in sorted(KINDS.items())}


def ordered(part: Any) -> Any:
    """The same schema as JSON has it, its alternatives in one order; a union has none."""
    if isinstance(part, list | tuple):
        return [ordered(one) for one in part]
    if not isinstance(part, dict):
        return part
    inside = {name: ordered(value) for name, value in part.items()}
    if "anyOf" in inside:
        inside["anyOf"] = sorted(inside["anyOf"], key=json.dumps)
    return inside


@schema_commands.command("list")
@with_json
def list_kinds(as_json: bool) -> None:
    """List all kinds of events, with version and meaning."""
    found = [described(kind, schema) for kind, schema in event_schemas().items()]
    if as_json:
        click.echo(json.dumps(found))
        return
    rows = [[one["kind"], one["version"], str(one["fields"]), one["text"]] for one in found]
    head, *body = table([["kind", "version", "fields", "what happened"], *rows], left=4)
    click.echo("\n".join([Paint.for_stdout().strong(head), *body]))


def described(kind: str, schema: Schema) -> dict[str, Any]:
    """A kind in one line."""
    event = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    fields = event["properties"]
    text = event.get("description", "").partition("\n")[0]
    return {"kind": kind, "version": fields["schema_ver"]["default"], "fields": len(fields), "text": text}


@schema_commands.command("show")
@click.argument("name", required=False)
@with_json
def show(name: str | None, as_json: bool) -> None:  # noqa: ARG001 - it is JSON anyway
    """Print the JSON Schema of one kind of event, or of all; `order.states` is the table of an order's moves."""
    if name == STATES:
        from gambit.engine.order import states

        click.echo(json.dumps(states(), indent=2))
        return
    known = event_schemas()
    if name is None:
        click.echo(json.dumps(known, indent=2))
        return
    if name not in known:
        import difflib

        near = difflib.get_close_matches(name, [*known, STATES], n=1)
        advice = f"did you mean {near[0]}?" if near else "`gambit schema list` names them"
        raise click.UsageError(f"there is no event {name!r}; {advice}")
    click.echo(json.dumps(known[name], indent=2))


@schema_commands.command("check")
@click.argument("path", metavar="FILE|DIR", type=click.Path(exists=True, path_type=Path))
@with_json
def check(path: Path, as_json: bool) -> int:
    """Hold this version's events against schemas that `gambit schema show` once printed; exit code 1 when records
    written by those cannot be read any more: a kind or a field is gone, narrower, or required where it was not."""
    now = event_schemas()
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise Failure(f"{path}: there is no *.json in it; `gambit schema show > {path}/events.json` makes one")
    found: list[dict[str, str]] = []
    count = 0
    for file in files:
        for kind, schema in schemas_of(file).items():
            count += 1
            found += [{"file": str(file), "kind": kind, "text": text} for text in changes(file, kind, schema, now)]
    if as_json:
        click.echo(json.dumps({"ok": not found, "checked": count, "problems": found}))
    elif found:
        click.echo("\n".join(f"{one['file']}: {one['kind']}: {one['text']}" for one in found), err=True)
    else:
        click.echo(f"{path}: {count} schemas, all records written by them can be read")
    return FAILED if found else 0


def changes(file: Path, kind: str, schema: Schema, now: dict[str, Schema]) -> Iterator[str]:
    """What is incompatible about one kind. Raises Failure for what is no schema."""
    if kind not in now:
        yield "this kind of event is gone"
        return
    try:
        yield from breaks(schema, now[kind])
    except (ValueError, TypeError, AttributeError) as error:
        raise Failure(f"{file}: {kind}: no schema that `gambit schema show` prints: {error}") from error


def schemas_of(file: Path) -> dict[str, Schema]:
    """The schemas of a file, by kind: one of them, or an object of many. Raises Failure."""
    try:
        tree = json.loads(file.read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise Failure(f"{file}:{error.lineno}: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise Failure(f"{file}: no UTF-8 text: {error.reason} at byte {error.start}") from error
    if isinstance(tree, dict) and isinstance(tree.get("$id"), str):
        return {tree["$id"]: tree}
    if (
        not isinstance(tree, dict)
        or not tree
        or not all(isinstance(one, dict) and "$id" in one for one in tree.values())
    ):
        raise Failure(f"{file}: not what `gambit schema show` prints: an object of schemas, each with its $id")
    return tree
