"""What a library's errors and rows mean: refused only where that is certain, exact numbers, nothing guessed."""

from decimal import Decimal

import pytest

from gambit.model import Category
from gambit.venues.generic_orders import Seen, by_client_id, fault_of, filled, number, step, to_digits
from gambit.venues.reading import Malformed

ERROR = ("ExchangeError", "BaseError", "Exception")
NETWORK = ("NetworkError", "OperationFailed", "BaseError", "Exception")


@pytest.mark.parametrize(
    ("classes", "text", "is_definite"),
    [
        (("InsufficientFunds", *ERROR), 'binance {"code":-2010,"msg":"Account has insufficient balance"}', True),
        (("InvalidOrder", *ERROR), 'binance {"code":-1013,"msg":"Filter failure: LOT_SIZE"}', True),
        (("InvalidOrder", *ERROR), 'binance {"code":-2010,"msg":"Duplicate order sent."}', False),
        (("InvalidOrder", *ERROR), 'bybit {"retCode":170146,"retMsg":"Order creation timeout."}', False),
        (("InvalidOrder", *ERROR), 'bybit {"retCode":170147,"retMsg":"Order cancellation timeout."}', False),
        (("InvalidOrder", *ERROR), 'bybit {"retCode":170124,"retMsg":"Order amount too large."}', True),
        (("BadRequest", *ERROR), 'binance {"code":-1013,"msg":"Filter failure: NOTIONAL"}', True),
        (("ExchangeNotAvailable", *NETWORK), 'binance 503 {"code":-1013,"msg":"Filter failure: NOTIONAL"}', False),
        (("InvalidOrder", *ERROR), 'bybit {"retCode":170005,"retMsg":"Too many new orders."}', False),
        (("InvalidOrder", *ERROR), 'gate {"label":"X","message":"order with this text already exists"}', False),
        (("InvalidNonce", *NETWORK), 'binance {"code":-1021,"msg":"outside of the recvWindow"}', False),
        (("DDoSProtection", *NETWORK), 'binance {"code":-1003,"msg":"Too many requests"}', False),
        (("RateLimitExceeded", "DDoSProtection", *NETWORK), 'okx {"code":"50011"}', False),
        (("ExchangeNotAvailable", *NETWORK), "kraken 520", False),
        (("OnMaintenance", "ExchangeNotAvailable", *NETWORK), "kraken cancel_only mode", False),
        (("RequestTimeout", *NETWORK), 'binance {"code":-1007}', False),
        (("OperationFailed", "BaseError"), 'binance {"code":-1006}', False),
        (ERROR, 'binance {"code":-1008,"msg":"Server is currently overloaded"}', False),
        (ERROR, 'okx {"code":"1","data":[{"sCode":"51149","sMsg":"Order timed out."}]}', False),
        (ERROR, 'bybit {"retCode":10016,"retMsg":"Internal System Error"}', False),
        (ERROR, 'kraken {"error":["EOrder:Tick size check failed"]}', True),
        (ERROR, 'kraken {"error":["EAPI:Invalid signature"]}', True),
        (ERROR, 'kraken {"error":["EService:Deadline elapsed"]}', False),
        (ERROR, 'coinbase {"error":"INTERNAL"}', False),
        (("AuthenticationError", *ERROR), 'coinbase {"error":"unauthorized"}', True),
        (("OrderNotFound", "InvalidOrder", *ERROR), 'okx {"sCode":"51603"}', False),
        (("BadSymbol", "BadRequest", *ERROR), "binance does not have market symbol X/Y", True),
        (("KeyError", "LookupError", "Exception"), "a defect of the library", False),
    ],
)
def test_only_a_positive_refusal_refuses(classes: tuple[str, ...], text: str, is_definite: bool) -> None:
    """The traps of the library's classes, one by one; whatever is not certain leaves a create unknown."""
    fault = fault_of(classes, text)
    assert (fault.is_definite, fault.execution_unknown) == (is_definite, not is_definite)
    assert not fault.retryable or not fault.execution_unknown


