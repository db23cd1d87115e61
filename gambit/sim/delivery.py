"""Which connection gets which text: channels with their subscribers, and the faults that befall texts on their way.

Rules: a channel words an event once; a connection gets texts in the order of events. Faults are looked at only while
one of their verbs is in force.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from random import Random

from gambit.sim.dialect import MILLI_NS, Channel, Dialect, Frame, Report, Session
from gambit.sim.frame_faults import cells, write
from gambit.sim.jsontree import Literal, dump, parse
from gambit.sim.market import Event
from gambit.sim.verbs import Fault, Faults

TEXT_VERBS = ("gap", "dup", "reorder", "checksum", "freeze", "poison", "microseconds")
MILLISECONDS = re.compile(r"(?<![\d.])1[5-9]\d{11}(?![\d.])")
CHECKSUM = re.compile(r'(,?)"checksum":(-?\d+)')


class Delivery:
    """The channels of one venue."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self.dialect: Dialect
        self.texts = 0  # handed to connections so far
        self._faults = faults
        self._rng = Random(seed)
        self._channels: dict[str, Channel] = {}
        self._hearing: dict[tuple[type[Event], str], list[Channel]] = {}
        self._swapped: dict[int, str] = {}

    def subscribe(self, session: Session, name: str, make: Callable[[], Channel], now_ns: int) -> bool:
        """Join a session to a channel and send it the opening; False when it was there already."""
        if name in session.channels:
            return False
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = make()
            self._hearing.setdefault((channel.wants, channel.symbol), []).append(channel)
        session.channels[name] = channel
        channel.subscribers.append(session)
        if channel.opening is not None:
            for text in channel.opening(now_ns):
                session.send(self.dialect.seal(session, channel, text))
        return True

    def unsubscribe(self, session: Session, name: str) -> bool:
        """Part a session from a channel; False when it was not there. A channel without subscribers is forgotten."""
        channel = session.channels.pop(name, None)
        if channel is None:
            return False
        channel.subscribers.remove(session)
        if not channel.subscribers:
            del self._channels[name]
            self._hearing[channel.wants, channel.symbol].remove(channel)
        return True

    def leave(self, session: Session) -> None:
        """A connection is gone."""
        for name in list(session.channels):
            self.unsubscribe(session, name)
        self._swapped.pop(session.number, None)

    def hear(self, event: Event, now_ns: int) -> None:
        """Word an event for all who listen."""
        for channel in self._hearing.get((type(event), event.symbol), ()):
            texts = channel.encode(event)
            if texts:
                self.send(channel, texts, now_ns)

    def send(self, channel: Channel, texts: list[str], now_ns: int) -> None:
        """Hand texts of a channel to all its subscribers."""
        seal = self.dialect.seal
        is_troubled = not self._faults.is_calm and any(map(self._faults.any, TEXT_VERBS))
        for session in channel.subscribers:
            for text in texts:
                self.texts += 1
                sealed = seal(session, channel, text)
                if is_troubled or self._swapped:
                    self._send_troubled(session, channel, sealed, now_ns)
                else:
                    session.send(sealed)

    def _send_troubled(self, session: Session, channel: Channel, text: str, now_ns: int) -> None:
        facts = {**session.facts, "symbol": channel.symbol, "channel": channel.name, "private": False}
        fire = self._faults.fire
        is_data = bool(channel.symbol)  # a frozen venue still sends heartbeats
        if is_data and (fire("freeze", now_ns, facts, unless=_is_socket) or fire("gap", now_ns, facts)):
            return
        fault = fire("checksum", now_ns, facts) if '"checksum"' in text else None
        if fault is not None:
            text = with_checksum(text, str(fault.args.get("how", "bad")))
        if MILLISECONDS.search(text) and fire("microseconds", now_ns, facts):
            text = MILLISECONDS.sub(r"\g<0>000", text)
        fault = fire("poison", now_ns, facts, unless=lambda fault: not poisonable(text, fault))
        if fault is not None:
            text = poisoned(text, fault, self._rng)
        waiting = self._swapped.pop(session.number, None)
        if waiting is None and fire("reorder", now_ns, facts):
            self._swapped[session.number] = text
            return
        session.send(text)
        if waiting is not None:
            session.send(waiting)
        if fire("dup", now_ns, facts):
            session.send(text)

    def push(self, session: Session, text: str, report: Report, now_ns: int) -> None:
        """Send what happened to an order to one private session."""
        facts = {
            **session.facts,
            "private": True,
            "symbol": report.order.symbol,
            "account": report.order.account,
            "report": report.kind,
        }
        fire = self._faults.fire
        if fire("gap", now_ns, facts):
            return
        is_execution = report.kind == "trade" and self._faults.any("strip_id")
        stripped = self.dialect.strip_id(text) if is_execution else text
        if stripped != text and fire("strip_id", now_ns, facts):
            text = stripped
        waiting = self._swapped.pop(session.number, None)
        if waiting is None and fire("reorder", now_ns, facts):
            self._swapped[session.number] = text
            return
        session.send(text)
        if waiting is not None:
            session.send(waiting)
        fault = fire("dup", now_ns, facts)
        if fault is not None:
            again = with_fields(text, fault.args.get("set"))
            for _ in range(int(fault.number_arg("times", 1))):
                session.send(again)


