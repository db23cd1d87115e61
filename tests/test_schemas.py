"""`gambit schema`, and that no change of an event makes older records unreadable."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gambit.cli.compatibility import breaks
from gambit.cli.schema import event_schemas
from gambit.engine.order import EDGES
from gambit.events import KINDS
from tests.test_cli import gambit

COMMITTED = Path(__file__).parent.parent / "configs/schemas/events.json"
Tree = dict[str, Any]


def test_the_committed_schemas_are_the_types() -> None:
    """`gambit schema check configs/schemas && gambit schema show > configs/schemas/events.json` writes them."""
    committed = json.loads(COMMITTED.read_text())
    assert [text for kind, schema in committed.items() for text in breaks(schema, event_schemas()[kind])] == []
    assert committed == event_schemas()


def test_list_and_show() -> None:
    """Every kind is listed and shown; the table of an order's moves too; a slip gets advice."""
    assert [one["kind"] for one in json.loads(gambit("schema", "list", "--json").stdout)] == sorted(KINDS)
    assert "order.filled" in gambit("schema", "list").stdout
    one = json.loads(gambit("schema", "show", "order.filled", "--json").stdout)
    assert one == event_schemas()["order.filled"]
    states = json.loads(gambit("schema", "show", "order.states").stdout)
    edges = {(edge["from"], edge["on"]): tuple(edge["to"]) for edge in states["edges"]}
    assert edges == {(str(was), str(on)): tuple(map(str, to)) for (was, on), to in EDGES.items()}
    slip = gambit("schema", "show", "order.filed")
    assert (slip.returncode, "did you mean order.filled?" in slip.stderr) == (2, True)


Change = Callable[[Tree], Any]
FILLED = "Filled"


def of(change: Callable[[Tree], Any]) -> Tree:
    """The schemas of an older version: today's, changed."""
    tree = copy.deepcopy(event_schemas())
    change(tree)
    return tree


def had(name: str, schema: Tree) -> Change:
    return lambda tree: tree["order.filled"]["$defs"][FILLED]["properties"].__setitem__(name, schema)


def checked(path: Path, tree: Tree, *words: str) -> tuple[int, str]:
    path.write_text(json.dumps(tree))
    done = gambit("schema", "check", path, *words)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (had("colour", {"type": "string"}), "order.filled: colour: is gone"),
        (had("qty", {"type": "integer"}), "order.filled: qty: was integer, is string"),
        (had("side", {"enum": ["buy", "sell", "short"]}), "order.filled: side: could be short"),
        (had("price", {"type": "string"}), "order.filled: price: format was not set, is decimal"),
        (lambda tree: tree["order.filled"]["$defs"][FILLED]["required"].remove("fee"), "fee: is required"),
        (lambda tree: tree.update({"order.vanished": {"$id": "order.vanished"}}), "order.vanished: this kind of event"),
        (
            lambda tree: tree["plan.made"]["$defs"]["GateVerdict"]["properties"].update({"weight": {"type": "number"}}),
            "plan.made: gates[].weight: is gone",
        ),
    ],
)  # fmt: skip
def test_a_change_that_older_records_do_not_survive_is_refused(tmp_path: Path, change: Change, said: str) -> None:
    """Each with file, event and field; exit code 1."""
    code, text = checked(tmp_path / "old.json", of(change))
    assert code == 1
    assert text.startswith(f"{tmp_path / 'old.json'}: ")
    assert said in text


@pytest.mark.parametrize("change", [
    lambda tree: tree.pop("order.filled"),
    lambda tree: tree["order.filled"]["$defs"][FILLED]["properties"].pop("account"),
    had("side", {"enum": ["buy"]}),
    lambda tree: tree["order.filled"]["$defs"][FILLED].update(description="other words"),
])  # fmt: skip
def test_what_was_only_added_passes(tmp_path: Path, change: Change) -> None:
    """A new kind, a new field with a default, a further value."""
    assert checked(tmp_path / "old.json", of(change))[0] == 0


def test_files_and_folders(tmp_path: Path) -> None:
    """One schema, all, or a folder of them; what is none is told with its place."""
    (tmp_path / "one.json").write_text(gambit("schema", "show", "order.filled").stdout)
    (tmp_path / "all.json").write_text(gambit("schema", "show").stdout)
    done = gambit("schema", "check", tmp_path, "--json")
    assert json.loads(done.stdout) == {"ok": True, "checked": len(KINDS) + 1, "problems": []}
    for text, said in (("{\n!", ":2: "), ("[1]", "not what `gambit schema show` prints"), ("{}", "not what")):
        (tmp_path / "bad.json").write_text(text)
        done = gambit("schema", "check", tmp_path / "bad.json")
        assert done.returncode == 1
        assert f"{tmp_path / 'bad.json'}" in done.stderr
        assert said in done.stderr
    assert gambit("schema", "check", tmp_path / "none").returncode == 2


class Inner(msgspec.Struct):
    """Held by both."""

    a: int


class Older(msgspec.Struct):
    """As it was."""

    number: int
    maybe: int | None
    items: list[int]
    named: dict[str, Inner]


class Wider(msgspec.Struct):
    """All of it can be read."""

    number: int | str
    maybe: float | None
    items: list[int | None]
    named: dict[str, Inner]
    more: str = ""


class Narrower(msgspec.Struct):
    """None of it can."""

    number: bool
    maybe: int
    items: list[str]
    named: dict[str, int]


def test_unions_lists_and_maps() -> None:
    """Wider is compatible, narrower is not, wherever it stands."""
    older, wider, narrower = (msgspec.json.schema(kind) for kind in (Older, Wider, Narrower))
    assert breaks(older, wider) == []
    assert {line.partition(":")[0] for line in breaks(older, narrower)} == {"number", "maybe", "items[]", "named[]"}
    assert {line.partition(":")[0] for line in breaks(wider, older)} == {"number", "maybe", "items[]", "more"}
