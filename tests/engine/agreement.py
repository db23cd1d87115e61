"""What it means that gambit and the slow twin say the same of a stream, and how both are asked.

Two ways lead through gambit: `replayed` (files, a configuration as an operator writes it, gambit.runtime.replay) and
`driven` (parsed records straight into a Market, for parameters that no configuration allows). Both give a Said, and so
does `twin_said`; `difference` tells the first thing in which two of them differ.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from gambit.config import load
from gambit.engine.market import Market
from gambit.engine.params import AliasParams, EngineParams, GroupParams, VenueParams
from gambit.runtime.replay import replay
from gambit.sim.faults import encode_line
from gambit.venues import VENUES
from gambit.venues.decode import decode
from tests.engine.driver import Driver
from tests.reference import replay as twin

RELATIVE = 1e-9  # replay-rules, "Numbers in outputs"
ABSOLUTE = 1e-9  # for what cancels to nothing, such as the impact of a walk of one level
DECIMALS = frozenset({"qty", "bid", "ask", "bid_qty", "ask_qty"})
PARAMETERS = {
    "window_size_sec": "window_sec",
    "min_liquidity_depth": "min_liquidity",
    "opportunity_ttl_sec": "ttl_sec",
    "max_slippage_bps": "max_slippage_bps",
    "min_spread_bps": "min_spread_bps",
    "fee_bps": "fee_bps",
    "max_book_age_ms": "max_book_age_ms",
    "max_notional": "max_notional",
    "safety_margin_bps": "safety_margin_bps",
    "min_persistence": "min_persistence",
    "max_mid_ratio": "max_mid_ratio",
}

Line = dict[str, Any]
Settings = Mapping[str, Any]


@dataclass
class Said:
    """All that a replay of a stream tells."""

    ticks: list[Line] = field(default_factory=list)
    opportunities: list[Line] = field(default_factory=list)
    books: list[Line] = field(default_factory=list)
    exit_code: int = 0


# ---- asking ----


def write_capture(records: Sequence[Line], path: Path) -> Path:
    """The records as a capture file; lines that are no records (`{"t": "line"}`) among them."""
    path.write_bytes(b"".join(encode_line(record) for record in records))
    return path


def replayed(files: Sequence[Path], settings: Settings, symbols: Sequence[str] | None, folder: Path) -> Said:
    """gambit's replay of files with a configuration written to `folder` as TOML."""
    file = folder / "settings.toml"
    file.write_text("".join(f"{key} = {toml(value)}\n" for key, value in settings.items()))
    config = load(file, {})
    said = Said()
    out = io.BytesIO()
    result = replay(files, config, symbols=symbols, emit="ticks", out=out, observe=said.opportunities.append)
    said.ticks = [orjson.loads(line) for line in out.getvalue().splitlines()]
    out = io.BytesIO()
    replay(files, config, symbols=symbols, emit="books", out=out)
    said.books = [orjson.loads(line) for line in out.getvalue().splitlines()]
    said.exit_code = result.exit_code
    return said


def toml(value: object) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(toml(inner) for inner in value)}]"
    return json.dumps(value)


def driven(records: Sequence[Line], settings: Settings, symbols: Sequence[str] | None) -> Said:
    """A Market over parsed records in their order; settings may lie outside the configuration's ranges."""
    said = Said()
    driver = Driver(Market(parameters(settings, symbols), VENUES, decode))
    for record in records:
        if record["t"] != "header":
            said.opportunities += driver.take(record)
            said.ticks += driver.ticks()
    said.books = driver.books()
    return said


def parameters(settings: Settings, symbols: Sequence[str] | None) -> EngineParams:
    """What gambit.runtime.wiring makes of a configuration, without its ranges."""
    engine = dict(settings.get("engine", {}))
    fee = Decimal(str(engine.get("fee_bps", 10)))
    weights = engine.get("ranking_weights", {"spread": 0.5, "liquidity": 0.3, "volatility": 0.2})
    refs = {"spread_ref_bps": 50, "liquidity_ref": 100_000, "volatility_ref": 10}
    values: dict[str, Any] = {name: Decimal(str(engine[key])) for key, name in PARAMETERS.items() if key in engine}
    aliases = settings.get("assets", {}).get("aliases", [])
    return EngineParams(
        **values,
        weights=(float(weights["spread"]), float(weights["liquidity"]), float(weights["volatility"])),
        refs=tuple(float(engine.get(key, default)) for key, default in refs.items()),  # type: ignore[arg-type]
        groups=tuple(GroupParams(group["name"], tuple(group["members"])) for group in engine.get("groups", [])),
        aliases=tuple(AliasParams(alias["ticker"], alias["asset"], alias.get("venue", "")) for alias in aliases),
        symbols=tuple(symbols) if symbols is not None else None,
        venues={
            name: VenueParams(Decimal(str(venue.get("taker_fee_bps", fee))), venue.get("source") == "bbo")
            for name, venue in settings.get("venues", {}).items()
        },
    )


def twin_said(sources: Sequence[object], settings: Settings, symbols: Sequence[str] | None) -> Said:
    """The slow twin over files or lists of records."""
    result = twin.run(sources, dict(settings), None if symbols is None else list(symbols))
    return Said(result.ticks, result.opportunities, result.books, 1 if result.errors else 0)


# ---- comparing ----


def difference(ours: Said, twins: Said) -> str | None:
    """The first thing in which gambit and the twin differ, None where they agree."""
    for what in ("ticks", "opportunities", "books"):
        told = lines_difference(getattr(ours, what), getattr(twins, what))
        if told is not None:
            return f"{what}{told}"
    return None


def lines_difference(ours: Sequence[Line], twins: Sequence[Line]) -> str | None:
    """The first line, and the field of it, in which two outputs differ."""
    for number in range(max(len(ours), len(twins))):
        line = ours[number] if number < len(ours) else None
        other = twins[number] if number < len(twins) else None
        if line is None or other is None:
            return f"[{number}]: gambit {line}, the twin {other}"
        if line.keys() != other.keys():
            return f"[{number}]: fields {sorted(line.keys() ^ other.keys())} only on one side"
        for name in line:
            if not agree(name, line[name], other[name]):
                return f"[{number}].{name}: gambit {line[name]!r}, the twin {other[name]!r}\n{line}\n{other}"
    return None


def agree(name: str, value: Any, other: Any) -> bool:
    """Whether two values of a field are the same: decimal texts by value, doubles to 1e-9, all else exactly."""
    if value is None or other is None:
        return value is other
    if name in DECIMALS:
        return Decimal(value) == Decimal(other)
    if name in ("bids", "asks"):
        return [tuple(map(Decimal, row)) for row in value] == [tuple(map(Decimal, row)) for row in other]
    if isinstance(value, float) or isinstance(other, float):
        return bool(abs(value - other) <= max(RELATIVE * max(abs(value), abs(other)), ABSOLUTE))
    return bool(value == other)
