"""Kraken's keys, nonces and WebSocket tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import parse_qsl

from gambit.sim.accounts import Account, Credentials, secret_text
from gambit.sim.dialect import Request, parsed
from gambit.sim.exchange import Exchange
from gambit.sim.kraken_words import Denied
from gambit.sim.market import SECOND_NS

VENUE = "kraken"
TOKEN_S = 900
NONCE_END = 1 << 64  # clients count milliseconds, microseconds or nanoseconds
NONCE_DIGITS = 20


def key_pair(account: str, seed: int) -> Credentials:
    """A key and the base64 of 64 secret bytes."""
    key = base64.b64encode(bytes.fromhex(secret_text(seed, VENUE, account, "key"))).decode()
    secret = hashlib.sha512(secret_text(seed, VENUE, account).encode()).digest()
    return Credentials(key, base64.b64encode(secret).decode())


class KrakenKeys:
    """All keys of a venue's accounts, the nonces they have used and the tokens they were given."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._nonces: dict[str, int] = {}
        self._tokens: dict[str, tuple[Account, int]] = {}
        self._count = 0

    def check(self, request: Request) -> tuple[Account, dict[str, Any]]:
        """Whose private REST request it is, and its parameters; raises Denied for key, signature or nonce."""
        body = request.body.decode(errors="replace")
        params: Any = dict(parse_qsl(body, keep_blank_values=True))
        if body.startswith("{"):
            try:
                params = parsed(body)
            except ValueError:
                raise Denied("EGeneral:Invalid arguments") from None
        account = self._account(request.headers.get("api-key", ""))
        nonce = str(params.get("nonce", ""))
        secret = base64.b64decode(account.credentials.secret)
        digest = hashlib.sha256((nonce + body).encode()).digest()
        due = base64.b64encode(hmac.new(secret, request.path.encode() + digest, hashlib.sha512).digest())
        if not hmac.compare_digest(due, request.headers.get("api-sign", "").encode()):
            raise Denied("EAPI:Invalid signature")
        number = int(nonce) if nonce.isdecimal() and len(nonce) <= NONCE_DIGITS else 0
        if not self._nonces.get(account.name, 0) < number < NONCE_END:
            raise Denied("EAPI:Invalid nonce")
        self._nonces[account.name] = number
        return account, params

    def give_token(self, account: Account) -> str:
        """A new token."""
        self._count += 1
        token = secret_text(self._exchange.seed, VENUE, account.name, "token", str(self._count))[:43]
        self._tokens[token] = account, self._exchange.clock_ns
        return token

    def owner(self, token: str, *, in_use: bool) -> Account:
        """Whose token it is: `in_use` is one by which a private subscription is open; raises Denied."""
        account, given_ns = self._tokens.get(token, (None, 0))
        too_old = self._exchange.clock_ns - given_ns > TOKEN_S * SECOND_NS and not in_use
        if account is None or account.is_revoked or too_old:
            raise Denied("ESession:Invalid session")
        return account

    def forget_token(self, token: str) -> None:
        """A token is good no more."""
        self._tokens.pop(token, None)

    def _account(self, key: str) -> Account:
        for account in self._exchange.accounts.values():
            if account.credentials.key == key and not account.is_revoked:
                return account
        raise Denied("EAPI:Invalid key")
