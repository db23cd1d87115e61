"""Traces: an episode and its signals arrive at a collector as spans with the times they had."""

import threading
import uuid
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from gambit.runtime import tracing
from gambit.runtime.process import ProcessError
from gambit.runtime.tracing import Tracing

pytest.importorskip("opentelemetry.sdk", reason="the extra otel is absent: pip install 'gambit[otel]'")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SECOND = 1_000_000_000
BEGIN = 1_750_000_000 * SECOND
EPISODE, SIGNAL = uuid.UUID(int=(7 << 64) | 5), uuid.UUID(int=9)
RAISED = {
    "event": "raised", "recv_ns": BEGIN, "raw_signal_id": str(EPISODE), "opp_id": str(SIGNAL), "symbol": "BTC-USDT",
    "venue_buy": "okx", "venue_sell": "kraken", "net_bps": 20.5, "qty": "0.25", "seq_buy": 17,
}  # fmt: skip
CLOSED = {
    "event": "closed", "recv_ns": BEGIN + SECOND, "raw_signal_id": str(EPISODE), "symbol": "BTC-USDT",
    "duration_ns": SECOND, "reason": "stale",
}  # fmt: skip


class Collector(HTTPServer):
    """An OTLP/HTTP receiver."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receipt)
        self.bodies: list[bytes] = []


class Receipt(BaseHTTPRequestHandler):
    """Keeps what is posted."""

    def do_POST(self) -> None:
        assert isinstance(self.server, Collector)
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *words: Any) -> None:
        """Says nothing."""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector, named by the standard variable."""
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
        yield server
        server.shutdown()
        thread.join()


class Kept:
    """An exporter that keeps the spans, and can be made to wait."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def export(self, spans: Sequence[Any]) -> None:
        self.go_on.wait()
        self.spans += spans

    def shutdown(self) -> None:
        self.spans.append("end")


def test_spans_arrive_with_their_times(collector: Collector) -> None:
    """The signal is a child of its episode; ids are those of the events, times those that were measured."""
    import os

    traces = Tracing.from_environment(os.environ, lambda: BEGIN + 12_345)
    assert traces
    traces.take(RAISED)
    traces.take(CLOSED)
    traces.close()
    [body] = collector.bodies
    [resource] = ExportTraceServiceRequest.FromString(body).resource_spans
    assert [(a.key, a.value.string_value) for a in resource.resource.attributes] == [("service.name", "gambit")]
    signal, episode = resource.scope_spans[0].spans
    assert signal.trace_id == episode.trace_id == EPISODE.bytes
    assert signal.parent_span_id == episode.span_id
    assert (signal.name, signal.start_time_unix_nano, signal.end_time_unix_nano) == ("signal", BEGIN, BEGIN + 12_345)
    assert (episode.name, episode.start_time_unix_nano) == ("opportunity", BEGIN)
    assert episode.end_time_unix_nano == BEGIN + SECOND
    told = {attribute.key: attribute.value for attribute in signal.attributes}
    assert told["gambit.venue_buy"].string_value == "okx"
    assert told["gambit.net_bps"].double_value == 20.5


def test_traces_are_off_unless_a_collector_is_named() -> None:
    """And a share that is none is refused."""
    assert Tracing.from_environment({}, lambda: 0) is None
    with pytest.raises(ProcessError, match="OTEL_TRACES_SAMPLER_ARG = 'many' is not a share from 0 to 1"):
        Tracing.from_environment(
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_SAMPLER_ARG": "many"}, lambda: 0
        )


def test_a_share_takes_whole_episodes() -> None:
    """All spans of an episode are sent or none; about as many episodes as asked for."""
    kept = Kept()
    traces = Tracing(kept, lambda: BEGIN, share=0.25)
    for n in range(1000):
        episode = str(uuid.uuid5(uuid.NAMESPACE_OID, str(n)))
        traces.take({**RAISED, "raw_signal_id": episode})
        traces.take({**CLOSED, "raw_signal_id": episode})
    traces.close()
    assert kept.spans[-1] == "end"
    ids = [span.context.trace_id for span in kept.spans[:-1]]
    assert all(ids.count(each) == 2 for each in set(ids))
    assert 200 < len(set(ids)) < 300


def test_a_stuck_collector_costs_a_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is dropped and counted; nobody waits."""
    monkeypatch.setattr(tracing, "QUEUE_MAX", 3)
    monkeypatch.setattr(tracing, "CLOSE_SEC", 0.01)
    kept = Kept()
    kept.go_on.clear()
    traces = Tracing(kept, lambda: BEGIN)
    for _ in range(5):
        traces.take(RAISED)
    assert traces.dropped == 2
    traces.close()
    kept.go_on.set()
