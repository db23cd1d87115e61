"""Settings: defaults and bounds as the specification has them, layers in order, errors that can be put right."""

import json
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit.config import Config, ConfigError, EngineSettings, load, load_layers
from gambit.config.layers import FILE_BYTES_MAX
from gambit.config.lines import lines_of_keys
from gambit.config.reference import effective_json, effective_toml, mask

DEFAULTS = {
    "window_size_sec": 5,
    "min_liquidity_depth": 10000,
    "max_slippage_bps": 20,
    "opportunity_ttl_sec": 10,
    "min_spread_bps": 15,
    "fee_bps": 10,
    "max_book_age_ms": 1500,
    "max_notional": 10000,
    "safety_margin_bps": 0,
    "min_persistence": 0,
    "spread_ref_bps": 50,
    "liquidity_ref": 100000,
    "volatility_ref": 10,
    "max_mid_ratio": Decimal("1.2"),
    "top_n": 10,
}
CREDENTIALS_ADVICE = "secrets stay out of the file (env:NAME, file:PATH or the encrypted store)"
WEIGHTS = "{ spread = 0.5, liquidity = 0.3, volatility = 0.2 }"
RANGES = [
    ("window_size_sec", "1", "30", "0", "31"),
    ("min_liquidity_depth", "1000", "100000", "999.99", "100000.01"),
    ("max_slippage_bps", "5", "100", "4.9", "101"),
    ("opportunity_ttl_sec", "5", "60", "4", "61"),
    ("min_spread_bps", "5", "50", "4.99999999", "50.1"),
    ("fee_bps", "5", "20", "4", "21"),
    ("min_persistence", "0", "1", "-0.1", "1.00000001"),
    ("max_mid_ratio", "1.00000001", "2", "1", "-1"),
    ("safety_margin_bps", "0", "3.5", "-1", "10001"),
]


def write(folder: Path, text: str, name: str = "x.toml") -> Path:
    """A configuration file with this text."""
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def problems(path: Path | None, env: dict[str, str] | None = None, *overrides: str) -> list[str]:
    """What is wrong with a configuration, as lines."""
    with pytest.raises(ConfigError) as caught:
        load_layers(path, env or {}, overrides)
    return [str(problem) for problem in caught.value.problems]


def test_defaults_are_those_of_the_specification() -> None:
    """Without any source the engine has the documented defaults, as exact numbers."""
    engine = load(None, {}).engine
    assert {name: getattr(engine, name) for name in DEFAULTS} == DEFAULTS
    weights = engine.ranking_weights
    assert (weights.spread, weights.liquidity, weights.volatility) == (Decimal("0.5"), Decimal("0.3"), Decimal("0.2"))
    assert engine.groups == ()


@pytest.mark.parametrize(("key", "low", "high", "under", "over"), RANGES)
def test_every_range_is_inclusive_and_names_itself(
    tmp_path: Path, key: str, low: str, high: str, under: str, over: str
) -> None:
    """Both ends are accepted; beyond them the error has file, line, key, value and range."""
    for good in (low, high):
        assert getattr(load(write(tmp_path, f"[engine]\n{key} = {good}\n"), {}).engine, key) == Decimal(good)
    for bad in (under, over):
        file = write(tmp_path, f"# a comment\n[engine]\n\n{key} = {bad}\n")
        [line] = problems(file)
        assert line.startswith(f"{file}:4: engine.{key} = {bad} is outside ")


def test_the_message_of_a_value_outside_its_range(tmp_path: Path) -> None:
    """The wording that operators and editors rely on."""
    file = write(tmp_path, "[engine]\nwindow_size_sec = 99\n")
    assert problems(file) == [f"{file}:2: engine.window_size_sec = 99 is outside 1..30"]


