"""gambit against the slow twin on generated streams of several venues, lawful and broken: every tick, every opportunity
and every book is the same. GAMBIT_TEST_EXAMPLES raises how many streams are tried."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given

from gambit.sim.faults import FAULTS, apply
from tests.core.profile import CORE, examples
from tests.engine.agreement import difference, driven, replayed, twin_said, write_capture
from tests.engine.twists import twisted
from tests.streams import Stream, stream, streams

SEEDS = int(CORE.max_examples * 2.4)
PIECES = 8  # test cases that share the seeds


def seeds(piece: int, share: float = 1.0) -> range:
    """The seeds of one of the pieces."""
    return range(piece, int(SEEDS * share), PIECES)


def assert_agreement(case: Stream, *, by_venue: bool = False) -> None:
    """gambit's replay of files and the twin's say the same."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        sources = case.by_venue() if by_venue else [case.records]
        files = [write_capture(records, folder / f"{number}.jsonl") for number, records in enumerate(sources)]
        ours = replayed(files, case.config, case.symbols, folder)
        twins = twin_said(files, case.config, case.symbols)
    told = difference(ours, twins)
    assert told is None, f"{case.label}: {told}"
    assert ours.exit_code == twins.exit_code, case.label


@pytest.mark.parametrize("piece", range(PIECES))
def test_replay_is_the_twins(piece: int) -> None:
    """Streams of 2 to 7 venues with incidents, faults, best-bid-ask sources and groups give the twin's every line."""
    for seed in seeds(piece):
        assert_agreement(stream(seed))


@pytest.mark.parametrize("piece", range(PIECES))
def test_replay_of_a_file_per_venue_is_the_twins(piece: int) -> None:
    """The same streams as one file per venue, merged by time."""
    for seed in seeds(piece, 0.25):
        assert_agreement(stream(seed + 100_000), by_venue=True)


@examples(1.0)
@given(streams())
def test_replay_is_the_twins_for_any_stream(case: Stream) -> None:
    """Any stream: what is found here shrinks to few venues, few faults and a plain configuration."""
    assert_agreement(case)


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_every_fault_ends_as_the_twin_says(fault: str) -> None:
    """Each fault alone, three rounds of it, with lines that are no records among them."""
    for seed in range(max(1, SEEDS // 120)):
        plain = stream(seed, faults=[])
        records = apply(plain.records, [fault] * 3, seed)
        label = f"apply(stream({seed}, faults=[]).records, [{fault!r}] * 3, {seed})"
        assert_agreement(Stream(records, plain.config, plain.symbols, label))


@pytest.mark.parametrize("piece", range(PIECES))
def test_market_is_the_twins_beyond_all_ranges(piece: int) -> None:
    """Parameters that no configuration allows, aliases, frames of several books, connections that share names or change
    them, lists that come late: a Market driven by hand says what the twin says."""
    for seed in seeds(piece):
        case = twisted(seed)
        ours = driven(case.records, case.config, case.symbols)
        told = difference(ours, twin_said([case.records], case.config, case.symbols))
        assert told is None, f"{case.label}: {told}"
