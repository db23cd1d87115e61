"""The venues' own switch: renewed in time, off after a clean end, and told where it cannot be set."""

from gambit.model import Category
from gambit.runtime.backoff import SEC
from gambit.runtime.dead_man import DeadMan
from gambit.venues.account import Turn
from gambit.venues.orders import DeadManSet, Fault


def test_it_is_renewed_three_times_in_its_time_and_stands_from_when_it_was_asked_for() -> None:
    said: list[str] = []
    switch = DeadMan("okx", 60, said.append)
    assert switch.is_due(0)
    assert not switch.stands(0)
    switch.asked(1 * SEC)
    switch.learn(Turn(told=[DeadManSet(123)]))
    assert not switch.is_due(20 * SEC)
    assert switch.is_due(21 * SEC)
    assert switch.stands(61 * SEC - 1)
    assert not switch.stands(61 * SEC)
    assert said == []


def test_a_venue_that_refuses_it_is_told_of_once_a_reason() -> None:
    said: list[str] = []
    switch = DeadMan("kraken", 60, said.append)
    refused = Turn(fault=Fault(category=Category.PERMANENT_4XX, code="EGeneral:Invalid arguments", text="no"))
    for _ in range(3):
        switch.asked(0)
        switch.learn(refused)
    assert said == [
        "kraken: the switch that cancels all orders is not set: permanent_4xx EGeneral:Invalid arguments: no"
    ]
    assert not switch.stands(1)


def test_none_is_never_due() -> None:
    switch = DeadMan("binance", 0, lambda _text: None)
    assert not switch.is_due(10**18)
