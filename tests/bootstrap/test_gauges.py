"""What the collectors make of what others count."""

from gambit.bootstrap.gauges import count_dead_letters
from gambit.surface.catalogue import METRICS
from gambit.surface.metrics import Registry


def test_dead_letters_of_all_venues_are_added_up() -> None:
    """Two venues with one reason are one series: their sum, and no less after the next letter."""
    registry = Registry(METRICS)
    counts = {("okx", "not JSON"): 3, ("kraken", "not JSON"): 2, ("kraken", "a price of 0"): 1}
    count_dead_letters(registry, counts)
    dead = registry["gambit_dlq_total"].series
    assert {labels: series.value for labels, series in dead.items()} == {
        ("market.normalized", "not JSON"): 5,
        ("market.normalized", "a price of 0"): 1,
    }
    count_dead_letters(registry, counts | {("okx", "not JSON"): 4})
    assert dead["market.normalized", "not JSON"].value == 6
