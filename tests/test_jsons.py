"""gambit.jsons: JSON that is kept."""

import tracemalloc
from collections.abc import Callable
from decimal import Decimal

import orjson
import pytest

from gambit.jsons import kept_json

SIGNAL = {f"field_{k}": k * 1.5 for k in range(40)}


def held(make: Callable[[], bytes]) -> float:
    """Memory of a text that is kept, over its length."""
    tracemalloc.start()
    texts = [make() for _ in range(300)]
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return taken / sum(len(text) for text in texts)


def test_it_is_the_same_text_in_no_more_memory_than_it_needs() -> None:
    """A journal's tail, the page's rows and a recording keep thousands of them."""
    assert kept_json(SIGNAL) == orjson.dumps(SIGNAL)
    assert held(lambda: kept_json(SIGNAL)) < 1.2


def test_loose_json_takes_what_strict_json_refuses() -> None:
    """Exact decimals as text, keys of any type."""
    assert kept_json({1: Decimal("0.10")}, is_loose=True) == b'{"1":"0.10"}'
    with pytest.raises(TypeError):
        kept_json({"price": Decimal("0.10")})