def test_numbers_keep_the_digits_that_were_written(tmp_path: Path) -> None:
    """What enters exact arithmetic never passes through a binary float."""
    config = load(write(tmp_path, "[engine]\nfee_bps = 7.10\n[venues.okx]\ntaker_fee_bps = 0.1\n"), {})
    assert str(config.engine.fee_bps) == "7.10"
    assert config.taker_fee_bps("okx") == Decimal("0.1")
    assert config.taker_fee_bps("kraken") == Decimal("7.1")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('min_spread_bps = "15"', 'engine.min_spread_bps = "15" is not a number (5..50)'),
        ("min_spread_bps = true", "engine.min_spread_bps = true is not a number (5..50)"),
        ("min_spread_bps = nan", "engine.min_spread_bps = NaN is not a number (5..50)"),
        ("min_spread_bps = -inf", "engine.min_spread_bps = -Infinity is not a number (5..50)"),
        ("min_spread_bps = 1e99999999999999999999", "engine.min_spread_bps = NaN is not a number (5..50)"),
        ("min_spread_bps = 1e999999", "engine.min_spread_bps = 1E+999999 is outside 5..50"),
        ("min_spread_bps = 15.000000001", "engine.min_spread_bps = 15.000000001 has more than 8 decimals"),
        ("top_n = 2.5", "engine.top_n = 2.5 is not a whole number (1..1000)"),
        ("min_spread_bps = [15]", "engine.min_spread_bps = (an array) is not a number (5..50)"),
        ("ranking_weights = 3", "engine.ranking_weights = 3 is not a table"),
        ("ranking_weights = { spread = 0.6 }", "engine.ranking_weights add up to 1.1, not to 1"),
        ("groups = 3", "engine.groups = 3 is not an array"),
        ("min_sprad_bps = 15", "engine.min_sprad_bps is not a known key; did you mean min_spread_bps?"),
        ("taker_fee_bps = 3", "engine.taker_fee_bps is not a known key; did you mean fee_bps?"),
    ],
)
def test_values_of_the_wrong_kind(tmp_path: Path, text: str, reason: str) -> None:
    """Each is refused with its value and what was due."""
    file = write(tmp_path, f"[engine]\n{text}\n")
    assert problems(file) == [f"{file}:2: {reason}"]


def test_all_problems_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    """One run of the check shows everything that is wrong."""
    file = write(
        tmp_path,
        """symbols = ["BTC-USDT", "eth-usdt"]
[engine]
window_size_sec = 99
[[engine.groups]]
name = "BTC"
members = [
  "binance:BTC-USDT",
  "binance-usdm:BTC",
]
[telegram]
token = "123:very-secret"
[venues.okx]
window_size_sec = 1
ws_url = "wss://user:very-secret@example.org"
""",
    )
    assert problems(file) == [
        f'{file}:1: symbols[1] = "eth-usdt" is not a symbol: BASE-QUOTE[-SUFFIX], upper case',
        f"{file}:3: engine.window_size_sec = 99 is outside 1..30",
        f'{file}:8: engine.groups[0].members[1] = "binance-usdm:BTC" is not a book: venue:BASE-QUOTE[-SUFFIX]',
        f"{file}:11: telegram.token does not say where the secret is: secret:NAME (`gambit credentials add`), env:NAME "
        "or file:PATH; secrets stay out of the configuration",
        f"{file}:13: venues.okx.window_size_sec is not a known key; it belongs in [engine]",
        f"{file}:14: venues.okx.ws_url holds credentials; {CREDENTIALS_ADVICE}",
    ]


def test_groups(tmp_path: Path) -> None:
    """A group has a name and at least two books, and a book is in at most one group."""
    head = '[[engine.groups]]\nname = "A"\nmembers = ["okx:BTC-USD", "binance:BTC-USDT-PERP"]\n'
    [group] = load(write(tmp_path, head), {}).engine.groups
    assert group.books == (("okx", "BTC-USD"), ("binance", "BTC-USDT-PERP"))
    file = write(tmp_path, head + '[[engine.groups]]\nname = "A"\nmembers = ["okx:BTC-USD"]\n')
    assert problems(file) == [
        f'{file}:5: engine.groups[1].name = "A" names a second group',
        f"{file}:6: engine.groups[1].members are fewer than two books",
        f'{file}:6: engine.groups[1].members[0] = "okx:BTC-USD" is in group "A" already; '
        + "a book is in at most one group",
    ]
    file = write(tmp_path, '[[engine.groups]]\nmembers = ["okx:BTC-USD", "kraken:BTC-USD"]\n')
    assert problems(file) == [f"{file}:1: engine.groups[0].name is missing"]


def test_symbols_as_tables_say_the_same(tmp_path: Path) -> None:
    """`[[symbols]]` with a name is the long form of the list."""
    assert load(write(tmp_path, '[[symbols]]\nname = "BTC-USDT"\n'), {}).symbols == ("BTC-USDT",)
    file = write(tmp_path, '[[symbols]]\nnam = "BTC-USDT"\n')
    assert problems(file) == [f"{file}:1: symbols[0] = (a table) is not a string"]


