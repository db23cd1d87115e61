"""Metrics: what is counted is what Prometheus reads."""

import math
import os
import re
import resource
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from gambit.runtime.operations import resident_bytes
from gambit.surface.catalogue import METRICS
from gambit.surface.metrics import NS_PER_SEC, SERIES_MAX, Declared, Registry
from gambit.surface.vitals import Vitals
from tests.tools import program

PROMTOOL = program("promtool", "prometheus")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is absent: apt-get install prometheus")

# contract.md, "Metrics".
PROMISED = """
gambit_frames_total{venue} gambit_frame_errors_total{venue,category} gambit_ingestion_lag_seconds{venue}
gambit_book_synced{venue,symbol} gambit_book_age_seconds{venue,symbol} gambit_book_resyncs_total{venue,reason}
gambit_tick_to_signal_seconds gambit_tick_to_order_seconds gambit_signals_total{symbol,venue_buy,venue_sell}
gambit_opportunities_open gambit_orders_total{venue,status} gambit_order_submit_seconds{venue}
gambit_circuit_open{venue} gambit_dlq_total{topic,reason} gambit_ring_overruns_total{ring} gambit_journal_seq
gambit_journal_fsync_seconds gambit_store_lag_records gambit_ws_subscribers gambit_ws_conflated_total
gambit_alerts_total{rule,severity} gambit_loop_lag_seconds gambit_build_info
"""


def read(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of a text, by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_the_catalogue_has_what_was_promised() -> None:
    """Every name of the contract with its labels; every name once, with a help text."""
    declared = {metric.name: metric for metric in METRICS}
    assert len(declared) == len(METRICS)
    for promise in PROMISED.split():
        found = re.fullmatch(r"(\w+)(?:\{([\w,]+)\})?", promise)
        assert found
        labels = tuple(found[2].split(",")) if found[2] else ()
        assert declared[found[1]].labels == labels or found[1] == "gambit_build_info"
    assert all(metric.help.endswith(".") for metric in METRICS)
    histograms = ("ingestion_lag", "tick_to_signal", "tick_to_order", "order_submit", "journal_fsync", "loop_lag")
    assert all(declared[f"gambit_{name}_seconds"].kind == "histogram" for name in histograms)


def full_registry(books: int = 3) -> Registry:
    """Every metric of the catalogue with a value."""
    registry = Registry(METRICS)
    for number, family in enumerate(registry.families.values()):
        for k in range(books if "symbol" in family.declared.labels else 1):
            labels = [f"{label}-{k}" for label in family.declared.labels]
            if family.declared.kind == "histogram":
                family.histogram(*labels).observe(number * 1_000_003)
            else:
                family.of(*labels).set(number + k)
    return registry


def test_every_metric_is_read_back() -> None:
    """Name, kind, help, labels and value survive the way through Prometheus' own client library."""
    registry = full_registry()
    families = {family.name: family for family in text_string_to_metric_families(registry.render().decode())}
    for number, metric in enumerate(METRICS):
        found = families[metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name]
        assert (found.type, found.documentation) == (metric.kind, metric.help)
        labels = {label: f"{label}-0" for label in metric.labels}
        samples = [sample for sample in found.samples if labels.items() <= sample.labels.items()]
        if metric.kind != "histogram":
            assert [sample.value for sample in samples] == [number / metric.scale]
            continue
        value = number * 1_000_003 / metric.scale
        assert [s.value for s in samples if s.name.endswith("_sum")] == [value]
        assert [s.value for s in samples if s.name.endswith("_count")] == [1]
        for sample in samples:
            if sample.name.endswith("_bucket"):
                assert sample.value == (value <= float(sample.labels["le"]))


@needs_promtool
def test_promtool_finds_no_fault() -> None:
    """Names, units, kinds and help texts are as Prometheus' linter wants them."""
    assert PROMTOOL
    done = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=full_registry().render(), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@given(st.lists(st.text(), min_size=1, max_size=5, unique=True))
def test_labels_may_hold_anything(values: list[str]) -> None:
    """Quotes, backslashes, newlines, percent signs, any letter: what goes in comes out."""
    registry = Registry([Declared("x_total", "counter", "Text with % and \\ and\nnewline.", ("label",))])
    for number, value in enumerate(values):
        registry["x_total"].of(value).add(number + 1)
    text = registry.render().decode()
    lines = [line for line in text.split("\n") if line.startswith("x_total")]
    assert len(lines) == len(values)
    found = {unescaped(line): float(line.rpartition(" ")[2]) for line in lines}
    assert found == {value: number + 1 for number, value in enumerate(values)}


def unescaped(line: str) -> str:
    """The label value of a line, by the three escapes of the format."""
    found = re.fullmatch(r'x_total\{label="((?:[^"\\\n]|\\.)*)"\} .*', line, re.DOTALL)
    assert found
    return re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match[1], match[1]), found[1])


def test_lone_surrogates_do_not_stop_a_scrape() -> None:
    """What is no text is replaced."""
    registry = Registry([Declared("x", "gauge", "X.", ("label",))])
    registry["x"].of("a\ud800b").set(1)
    assert registry.render().endswith(b'x{label="a?b"} 1\n')


