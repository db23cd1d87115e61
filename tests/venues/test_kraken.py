"""Kraken's language: numbers whose text matters, books cut to their depth and proved by a checksum."""

import zlib
from decimal import Decimal

import pytest

from gambit.model import Acknowledged, Instrument, ListedInstruments, SubscribedDepth, VenueNotice
from gambit.venues import VENUES
from tests.venues.listening import Listener, facts, requests

LIST = "https://api.kraken.com/0/public/AssetPairs"
PAIR = (
    '{"altname":"X","wsname":"%s","pair_decimals":2,"lot_decimals":3,"ordermin":"0.5","costmin":"0.25",'
    '"tick_size":"0.01","status":"online"}'
)
ACK = '{"method":"subscribe","req_id":1,"result":{"channel":"book","depth":%s,"snapshot":true,"symbol":"AAA/BBB"},%s}'
INSTRUMENT = (
    '{"channel":"instrument","type":"snapshot","data":{"assets":[],"pairs":[{"symbol":"AAA/BBB","base":"AAA",'
    '"quote":"BBB","status":"online","qty_precision":3,"qty_increment":0.001,"qty_min":0.5,"price_precision":2,'
    '"price_increment":0.01,"cost_precision":5,"cost_min":0.25}]}}'
)

Level = tuple[str, str]


def digits(number: str) -> str:
    """A number as the checksum has it: without the point and leading zeros."""
    return number.replace(".", "").lstrip("0")


def checksum(asks: list[Level], bids: list[Level]) -> int:
    """CRC32 over the best ten asks and bids, as the manual says."""
    return zlib.crc32("".join(digits(part) for level in asks[:10] + bids[:10] for part in level).encode())


def frame(kind: str, bids: list[Level], asks: list[Level], crc: int, symbol: str = "AAA/BBB") -> str:
    """A book frame with its numbers written as they are given."""
    sides = (",".join(f'{{"price":{price},"qty":{qty}}}' for price, qty in side) for side in (bids, asks))
    rows = '"bids":[{}],"asks":[{}]'.format(*sides)
    time = "2023-10-06T17:35:55.440295Z"
    part = f'{{"symbol":"{symbol}",{rows},"checksum":{crc},"timestamp":"{time}"}}'
    return f'{{"channel":"book","type":"{kind}","data":[{part}]}}'


def ladder(start: int, step: int, count: int) -> list[Level]:
    """Levels from a touch outwards."""
    return [(f"{start + step * number}.5", "1.000") for number in range(count)]


def test_spellings() -> None:
    """A slash between the parts; names of the REST interface mean the same assets (D3)."""
    kraken = VENUES["kraken"]
    assert [kraken.spelling(symbol) for symbol in ("BTC-USD", "BTC-USD-PERP")] == ["BTC/USD", None]
    spelled = ("BTC/USD", "XBT/USD", "XDG/XBT", "BTCUSD", "BTC/USD/X", "/USD")
    assert [kraken.symbol(text) for text in spelled] == ["BTC-USD", "BTC-USD", "DOGE-BTC", None, None, None]


def test_instruments() -> None:
    """Steps from decimals, minimums, and the precision of the checksum; XBT and XDG become what v2 writes."""
    body = f'{{"error":[],"result":{{"A":{PAIR % "XBT/USD"},"B":{PAIR % "XDG/EUR"},"C":{{"altname":"Y"}}}}}}'
    rules = {
        "tick": Decimal("0.01"),
        "lot": Decimal("0.001"),
        "min_qty": Decimal("0.5"),
        "min_notional": Decimal("0.25"),
        "price_decimals": 2,
        "qty_decimals": 3,
    }
    assert VENUES["kraken"].instruments(LIST, body.encode()) == [
        Instrument(symbol="BTC-USD", spelling="BTC/USD", base="BTC", quote="USD", **rules),
        Instrument(symbol="DOGE-EUR", spelling="DOGE/EUR", base="DOGE", quote="EUR", **rules),
    ]
    assert VENUES["kraken"].instruments("https://api.kraken.com/0/public/Assets", b"{}") is None
    with pytest.raises(ValueError, match="`result`"):
        VENUES["kraken"].instruments(LIST, b'{"error":["EGeneral:Too many requests"]}')


