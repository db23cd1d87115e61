"""The generated streams are worth testing with: they raise, raise again, and end episodes for every reason."""

from collections import Counter

from hypothesis import given, settings

from gambit.sim.faults import FAULTS
from gambit.sim.instruments import VENUES
from tests.reference import replay
from tests.streams import RECORDS_MAX, STREAM_FAULTS, stream, streams

SEEDS = 150


def test_streams_come_from_their_seed():
    """The same seed is the same stream; the label says how to get it again."""
    assert stream(5) == stream(5) != stream(6)
    assert stream(5).label == "stream(5)"


def test_streams_end_episodes_for_every_reason():
    """Over some seeds all reasons occur, signals are raised again, books are lost and frames are quarantined."""
    ends, counts, again = Counter(), Counter(), 0
    for seed in range(SEEDS):
        case = stream(seed)
        result = replay.run([case.records], case.config, case.symbols)
        ends.update(event["reason"] for event in result.opportunities if event["event"] == "closed")
        raised = Counter(event["raw_signal_id"] for event in result.opportunities if event["event"] == "raised")
        again += sum(count > 1 for count in raised.values())
        for book in result.books:
            counts.update({name: value for name, value in book.items() if type(value) is int and name != "seq"})
    assert set(ends) == {"not_qualified", "stale", "unsynced", "different_coin"}
    assert again > 3
    assert not [name for name, count in counts.items() if not count]


def test_streams_are_small_and_various():
    """Every venue occurs, in streams of two to seven; lengths lie about where they are promised."""
    cases = [stream(seed) for seed in range(SEEDS)]
    venues = [{record["venue"] for record in case.records if record["t"] not in ("header", "line")} for case in cases]
    lengths = sorted(len(case.records) for case in cases)
    assert set().union(*venues) == set(VENUES)
    assert max(len(names) for names in venues) == 7
    assert lengths[-1] <= RECORDS_MAX + 30
    assert lengths[len(lengths) // 2] > 60
    assert {case.symbols is None for case in cases} == {True, False}
    assert any("groups" in case.config["engine"] for case in cases)
    assert any(section.get("source") == "bbo" for case in cases for section in case.config.get("venues", {}).values())


def test_a_stream_can_come_as_one_source_per_venue():
    """by_venue() keeps every record, under the header, in its venue's order."""
    case = stream(12, plain=True)
    sources = case.by_venue()
    assert len(sources) > 1
    assert {source[0]["t"] for source in sources} == {"header"}
    assert sorted(map(str, case.records[1:])) == sorted(str(record) for source in sources for record in source[1:])


@settings(max_examples=25, deadline=None)
@given(streams())
def test_the_strategy_makes_streams(case):
    """Drawn streams have a header and a configuration, and say how they were made."""
    assert case.records[0]["t"] == "header"
    assert case.config["engine"]["min_spread_bps"] >= 5
    assert case.label.startswith("_stream(")
    assert set(STREAM_FAULTS) < set(FAULTS)
