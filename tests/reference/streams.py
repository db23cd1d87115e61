"""Small hand-made captures for tests: records of each venue as the wire has them, with times in milliseconds."""

import json

MS = 10**6


def recv(venue: str, ms: float, data: object, conn: str = "c") -> dict:
    """One received frame; text is taken as it is, anything else is written as JSON."""
    text = data if isinstance(data, str) else json.dumps(data)
    return {"t": "recv", "ts": int(ms * MS), "venue": venue, "conn": conn, "data": text}


def connect(venue: str, ms: float, conn: str = "c", addr: str = "wss://x/spot") -> dict:
    return {"t": "connect", "ts": int(ms * MS), "venue": venue, "conn": conn, "addr": addr}


def close(venue: str, ms: float, conn: str = "c") -> dict:
    return {"t": "close", "ts": int(ms * MS), "venue": venue, "conn": conn}


def http(venue: str, ms: float, url: str, data: object) -> dict:
    return {"t": "http", "ts": int(ms * MS), "venue": venue, "url": url, "data": json.dumps(data)}


def send(venue: str, ms: float) -> dict:
    """A record that only moves the clock."""
    return {"t": "send", "ts": int(ms * MS), "venue": venue, "conn": "c", "data": "{}"}


def diff(
    ms: float, first: int, last: int, bids=(), asks=(), conn="c", venue="binance", symbol="BTCUSDT", **more
) -> dict:
    body = {"e": "depthUpdate", "E": 7, "s": symbol, "U": first, "u": last, "b": list(bids), "a": list(asks)}
    return recv(venue, ms, body | more, conn)


def snapshot(ms: float, last: int, bids=(), asks=(), venue="binance", symbol="BTCUSDT") -> dict:
    body = {"lastUpdateId": last, "bids": list(bids), "asks": list(asks)}
    return http(venue, ms, f"https://x/api/v3/depth?symbol={symbol}&limit=100", body)


def okx(
    ms: float, action: str, prev: int, seq: int, bids=(), asks=(), symbol="BTC-USDT", conn="c", channel="books"
) -> dict:
    entry = {"bids": list(bids), "asks": list(asks), "ts": "5", "checksum": 0, "prevSeqId": prev, "seqId": seq}
    return recv("okx", ms, {"arg": {"channel": channel, "instId": symbol}, "action": action, "data": [entry]}, conn)


def bybit(ms: float, kind: str, u: int, bids=(), asks=(), conn="c", depth=50, venue="bybit") -> dict:
    data = {"s": "BTCUSDT", "b": list(bids), "a": list(asks), "u": u, "seq": 1}
    frame = {"topic": f"orderbook.{depth}.BTCUSDT", "ts": 2, "type": kind, "data": data, "cts": 1}
    return recv(venue, ms, frame, conn)


def coinbase(ms: float, seq: int, *events: dict, channel="l2_data", conn="c") -> dict:
    time = "2026-04-07T14:30:00.123456789Z"
    return recv(
        "coinbase", ms, {"channel": channel, "timestamp": time, "sequence_num": seq, "events": list(events)}, conn
    )


def event(kind: str, bids=(), asks=(), product="BTC-USDT") -> dict:
    levels = [{"side": "bid", "price_level": price, "new_quantity": qty} for price, qty in bids]
    levels += [{"side": "offer", "price_level": price, "new_quantity": qty} for price, qty in asks]
    return {"type": kind, "product_id": product, "updates": levels}


def row(price: object, qty: object = "1") -> list:
    return [str(price), str(qty)]
