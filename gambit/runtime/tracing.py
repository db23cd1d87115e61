"""Traces for OpenTelemetry (extra otel): an episode of an opportunity is a trace, each of its signals a span in it.

Nothing of it runs on the path: what happened is put aside as it is, and a thread builds spans from its times afterwards
and sends them. On when $OTEL_EXPORTER_OTLP_ENDPOINT names a collector; $OTEL_TRACES_SAMPLER_ARG is the share of
episodes to send (default all). What does not fit the queue is dropped and counted.
"""

import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from gambit.runtime.process import ProcessError

QUEUE_MAX: Final = 4096
INTERVAL_SEC: Final = 2.0
CLOSE_SEC: Final = 2.0
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
SHARE: Final = "OTEL_TRACES_SAMPLER_ARG"
SPAN_BITS: Final = 64
CHANCE_BITS: Final = 48  # of an id's last ones; those before have a pattern in a UUID
TOLD: Final = (
    "symbol", "venue_buy", "venue_sell", "net_bps", "spread_bps", "profit_quote", "qty", "score", "seq_buy", "seq_sell",
    "max_net_bps", "evaluations", "reason",
)  # fmt: skip

Event = Mapping[str, Any]


class Exporter(Protocol):
    """Where finished spans go."""

    def export(self, spans: Sequence[Any]) -> Any: ...

    def shutdown(self) -> None: ...


class Tracing:
    """Takes signals and episode ends as they are told, sends spans from a thread of its own."""

    def __init__(self, exporter: Exporter, now_ns: Callable[[], int], *, share: float = 1.0) -> None:
        self.dropped = 0
        self._exporter = exporter
        self._now_ns = now_ns
        self._kept_below = int(share * (1 << CHANCE_BITS))
        self._waiting: deque[tuple[Event, int]] = deque()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], now_ns: Callable[[], int]) -> "Tracing | None":
        """As the standard variables say; None when they name no collector. Raises ProcessError without the extra."""
        if not any(environ.get(name) for name in ENDPOINTS):
            return None
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        except ModuleNotFoundError as error:
            advice = "pip install 'gambit[otel]', or leave the variable unset"
            raise ProcessError(f"{ENDPOINTS[1]} is set, but the extra otel is absent: {advice}") from error
        text = environ.get(SHARE, "1")
        try:
            share = float(text)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            raise ProcessError(f"{SHARE} = {text!r} is not a share from 0 to 1")
        return cls(OTLPSpanExporter(timeout=5), now_ns, share=share)

    def take(self, event: Event) -> None:
        """A signal or an episode's end, as contract.md words them; the moment it is told ends the signal's span."""
        if len(self._waiting) >= QUEUE_MAX:
            self.dropped += 1
        elif uuid.UUID(event["raw_signal_id"]).int & ((1 << CHANCE_BITS) - 1) < self._kept_below:
            self._waiting.append((event, self._now_ns()))

    def close(self) -> None:
        """Send what is left, for a moment."""
        self._end.set()
        self._thread.join(CLOSE_SEC)

    def _run(self) -> None:
        while not self._end.wait(INTERVAL_SEC):
            self._send()
        self._send()
        self._exporter.shutdown()

    def _send(self) -> None:
        spans = []
        while self._waiting:
            spans.append(span_of(*self._waiting.popleft()))
        if spans:
            self._exporter.export(spans)  # it retries, gives up and logs by itself


def span_of(event: Event, told_ns: int) -> Any:
    """The span of a signal (receipt of its frame to being told) or of a whole episode (first signal to its end).

    Ids come from the event's own, so that a trace is found by its raw_signal_id.
    """
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

    trace_id = uuid.UUID(event["raw_signal_id"]).int
    is_raised = event["event"] == "raised"
    flags = TraceFlags(TraceFlags.SAMPLED)
    root = SpanContext(trace_id, _span_id(trace_id), is_remote=False, trace_flags=flags)
    own = SpanContext(trace_id, _span_id(uuid.UUID(event["opp_id"]).int), False, flags) if is_raised else root
    return ReadableSpan(
        name="signal" if is_raised else "opportunity",
        context=own,
        parent=root if is_raised else None,
        resource=Resource({"service.name": "gambit"}),
        kind=SpanKind.INTERNAL,
        attributes={f"gambit.{name}": event[name] for name in TOLD if name in event},
        start_time=event["recv_ns"] if is_raised else event["recv_ns"] - event["duration_ns"],
        end_time=told_ns if is_raised else event["recv_ns"],
    )


def _span_id(number: int) -> int:
    """64 bits of an id, never zero."""
    return number & ((1 << SPAN_BITS) - 1) or 1
