"""Who sent a Binance request: keys, timestamps, windows, signatures (HMAC-SHA256 or Ed25519)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gambit.sim.accounts import Account, Credentials, secret_text
from gambit.sim.binance_words import Denied
from gambit.sim.dialect import MILLI_NS, Request
from gambit.sim.exchange import Exchange

WINDOW_MS = 5000.0
WINDOW_MS_MAX = 60000.0
AHEAD_MS = 1000.0
MICROSECONDS = 10**14  # timestamps from here on are in microseconds
STAMP_DIGITS_MAX = 20
SIGNATURE = re.compile(r"(?:^|&)signature=([^&]*)")


class SignedPart(NamedTuple):
    """What of a request is signed, by whom, and the signature."""

    key: str
    payload: str
    signature: str

    @staticmethod
    def of(request: Request) -> SignedPart:
        """A REST request: query and body as sent, joined by nothing, less the signature."""
        text = request.query + request.body.decode(errors="replace")
        found = SIGNATURE.search(text)
        signature = unquote(found[1]) if found else ""
        return SignedPart(request.headers.get("x-mbx-apikey", ""), SIGNATURE.sub("", text, count=1), signature)

    @staticmethod
    def of_call(params: Mapping[str, str]) -> SignedPart:
        """A call of the WebSocket API: all parameters in alphabetical order, not encoded."""
        payload = "&".join(f"{name}={value}" for name, value in sorted(params.items()) if name != "signature")
        return SignedPart(params.get("apiKey", ""), payload, params.get("signature", ""))


def query_parameters(request: Request) -> dict[str, str]:
    """The parameters of a request, from query and form body."""
    body = request.body.decode(errors="replace")
    return dict([*parse_qsl(request.query, keep_blank_values=True), *parse_qsl(body, keep_blank_values=True)])


def ed25519_key(venue: str, account: str, seed: int) -> tuple[str, Ed25519PrivateKey]:
    """An account's other key: its name and its private half."""
    private = hashlib.sha256(secret_text(seed, venue, account, "ed25519").encode()).digest()
    return secret_text(seed, venue, account, "ed25519 key"), Ed25519PrivateKey.from_private_bytes(private)


class BinanceKeys:
    """All keys of a venue's accounts."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def check(self, part: SignedPart, params: Mapping[str, str], now_ns: int, *, only_ed25519: bool = False) -> Account:
        """Whose request it is.

        Raises Denied for a bad key, timestamp, window or signature.
        """
        if not part.key:
            raise Denied(401, -2014, "API-key format invalid.")
        account, verifies = self._verifier(part)
        if account is None or account.is_revoked:
            raise Denied(401, -2015, "Invalid API-key, IP, or permissions for action.")
        if only_ed25519 and part.key == account.credentials.key:
            raise Denied(400, -4056, "HMAC_SHA256 API key is not supported.")
        self._check_time(params, now_ns)
        if not part.signature:
            raise Denied(400, -1102, "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.")
        if not verifies:
            raise Denied(400, -1022, "Signature for this request is not valid.")
        return account

    def _verifier(self, part: SignedPart) -> tuple[Account | None, bool]:
        """The account of a key and whether the signature is its."""
        for account in self._exchange.accounts.values():
            if part.key == account.credentials.key:
                return account, _is_hmac(account.credentials, part)
            name, private = ed25519_key(self._exchange.venue, account.name, self._exchange.seed)
            if part.key == name:
                return account, _is_ed25519(private, part)
        return None, False

    @staticmethod
    def _check_time(params: Mapping[str, str], now_ns: int) -> None:
        stamp = params.get("timestamp", "")
        if not stamp.isdecimal() or len(stamp) > STAMP_DIGITS_MAX:
            raise Denied(400, -1102, "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed.")
        window = params.get("recvWindow", str(WINDOW_MS))
        if not re.fullmatch(r"\d+(\.\d{1,3})?", window):
            raise Denied(400, -1100, "Illegal characters found in parameter 'recvWindow'.")
        if float(window) > WINDOW_MS_MAX:
            raise Denied(400, -1131, "recvWindow must be less than 60000.")
        sent_ms = int(stamp) / 1000 if int(stamp) >= MICROSECONDS else float(stamp)
        now_ms = now_ns / MILLI_NS
        if sent_ms >= now_ms + AHEAD_MS:
            raise Denied(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        if now_ms - sent_ms > float(window):
            raise Denied(400, -1021, "Timestamp for this request is outside of the recvWindow.")


def _is_hmac(credentials: Credentials, part: SignedPart) -> bool:
    due = hmac.new(credentials.secret.encode(), part.payload.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(due.encode(), part.signature.lower().encode())


def _is_ed25519(private: Ed25519PrivateKey, part: SignedPart) -> bool:
    try:
        private.public_key().verify(base64.b64decode(part.signature), part.payload.encode())
    except (InvalidSignature, ValueError):
        return False
    return True
