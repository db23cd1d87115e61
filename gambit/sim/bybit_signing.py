"""Who sent a Bybit request: keys, timestamps, windows, HMAC-SHA256 over what was really sent."""

from __future__ import annotations

import hashlib
import hmac

from gambit.sim.accounts import Account
from gambit.sim.amounts import whole
from gambit.sim.bybit_words import Denied
from gambit.sim.dialect import MILLI_NS, Request
from gambit.sim.exchange import Exchange

WINDOW_MS = 5000
AHEAD_MS = 1000


class BybitKeys:
    """All keys of a venue's accounts."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def check(self, request: Request, now_ns: int) -> Account:
        """Whose REST request it is; raises Denied for a bad key, time or signature."""
        headers = request.headers
        key, stamp = headers.get("x-bapi-api-key", ""), headers.get("x-bapi-timestamp", "")
        window = headers.get("x-bapi-recv-window", "")
        if not key or not stamp:
            raise Denied(10001, "Request parameter error: empty value: apiTimestamp[] apiKey[] apiSignature[]")
        account = self._account(key)
        check_time(stamp, window, now_ns)
        said = request.query if request.method == "GET" else request.body.decode(errors="replace")
        payload = f"{stamp}{key}{window}{said}"
        if not _is_signed(account, payload, headers.get("x-bapi-sign", "")):
            raise Denied(10004, f"error sign! origin_string[{payload}]")
        return account

    def check_login(self, args: list[object], now_ns: int) -> Account:
        """Whose login on a WebSocket it is; raises Denied."""
        if len(args) != 3 or whole(str(args[1]), -1) < 0:
            raise Denied(10001, "Params Error")
        key, expires, sign = map(str, args)
        account = self._account(key)
        if whole(expires) * MILLI_NS < now_ns:
            raise Denied(10002, "Request expired")
        if not _is_signed(account, f"GET/realtime{expires}", sign):
            raise Denied(10004, "error sign!")
        return account

    def _account(self, key: str) -> Account:
        for account in self._exchange.accounts.values():
            if account.credentials.key == key:
                if account.is_revoked:
                    raise Denied(33004, "Your api key has expired.")
                return account
        raise Denied(10003, "API key is invalid.")


def check_time(stamp: str, window: str, now_ns: int) -> None:
    """Whether a request is neither too old nor from the future; raises Denied."""
    now_ms, wide = now_ns // MILLI_NS, whole(window, WINDOW_MS)
    if not now_ms - wide <= whole(stamp) < now_ms + AHEAD_MS:
        told = f"req_timestamp[{stamp}],server_timestamp[{now_ms}],recv_window[{wide}]"
        raise Denied(10002, f"invalid request, please check your server timestamp or recv_window param. {told}")


def _is_signed(account: Account, payload: str, sign: str) -> bool:
    due = hmac.new(account.credentials.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(due.encode(), sign.encode())
