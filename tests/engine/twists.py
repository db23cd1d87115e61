"""Streams beyond what gambit.sim makes and a configuration allows, for Market and slow twin to agree on.

A twist takes the records after the header and a generator and gives new records; it looks for what the simulated
exchanges never do: connections that share their names or change them, frames about several books, sequence numbers
that jump, acks of another depth, instrument lists that come late, times on a grid.
"""

import re
from collections.abc import Callable
from random import Random
from typing import Any

from gambit.sim.recording import Record
from tests.streams import SYMBOLS, VENUES, Stream, stream

Twist = Callable[[list[Record], Random], list[Record]]

TIMES_NS = (50_000_000, 100_000_000, 500_000_000)  # grids on which several records share an instant
ID_NAMES = ("U", "u", "pu", "seqId", "prevSeqId", "sequence_num")
TYPES = ('"snapshot"', '"update"', '"delta"', '"x"')
CHANNELS = (
    ('"books"', '"books-l2-tbt"'), ('"books"', '"books5"'), ('"books"', '"bbo-tbt"'), ('"bbo-tbt"', '"books"'),
    ("orderbook.50.", "orderbook.1."), ("orderbook.1.", "orderbook.50."), ("orderbook.", "orderbook.1000."),
    ("orderbook.50.", "orderbook.x."), ("orderbook.50.", "orderbook.."), ('"book"', '"ticker"'),
    ('"ticker"', '"book"'), ('"l2_data"', '"level2"'), ("@depth@", "@depth20@"), ('"e":"depthUpdate",', ""),
)  # fmt: skip
ADDRESSES = (
    "wss://stream.bybit.com/v5/public/linear", "wss://stream.bybit.com/v5/public/spot",
    "wss://s/v5/public/spot?x=1", "wss://s/v5/public/spot/", "wss://s/stream?timeUnit=MICROSECOND", "",
)  # fmt: skip
DEPTHS = ("10", "25", "3", '"10"', "0", "-5", "1.5", "5000", "null")
SNAPSHOTS = (
    "{}", "[]", "null", '{"code":-1121,"msg":"Invalid symbol."}', "<html>", '{"lastUpdateId":5}',
    '{"lastUpdateId":"5","bids":[],"asks":[]}', '{"lastUpdateId":7,"bids":[],"asks":[]}',
    '{"code":1,"lastUpdateId":9,"bids":[],"asks":[["1","2"]]}',
)  # fmt: skip


def twisted(seed: int) -> Stream:
    """A stream of tests.streams, twisted up to five times, with parameters mostly out of their range."""
    rng = Random(f"twisted {seed}")
    case = stream(seed)
    header, *records = case.records
    for _ in range(rng.choice([0, 1, 1, 2, 3, 5])):
        records = rng.choice(TWISTS)(records, rng)
    config = _config(case.config, rng)
    symbols = _symbols(case.symbols, config, rng)
    return Stream([header, *records], config, symbols, f"twisted({seed})")


def _config(plain: dict[str, Any], rng: Random) -> dict[str, Any]:
    engine = dict(plain["engine"])
    if rng.random() < 0.5:
        engine |= {
            "min_spread_bps": rng.choice([-3, 0, 0.5, 1, 2, 5]),
            "min_liquidity_depth": rng.choice([0, 10, 1000, 1234.5]),
            "max_slippage_bps": rng.choice([0, 0.1, 1, 5, 250]),
            "max_notional": rng.choice([0.01, 1, 37.123456789, 1e6, 5e11]),
            "max_book_age_ms": rng.choice([1, 10, 100, 250.5, 1500, 1e6]),
            "opportunity_ttl_sec": rng.choice([0.5, 1, 2, 5]),
            "window_size_sec": rng.choice([1, 2, 3, 30]),
        }
    if rng.random() < 0.3:
        engine["max_mid_ratio"] = rng.choice([1.0001, 1.001, 1.01, 2])
    if rng.random() < 0.3:
        engine["min_persistence"] = rng.choice([0.001, 0.1, 0.5, 0.9, 1])
    if rng.random() < 0.3:
        engine["safety_margin_bps"] = rng.choice([0.001, 1, 5])
    venues = {name: dict(section) for name, section in plain.get("venues", {}).items()}
    for name in VENUES:
        if rng.random() < 0.3:
            venues.setdefault(name, {})["taker_fee_bps"] = rng.choice([-1, 0, 0.1, 3, 7.77])
        if rng.random() < 0.05:
            venues.setdefault(name, {})["source"] = "bbo"
    config = {"engine": engine, "venues": venues}
    if rng.random() < 0.25:
        config["assets"] = {"aliases": [_alias(rng)]}
    return config


def _alias(rng: Random) -> dict[str, str]:
    """A ticker that the streams have and that means a new asset, or one that they lack and that means an old asset."""
    ticker, asset = rng.choice([("BTC", "COIN"), ("PEPE", "MEME"), ("USDT", "TETHER"), ("XBT", "BTC"), ("XRC", "LRC")])
    alias = {"ticker": ticker, "asset": asset}
    return {**alias, "venue": rng.choice(VENUES)} if rng.random() < 0.5 else alias


