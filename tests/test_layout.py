"""The house rules a machine can check: who imports whom, what is pure, how long things are, what they are called."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "gambit"
MODULE_LINES_MAX = 600
FUNCTION_LINES_MAX = 60
FOLDERS_MAX = 2
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "managers", "misc"}
KERNEL_IMPORTS = ("gambit._core", "libc", "cython", "cpython")
INLET = "inlet"  # the kernel that reads the buffer of the library that has the sockets

PURE_PARTS = ("_core", "venues", "engine", "sim", "events", "model.py", "commands.py")
SOCKETS = {"sim/server.py"}  # the file of the simulated exchanges that touches the world
IMPURE_MODULES = {
    "asyncio", "glob", "http", "logging", "multiprocessing", "os", "secrets", "select", "selectors", "shutil", "signal",
    "socket", "ssl", "subprocess", "tempfile", "threading", "time", "urllib.request",
}  # fmt: skip
IMPURE_CALLS = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "datetime.datetime.now", "uuid.uuid1",
    "uuid.uuid4", "uuid1", "uuid4", "input", "print",
}  # fmt: skip

PYTHON_FILES = sorted(PACKAGE.rglob("*.py"))
KERNEL_FILES = sorted(path for ending in ("*.pyx", "*.pxd") for path in (PACKAGE / "_core").glob(ending))
C_FILES = sorted((PACKAGE / "_core").glob("*.h"))
STUB_FILES = sorted(PACKAGE.rglob("*.pyi"))
SOURCE_FILES = PYTHON_FILES + KERNEL_FILES + C_FILES + STUB_FILES
PURE_FILES = [
    path
    for path in PYTHON_FILES
    if path.relative_to(PACKAGE).parts[0] in PURE_PARTS and path.relative_to(PACKAGE).as_posix() not in SOCKETS
]


def named(path: Path) -> str:
    """A file as messages name it."""
    return str(path.relative_to(ROOT))


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(), named(path))


def offenders(findings: Mapping[Path, Sequence[object]]) -> dict[str, list[object]]:
    """The files about which something was found, and what."""
    return {named(path): list(found) for path, found in findings.items() if found}


def test_imports_go_one_way() -> None:
    """The contracts of pyproject.toml hold for everything written in Python."""
    tool = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_kernels_import_only_kernels() -> None:
    """A kernel knows C's library and other kernels, nothing else, but for the inlet; import-linter cannot see that."""
    statement = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import|c?import\s+([\w.]+))", re.MULTILINE)
    modules = {path: [a or b for a, b in statement.findall(path.read_text())] for path in KERNEL_FILES}
    strange = {path: [m for m in names if not m.startswith(KERNEL_IMPORTS)] for path, names in modules.items()}
    assert {m for path, names in strange.items() if path.stem == INLET for m in names} == {"picows.picows"}
    assert offenders({path: names for path, names in strange.items() if path.stem != INLET}) == {}


def test_decisions_touch_nothing() -> None:
    """Venues, engine, simulation and nouns read no clock, no chance, no environment, no socket."""
    assert offenders({path: list(impurities(parsed(path))) for path in PURE_FILES}) == {}


