"""The documents keep up with the code: every key, command and module is described, every link leads somewhere."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

from gambit import __version__
from gambit.cli.program import gambit
from gambit.config.bounds import Section
from gambit.config.checks import keys_of
from gambit.config.reference import json_schema, markdown
from gambit.config.settings import Config

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "configs").glob("*.toml"))
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text()


def leaf_keys(section: type[Section], prefix: str = "") -> list[str]:
    """The name of every key, nested tables and arrays of tables included, each venue and group as `*`."""
    names: list[str] = []
    for name, key in keys_of(section).items():
        candidates: tuple[Any, ...] = (key.type, *key.args)
        nested = [kind for kind in candidates if isinstance(kind, type) and issubclass(kind, Section)]
        names.append(prefix + name)
        for kind in nested:
            names += leaf_keys(kind, f"{prefix}{name}.")
    return names


KEYS = leaf_keys(Config)
CONTAINERS = {name for name in KEYS if any(other.startswith(f"{name}.") for other in KEYS)}
SETTINGS = [name for name in KEYS if name not in CONTAINERS]


def test_the_reference_page_is_the_types() -> None:
    """docs/configuration.md is what `gambit config schema --format markdown` prints; `make docs` writes it."""
    assert (ROOT / "docs/configuration.md").read_text() == markdown()


def test_the_schema_file_is_the_types() -> None:
    """configs/gambit.schema.json is what `gambit config schema` prints; `make docs` writes it."""
    assert json.loads((ROOT / "configs/gambit.schema.json").read_text()) == json_schema()


def test_every_setting_is_in_an_example() -> None:
    """Each key stands in configs/*.toml, set or shown as `#key = value`, in the table it belongs to."""
    shown: set[str] = set()
    for file in EXAMPLES:
        lines = [re.sub(r"^#(?=[\w\[])", "", line) for line in file.read_text().splitlines()]
        shown |= set(names_of(tomllib.loads("\n".join(lines))))
    assert [name for name in SETTINGS if name not in shown] == []


def names_of(tree: Any, prefix: str = "") -> list[str]:
    """The dotted names in a parsed file; a venue's own name and an array's index are left out."""
    if isinstance(tree, list):
        return [name for element in tree for name in names_of(element, prefix)]
    if not isinstance(tree, dict):
        return []
    names: list[str] = []
    for key, value in tree.items():
        inside = list(value.values()) if key == "venues" and not prefix else value
        names += [f"{prefix}{key}", *names_of(inside, f"{prefix}{key}.")]
    return names


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_every_setting_of_an_example_is_explained(file: Path) -> None:
    """Above each key of an example stands a comment that says what it means; the schema is named for editors."""
    lines = file.read_text().splitlines()
    assert lines[0] == "#:schema ./gambit.schema.json"
    explained: set[str] = set()
    for at, line in enumerate(lines):
        found = re.match(r"#?(\w+) = ", line)
        if found is None:
            continue
        is_explained = lines[at - 1].startswith("# ") or any(line.startswith(f"# {found[1]}: ") for line in lines[:at])
        follows_group = (
            re.match(r"#?(name|members|ticker|asset|venue|maker_fee_bps|taker_fee_bps) = ", line) is not None
        )
        assert is_explained or follows_group or found[1] in explained, f"{file.name}:{at + 1}"
        explained.add(found[1])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file that is there."""
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_command_is_in_the_readme() -> None:
    """README names each command, and each command that README names exists."""
    commands = {"gambit " + " ".join(words) for words in command_words(gambit)}
    assert [command for command in sorted(commands) if command not in README] == []
    named = set(re.findall(r"`?gambit ([a-z]+)", re.sub(r"\n\|.*", "", README)))
    prose = {"finds", "gives", "is"}
    assert named - prose <= {words[0] for words in command_words(gambit)} | {"config", "venues"}


def command_words(group: click.Group, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The words of every command that is no group."""
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        is_group = isinstance(command, click.Group)
        found += command_words(command, (*prefix, name)) if is_group else [(*prefix, name)]
    return found


def test_every_option_has_help() -> None:
    """`--help` says something about each command and each option."""
    for words in command_words(gambit):
        command: click.Command = gambit
        for word in words:
            assert isinstance(command, click.Group)
            command = command.commands[word]
        assert command.help, words
        silent = [option.name for option in command.params if isinstance(option, click.Option) and not option.help]
        assert silent == []


def test_make_targets_of_the_readme_exist() -> None:
    """Each `make word` is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", README)) - {"it"} <= targets


def test_the_tour_passes_every_module() -> None:
    """docs/tour.md names each module, and every module it names exists."""
    tour = (ROOT / "docs/tour.md").read_text()
    named = set(re.findall(r"`([\w/]+\.(?:pyx|py|h))`", tour))
    package = ROOT / "gambit"
    modules = {str(path.relative_to(package)) for ending in ("*.py", "*.pyx", "*.h") for path in package.rglob(ending)}
    bare = {name for name in modules if name.endswith("__init__.py") and name != "venues/__init__.py"}
    assert sorted(modules - bare - named) == []
    assert sorted(named - modules) == []


def test_the_changelog_knows_this_version() -> None:
    """The newest heading of the changelog is the package's version."""
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == __version__