@given(st.lists(st.integers(0, 1 << 32)))
def test_histograms_count_what_lies_below(values: list[int]) -> None:
    """Each bucket holds the values up to its bound, the bound included; sum and count are exact."""
    bounds = (1, 1000, 1 << 20)
    registry = Registry([Declared("x_seconds", "histogram", "X.", (), NS_PER_SEC, bounds)])
    for value in values:
        registry["x_seconds"].histogram().observe(value)
    samples = read(registry.render())
    for bound in bounds:
        assert samples["x_seconds_bucket", (("le", repr(bound / NS_PER_SEC)),)] == sum(v <= bound for v in values)
    assert samples["x_seconds_bucket", (("le", "+Inf"),)] == samples["x_seconds_count", ()] == len(values)
    assert samples["x_seconds_sum", ()] == sum(values) / NS_PER_SEC


def test_histograms_take_over_the_counts_of_others() -> None:
    """The hot path counts for itself; its counts fit or are refused."""
    registry = Registry([Declared("x", "histogram", "X.", (), 1, (1, 2))])
    histogram = registry["x"].histogram()
    histogram.load([1, 2, 3], 20)
    samples = read(registry.render())
    assert [samples["x_bucket", (("le", le),)] for le in ("1.0", "2.0", "+Inf")] == [1, 3, 6]
    assert samples["x_sum", ()] == 20
    with pytest.raises(ValueError, match="2 counts for 3 buckets"):
        histogram.load([1, 2], 3)


def test_series_come_and_go() -> None:
    """A new series is in the next text, a forgotten one is not; unknown names and wrong labels are defects."""
    registry = Registry(
        [Declared("x", "gauge", "X.", ("a", "b")), Declared("y", "gauge", "Y."), Declared("z", "gauge", "Z.")]
    )
    assert read(registry.render()) == {("y", ()): 0, ("z", ()): 0}
    registry["x"].of("1", "2").set(5)
    registry["y"].of().set(math.nan)
    registry["z"].of().add()
    samples = read(registry.render())
    assert samples["x", (("a", "1"), ("b", "2"))] == 5
    assert math.isnan(samples["y", ()])
    assert samples["z", ()] == 1
    registry["x"].forget("1", "2")
    registry["x"].forget("never", "there")
    assert ("x", (("a", "1"), ("b", "2"))) not in read(registry.render())
    with pytest.raises(ValueError, match=r"x has labels \('a', 'b'\)"):
        registry["x"].of("1")
    with pytest.raises(KeyError):
        registry["unheard_of"]


def test_a_metric_is_declared_before_it_has_a_series() -> None:
    """Who looks for a name finds it with its kind from the first scrape on, also where nothing was counted yet."""
    text = Registry(METRICS).render().decode()
    for metric in METRICS:
        assert f"# TYPE {metric.name} {metric.kind}\n" in text


def test_labels_without_end_are_refused() -> None:
    """A family has room for so many series; what is beyond is counted and not shown."""
    registry = Registry([Declared("x", "gauge", "X.", ("a",))])
    for n in range(SERIES_MAX + 5):
        registry["x"].of(str(n)).set(n)
    assert registry.refused == 5
    assert registry.render().count(b"\n") == SERIES_MAX + 2


def test_collectors_copy_before_each_text() -> None:
    """What is counted elsewhere is as new as the text."""
    registry = Registry([Declared("x_total", "counter", "X.")])
    counted = iter(range(1, 10))
    registry.collect(lambda: registry["x_total"].of().set(next(counted)))
    assert [read(registry.render())["x_total", ()] for _ in range(3)] == [1, 2, 3]


def test_vital_signs_need_no_descriptor() -> None:
    """F122: a process that has used up its own is the one that somebody wants to look at."""
    registry = Registry(METRICS)
    registry.collect(Vitals(registry))
    told = resident_bytes()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    taken: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 8, limits[1]))
        with pytest.raises(OSError, match="Too many open files"):
            taken.extend(os.open("/dev/null", os.O_RDONLY) for _ in range(highest + 9))
        samples, now = read(registry.render()), resident_bytes()
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert samples["process_open_fds", ()] == samples["process_max_fds", ()] == highest + 8
    assert samples["process_resident_memory_bytes", ()] > told / 2
    assert now > told / 2


def test_the_process_tells_its_vital_signs() -> None:
    """CPU, memory, descriptors and threads are this process's."""
    registry = Registry(METRICS)
    registry.collect(Vitals(registry))
    samples = read(registry.render())
    assert samples["process_cpu_seconds_total", ()] > 0
    assert 10e6 < samples["process_resident_memory_bytes", ()] < samples["process_virtual_memory_bytes", ()]
    assert 3 <= samples["process_open_fds", ()] <= samples["process_max_fds", ()]
    assert samples["process_threads", ()] >= 1
    assert 0 < time.time() - samples["process_start_time_seconds", ()] < 86400
    with Path("/dev/null").open():
        assert read(registry.render())["process_open_fds", ()] == samples["process_open_fds", ()] + 1