def impurities(tree: ast.Module) -> Iterator[str]:
    """What of a module reaches outside: imports and calls, by line. A seeded `random.Random` is not chance."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "random" and {alias.name for alias in node.names} != {"Random"}:
                yield f"line {node.lineno}: unseeded chance"
        for name in names:
            if name in IMPURE_MODULES or name.split(".")[0] in IMPURE_MODULES:
                yield f"line {node.lineno}: import of {name}"
        if isinstance(node, ast.Call) and ast.unparse(node.func) in IMPURE_CALLS:
            yield f"line {node.lineno}: call of {ast.unparse(node.func)}"
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "random" and node.attr != "Random":
            yield f"line {node.lineno}: unseeded chance"


def test_impurities_are_seen() -> None:
    """The check above finds what it is for."""
    text = "import os, time\nfrom random import random\nimport random\nx = random.random()\nd = datetime.now()\n"
    assert len(list(impurities(ast.parse(text)))) == 5
    assert list(impurities(ast.parse("from random import Random\nimport random\nr = random.Random(1)\n"))) == []


def test_modules_are_one_idea() -> None:
    """No module is longer than 600 lines."""
    lengths = {path: len(path.read_text().splitlines()) for path in SOURCE_FILES}
    assert {named(path): lines for path, lines in lengths.items() if lines > MODULE_LINES_MAX} == {}


def test_functions_are_short() -> None:
    """No function, Python or Cython, is longer than 60 lines."""
    spans = {path: list(python_spans(parsed(path))) for path in PYTHON_FILES}
    spans |= {path: list(function_spans(path.read_text().splitlines())) for path in KERNEL_FILES}
    assert offenders({path: [s for s in found if s[1] > FUNCTION_LINES_MAX] for path, found in spans.items()}) == {}


def python_spans(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Name and length of every function of a Python module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def function_spans(lines: list[str]) -> Iterator[tuple[str, int]]:
    """Name and length of every function of a Cython source, by indentation."""
    header = re.compile(r"^(\s*)(?:cdef|cpdef|def)\b(?!\s+(?:class|struct|union|enum|extern|packed)\b)[^=]*?(\w+)\s*\(")
    for start, line in enumerate(lines):
        found = header.match(line)
        if found is None:
            continue
        depth, end = len(found[1]), start
        while lines[end].rstrip()[-1:] != ":" and end + 1 < len(lines):
            end += 1  # the rest of a signature of several lines
        for at in range(end + 1, len(lines)):
            text = lines[at]
            if text.strip() and len(text) - len(text.lstrip()) <= depth:
                break
            end = at if text.strip() else end
        yield f"{found[2]} (line {start + 1})", end - start + 1


def test_function_lengths_are_seen() -> None:
    """The check above measures what it is for."""
    text = "cdef int f(\n    int a,\n) nogil:\n    return 1\n\n\ncdef class A:\n    def g(self):\n        pass\nx = 1\n"
    assert dict(function_spans(text.splitlines())) == {"f (line 1)": 4, "g (line 8)": 2}


def test_names_are_nouns_of_the_trade() -> None:
    """No module or folder has a name that says nothing, and folders are at most two levels deep."""
    parts = {path: [part.split(".")[0] for part in path.relative_to(ROOT).parts] for path in SOURCE_FILES}
    assert offenders({path: sorted(FORBIDDEN_NAMES.intersection(names)) for path, names in parts.items()}) == {}
    assert [named(path) for path, names in parts.items() if len(names) - 1 > FOLDERS_MAX] == []


def test_files_open_with_what_they_are_for() -> None:
    """The first line is a sentence about the file."""
    openings = {".py": ('"""',), ".pyx": ('"""',), ".pxd": ("# ",), ".h": ("/*", "//")}
    described = [path for path in SOURCE_FILES if path not in STUB_FILES]  # a stub is the face of its kernel
    first = {path: path.read_text().partition("\n")[0] for path in described}
    silent = [path for path, line in first.items() if not line.startswith(openings[path.suffix]) or len(line) < 20]
    assert [named(path) for path in silent] == []


def test_no_failure_is_swallowed() -> None:
    """No handler catches everything and does nothing."""
    assert offenders({path: list(swallowed(parsed(path))) for path in PYTHON_FILES}) == {}


def swallowed(tree: ast.Module) -> Iterator[int]:
    """The lines of handlers that catch everything and do nothing."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        catches_all = node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
        if catches_all and all(isinstance(step, ast.Pass) for step in node.body):
            yield node.lineno


def test_nothing_is_left_for_later() -> None:
    """No marks of unfinished work in what is shipped."""
    marks = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
    assert offenders({path: marks.findall(path.read_text()) for path in SOURCE_FILES}) == {}


def test_directives_live_in_setup_py() -> None:
    """No kernel sets compiler directives of its own, so the checked build checks all of them."""
    own = re.compile(r"#\s*cython:|cython\.(?:boundscheck|wraparound|cdivision|initializedcheck|overflowcheck)")
    assert offenders({path: own.findall(path.read_text()) for path in KERNEL_FILES}) == {}