def test_what_is_the_keys_fault() -> None:
    """A wrong signature is, by Kraken's words; a wrong clock is not."""
    assert fault_of(ERROR, '{"error":["EAPI:Invalid signature"]}').category is Category.AUTH
    clock = fault_of(("InvalidNonce", *NETWORK), '{"code":-1021}')
    assert (clock.category, clock.means, clock.code) == (Category.AUTH, "clock", "-1021")


def test_rows() -> None:
    """Texts stay exact; a row that does not say how an order is says nothing."""
    row = {"id": "7", "clientOrderId": "gb1", "status": "canceled", "filled": "0.10000000", "symbol": "BTC/USDT"}
    seen = Seen(row)
    assert (seen.cum_qty, seen.found_as, seen.is_over) == (Decimal("0.10000000"), "canceled", True)
    assert not Seen(row | {"filled": None}).is_over
    assert not Seen(row | {"status": None}).is_over
    assert by_client_id([{"id": "6"}, row], "gb1") is not None
    assert by_client_id([row], "gb2") is None
    assert number("nan") is number(None) is number("x") is None
    trade = {
        "id": "9", "order": "7", "amount": "0.1", "price": "64006.22", "side": "buy", "timestamp": 1_700_000_000_123,
        "fee": {"cost": "0.0000100", "currency": "BTC"},
    }  # fmt: skip
    fill = filled("gate", "BTC-USDT", "gb1", trade)
    assert fill is not None
    assert (fill.qty, fill.price, fill.fee, fill.fee_asset, fill.exec_ns) == (
        Decimal("0.1"), Decimal("64006.22"), Decimal("0.0000100"), "BTC", 1_700_000_000_123_000_000,
    )  # fmt: skip
    assert filled("gate", "BTC-USDT", "gb1", trade | {"price": None}) is None
    nameless = filled("gate", "BTC-USDT", "gb1", trade | {"id": None})
    assert nameless is not None
    assert nameless.exec_id.startswith("s")


TRADE = {"id": "9", "order": "7", "amount": "0.1", "price": "60000", "side": "buy", "timestamp": 1_700_000_000_123}


@pytest.mark.parametrize(
    ("told", "fee", "asset"),
    [
        ({"fees": [{"cost": "0", "currency": "BTC"}, {"cost": "0.8", "currency": "GT"}]}, "0.8", "GT"),
        ({"fees": [{"cost": "0.1", "currency": "GT"}, {"cost": "0.2", "currency": "GT"}]}, "0.3", "GT"),
        ({"fees": [{"cost": "0", "currency": "BTC"}, {"cost": "0", "currency": "GT"}]}, "0", "BTC"),
        ({"fees": [], "fee": {"cost": "-0.01", "currency": "USDT"}}, "-0.01", "USDT"),
        ({"fee": {"cost": None, "currency": None}}, "0", "USDT"),
        ({}, "0", "USDT"),
    ],
)
def test_a_fee_is_in_one_currency(told: dict[str, object], fee: str, asset: str) -> None:
    """What was charged nothing says nothing; Gate's fee paid in GT comes beside one of zero."""
    fill = filled("gate", "BTC-USDT", "gb1", TRADE | told)
    assert fill is not None
    assert (fill.fee, fill.fee_asset) == (Decimal(fee), asset)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"fees": [{"cost": "0.1", "currency": "BTC"}, {"cost": "0.8", "currency": "GT"}]}, "in 2 currencies"),
        ({"fee": {"cost": "much", "currency": "BTC"}}, "no number: 'much'"),
        ({"fee": {"cost": "0.1", "currency": None}}, "in no currency"),
    ],
)
def test_a_wrong_fee_is_never_told(told: dict[str, object], words: str) -> None:
    """An execution has one; what is in several cannot be read."""
    with pytest.raises(Malformed, match=words):
        filled("gate", "BTC-USDT", "gb1", TRADE | told)


def test_gates_client_ids_are_ours() -> None:
    """The library puts "t-" in front of them, and leaves it there."""
    seen = by_client_id([{"id": "6", "clientOrderId": "t-gb01HV"}], "gb01HV")
    assert seen is not None
    assert (seen.client_id, seen.venue_id) == ("gb01HV", "6")