class SessionFaults:
    """What befalls whole connections; asked at every beat and whenever something is to be sent."""

    def __init__(self, faults: Faults, at: Callable[[int, Callable[[int], None]], None]) -> None:
        """`at` runs something at a later time."""
        self._faults = faults
        self._at = at

    def befall(self, session: Session, now_ns: int) -> None:
        """Let the verbs of connections strike one."""
        fire, facts = self._faults.fire, session.facts
        fault = fire("disconnect", now_ns, facts)
        if fault is not None:
            code = int(fault.number_arg("code", 1006))
            session.cut(code, str(fault.args.get("reason", "")))
            return
        if not session.is_mute and fire("half_open", now_ns, facts):
            session.is_mute = True
        if session.held is None:
            fault = fire("burst", now_ns, facts)
            if fault is not None:
                session.held = []
                until_ns = now_ns + int(fault.number_arg("ms", 2000) * MILLI_NS)
                self._at(until_ns, lambda _ts_ns: session.release())

    def passes(self, session: Session, frames: list[Frame], now_ns: int) -> list[Frame]:
        """Those of the frames that really leave now."""
        if session.is_mute:
            return []
        if self._faults.fire("freeze", now_ns, session.facts, unless=_is_not_socket):
            return []
        due, session.due = session.due, []
        fault = self._faults.fire("late", now_ns, session.facts) if frames else None
        if fault is not None:
            session.due_ns = max(session.due_ns, now_ns + int(fault.number_arg("ms", 1000) * MILLI_NS))
        if session.due_ns <= now_ns:
            return due + frames
        self._at(session.due_ns, lambda _ts_ns: session.arrive(frames))
        return due


def with_checksum(text: str, how: str) -> str:
    """A frame with its checksum bad, zero or absent."""
    if how == "absent":
        return CHECKSUM.sub("", text, count=1).replace("{,", "{", 1)
    if how == "zero":
        return CHECKSUM.sub(r'\1"checksum":0', text, count=1)
    return CHECKSUM.sub(lambda found: f'{found[1]}"checksum":{int(found[2]) ^ 1}', text, count=1)


def with_fields(text: str, fields: object) -> str:
    """A frame in which the named fields (of any object in it) have other texts."""
    for name, value in fields.items() if isinstance(fields, Mapping) else ():
        text = re.sub(rf'("{re.escape(str(name))}":\s*)("[^"]*"|-?[\d.]+)', rf'\g<1>"{value}"', text)
    return text


def poisonable(text: str, fault: Fault) -> bool:
    """Whether a frame says a price or quantity of the kind that the fault is after."""
    return any(fault.args.get("field", "") in ("", cell[2]) for cell in cells(parse(text)))


def poisoned(text: str, fault: Fault, rng: Random) -> str:
    """A frame with one price or quantity replaced by `value`; a `bare` one stands without quotes."""
    tree = parse(text)
    found = [cell for cell in cells(tree) if fault.args.get("field", "") in ("", cell[2])]
    value = str(fault.args.get("value", "NaN"))
    write(rng.choice(found), Literal(value) if fault.args.get("bare") else value)
    return dump(tree)


def _is_socket(fault: Fault) -> bool:
    return fault.args.get("what") == "socket"


def _is_not_socket(fault: Fault) -> bool:
    return not _is_socket(fault)
