"""A simulated venue without sockets, spoken to in JSON."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gambit.sim.dialect import Close, Reply, Request, Session
from gambit.sim.verbs import FaultOrder
from gambit.sim.world import Scenario, World

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000
STEP_MS = 500  # less than the backlog that a world would drop


class Talk:
    """One venue of a world of its own, and its time."""

    def __init__(self, venue: str, symbols: tuple[str, ...] = ("BTC-USDT", "ETH-USDT"), seed: int = 5) -> None:
        scenario = Scenario(symbols=symbols, dislocations_per_s=0.0)
        self.world = World([venue], scenario, seed=seed, start_ns=START_NS)
        self.exchange = self.world.exchanges[venue]
        self.now_ns = START_NS

    def open(self, path: str, query: str = "") -> Session:
        """A WebSocket to `path`, which must not be refused."""
        session = self.exchange.open(Request("GET", path, query, {}, b""), self.now_ns)
        assert isinstance(session, Session)
        return session

    def say(self, session: Session, words: Any) -> list[Any]:
        """Send a message; what comes back at once."""
        text = words if isinstance(words, str) else json.dumps(words)
        self.exchange.receive(session, text, self.now_ns)
        return self.hear(session)

    def wait(self, session: Session, ms: int) -> list[Any]:
        """Let time pass; what came meanwhile."""
        self.pass_ms(ms)
        return self.hear(session)

    def pass_ms(self, ms: int) -> None:
        """Let time pass."""
        until_ns = self.now_ns + ms * MS
        while self.now_ns < until_ns:
            self.now_ns = min(until_ns, self.now_ns + STEP_MS * MS)
            self.world.advance(self.now_ns)

    def hear(self, session: Session) -> list[Any]:
        """Everything that came and was not heard yet: JSON with exact numbers, or a Close."""
        frames = [frame for other, sent in self.exchange.drain() if other is session for frame in sent]
        return [frame if isinstance(frame, Close) else json.loads(str(frame), parse_float=Decimal) for frame in frames]

    def ask(
        self, method: str, path: str, query: str = "", headers: Mapping[str, str] | None = None, body: str = ""
    ) -> Reply:
        """A REST request that is answered at once."""
        answers: list[Any] = []
        request = Request(method, path, query, headers or {}, body.encode())
        self.exchange.http(request, self.now_ns, answers.append)
        assert len(answers) == 1
        assert isinstance(answers[0], Reply)
        return answers[0]

    def json(self, method: str, path: str, query: str = "") -> Any:
        """The content of a REST answer."""
        return json.loads(self.ask(method, path, query).body)

    def strike(self, kind: str, **fields: Any) -> None:
        """Put a fault in force."""
        self.exchange.strike(FaultOrder(kind, **fields))