def test_later_sources_win(tmp_path: Path) -> None:
    """Defaults < file < conf.d in order of name < environment < command line; tables merge key by key."""
    file = write(tmp_path, "[engine]\nwindow_size_sec = 2\ntop_n = 2\nmax_slippage_bps = 30\n[venues.binance-us]\n")
    write(tmp_path, "[engine]\nwindow_size_sec = 3\ntop_n = 3\n", "conf.d/10.toml")
    write(tmp_path, "[engine]\nwindow_size_sec = 4\n", "conf.d/20.toml")
    env = {"GAMBIT_ENGINE__WINDOW_SIZE_SEC": "6", "GAMBIT_VENUES__BINANCE_US__TAKER_FEE_BPS": "1.5", "PATH": "x"}
    assert load(file, {}).engine.window_size_sec == 4
    config = load_layers(file, env, ["engine.window_size_sec=7"]).config
    assert (config.engine.window_size_sec, config.engine.top_n, config.engine.max_slippage_bps) == (7, 3, 30)
    assert config.taker_fee_bps("binance-us") == Decimal("1.5")
    assert load(file, env).engine.window_size_sec == 6


@pytest.mark.parametrize(
    ("name", "text", "read", "value"),
    [
        ("GAMBIT_SYMBOLS", "BTC-USDT, ETH-USDT", lambda c: c.symbols, ("BTC-USDT", "ETH-USDT")),
        ("GAMBIT_SYMBOLS", '["BTC-USDT"]', lambda c: c.symbols, ("BTC-USDT",)),
        ("GAMBIT_STORE__PATH", "5", lambda c: c.store.path, "5"),
        ("GAMBIT_STORE__PATH", '"a b"', lambda c: c.store.path, "a b"),
        ("GAMBIT_DAEMON__BUSY_POLL", "true", lambda c: c.daemon.busy_poll, True),
        ("GAMBIT_EXECUTION__APPROVAL", "manual", lambda c: c.execution.approval, "manual"),
        ("GAMBIT_ENGINE__RANKING_WEIGHTS", WEIGHTS, lambda c: c.engine, EngineSettings()),
        ("GAMBIT_ENGINE__GROUPS", '[{name="A", members=["a:B-C", "b:B-C"]}]', lambda c: c.engine.groups[0].name, "A"),
    ],
)  # fmt: skip
def test_environment_values_become_what_their_key_calls_for(name: str, text: str, read: Any, value: object) -> None:
    """Bare words are strings, commas make lists, everything else is TOML."""
    assert read(load(None, {name: text})) == value


def test_errors_of_other_sources_name_them() -> None:
    """A variable or option that is wrong is named like a line of a file."""
    assert problems(None, {"GAMBIT_ENGINE__TOPN": "3"}) == [
        "GAMBIT_ENGINE__TOPN: engine.topn is not a known key; did you mean top_n?"
    ]
    assert problems(None, {}, "engine.top_n=x") == ['--set engine.top_n: engine.top_n = "x" is not a number (1..1000)']
    assert problems(None, {}, "engine") == ["--set engine: wants SECTION.KEY=VALUE"]
    assert problems(None, {"GAMBIT_ENGINE__TOP_N": "3\nfee_bps = 5"})[0].startswith(
        'GAMBIT_ENGINE__TOP_N: engine.top_n = "3\\nfee_bps = 5" is not a number'
    )


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Every such file is one problem with its place, never an exception of another kind."""
    missing = tmp_path / "none.toml"
    assert problems(missing) == [f"{missing}: no such file or directory"]
    assert problems(tmp_path) == [f"{tmp_path}: is a directory"]
    bad = write(tmp_path, "[engine]\nwindow_size_sec =\n")
    assert problems(bad) == [f"{bad}:2: not TOML: Invalid value (column 18)"]
    unfinished = write(tmp_path, 'a = """\nb\n')
    assert problems(unfinished)[0].startswith(f"{unfinished}:")
    bad.write_bytes(b"a = 1\nb = '\xff'\n")
    assert problems(bad) == [f"{bad}:2: not UTF-8 text"]
    bad.write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    assert problems(bad) == [f"{bad}: larger than {FILE_BYTES_MAX} bytes; not a configuration"]
    assert problems(write(tmp_path, "a = " + "[" * 5000)) != []


def test_secrets_are_never_printed(tmp_path: Path) -> None:
    """Neither the value of an unknown key nor the query of an address reaches a message or `show`."""
    file = write(tmp_path, '[broker]\npassword = "hunter2"\n[venues.okx]\nws_url = "wss://h/x?token=hunter2"\n')
    assert "hunter2" not in "\n".join(problems(file))
    file = write(tmp_path, '[venues.okx]\nws_url = "wss://h/x?token=hunter2"\n')
    loaded = load_layers(file, {}, ())
    assert "hunter2" not in effective_toml(loaded.config, loaded.layers)
    assert b"hunter2" not in effective_json(loaded.config)
    assert mask("wss://h/x?token=hunter2") == "wss://h/x?***"


