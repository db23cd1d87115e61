"""What went wrong with a call, by venue: category, and whether an order's outcome is unknown (sheets, section 6)."""

import pytest

from gambit.model import Category, Failure
from gambit.venues import VENUES

RATE, NET, VENDOR = Category.RATE_LIMIT, Category.TRANSIENT_NETWORK, Category.VENDOR_5XX
AUTH, DATA, PERMANENT = Category.AUTH, Category.DATA_INCONSISTENCY, Category.PERMANENT_4XX

CASES = [
    ("binance", 200, '{"serverTime":1}', None, False),
    ("binance", 429, '{"code":-1003,"msg":"Too much request weight used"}', RATE, False),
    ("binance", 418, '{"code":-1003,"msg":"IP banned until 1"}', RATE, False),
    ("binance", 429, "slow down", RATE, False),
    ("binance", 403, "<html>WAF</html>", RATE, False),
    ("binance", 401, '{"code":-2015,"msg":"Invalid API-key"}', AUTH, False),
    ("binance", 400, '{"code":-1022,"msg":"Signature"}', AUTH, False),
    ("binance", 400, '{"code":-1021,"msg":"outside of the recvWindow"}', AUTH, False),
    ("binance", 400, '{"code":-1121,"msg":"Invalid symbol."}', PERMANENT, False),
    ("binance", 400, '{"code":-2010,"msg":"insufficient balance"}', PERMANENT, False),
    ("binance", 400, '{"code":-2011,"msg":"Unknown order sent."}', DATA, False),
    ("binance", 400, '{"code":-1007,"msg":"Timeout"}', VENDOR, True),
    ("binance", 400, '{"code":-1006,"msg":"Execution unknown"}', VENDOR, True),
    ("binance", 503, '{"code":-1008,"msg":"overloaded"}', VENDOR, True),
    ("binance", 503, "<html>", VENDOR, True),
    ("binance", 408, "", NET, True),
    ("okx", 200, '{"code":"0","msg":"","data":[]}', None, False),
    ("okx", 200, '{"code":"0","msg":"","data":[{"sCode":"0","ordId":"1"}]}', None, False),
    ("okx", 200, '{"code":"1","msg":"All operations failed","data":[{"sCode":"51008","sMsg":"no"}]}', PERMANENT, False),
    ("okx", 200, '{"code":"50011","msg":"Too many"}', RATE, False),
    ("okx", 429, '{"code":"50011","msg":"Too many"}', RATE, False),
    ("okx", 429, "slow", RATE, False),
    ("okx", 401, '{"code":"50113","msg":"Invalid Sign"}', AUTH, False),
    ("okx", 400, '{"code":"50004","msg":"timeout"}', VENDOR, True),
    ("okx", 200, '{"code":"1","data":[{"sCode":"51149","sMsg":"timed out"}]}', VENDOR, True),
    ("okx", 200, '{"code":"51603","msg":"Order does not exist"}', DATA, False),
    ("okx", 503, '{"code":"50001","msg":"down"}', VENDOR, True),
    ("okx", 500, '{"code":"99999","msg":"?"}', VENDOR, True),
    ("okx", 200, "", DATA, True),
    ("bybit", 200, '{"retCode":0,"retMsg":"OK","result":{}}', None, False),
    ("bybit", 403, "access too frequent", RATE, False),
    ("bybit", 200, '{"retCode":10006,"retMsg":"Too many visits!"}', RATE, False),
    ("bybit", 200, '{"retCode":10003,"retMsg":"API key is invalid."}', AUTH, False),
    ("bybit", 200, '{"retCode":10001,"retMsg":"params error"}', PERMANENT, False),
    ("bybit", 200, '{"retCode":170131,"retMsg":"Balance insufficient"}', PERMANENT, False),
    ("bybit", 200, '{"retCode":170213,"retMsg":"Order does not exist."}', DATA, False),
    ("bybit", 200, '{"retCode":170146,"retMsg":"Order creation timeout"}', VENDOR, True),
    ("bybit", 200, '{"retCode":10016,"retMsg":"Server error"}', VENDOR, True),
    ("bybit", 502, "<html>", VENDOR, True),
    ("bybit", 200, "[]", DATA, True),
    ("kraken", 200, '{"error":[],"result":{}}', None, False),
    ("kraken", 200, '{"error":["WGeneral:Deprecated"],"result":{}}', None, False),
    ("kraken", 200, '{"error":["EAPI:Rate limit exceeded"]}', RATE, False),
    ("kraken", 200, '{"error":["EService:Throttled: 1700000000"]}', RATE, False),
    ("kraken", 200, '{"error":["EAPI:Invalid key"]}', AUTH, False),
    ("kraken", 200, '{"error":["EGeneral:Temporary lockout"]}', AUTH, False),
    ("kraken", 200, '{"error":["EOrder:Insufficient funds"]}', PERMANENT, False),
    ("kraken", 200, '{"error":["EQuery:Unknown asset pair"]}', PERMANENT, False),
    ("kraken", 200, '{"error":["EOrder:Unknown order"]}', DATA, False),
    ("kraken", 200, '{"error":["EService:Unavailable"]}', VENDOR, True),
    ("kraken", 200, '{"error":["EGeneral:Internal error"]}', VENDOR, True),
    ("kraken", 200, '{"error":["EService:Market in cancel_only mode"]}', VENDOR, False),
    ("kraken", 200, '{"error":["EService:Deadline elapsed"]}', PERMANENT, False),
    ("kraken", 520, "<html>", VENDOR, True),
    ("coinbase", 200, '{"products":[]}', None, False),
    ("coinbase", 200, '{"success":true,"failure_reason":"UNKNOWN_FAILURE_REASON"}', None, False),
    (
        "coinbase",
        200,
        '{"success":false,"error_response":{"error":"INSUFFICIENT_FUND","message":"x"}}',
        PERMANENT,
        False,
    ),
    ("coinbase", 429, '{"errors":[{"id":"rate_limit_exceeded"}]}', RATE, False),
    ("coinbase", 401, "Unauthorized", AUTH, False),
    ("coinbase", 403, '{"error":"PERMISSION_DENIED"}', AUTH, False),
    ("coinbase", 400, '{"error":"INVALID_ARGUMENT"}', PERMANENT, False),
    ("coinbase", 404, '{"error":"NOT_FOUND","message":"order with this orderID was not found"}', DATA, False),
    ("coinbase", 500, '{"error":"INTERNAL"}', VENDOR, True),
    ("coinbase", 200, "nonsense", DATA, True),
]


