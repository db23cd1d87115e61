"""The fuzzer itself, briefly: its targets hold on their seeds and on some mutations, and it tells what breaks one."""

from random import Random

import pytest

from gambit.venues import VENUES
from tests.fuzz.__main__ import fuzz
from tests.fuzz.edges import Edges
from tests.fuzz.mutations import LENGTH_MAX, mutated
from tests.fuzz.targets import Target, market_seeds, played, shape_seeds, targets

NAMES = ("scan", "market", "shapes", "lines", "replay", "number")


@pytest.mark.parametrize("name", NAMES)
def test_target_holds_on_its_seeds_and_what_becomes_of_them(name, tmp_path):
    """Every target takes its own seeds and a hundred mutations of them."""
    (target,) = [target for target in targets(tmp_path) if target.name == name]
    rng = Random(name)
    seeds = list(target.seeds(rng))
    for data in rng.sample(seeds, min(10, len(seeds))):
        target.run(data)
    for _ in range(100):
        target.run(mutated(rng.choice(seeds), rng.choice(seeds), rng))


def test_seeds_of_the_market_make_books():
    """Played as they are, the seeds of the market give books that are believed, on all venues, and opportunities."""
    believed, signals = set(), 0
    for data in market_seeds(Random(3)):
        made = played(data)
        believed |= {book["venue"] for book in made.books(levels=False) if book["synced"]}
        signals += made.pairs.totals[0]
    assert believed == set(VENUES)
    assert signals > 0


def test_seeds_of_shapes_have_them():
    """Played as they are, most frames of those seeds are read by their shape."""
    frames = shaped = 0
    for data in shape_seeds(Random(3)):
        made = played(data, is_bbo=True)
        frames += sum(made.hot.venue_counts(it.index)["frames"] for it in made.venues.values())
        shaped += sum(made.hot.shaped(it.index) for it in made.venues.values())
    assert shaped > frames // 3


@pytest.mark.parametrize("data", [b"", b"\n", b"0", b"\0" * 100, b"5f{}", b"\xff" * 9])
def test_any_bytes_are_an_input(data, tmp_path):
    """No target asks for a form of its input."""
    for target in targets(tmp_path):
        target.run(data)


def test_mutations_come_from_their_seed_and_stay_short():
    """The same seed gives the same mutations, none longer than an input may be."""
    data, other = b'{"a":[1,2.5],"b":"c"}\n' * 20, b"x" * LENGTH_MAX
    first, second = ([mutated(data, other, Random(seed)) for seed in range(300)] for _ in range(2))
    assert first == second
    assert len(set(first)) > 250
    assert max(map(len, first)) <= LENGTH_MAX


def picky(data: bytes) -> None:
    assert b"7" not in data


def test_broken_promise_is_told_and_kept(tmp_path, capsys):
    """An input that breaks a promise is written down with its traceback, and the run says so."""
    target = Target("picky", lambda rng: [b"1", b"234"], picky)
    assert fuzz([target], tmp_path, 20.0, 1) == 1
    (kept,) = tmp_path.glob("broken-picky-*")
    assert b"7" in kept.read_bytes()
    assert "assert b" in capsys.readouterr().out


def test_run_without_a_broken_promise(tmp_path, capsys):
    """A run that finds nothing says how many inputs it tried, and the last one can be had."""
    target = Target("deaf", lambda rng: [b"1"], lambda data: None)
    assert fuzz([target], tmp_path, 0.05, 1) == 0
    assert "executions" in capsys.readouterr().out
    assert (tmp_path / "at-hand").read_bytes().startswith(b"deaf ")


def test_without_the_counter_nothing_is_new():
    """Outside run.sh there is no coverage: the fuzzer runs blind, and says so."""
    edges = Edges()
    assert (edges.is_guiding, edges.new(), edges.known()) == (False, 0, 0)
