"""Recorded wires of further exchanges, served on loopback to whoever subscribes.

The frames, the whole books asked for over REST and, where the library still asks for them in the recorded shape, the
instrument lists are the recorded text. An instrument list that the library wants in a newer shape is made of the
recorded one, name by name; connect tokens and the ids of acknowledgements are new ones, as they must be.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import zstandard
from aiohttp import WSMsgType, web

from tests.runtime.others import Others

CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "captures"

Side = dict[Decimal, Decimal]
Book = tuple[Side, Side]  # bids, asks


class Wire:
    """One capture: what its exchange says, and the books that follow from it by the rules of that exchange."""

    adapter: ClassVar[str]  # the library's name of the exchange
    capture: ClassVar[str]
    symbols: ClassVar[Mapping[str, str]]  # ours: the exchange's

    def __init__(self) -> None:
        with (CAPTURES / self.capture).open("rb") as file:
            text = zstandard.ZstdDecompressor().stream_reader(file).read()
        records = [json.loads(line) for line in text.splitlines()]
        self.answers: dict[str, str] = {r["url"]: r["data"] for r in records if r["t"] == "http"}
        self.received: list[str] = [record["data"] for record in records if record["t"] == "recv"]
        self.read: list[Any] = [json.loads(frame, parse_float=Decimal) for frame in self.received]

    def last_touches(self) -> dict[str, list[list[str]]]:
        """The last touch of each book that is known, by the exchange's names: (price, quantity) a side."""
        known = json.loads((CAPTURES / "EXPECTED.json").read_text())["captures"][self.capture]["books"]
        return {name: facts["last_bbo"] for name, facts in known.items() if "last_bbo" in facts}

    def answer(self, path: str, query: Mapping[str, str], ws: str) -> str | None:
        """The body for a REST question, None where there is none."""
        raise NotImplementedError

    def greeting(self) -> list[str]:
        """What comes before anything is asked."""
        return []

    def frames(self, said: Any) -> list[str]:
        """What comes for a subscription; nothing for any other message."""
        raise NotImplementedError

    def book(self, name: str) -> Book:
        """The book at the end of the capture."""
        raise NotImplementedError

    def _answered(self, end: str) -> str:
        return next(body for url, body in self.answers.items() if url.endswith(end))

    def _where(self, *words: str) -> Iterator[tuple[str, Any]]:
        for text, frame in zip(self.received, self.read, strict=True):
            if all(word in text for word in words):
                yield text, frame


class Kucoin(Wire):
    """Diffs numbered by rows, joined to a book of REST; a price of 0 means nothing but its number."""

    adapter = "kucoin"
    capture = "kucoin/level2_half_a_20210425.jsonl.zst"
    symbols: ClassVar = {name: name for name in ("ANKR-BTC", "CAPP-BTC", "DAPPT-BTC", "FET-BTC", "SNX-BTC")}

    def answer(self, path: str, query: Mapping[str, str], ws: str) -> str | None:
        if path.endswith("/level2_100"):
            return self._answered(f"level2?symbol={query['symbol']}")
        if path.endswith("/symbols"):
            return self._answered("/symbols")
        server = {"endpoint": f"{ws}/endpoint", "pingInterval": 18000, "pingTimeout": 10000}
        made = {"allTickers": {"ticker": []}, "bullet-public": {"token": "t", "instanceServers": [server]}}
        found = made.get(path.rsplit("/", 1)[1])
        return json.dumps({"code": "200000", "data": found}) if found else None

    def frames(self, said: Any) -> list[str]:
        if said.get("type") != "subscribe":
            return []
        ack = json.dumps({"id": said["id"], "type": "ack"})
        return [ack, *(text for text, frame in self._where("l2update") if frame["topic"] == said["topic"])]

    def book(self, name: str) -> Book:
        whole = json.loads(self._answered(f"level2?symbol={name}"))["data"]
        sides = _side(whole["bids"]), _side(whole["asks"])
        for _, frame in self._where("l2update", name):
            for side, rows in zip(sides, (frame["data"]["changes"][k] for k in ("bids", "asks")), strict=True):
                new = [row for row in rows if int(row[2]) > int(whole["sequence"]) and Decimal(row[0])]
                _change(side, new)
        return sides


class Bitstamp(Wire):
    """Diffs ordered by their time in microseconds, joined to a book of REST.

    These two pairs have a diff of the very time of their REST book: for a book between two diffs the library drops
    every diff that it has put by, the newer ones too, so that what it shows depends on when the answer arrives."""

    adapter = "bitstamp"
    capture = "bitstamp/diff_10pairs_20220105.jsonl.zst"
    symbols: ClassVar = {"ETH-USD": "ethusd", "XRP-EUR": "xrpeur"}

    def answer(self, path: str, query: Mapping[str, str], ws: str) -> str | None:
        if "/order_book/" in path:
            return self._answered(f"/order_book/{path.strip('/').rsplit('/', 1)[1]}")
        return json.dumps([
            {**pair, "market_symbol": pair["url_symbol"], "market_type": "SPOT",
             "base_currency": pair["name"].split("/")[0], "counter_currency": pair["name"].split("/")[1]}
            for pair in json.loads(self._answered("/trading-pairs-info/"))
        ])  # fmt: skip

    def frames(self, said: Any) -> list[str]:
        channel = said["data"].get("channel")
        return [text for text, frame in self._where("diff_order_book") if frame["channel"] == channel]

    def book(self, name: str) -> Book:
        whole = json.loads(self._answered(f"/order_book/{name}"))
        sides = _side(whole["bids"]), _side(whole["asks"])
        for _, frame in self._where('"microtimestamp"', f'"diff_order_book_{name}"'):
            if int(frame["data"]["microtimestamp"]) > int(whole["microtimestamp"]):
                _change(sides[0], frame["data"]["bids"])
                _change(sides[1], frame["data"]["asks"])
        return sides