def _symbols(asked: list[str] | None, config: dict[str, Any], rng: Random) -> list[str] | None:
    chance = rng.random()
    if chance < 0.15:
        return None
    if chance < 0.3:
        names = [*SYMBOLS, "BTC-USDT-PERP", "BTC-USD-PERP", "ETH-USDT-PERP"]
        return rng.sample(names, rng.choice([1, 2, 4]))
    for alias in config.get("assets", {}).get("aliases", []):
        if asked is not None and rng.random() < 0.7:
            asked = [*asked, *[symbol.replace(alias["ticker"], alias["asset"]) for symbol in asked]]
    return asked


# ---- connections ----


def one_name(records: list[Record], _rng: Random) -> list[Record]:
    """The connections of all venues have one name."""
    return [{**record, "conn": "c"} if "conn" in record else record for record in records]


def one_connection_a_venue(records: list[Record], _rng: Random) -> list[Record]:
    """All that a venue sends comes by one connection."""
    return [{**record, "conn": record["venue"]} if "conn" in record else record for record in records]


def another_connection(records: list[Record], rng: Random) -> list[Record]:
    """From somewhere on a venue's frames, or a share of them, come by another connection."""
    first = rng.randrange(len(records))
    venue, share = records[first].get("venue"), rng.choice([0.05, 0.5, 1.0])
    return [
        {**record, "conn": "moved"}
        if index >= first and record["t"] == "recv" and record["venue"] == venue and rng.random() < share
        else record
        for index, record in enumerate(records)
    ]


def lost_connects(records: list[Record], rng: Random) -> list[Record]:
    """Most connections were opened before the recording began."""
    return [record for record in records if record["t"] != "connect" or rng.random() < 0.3]


def other_addresses(records: list[Record], rng: Random) -> list[Record]:
    """Connections to another market type, with microseconds, to nowhere, or without an address."""
    twisted_records = []
    for record in records:
        if record["t"] == "connect":
            record = {**record, "addr": rng.choice([*ADDRESSES, record.get("addr", "")])}
            if rng.random() < 0.1:
                del record["addr"]
        twisted_records.append(record)
    return twisted_records


def opened_and_closed(records: list[Record], rng: Random) -> list[Record]:
    """Connections, known and unknown, close and open between the records."""
    records = list(records)
    for _ in range(rng.choice([1, 3, 6])):
        at = rng.randrange(len(records))
        if "conn" in records[at]:
            kind = rng.choice(["close", "close", "connect", "send"])
            record = {name: records[at][name] for name in ("ts", "conn", "venue")} | {"t": kind}
            if rng.random() < 0.2:
                record["conn"] = "nobody"
            more = {"connect": {"addr": rng.choice(ADDRESSES)}, "send": {"data": "{}"}}.get(kind, {})
            records.insert(at, record | more)
    return records


# ---- frames ----


def _frames(records: list[Record], rng: Random, *venues: str) -> list[int]:
    """Some frames, of certain venues if any are named."""
    found = [
        index
        for index, record in enumerate(records)
        if record["t"] == "recv" and "data" in record and (not venues or record["venue"] in venues)
        if '"method"' not in record["data"]  # acks are other_acks' business
    ]
    return rng.sample(found, min(len(found), rng.choice([1, 4, 10])))


def _replaced(records: list[Record], rng: Random, pairs: tuple[tuple[str, str], ...]) -> list[Record]:
    records = list(records)
    for at in _frames(records, rng):
        old, new = rng.choice(pairs)
        records[at] = {**records[at], "data": records[at]["data"].replace(old, new, 1)}
    return records


def other_types(records: list[Record], rng: Random) -> list[Record]:
    """Snapshots that say they are updates, updates that say they are snapshots, and what says neither."""
    pairs = tuple((old, new) for old in TYPES[:3] for new in TYPES if old != new)
    return _replaced(records, rng, (*pairs, ('"type":', '"tipe":'), ('"action":', '"aktion":')))


def other_channels(records: list[Record], rng: Random) -> list[Record]:
    """Frames of a channel that says it is another."""
    return _replaced(records, rng, CHANNELS)


def other_symbols(records: list[Record], rng: Random) -> list[Record]:
    """Frames about another symbol, or about none."""
    pairs = (("BTC", "ETH"), ("ETH", "BTC"), ("USDT", "USD"), ('"s":', '"S":'), ('"symbol":', '"sym":'), ("BTC", "btc"))
    return _replaced(records, rng, pairs)


def other_ids(records: list[Record], rng: Random) -> list[Record]:
    """Ids that are off by a little or by much."""
    records = list(records)
    for at in _frames(records, rng):
        text = records[at]["data"]
        for match in re.finditer(rf'"({rng.choice(ID_NAMES)})":(-?\d+)', text):
            number = int(match[2])
            other = rng.choice([number + 1, number - 1, 1, 0, -1, number + 1000])
            text = text[: match.start()] + f'"{match[1]}":{other}' + text[match.end() :]
            break
        records[at] = {**records[at], "data": text}
    return records