@pytest.mark.parametrize(
    ("mode", "precision", "expected"),
    [(4, "0.1", "0.1"), (2, "8", "0.00000001"), (2, "0", "1"), (2, "-1", "10"), (3, "8", "0.00000001")],
)
def test_a_step_is_what_the_librarys_mode_says(mode: int, precision: str, expected: str) -> None:
    """A step as it is, or a number of decimals."""
    assert step(mode, Decimal(precision)) == Decimal(expected)
    assert step(mode, None) is None


@pytest.mark.parametrize(
    ("price", "buy", "sell"),
    [
        ("64012.67", "64012", "64013"),
        ("99999.1", "99999", "100000"),
        ("640126.7", "640120", "640130"),
        ("1.23456", "1.2345", "1.2346"),
        ("0.00012345", "0.00012345", "0.00012345"),
    ],
)
def test_a_price_of_five_digits_is_never_worse(price: str, buy: str, sell: str) -> None:
    """A buy pays no more, a sell gets no less."""
    assert to_digits(Decimal(price), "buy", 5) == Decimal(buy)
    assert to_digits(Decimal(price), "sell", 5) == Decimal(sell)


SENT, DDOS, TAKEN = "already_sent", ("DDoSProtection", *NETWORK), "Client order ID already exists."


@pytest.mark.parametrize(
    ("classes", "text", "category", "means"),
    [
        (("InvalidOrder", *ERROR), f'okx {{"data":[{{"sCode":"51016","sMsg":"{TAKEN}"}}]}}', "permanent_4xx", SENT),
        (ERROR, 'okx {"code":"1","data":[{"sCode":"50071","sMsg":"x"}]}', "permanent_4xx", SENT),
        (("InvalidOrder", *ERROR), 'bybit {"retCode":170141,"retMsg":"x"}', "permanent_4xx", SENT),
        (("InvalidOrder", *ERROR), 'binance {"code":-2010,"msg":"Duplicate order sent."}', "permanent_4xx", SENT),
        (ERROR, 'kraken {"error":["EOrder:Invalid cl_ord_id"]}', "permanent_4xx", SENT),
        (ERROR, 'coinbase {"error_response":{"error":"DUPLICATE_CLIENT_ORDER_ID"}}', "permanent_4xx", SENT),
        (("InvalidOrder", *ERROR), f'kucoin {{"code":"300","msg":"{TAKEN}"}}', "permanent_4xx", SENT),
        (ERROR, 'okx {"code":"1","data":[{"sCode":"50061","sMsg":"Order rate"}]}', "rate_limit", "other"),
        (ERROR, 'binance {"code":-1008,"msg":"Server overloaded"}', "vendor_5xx", "other"),
        (ERROR, 'bybit {"retCode":10000,"retMsg":"Server Timeout"}', "vendor_5xx", "other"),
        (ERROR, 'bybit {"retCode":10016,"retMsg":"x"}', "vendor_5xx", "other"),
        (("InvalidOrder", *ERROR), 'bybit {"retCode":170005,"retMsg":"Too many"}', "rate_limit", "other"),
        (DDOS, 'kraken {"error":["EOrder:Rate limit exceeded"]}', "rate_limit", "other"),
    ],
)
def test_the_code_goes_before_the_class(classes: tuple[str, ...], text: str, category: str, means: str) -> None:
    """What was sent before is not refused, and what says when to come again says nothing else."""
    fault = fault_of(classes, text)
    assert (fault.category, fault.means, fault.is_definite) == (category, means, False)


def test_a_lockout_stops() -> None:
    """The library calls it too many requests; it is the keys', and each further call makes it longer."""
    fault = fault_of(DDOS, 'kraken {"error":["EGeneral:Temporary lockout"]}')
    assert (fault.category, fault.is_definite) == (Category.AUTH, True)
    unknown = fault_of(("InvalidOrder", *ERROR), 'kraken {"error":["EOrder:Unknown order"]}')
    assert (unknown.means, unknown.is_definite) == ("missing", False)