class Bitfinex(Wire):
    """A whole book, then rows of price, count and signed quantity: asks are negative, a count of 0 takes away."""

    adapter = "bitfinex"
    capture = "bitfinex/p0_7pairs_20210417.jsonl.zst"
    symbols: ClassVar = {"BFT-USD": "tBFTUSD", "IOTA-ETH": "tIOTETH", "MANA-BTC": "tMNABTC"}

    def answer(self, path: str, query: Mapping[str, str], ws: str) -> str | None:
        (pairs,) = json.loads(self._answered("pub:list:pair:exchange"))
        return json.dumps([[[pair, [None] * 5] for pair in pairs], [], [], []])

    def greeting(self) -> list[str]:
        return [text for text, _ in self._where('"event":"info"')]

    def _of(self, name: str) -> Iterator[tuple[str, Any]]:
        ((text, channel),) = self._where('"subscribed"', '"book"', f'"{name}"')
        yield text, channel
        yield from self._where(f"[{channel['chanId']},")

    def frames(self, said: Any) -> list[str]:
        return [text for text, _ in self._of(said["symbol"])] if said.get("channel") == "book" else []

    def book(self, name: str) -> Book:
        sides: Book = {}, {}
        for _, frame in self._of(name):
            if isinstance(frame, list) and frame[1] != "hb":
                for price, count, signed in frame[1] if isinstance(frame[1][0], list) else [frame[1]]:
                    _change(sides[signed < 0], [(price, abs(signed) if count else 0)])
        return sides


class Gemini(Wire):
    """The first frame's changes are the whole book, quantities are absolute."""

    adapter = "gemini"
    capture = "gemini/v2_btcusd_20260809.jsonl.zst"
    symbols: ClassVar = {"BTC-USD": "BTCUSD"}

    def answer(self, path: str, query: Mapping[str, str], ws: str) -> str | None:
        return self._answered("/v1/symbols") if path == "/v1/symbols" else None

    def frames(self, said: Any) -> list[str]:
        return self.received if said.get("type") == "subscribe" else []

    def book(self, name: str) -> Book:
        sides: Book = {}, {}
        for _, frame in self._where('"l2_updates"', f'"{name}"'):
            for side, price, quantity in frame["changes"]:
                _change(sides[side == "sell"], [(price, quantity)])
        return sides


class CryptoCom(Wire):
    """Each frame is a whole book."""

    adapter = "cryptocom"
    capture = "crypto.com/book_half_a_20211123.jsonl.zst"
    symbols: ClassVar = {"BAND-USDT": "BAND_USDT", "RGT-USDC": "RGT_USDC"}

    def answer(self, path: str, query: Mapping[str, str], ws: str) -> str | None:
        rows = json.loads(self._answered("/get-instruments"))["result"]["instruments"]
        data = [
            {"symbol": row["instrument_name"], "inst_type": "CCY_PAIR", "base_ccy": row["base_currency"],
             "quote_ccy": row["quote_currency"], "quote_decimals": row["price_decimals"], "tradable": True,
             "quantity_decimals": row["quantity_decimals"], "price_tick_size": f"1e-{row['price_decimals']}",
             "qty_tick_size": f"1e-{row['quantity_decimals']}"}
            for row in rows
        ]  # fmt: skip
        return json.dumps({"id": -1, "code": 0, "result": {"data": data}})

    def _of(self, name: str) -> Iterator[tuple[str, Any]]:
        return self._where('"channel":"book"', f'"instrument_name":"{name}"')

    def frames(self, said: Any) -> list[str]:
        channels = said.get("params", {}).get("channels", []) if said.get("method") == "subscribe" else []
        return [text for channel in channels for text, _ in self._of(channel.split(".")[1])]

    def book(self, name: str) -> Book:
        *_, (_, last) = self._of(name)
        (whole,) = last["result"]["data"]
        return _side(whole["bids"]), _side(whole["asks"])


def _change(side: Side, rows: Sequence[Sequence[Any]]) -> None:
    """Set each price's quantity; 0 takes the price away."""
    for row in rows:
        price, quantity = Decimal(row[0]), Decimal(row[1])
        side[price] = quantity
        if not quantity:
            del side[price]


def _side(rows: Sequence[Sequence[Any]]) -> Side:
    side: Side = {}
    _change(side, rows)
    return side


class Recorded(Others):
    """The exchange of a capture on one port; `is_heard` when all of it has been read."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self.wire = wire
        self.is_heard = asyncio.Event()
        self._heard = 0

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._converse(request)
        found = self.wire.answer(request.path, request.query, self.ws)
        if found is None:
            return web.Response(status=404, text=request.path)
        return web.Response(text=found, content_type="application/json")

    async def _converse(self, request: web.Request) -> web.WebSocketResponse:
        """The ping after a subscription's last frame comes back when the library has taken them all."""
        socket = web.WebSocketResponse(compress=False, timeout=0.1, autoping=False)
        await socket.prepare(request)
        self.sockets.append(socket)
        for text in self.wire.greeting():
            await socket.send_str(text)
        async for message in socket:
            if message.type is WSMsgType.PONG:
                self._heard += 1
                if self._heard == len(self.wire.symbols):
                    self.is_heard.set()
            elif message.type is WSMsgType.TEXT and (frames := self.wire.frames(json.loads(message.data))):
                for text in frames:
                    await socket.send_str(text)
                await socket.ping()
        self.sockets.remove(socket)
        return socket
