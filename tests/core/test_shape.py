"""A frame read by its shape does what the scanner would have made of it: two markets, one of which learns no shapes."""

import re
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit.engine.market import Market
from gambit.engine.params import EngineParams, VenueParams
from gambit.sim.capture import Scene, scene_records
from gambit.venues import VENUES
from gambit.venues.decode import decode
from tests.core.frames import FORMS, SYMBOLS, TELLING, edited, frames, scratched
from tests.core.profile import examples

START_NS = 10**18
STEP_NS = 10_000_000
NAMES = sorted(VENUES)
ADDRESSES = {"bybit": "wss://x/spot", "bybit-linear": "wss://x/linear"}
PLENTY = 0.9  # of ordinary frames of best prices are read by their shape

every_venue = pytest.mark.parametrize("venue", NAMES)
every_form = pytest.mark.parametrize("form", range(len(FORMS)))


class Twins:
    """A market that learns shapes and one that does not, given the same."""

    def __init__(self, venue: str) -> None:
        symbols = (*SYMBOLS, *(f"{symbol}-PERP" for symbol in SYMBOLS))
        params = EngineParams(symbols=symbols, venues={venue: VenueParams(Decimal(10), is_bbo=True)})
        self.markets = [Market(params, VENUES, decode) for _ in range(2)]
        self.conns = [made.connect(venue, "c", address=ADDRESSES.get(venue)) for made in self.markets]
        self.index = self.markets[0].venues[venue].index
        self.markets[1].hot.learn_shapes(False)
        for made in self.markets:
            made.pairs.tell_ticks(True)
        self.now = START_NS

    def frame(self, data: bytes) -> None:
        self.now += STEP_NS
        for made, conn in zip(self.markets, self.conns, strict=True):
            made.on_frame(conn, data, self.now)

    def disconnect(self) -> None:
        self.now += STEP_NS
        for made, conn in zip(self.markets, self.conns, strict=True):
            made.disconnect(conn, self.now)

    @property
    def best_prices(self) -> int:
        """Frames of best prices that were applied so far."""
        return sum(book["applied"] for book in self.markets[1].books(levels=False))

    @property
    def shaped(self) -> int:
        """Frames that the one market read by their shape; the other reads none so."""
        assert self.markets[1].hot.shaped(self.index) == 0
        return self.markets[0].hot.shaped(self.index)

    def agree(self) -> None:
        """Books, counts, what was told of them and what was refused are the same."""
        one, other = (self.told(made) for made in self.markets)
        assert one == other

    def told(self, made: Market) -> dict[str, Any]:
        refused = [repr(letter) for letter in made.dead_letters]
        made.dead_letters.clear()
        return {
            "books": list(made.books()),
            "counts": made.hot.venue_counts(self.index),
            "ticks": bytes(made.ticks()),
            "refused": refused,
        }


@cache
def stream(venue: str, form: int) -> tuple[bytes, ...]:
    """What a connection sends that subscribed best prices, in one of the forms that a venue's wire is seen in."""
    scene = Scene(venues=[venue], symbols=SYMBOLS, seconds=3, seed=form, options=FORMS[form], source="bbo")
    return tuple(record["data"].encode() for record in scene_records(scene) if record["t"] == "recv")


@cache
def neighbours(venue: str, form: int) -> tuple[bytes, bytes]:
    """Two frames of best prices of one symbol, the second of which the first prepares the way for."""
    twins = Twins(venue)
    last: dict[bytes, bytes] = {}
    for frame in stream(venue, form):
        shaped, applied = twins.shaped, twins.best_prices
        twins.frame(frame)
        if twins.best_prices == applied:
            continue
        symbol = b"".join(re.findall(rb"[A-Z]{3,4}[-/]?[A-Z]{3,4}", frame))
        if twins.shaped > shaped and symbol in last:
            return numbered(last[symbol], 7), numbered(frame, 8)
        last[symbol] = frame
    raise AssertionError("no two frames of a shape")


def numbered(frame: bytes, number: int) -> bytes:
    """The frame with that number in its connection's sequence, where it has one."""
    return re.sub(rb'("sequence_num": ?)[0-9]+', rb"\g<1>%d" % number, frame)


@every_form
@every_venue
def test_ordinary_best_prices_are_read_by_their_shape(venue, form):
    """Of a venue's frames of best prices nearly all are, and it makes no difference."""
    twins = Twins(venue)
    for frame in stream(venue, form):
        twins.frame(frame)
        twins.agree()
    assert twins.best_prices > 50
    assert twins.shaped > PLENTY * twins.best_prices - 10  # until shapes are learned


@every_form
@every_venue
def test_any_other_byte(venue, form):
    """A frame that differs from one of the shape in a single byte, anywhere, is read as the scanner reads it."""
    rng = Random(f"{venue}/{form}")
    twins = Twins(venue)
    before, frame = neighbours(venue, form)
    for _ in range(4):  # so that the shapes of both are known
        twins.disconnect()
        twins.frame(before)
        twins.frame(frame)
    taken = 0
    for at in range(len(frame)):
        for byte in {*rng.sample(TELLING, 3), rng.choice(b"123456789"), ord("0"), frame[at] ^ 1 << rng.randrange(8)}:
            twins.disconnect()
            twins.frame(before)
            count = twins.shaped
            twins.frame(frame[:at] + bytes([byte]) + frame[at + 1 :])
            taken += twins.shaped - count
            twins.agree()
    assert taken > 20  # digits for other digits, mostly


@every_form
@every_venue
@examples(0.5)
@given(st.integers(0, 2**32))
def test_damaged_frames(venue, form, seed):
    """Frames in order and out of it, edited, cut and scratched, among good ones."""
    rng = Random(seed)
    twins = Twins(venue)
    sent = stream(venue, form)
    at = rng.randrange(max(1, len(sent) - 40))
    for frame in sent[at : at + 40]:
        kind = rng.random()
        if kind < 0.1:
            twins.frame(edited(frame, rng))
        elif kind < 0.3:
            twins.frame(scratched(frame, rng))
        elif kind < 0.33:
            twins.frame(rng.choice(frames(venue)))
        elif kind < 0.35:
            twins.disconnect()
        if kind < 0.9:
            twins.frame(frame)
        twins.agree()


def test_venue_that_changes_its_frames_is_followed():
    """Behind a change of form a new shape is learned, soon when it happens once."""
    twins = Twins("binance")
    for form in (0, 1, 0):
        shaped, sent = twins.shaped, stream("binance", form)
        twins.disconnect()
        for frame in sent:
            twins.frame(frame)
        twins.agree()
        assert twins.shaped > shaped + len(sent) // 2
