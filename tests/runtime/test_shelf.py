"""Instrument lists live from run to run; a start that the venue does not answer goes by the one that was kept."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gambit.runtime.feed import Feed
from gambit.runtime.shelf import FOLDER, Label, Shelf
from tests.runtime.exchange import Exchange
from tests.runtime.feeding import SYMBOLS, Setup

NOBODY = "http://127.0.0.1:1"  # nothing listens there


@asynccontextmanager
async def started() -> AsyncIterator[Exchange]:
    exchange = await Exchange().start()
    try:
        yield exchange
    finally:
        await exchange.stop()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def shelf(tmp_path: Path, said: list[str]) -> Shelf:
    return Shelf(tmp_path, said.append)


def test_what_is_kept_comes_back(shelf: Shelf, said: list[str]) -> None:
    """Byte for byte, the latest, for its own address only."""
    body = b'{"a":\n1}\n'
    shelf.keep("okx", "https://rest/list", b"[]", 1)
    shelf.keep("okx", "https://rest/list", body, 2)
    assert shelf.last("okx", "https://rest") == (Label("https://rest/list", 2), body)
    assert shelf.last("okx", "https://elsewhere") is None
    assert shelf.last("bybit", "https://rest") is None
    assert said == []


def test_a_file_that_is_no_list_is_told(shelf: Shelf, said: list[str], tmp_path: Path) -> None:
    shelf.keep("okx", "https://rest/list", b"[]", 1)
    (tmp_path / FOLDER / "okx.json").write_bytes(b"\0\0\0")
    assert shelf.last("okx", "https://rest") is None
    assert "cannot be read" in said[0]


def test_a_folder_that_cannot_be_made_is_told(said: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    Shelf(tmp_path / "file", said.append).keep("okx", "https://rest/list", b"[]", 1)
    assert "is not kept" in said[0]


async def test_a_start_without_rest(shelf: Shelf, tmp_path: Path) -> None:
    """The second run has the first one's rules, books in sync, and says that it is degraded and why."""
    async with started() as exchange:
        first = Setup(exchange)
        first.feeds.shelf = shelf
        await first.synced()
        assert os.listdir(tmp_path / FOLDER) == ["okx.json"]
        assert not first.status().is_degraded
        learned = {name: one for name, one in first.market.venue("okx").catalog.by_symbol.items() if name in SYMBOLS}
        await first.stop()
        (kept,) = (tmp_path / FOLDER).iterdir()
        kept.write_bytes(kept.read_bytes().replace(exchange.rest.encode(), NOBODY.encode(), 1))
        second = Setup(exchange, rest=NOBODY, speed=10)
        second.feeds.shelf = shelf
        await second.synced()
        feed = second.feeds.feeds[0]
        assert isinstance(feed, Feed)
        assert second.market.venue("okx").catalog.has_list
        known = second.market.venue("okx").catalog.by_symbol
        assert {name: known[name] for name in SYMBOLS} == learned
        status = second.status()
        assert (status.state, status.is_degraded) == ("degraded", True)
        assert any("goes on with the instrument list of" in line for line in second.said)
        await second.stop()


async def test_a_start_with_neither() -> None:
    """Goes by what is known otherwise, as it always did."""
    async with started() as exchange:
        setup = Setup(exchange, rest=NOBODY, speed=10)
        await setup.synced()
        assert not setup.market.venue("okx").catalog.has_list
        assert any("without an instrument list" in line for line in setup.said)
        await setup.stop()