def other_acks(records: list[Record], rng: Random) -> list[Record]:
    """Kraken's subscription acks promise another depth, come late, or twice."""
    records = list(records)
    acks = [at for at, r in enumerate(records) if r.get("venue") == "kraken" and '"subscribe"' in r.get("data", "")]
    for at in acks:
        if rng.random() < 0.5 and records[at]["t"] == "recv":
            text = re.sub(r'"depth":\d+', f'"depth":{rng.choice(DEPTHS)}', records[at]["data"])
            records[at] = {**records[at], "data": text}
        if rng.random() < 0.2:
            later = rng.randrange(at, len(records))
            records.insert(later, {**records[at], "ts": records[later].get("ts", 0)})
    return records


def several_books(records: list[Record], rng: Random) -> list[Record]:
    """Frames of one connection joined: several books, or one book several times, in one frame."""
    records = list(records)
    for at in _frames(records, rng, "coinbase", "kraken", "okx"):
        others = [
            other
            for other in range(max(0, at - 20), min(len(records), at + 20))
            if other != at and records[other].get("conn") == records[at]["conn"] and records[other]["t"] == "recv"
        ]
        if not others:
            continue
        other = rng.choice(others)
        joined = _joined(records[at].get("data", ""), records[other].get("data", ""), rng)
        if joined is not None:
            records[at] = {**records[at], "data": joined}
            if rng.random() < 0.7:
                records[other] = {**records[other], "t": "send"}  # it keeps its place and its time
    return records


def _joined(text: str, other: str, rng: Random) -> str | None:
    """Two frames of one channel (and, on OKX, one book) and one type as one, their parts in either order."""
    form = re.compile(r'(.*?)("data":|"events":)\[(\{.*\})\](.*)', re.DOTALL)
    first, second = form.fullmatch(text), form.fullmatch(other)
    if first is None or second is None or _head(first) != _head(second):
        return None
    parts = [first[3], second[3]]
    rng.shuffle(parts)
    return f"{first[1]}{first[2]}[{','.join(parts)}]{first[4]}"


def _head(frame: re.Match[str]) -> list[str]:
    """What a frame says of itself around its parts, numbers and times left out."""
    return re.findall(r'"(?:channel|instId|action|type)":"[^"]*"', frame[1] + frame[4])


# ---- time and what comes beside the stream ----


def jittered(records: list[Record], rng: Random) -> list[Record]:
    """Clocks that step back and forth."""
    ms = rng.choice([1, 5, 1000])
    return [
        {**record, "ts": max(0, record["ts"] + rng.randrange(-ms, ms + 1) * 1_000_000)}
        if "ts" in record and rng.random() < 0.3
        else record
        for record in records
    ]


def on_a_grid(records: list[Record], rng: Random) -> list[Record]:
    """Many records at one instant."""
    step = rng.choice(TIMES_NS)
    return [{**record, "ts": record["ts"] // step * step} if "ts" in record else record for record in records]


def late_list(records: list[Record], rng: Random) -> list[Record]:
    """An instrument list comes late, twice, or not at all."""
    lists = [at for at, r in enumerate(records) if r["t"] == "http" and "lastUpdateId" not in r["data"]]
    if not lists:
        return records
    found = records[rng.choice(lists)]
    rest = [record for record in records if record is not found or rng.random() < 0.3]
    if rng.random() < 0.8:
        at = rng.randrange(1, len(rest) + 1)
        rest.insert(at, {**found, "ts": rest[at - 1].get("ts", found["ts"])})
    return rest


def no_lists(records: list[Record], rng: Random) -> list[Record]:
    """Most instrument lists were not recorded."""
    return [r for r in records if r["t"] != "http" or "lastUpdateId" in r["data"] or rng.random() < 0.2]


def other_answers(records: list[Record], rng: Random) -> list[Record]:
    """Depth snapshots and lists that are something else, whose address names no symbol or an unknown one."""
    twisted_records = []
    for record in records:
        if record["t"] == "http" and rng.random() < 0.3:
            renamed = record["data"].replace('"bids"', '"bidz"').replace('"symbols"', '"sym"')
            record = {**record, "data": rng.choice([*SNAPSHOTS, renamed])}
        elif record["t"] == "http" and rng.random() < 0.3:
            url = record["url"]
            nameless = re.sub(r"symbol=[^&]*&?", "", url)
            urls = [nameless, url.replace("symbol=", "symbol=X"), "depth?limit=1000", url.replace("/depth", "/depths")]
            record = {**record, "url": rng.choice(urls)}
        twisted_records.append(record)
    return twisted_records


TWISTS: tuple[Twist, ...] = (
    one_name, one_connection_a_venue, another_connection, lost_connects, other_addresses, opened_and_closed,
    other_types, other_channels, other_symbols, other_ids, other_acks, several_books, jittered, on_a_grid, late_list,
    no_lists, other_answers,
)  # fmt: skip
