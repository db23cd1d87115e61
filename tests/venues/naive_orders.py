"""Place requests the plain way, everything encoded for every order: what the templates must equal to the byte, and what
the benchmark measures them against."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

Pair = tuple[str, bytes]  # the signature and the body, or what else varies


def compact(body: object) -> bytes:
    """JSON without white space."""
    return json.dumps(body, separators=(",", ":")).encode()


def plain(number: Decimal) -> str:
    """A number's text without an exponent."""
    return f"{number:f}"


def binance_rest(secret: str, symbol: str, side: str, tif: str, client_id: str, qty: str, price: str, ms: int) -> bytes:
    """The signed form."""
    params = {"symbol": symbol, "side": side, "type": "LIMIT", "timeInForce": tif, "newOrderRespType": "FULL"}
    params |= {"recvWindow": "5000", "quantity": qty, "price": price, "newClientOrderId": client_id}
    params["timestamp"] = str(ms)
    form = urlencode(params, quote_via=quote, safe="")
    return f"{form}&signature={hmac.new(secret.encode(), form.encode(), hashlib.sha256).hexdigest()}".encode()


def binance_frame(
    key: str, secret: str, nonce: int, symbol: str, side: str, tif: str, client_id: str, qty: str, price: str, ms: int
) -> bytes:
    """order.place."""
    params: dict[str, Any] = {"apiKey": key, "newClientOrderId": client_id, "newOrderRespType": "FULL", "price": price}
    params |= {"quantity": qty, "recvWindow": 5000, "side": side, "symbol": symbol, "timeInForce": tif}
    params |= {"timestamp": ms, "type": "LIMIT"}
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
    signature = hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
    return compact({"id": str(nonce), "method": "order.place", "params": params | {"signature": signature}})


def iso_ms(now_ns: int) -> str:
    """2020-12-08T09:08:57.715Z."""
    seconds, rest = divmod(now_ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest // 1_000_000:03d}Z"


def okx_rest(secret: str, body: dict[str, Any], now_ns: int) -> Pair:
    """Signature and body."""
    raw = compact(body)
    message = (iso_ms(now_ns) + "POST" + "/api/v5/trade/order").encode() + raw
    return base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode(), raw


def bybit_rest(key: str, secret: str, body: dict[str, Any], ms: int) -> Pair:
    """Signature and body."""
    raw = compact(body)
    return hmac.new(secret.encode(), f"{ms}{key}5000".encode() + raw, hashlib.sha256).hexdigest(), raw


def kraken_rest(secret: str, form: dict[str, str]) -> Pair:
    """Signature and body."""
    raw = urlencode(form, quote_via=quote, safe="").encode()
    inner = hashlib.sha256(form["nonce"].encode() + raw).digest()
    message = b"/0/private/AddOrder" + inner
    signature = hmac.new(base64.b64decode(secret), message, hashlib.sha512).digest()
    return base64.b64encode(signature).decode(), raw
