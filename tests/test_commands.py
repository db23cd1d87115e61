"""Client order ids: one intent, one id, on every venue."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit.commands import base36, client_order_id, idempotency_key, key_parts, plan_id
from gambit.events import KINDS, read, written
from gambit.events.orders import Acked, Filled, PlanMade, synthetic_exec_id


@given(st.integers(0, 36**4 - 1), st.integers(0, 36**5 - 1), st.text())
def test_ids_fit_every_venue_and_say_whose_they_are(epoch: int, number: int, intent: str) -> None:
    """[A-Za-z0-9]{1,18}, the same for the same intent, with epoch and number to be read off."""
    key = client_order_id("gb", epoch, number, intent)
    assert re.fullmatch(r"[A-Za-z0-9]{1,18}", key)
    assert key == client_order_id("gb", epoch, number, intent)
    assert key_parts(key, "gb") == ("gb", epoch, number)
    assert key_parts(key, "xy") is None


def test_another_intent_has_another_id() -> None:
    """Any part of product.md's key changes it; the same quantity written otherwise does not."""
    base = idempotency_key("p", "u", "a", "BTC-USDT", "buy", Decimal("1.50"))
    assert base == idempotency_key("p", "u", "a", "BTC-USDT", "buy", Decimal("1.5"))
    others = [
        idempotency_key("q", "u", "a", "BTC-USDT", "buy", Decimal("1.5")),
        idempotency_key("p", "v", "a", "BTC-USDT", "buy", Decimal("1.5")),
        idempotency_key("p", "u", "b", "BTC-USDT", "buy", Decimal("1.5")),
        idempotency_key("p", "u", "a", "ETH-USDT", "buy", Decimal("1.5")),
        idempotency_key("p", "u", "a", "BTC-USDT", "sell", Decimal("1.5")),
        idempotency_key("p", "u", "a", "BTC-USDT", "buy", Decimal("1.6")),
        idempotency_key("p", "u", "a", "BTC-USDT", "buy", Decimal("1.5"), 1),
    ]
    keys = {client_order_id("gb", 1, 1, text) for text in [base, *others]}
    assert len(keys) == 8


def test_what_does_not_fit_is_an_error() -> None:
    """Never a silently shortened id."""
    with pytest.raises(ValueError, match="does not fit 4"):
        client_order_id("gb", 36**4, 1, "x")
    with pytest.raises(ValueError, match="does not fit"):
        base36(-1, 4)
    with pytest.raises(ValueError, match="prefix"):
        client_order_id("G!", 1, 1, "x")
    assert plan_id("gb", 1, 2) != plan_id("gb", 2, 1)


def test_a_made_up_execution_id_repeats_itself() -> None:
    """F27: the same execution without an id gets the same one every time, another one another."""
    one = synthetic_exec_id("k", 5, Decimal("1.0"), Decimal(100), Decimal(1))
    assert one == synthetic_exec_id("k", 5, Decimal(1), Decimal("100.00"), Decimal("1.00"))
    assert one != synthetic_exec_id("k", 5, Decimal(1), Decimal(100), Decimal(2))


def test_facts_go_through_the_journal_unchanged() -> None:
    """Money is decimal text, kinds are registered, nothing is lost on the way."""
    fact = Filled(
        key="k", venue="a", symbol="BTC-USDT", side="buy", exec_id="9007199254740993", qty=Decimal("0.10"),
        price=Decimal("65000.01"), fee=Decimal("-0.000000000000000001"), fee_asset="USDT",
    )  # fmt: skip
    kind, body = written(fact)
    assert kind == "order.filled"
    assert b'"price":"65000.01"' in body
    assert read(kind, body) == fact
    assert read(*written(Acked(key="k", venue="a", venue_order_id="1"))) == Acked(
        key="k", venue="a", venue_order_id="1"
    )
    assert KINDS["plan.made"] is PlanMade