def test_subscriptions() -> None:
    """A hundred levels by default; best prices on every change; a hundred symbols a request."""
    assert requests("kraken", ["AAA/BBB", "AAA/CCC"], depth=10) == [
        '{"method":"subscribe","params":{"channel":"book","depth":10,"snapshot":true,"symbol":["AAA/BBB","AAA/CCC"]},'
        '"req_id":1}'
    ]
    assert '"depth":100,' in requests("kraken", ["AAA/BBB"])[0]
    assert '"channel":"ticker","event_trigger":"bbo"' in requests("kraken", ["AAA/BBB"], "bbo")[0]
    many = requests("kraken", [f"A{number}/BBB" for number in range(201)])
    assert [(text.count("/BBB"), text[-11:]) for text in many] == [
        (100, '"req_id":1}'),
        (100, '"req_id":2}'),
        (1, '"req_id":3}'),
    ]
    with pytest.raises(ValueError, match="kraken has books of 10, 25, 100, 500, 1000 levels, not 50"):
        requests("kraken", ["AAA/BBB"], depth=50)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ACK % ("25", '"success":true'), [Acknowledged(), SubscribedDepth("AAA/BBB", 25)]),
        (ACK % ("5", '"success":true'), [Acknowledged(), SubscribedDepth("AAA/BBB", 5)]),
        (ACK % ("25", '"success":false'), []),
        (ACK % ("0", '"success":true'), [Acknowledged()]),
        (ACK % ("-5", '"success":true'), [Acknowledged()]),
        (ACK % ("null", '"success":true'), [Acknowledged()]),
        (ACK % ('"25"', '"success":true'), [Acknowledged()]),
        (ACK % ("2.5", '"success":true'), [Acknowledged()]),
        ('{"method":"subscribe","result":{"channel":"ticker","symbol":"AAA/BBB"},"success":true}', [Acknowledged()]),
        ('{"method":"pong","req_id":101,"time_in":"x","time_out":"y"}', []),
        (
            '{"error":"Currency pair not supported FOO/USD","method":"subscribe","success":false,"symbol":"FOO/USD"}',
            [VenueNotice("Currency pair not supported FOO/USD", True)],
        ),
        ('{"error":"Exceeded msg rate"}', [VenueNotice("Exceeded msg rate", False)]),
        ('{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online"}]}', []),
        (
            '{"channel":"status","type":"update","data":[{"system":"maintenance","connection_id":12393906104898154338}]}',
            [VenueNotice("maintenance", False)],
        ),
        ('{"channel":"status","data":5}', []),
        ('{"channel":"instrument","data":[]}', [ListedInstruments([])]),
        ('{"channel":"instrument","data":{"pairs":[5,{"symbol":"AAABBB"}]}}', [ListedInstruments([])]),
    ],
)
def test_control_frames(text: str, expected: list[object]) -> None:
    """Acks with their depth, errors, states other than online, and the instruments of the stream."""
    assert list(facts("kraken", text)) == expected


def test_the_instrument_channel() -> None:
    """Pairs with their rules and the precision of the checksum."""
    (fact,) = facts("kraken", INSTRUMENT)
    assert fact == ListedInstruments(
        [
            Instrument(
                symbol="AAA-BBB",
                spelling="AAA/BBB",
                base="AAA",
                quote="BBB",
                tick=Decimal("0.01"),
                lot=Decimal("0.001"),
                min_qty=Decimal("0.5"),
                min_notional=Decimal("0.25"),
                price_decimals=2,
                qty_decimals=3,
            )
        ]
    )


def test_control_frames_touch_nothing() -> None:
    """Heartbeats, acks and statuses are known; errors reach the market."""
    listener = Listener("kraken")
    error = '{"error":"no","method":"subscribe","success":false,"time_in":"x","time_out":"y"}'
    assert listener.hear('{"channel":"heartbeat"}', ACK % ("10", '"success":true'), INSTRUMENT, error) == []
    assert listener.notices() == [VenueNotice("no", True)]
    assert (listener.counts()["unknown"], listener.counts()["quarantined"]) == (0, 0)


@pytest.mark.parametrize("known", ["wire", "instrument channel", "list"])
def test_the_checksum_is_over_padded_numbers(known: str) -> None:
    """With the precision of the instrument channel or the list where there is one, else with the digits of the wire:
    the same values, written shorter, verify only where the precision is known (R12)."""
    listener = Listener("kraken", ["AAA-BBB"])
    if known == "instrument channel":
        listener.hear(INSTRUMENT)
    elif known == "list":
        listener.answer(
            LIST, {"error": [], "result": {"A": {"wsname": "AAA/BBB", "pair_decimals": 2, "lot_decimals": 3}}}
        )
    crc = checksum([("2.50", "10.000")], [("1.00", "0.500")])
    padded = frame("snapshot", [("1.00", "0.500")], [("2.50", "10.000")], crc)
    trimmed = frame("snapshot", [("1", "0.5")], [("2.5", "1e1")], crc)
    assert listener.hear(padded) == [("AAA-BBB", 1, Decimal("0.5"), Decimal("2.5"), 10, None)]
    assert len(listener.hear(trimmed)) == (0 if known == "wire" else 1)
    assert listener.book()["checksums_bad"] == (1 if known == "wire" else 0)


