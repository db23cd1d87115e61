"""Frames of the simulated venues and what may become of them on the way, for the tests of scanner and hot path."""

import json
from collections.abc import Sequence
from functools import cache
from random import Random

from gambit.sim.capture import Scene, scene_records
from gambit.sim.dialects import QUIRKS
from gambit.sim.frame_faults import EDITS
from gambit.sim.jsontree import parse
from gambit.sim.wire import WireOptions
from gambit.venues import VENUES

SYMBOLS = ("BTC-USDT", "PEPE-USDT", "ETH-BTC", "BTC-USD")
FORMS = (
    WireOptions(),
    WireOptions(wrapped=False, padded=False, client_id=False, checksums=True, okx_books="books50-l2-tbt"),
)
SECONDS = 3
# Bytes that mean something to a JSON reader, to a number or to a string.
TELLING = b'"\\{}[]:,0123456789.-+eE \t\n\r\0\x1f\x7f\x80\xc3\xa9\xffnulltrfaseNI'
TRIES = 20


@cache
def frames(venue: str) -> tuple[bytes, ...]:
    """JSON frames of a venue in all forms its wire is seen in, books and best prices, quirks included, each once."""
    found: dict[bytes, None] = {}
    for seed, form in enumerate(FORMS):
        for source in ("depth", "bbo"):
            scene = Scene(
                venues=[venue], symbols=SYMBOLS, seconds=SECONDS, seed=seed, options=form, source=source,
                faults=QUIRKS[venue],
            )  # fmt: skip
            found |= {record["data"].encode(): None for record in scene_records(scene) if record["t"] == "recv"}
    return tuple(frame for frame in found if frame not in VENUES[venue].wire.plain_texts)


def sample(venue: str, count: int, rng: Random) -> Sequence[bytes]:
    """Some frames of a venue, one of each kind and length first."""
    kinds = {(frame[:40], len(frame) // 200): frame for frame in frames(venue)}
    chosen = rng.sample(sorted(kinds.values()), min(count, len(kinds)))
    return [*chosen, *rng.choices(frames(venue), k=count - len(chosen))]


def edited(frame: bytes, rng: Random) -> bytes:
    """The frame after one of the simulator's edits, which say the same in other words or something wrong."""
    for _ in range(TRIES):
        text = EDITS[rng.choice(sorted(EDITS))](parse(frame.decode()), rng)
        if text is not None:
            return text.encode("utf-8", "surrogatepass")
    return frame


def scratched(frame: bytes, rng: Random) -> bytes:
    """The frame with a few bytes changed, lost, inserted, repeated or moved."""
    broken = bytearray(frame)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        at = rng.randrange(len(broken) + 1)
        end = min(len(broken), at + rng.choice((1, 1, 1, 2, 8, 40)))
        kind = rng.randrange(6)
        if kind == 0 and at < len(broken):
            broken[at] = rng.choice(TELLING)
        elif kind == 1:
            broken.insert(at, rng.choice(TELLING))
        elif kind == 2:
            del broken[at:end]
        elif kind == 3:
            broken[at:at] = broken[at:end]
        elif kind == 4 and at < len(broken):
            broken[at] ^= 1 << rng.randrange(8)
        else:
            piece = broken[at:end]
            del broken[at:end]
            to = rng.randrange(len(broken) + 1)
            broken[to:to] = piece
    return bytes(broken)


def is_json(frame: bytes) -> bool:
    """Whether a strict reader takes it: UTF-8, no NaN or Infinity."""
    try:
        json.loads(frame.decode("utf-8"), parse_constant=_refuse, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
