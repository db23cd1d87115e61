"""What the collectors make of what others count."""

from gambit.bootstrap.gauges import count_dead_letters
from gambit.surface.catalogue import METRICS
from gambit.surface.metrics import Registry


def test_dead_letters_are_told_by_topic_and_reason() -> None:
    """A series each, and no less after the next letter."""
    registry = Registry(METRICS)
    counts = {
        ("market.normalized", "not JSON"): 5, ("market.normalized", "a price of 0"): 1, ("order.status", "not JSON"): 2,
    }  # fmt: skip
    count_dead_letters(registry, counts)
    dead = registry["gambit_dlq_total"].series
    assert {labels: series.value for labels, series in dead.items()} == {
        ("market.normalized", "not JSON"): 5,
        ("market.normalized", "a price of 0"): 1,
        ("order.status", "not JSON"): 2,
    }
    count_dead_letters(registry, counts | {("market.normalized", "not JSON"): 6})
    assert dead["market.normalized", "not JSON"].value == 6