def test_depth() -> None:
    """Levels in the order given, the same price twice; zero removes; a wrong checksum loses the book until its
    snapshot."""
    listener = Listener("kraken")
    asks, bids = [("2.50", "1.0")], [("1.00", "1.0")]
    told = listener.hear(
        frame("snapshot", bids, asks, checksum(asks, bids)),
        frame("update", [("1.50", "9.0"), ("1.50", "2.0"), ("1.00", "0.0")], [], checksum(asks, [("1.50", "2.0")])),
    )
    assert told[1] == ("AAA-BBB", Decimal("1.5"), 2, Decimal("2.5"), 1, None)
    assert listener.hear(frame("update", [], [], 1), frame("update", [], [], checksum(asks, [("1.50", "2.0")]))) == []
    found = listener.book()
    assert [found[name] for name in ("synced", "gaps", "checksums_ok", "checksums_bad")] == [False, 0, 2, 1]
    assert len(listener.hear(frame("snapshot", bids, asks, checksum(asks, bids)))) == 1


@pytest.mark.parametrize(("acked", "kept"), [(None, 10), (4, 4), (25, 12)])
def test_books_are_cut_to_their_depth(acked: int | None, kept: int) -> None:
    """That of the ack; without one the smallest on offer that holds the snapshot. What falls out is gone for good."""
    listener = Listener("kraken")
    if acked:
        listener.hear(ACK % (acked, '"success":true'))
    asks, bids = ladder(100, 1, 10), ladder(90, -1, min(10, kept))
    listener.hear(frame("snapshot", bids, asks[: min(10, kept)], checksum(asks[: min(10, kept)], bids)))
    more = [("99.5", "2.000"), ("98.5", "2.000")]
    all_asks = sorted([*asks[: min(10, kept)], *more], key=lambda level: Decimal(level[0]))[:kept]
    assert len(listener.hear(frame("update", [], more, checksum(all_asks, bids)))) == 1
    assert [Decimal(price) for price, _ in listener.book()["asks"]] == [Decimal(price) for price, _ in all_asks]
    assert len(all_asks) == kept


def test_the_latest_ack_counts_from_the_next_message() -> None:
    """A second subscription changes the depth; the ack alone changes nothing (D11)."""
    listener = Listener("kraken")
    asks, bids = ladder(100, 1, 10), ladder(90, -1, 10)
    listener.hear(ACK % (10, '"success":true'), frame("snapshot", bids, asks, checksum(asks, bids)))
    listener.hear(ACK % (3, '"success":true'))
    assert len(listener.book()["asks"]) == 10
    listener.hear(frame("update", [], [], checksum(asks[:3], bids[:3])))
    assert (len(listener.book()["asks"]), listener.book()["checksums_bad"]) == (3, 0)


def test_best_prices() -> None:
    """Numbers without quotes, exactly; no id and no order: every one is applied."""
    text = (
        '{"channel":"ticker","type":"%s","data":[{"symbol":"AAA/BBB","bid":%s,"bid_qty":0.10000000,"ask":2.5,'
        '"ask_qty":1e-8,"last":1,"volume":1,"vwap":1,"low":1,"high":1,"change":0,"change_pct":0.1}]}'
    )
    told = Listener("kraken", bbo=True).hear(text % ("snapshot", "1.5"), text % ("update", "0.00000003"))
    ask = (Decimal("2.5"), Decimal("1e-8"), None)
    assert told == [
        ("AAA-BBB", Decimal("1.5"), Decimal("0.1"), *ask),
        ("AAA-BBB", Decimal("3e-8"), Decimal("0.1"), *ask),
    ]
    assert Listener("kraken").hear(text % ("snapshot", "1.5")) == []


def test_several_symbols_of_a_frame() -> None:
    """Each part is a book of its own."""
    asks, bids = [("2.50", "1.0")], [("1.00", "1.0")]
    first, second = (frame("snapshot", bids, asks, checksum(asks, bids), symbol) for symbol in ("AAA/BBB", "CCC/BBB"))
    part = second.partition('"data":[')[2].removesuffix("]}")
    told = Listener("kraken").hear(first.removesuffix("]}") + f",{part}]}}")
    assert [tick[0] for tick in told] == ["AAA-BBB", "CCC-BBB"]


def test_other_channels_touch_nothing() -> None:
    """Trades and candles are known, level 3 is not spoken here and is counted."""
    listener = Listener("kraken")
    for channel in ("trade", "ohlc", "level3"):
        assert listener.hear({"channel": channel, "type": "update", "data": [{"symbol": "AAA/BBB", "price": 1}]}) == []
    assert (listener.counts()["unknown"], listener.counts()["quarantined"]) == (1, 0)
    assert list(listener.market.books()) == []


def test_too_many_messages_are_no_wrong_name() -> None:
    """The venue says so without a method; asking for each book by itself would be more messages still."""
    listener = Listener("kraken", ["AAA-BBB"])
    listener.hear('{"error":"Exceeded msg rate","req_id":1}', '{"error":"Currency pair not supported X/Y","req_id":2}')
    assert listener.notices() == [
        VenueNotice("Exceeded msg rate", False),
        VenueNotice("Currency pair not supported X/Y", True),
    ]
    assert listener.counts()["unknown"] == 0