@pytest.mark.parametrize(("venue", "status", "body", "category", "is_unknown"), CASES)
def test_answers(venue: str, status: int, body: str, category: Category | None, is_unknown: bool) -> None:
    """Status and body as the venue sends them."""
    failure = VENUES[venue].failure(status, {}, body.encode())
    if category is None:
        assert failure is None
    else:
        assert failure is not None
        assert (failure.category, failure.execution_unknown) == (category, is_unknown)


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 418, 429, 500, 502, 503, 504, 520])
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"{}", b'{"code":1e999}', b"\xff", b"[" * 100_000])
def test_whatever_comes_is_a_failure(venue: str, status: int, body: bytes) -> None:
    """No body makes a failing status a success, and every 5xx leaves an order unknown (venues/README.md 3)."""
    failure = VENUES[venue].failure(status, {}, body)
    assert failure is not None
    assert failure.execution_unknown == (status >= 500 or status == 408)


def test_how_long_a_venue_wants_to_be_left_alone() -> None:
    """Retry-After in seconds; a date is not read."""
    venue = VENUES["binance"]
    waits = {"7": 7.0, "Wed, 21 Oct 2026 07:28:00 GMT": None, "": None, "-1": None, "\xb2": None}
    waits |= {"9" * 12: 259_200.0, "9" * 400: 259_200.0}  # longer than any ban
    for value, wait in waits.items():
        failure = venue.failure(429, {"retry-after": value}, b'{"code":-1003,"msg":"x"}')
        assert failure == Failure(RATE, "x", "-1003", wait_sec=wait)