def test_show_is_a_configuration_that_says_the_same(tmp_path: Path) -> None:
    """What `show` prints can be loaded again and gives the same settings, and tells where each came from."""
    file = write(tmp_path, '[engine]\nfee_bps = 5\n[venues."a.b"]\ntaker_fee_bps = 0.5\n')
    loaded = load_layers(file, {"GAMBIT_ENGINE__TOP_N": "3"}, ())
    text = effective_toml(loaded.config, loaded.layers)
    assert load(write(tmp_path, text, "again.toml"), {}) == loaded.config
    assert f"fee_bps = 5  # {file}:2\n" in text
    assert "top_n = 3  # GAMBIT_ENGINE__TOP_N\n" in text
    assert "max_slippage_bps = 20  # default\n" in text
    assert json.loads(effective_json(loaded.config))["engine"]["fee_bps"] == 5


@pytest.mark.parametrize(
    ("env", "folder"),
    [
        ({"STATE_DIRECTORY": "/s:/t", "XDG_STATE_HOME": "/x", "HOME": "/h"}, "/s"),
        ({"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/gambit"),
        ({"HOME": "/h"}, "/h/.local/state/gambit"),
    ],
)
def test_state_folder(env: dict[str, str], folder: str) -> None:
    """The state folder follows the conventions of systemd and XDG."""
    assert load(None, env).daemon.state_dir == folder


@pytest.mark.parametrize("file", sorted(Path("configs").glob("*.toml")), ids=str)
def test_the_examples_are_valid(file: Path) -> None:
    """Every file of configs/ loads."""
    assert isinstance(load(file, {}), Config)


def test_lines_of_every_form_of_toml() -> None:
    """Tables, arrays of tables, dotted and quoted keys, inline tables, multi-line strings and arrays, comments."""
    text = """# 1
symbols = ["A-B", # 2
  "C-D"]
a.b = 1
"q.x".'y z' = \"\"\"
[not a table]
\\"\"\"\"
[engine]
w = 5 # hi [x]
r = { spread = 0.5, liq = { a = 1 } }
d = 2020-01-01 07:32:00
[[engine.groups]]
name = "x\\"]"
[[engine.groups]]
members = [
 'a:b',
 # c

 "c",
]
[engine.groups.sub]
k = [[1, 2], [
3]]
"""
    lines = lines_of_keys(text)
    expected = {
        ("symbols",): 2, ("symbols", 1): 3, ("a", "b"): 4, ("q.x", "y z"): 5, ("engine",): 8, ("engine", "w"): 9,
        ("engine", "r", "liq", "a"): 10, ("engine", "d"): 11, ("engine", "groups", 0): 12,
        ("engine", "groups", 1): 14, ("engine", "groups", 1, "members", 1): 19,
        ("engine", "groups", 1, "sub", "k", 1, 0): 23,
    }  # fmt: skip
    assert {path: lines.get(path) for path in expected} == expected
    assert set(paths_of(tomllib.loads(text))) <= set(lines)


def paths_of(tree: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every key and element of a parsed TOML text."""
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [p for key, value in children for p in [(*path, key), *paths_of(value, (*path, key))]]


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=6)
LEAVES = st.one_of(st.booleans(), st.integers(-(10**9), 10**9), NAMES)
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))


def toml_value(value: object) -> str:
    """A tree as inline TOML, arrays spread over lines."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml_value(k)} = {toml_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[\n" + "".join(f"  {toml_value(v)}, # ]\n" for v in value) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


@given(st.dictionaries(NAMES, st.dictionaries(NAMES, TREES, max_size=3), max_size=3))
def test_every_key_of_any_toml_has_its_line(tree: dict[str, dict[str, Any]]) -> None:
    """The line found for a key of a table is the one it was written on, whatever stands around it."""
    lines: list[str] = []
    expected: dict[tuple[str | int, ...], int] = {}
    for table, keys in tree.items():
        expected[(table,)] = sum(line.count("\n") + 1 for line in lines) + 1
        lines.append(f"[{toml_value(table)}] # = [")
        for key, value in keys.items():
            expected[(table, key)] = sum(line.count("\n") + 1 for line in lines) + 1
            lines.append(f"{toml_value(key)} = {toml_value(value)}")
    text = "\n".join(lines)
    found = lines_of_keys(text)
    assert {path: found.get(path) for path in expected} == expected
    assert set(paths_of(tomllib.loads(text))) <= set(found)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_no_file_raises_anything_but_config_error(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    """Whatever the bytes, loading gives a Config or a ConfigError that names the file."""
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(raw)
    found: list[str] = []
    try:
        load(file, {})
    except ConfigError as error:
        found = [str(problem) for problem in error.problems]
    assert all(problem.startswith(str(file)) for problem in found)
