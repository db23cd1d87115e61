"""OKX's language: chains of ids, maintenance resets, heartbeats, and the text pong."""

from decimal import Decimal

import pytest

from gambit.model import Acknowledged, Instrument, VenueNotice
from gambit.venues import VENUES
from tests.venues.listening import Listener, facts, requests

LIST = "https://www.okx.com/api/v5/public/instruments?instType=SPOT"
ENTRY = (
    '{"instType":"%s","instId":"%s","baseCcy":"AAA","quoteCcy":"BBB","tickSz":"0.01","lotSz":"0.001","minSz":"0.5","maxLmtSz":"9999",'
    '"state":"live"}'
)


def books(
    action: str, prev: int, seq: int, bids: list[list[str]], asks: list[list[str]], channel: str = "books"
) -> object:
    """A frame of a book channel with one entry."""
    entry = {"asks": asks, "bids": bids, "ts": "1597026383085", "checksum": 0, "prevSeqId": prev, "seqId": seq}
    return {"arg": {"channel": channel, "instId": "AAA-BBB"}, "action": action, "data": [entry]}


def test_spellings() -> None:
    """instId is the symbol; only spellings of two parts are taken without a list."""
    okx = VENUES["okx"]
    assert [okx.spelling(symbol) for symbol in ("AAA-BBB", "AAA-BBB-SWAP")] == ["AAA-BBB", "AAA-BBB-SWAP"]
    assert [okx.symbol(spelling) for spelling in ("AAA-BBB", "AAA-BBB-SWAP", "AAA", "-BBB")] == [
        "AAA-BBB",
        None,
        None,
        None,
    ]


def test_instruments() -> None:
    """Spot rows only; there is no least notional."""
    rows = ",".join([ENTRY % ("SPOT", "AAA-BBB"), ENTRY % ("SWAP", "AAA-BBB-SWAP"), ENTRY % ("SPOT", "AAA-BBB-X"), "5"])
    assert VENUES["okx"].instruments(LIST, f'{{"code":"0","msg":"","data":[{rows}]}}'.encode()) == [
        Instrument(
            symbol="AAA-BBB",
            spelling="AAA-BBB",
            base="AAA",
            quote="BBB",
            tick=Decimal("0.01"),
            lot=Decimal("0.001"),
            min_qty=Decimal("0.5"),
            max_qty=Decimal(9999),
        )
    ]
    assert VENUES["okx"].instruments("https://www.okx.com/api/v5/market/books?instId=AAA-BBB", b"{}") is None
    with pytest.raises(ValueError, match="`data`"):
        VENUES["okx"].instruments(LIST, b'{"code":"50011","msg":"Too many"}')


def test_subscriptions() -> None:
    """400 levels by default, 50 for those who may, or best prices; a hundred arguments a request."""
    assert requests("okx", ["AAA-BBB", "AAA-CCC"]) == [
        '{"op":"subscribe","args":[{"channel":"books","instId":"AAA-BBB"},{"channel":"books","instId":"AAA-CCC"}]}'
    ]
    assert requests("okx", ["AAA-BBB"], depth=400) == requests("okx", ["AAA-BBB"])
    assert "books50-l2-tbt" in requests("okx", ["AAA-BBB"], depth=50)[0]
    assert "bbo-tbt" in requests("okx", ["AAA-BBB"], "bbo")[0]
    many = requests("okx", [f"A{number}-BBB" for number in range(201)])
    assert [text.count("instId") for text in many] == [100, 100, 1]
    with pytest.raises(ValueError, match="okx has books of 400 or 50 levels, not 5"):
        requests("okx", ["AAA-BBB"], depth=5)


@pytest.mark.parametrize(
    ("text", "notices"),
    [
        (
            '{"id":"1512","event":"subscribe","arg":{"channel":"books","instId":"AAA-BBB"},"connId":"a4"}',
            [Acknowledged()],
        ),
        ('{"event":"unsubscribe","arg":{"channel":"books","instId":"AAA-BBB"},"connId":"a4"}', [Acknowledged()]),
        (
            '{"event":"error","code":"60012","msg":"Invalid request","connId":"a4"}',
            [VenueNotice("60012: Invalid request", True)],
        ),
        (
            '{"event":"notice","code":"64008","msg":"Reconnect.","connId":"a4"}',
            [VenueNotice("64008: Reconnect.", False, is_closing=True)],
        ),
        ('{"event":"channel-conn-count","channel":"orders","connCount":"2","connId":"a4"}', []),
    ],
)
def test_control_frames(text: str, notices: list[Acknowledged | VenueNotice]) -> None:
    """Acks, errors and the notice of an upgrade are told."""
    assert list(facts("okx", text)) == notices
    listener = Listener("okx")
    assert listener.hear(text) == []
    assert listener.notices() == [fact for fact in notices if isinstance(fact, VenueNotice)]
    assert listener.counts()["quarantined"] == 0


