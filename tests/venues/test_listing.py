"""Reading instrument lists and addresses: values exactly or not at all."""

from decimal import Decimal

import pytest

from gambit.config import Config
from gambit.runtime.wiring import build_market
from gambit.venues.listing import exact, load_rows, path_of, query_of, text, two_parts, whole


@pytest.mark.parametrize(
    ("url", "path", "symbol"),
    [
        ("https://x/api/v3/depth?symbol=A&limit=5", "/api/v3/depth", "A"),
        ("https://x/api/v3/depth/?limit=5&symbol=B", "/api/v3/depth", "B"),
        ("depth?limit=1000 (no address was kept)", "depth", None),
        ("", "", None),
        ("https://x/depth?symbol=", "/depth", None),
        ("https://[not an address]/depth?symbol=A", "", None),
        ("https://x/depth?symbol=A%2FB", "/depth", "A/B"),
    ],
)
def test_addresses(url: str, path: str, symbol: str | None) -> None:
    """Path without query and final slash; the first value of a parameter."""
    assert path_of(url) == path
    assert query_of(url, "symbol") == symbol


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("0.10", Decimal("0.1")),
        ("1e-8", Decimal("1e-8")),
        ("999999999999999999", Decimal(999999999999999999)),
        ("1e-18", Decimal("1e-18")),
        ("9e-19", None),
        ("1e18", None),
        ("1e999999999", None),
        ("0", None),
        ("-1", None),
        ("NaN", None),
        ("Infinity", None),
        ("", None),
        ("one", None),
        (None, None),
        (5, None),
        ([], None),
    ],
)
def test_rules_are_exact_or_unknown(value: object, number: Decimal | None) -> None:
    """A rule that is no positive decimal, or none that a price or quantity could obey, is treated as absent."""
    assert exact(value) == number


def test_counts_of_decimals() -> None:
    """From 0 to 18."""
    assert [whole(value) for value in ("0", "8", "18", "19", "-1", "1.5", "", None, 8)] == [0, 8, 18, *[None] * 6]


def test_fields_and_parts() -> None:
    """Texts are texts, spellings have exactly two parts."""
    assert [text({"a": value}, "a") for value in ("x", 5, None)] == ["x", "", ""]
    assert text({}, "a") == ""
    assert [two_parts(spelling, "-") for spelling in ("A-B", "A-B-C", "A-", "AB", "")] == [("A", "B"), *[None] * 4]


def test_rows() -> None:
    """The objects of an array, or the values of an object, at a path; numbers keep their text."""
    assert list(load_rows(b'{"a":{"b":[{"x":1.10},5,null,{"y":"z"}]}}', "a", "b")) == [{"x": "1.10"}, {"y": "z"}]
    assert list(load_rows(b'{"a":{"k":{"x":1},"l":{"x":2}}}', "a")) == [{"x": "1"}, {"x": "2"}]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"a":5}', b'{"a":"text"}', b'{"a":null}', b"\xff", b"[" * 100_000]
)
def test_what_is_no_list(body: bytes) -> None:
    """It raises, and says so."""
    with pytest.raises(ValueError, match=r".+"):
        list(load_rows(body, "a"))


@pytest.mark.parametrize(
    ("venue", "url", "refused", "fine"),
    [
        ("okx", "public/instruments", '{"code":"50011","msg":"Too Many Requests","data":[]}', '{"code":"0","data":[]}'),
        ("kraken", "AssetPairs", '{"error":["EService:Busy"],"result":{}}', '{"error":["WX:y"],"result":{}}'),
    ],
)
def test_an_error_answer_is_no_list_of_nothing(venue: str, url: str, refused: str, fine: str) -> None:
    """With an empty list every spelling would be unknown from then on (D21)."""
    market = build_market(Config(), None)
    spelling = "BTC-USDT" if venue == "okx" else "BTC/USDT"
    for answer, is_known in ((refused, True), (fine, False)):
        market.on_http(venue, f"https://x/{url}", answer.encode(), 1)
        assert (market.venue(venue).catalog.symbol(spelling) == "BTC-USDT") == is_known
    assert [letter.reason.partition(":")[0] for letter in market.dead_letters] == ["instrument list"]