def test_the_pong_is_known() -> None:
    """The one frame that is no JSON and harms nothing."""
    listener = Listener("okx")
    assert len(listener.hear(books("snapshot", -1, 10, [["1", "1"]], [["2", "1"]]), "pong")) == 1
    assert listener.book()["synced"]
    assert (listener.counts()["frames"], listener.counts()["quarantined"]) == (2, 0)
    assert list(listener.market.dead_letters) == []


def test_books_chain_by_their_ids() -> None:
    """The manual's own example: a heartbeat repeats an id, maintenance goes back to a smaller one, anything else is a
    gap; until the next snapshot updates are ignored."""
    listener = Listener("okx")
    told = listener.hear(
        books("snapshot", -1, 10, [["1.5", "1"]], [["2", "1"]]),
        books("update", 10, 15, [["1.6", "2"]], []),
        books("update", 15, 15, [], []),
        books("update", 15, 3, [["1.6", "0"]], []),
        books("update", 3, 5, [], [["2", "0"], ["2.5", "3"]]),
    )
    assert [(bid, ask, seq) for _, bid, _, ask, _, seq in told] == [
        (Decimal("1.5"), 2, 10),
        (Decimal("1.6"), 2, 15),
        (Decimal("1.6"), 2, 15),
        (Decimal("1.5"), 2, 3),
        (Decimal("1.5"), Decimal("2.5"), 5),
    ]
    assert listener.hear(books("update", 4, 6, [], []), books("update", 6, 7, [], [])) == []
    assert (listener.book()["synced"], listener.book()["gaps"], listener.book()["applied"]) == (False, 1, 4)
    assert len(listener.hear(books("snapshot", -1, 20, [["1", "1"]], [["2", "1"]]))) == 1


def test_a_dead_checksum_is_not_looked_at() -> None:
    """With ids on the wire any checksum will do (R10)."""
    frame = books("snapshot", -1, 10, [["1", "1"]], [["2", "1"]])
    assert isinstance(frame, dict)
    frame["data"][0]["checksum"] = 12345
    listener = Listener("okx")
    assert len(listener.hear(frame)) == 1
    assert (listener.book()["checksums_ok"], listener.book()["checksums_bad"]) == (0, 0)


@pytest.mark.parametrize(("channel", "depth"), [("books", 400), ("books-l2-tbt", 400), ("books50-l2-tbt", 50)])
def test_books_are_cut_to_their_channel(channel: str, depth: int) -> None:
    """After each message."""
    listener = Listener("okx")
    bids = [[f"{1000 - number}", "1"] for number in range(depth + 3)]
    listener.hear(books("snapshot", -1, 10, bids, [["2000", "1"]], channel))
    assert len(listener.book()["bids"]) == depth
    listener.hear(books("update", 10, 11, [["1001", "1"]], [], channel))
    assert [listener.book()["bids"][at][0] for at in (0, -1)] == ["1001", f"{1000 - depth + 2}"]


def test_best_prices() -> None:
    """bbo-tbt has an id and no chain; an empty side is one."""
    row = '{"asks":[["2","3","0","1"]],"bids":%s,"ts":"5","seqId":7}'
    frame = f'{{"arg":{{"channel":"bbo-tbt","instId":"AAA-BBB"}},"data":[{row}]}}'
    listener = Listener("okx", bbo=True)
    told = listener.hear(frame % '[["1.50","4","0","2"]]', frame % "[]")
    assert told == [("AAA-BBB", Decimal("1.5"), 4, 2, 3, 7), ("AAA-BBB", None, None, 2, 3, 7)]
    assert Listener("okx").hear(frame % "[]") == []


def test_other_channels_touch_nothing() -> None:
    """Five levels, auction books, trades, tickers and candles are known; a new one is counted."""
    listener = Listener("okx")
    known = ("books5", "books-elp", "trades", "trades-all", "tickers", "candle1m", "funding-rate", "mark-price")
    for channel in (*known, "books9"):
        frame = books("snapshot", -1, 10, [["1", "1"]], [["2", "1"]], channel)
        assert listener.hear(frame) == []
    assert (listener.counts()["unknown"], listener.counts()["quarantined"]) == (1, 0)
    assert list(listener.market.books()) == []


def test_refusals_for_the_rate_are_no_wrong_names() -> None:
    """60014 asks for less, so books are not asked for one by one because of it; too many connections are named."""
    told = facts("okx", '{"event":"error","code":"60014","msg":"Requests too frequent","connId":"a"}')
    assert told == [VenueNotice("60014: Requests too frequent", False)]
    told = facts("okx", '{"event":"channel-conn-count-error","channel":"orders","connCount":"31","connId":"a"}')
    assert told == [VenueNotice("too many connections have the channel orders", True)]
