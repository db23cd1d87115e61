"""The board shows an episode from its first signal to its end, best first, filtered as asked."""

from gambit.engine.board import Board


def raised(episode: str, recv_ns: int, score: float, symbol: str = "BTC-USDT", buy: str = "okx", sell: str = "kraken"):
    """A signal as the engine words it, as far as the board looks."""
    names = {"symbol": symbol, "symbol_buy": symbol, "symbol_sell": symbol, "venue_buy": buy, "venue_sell": sell}
    numbers = {"score": score, "net_bps": 1.0, "profit_quote": 2.0}
    return {"event": "raised", "raw_signal_id": episode, "recv_ns": recv_ns, **names, **numbers}


def closed(episode: str, recv_ns: int):
    """An episode's end."""
    return {"event": "closed", "raw_signal_id": episode, "recv_ns": recv_ns, "reason": "stale", "duration_ns": 5}


def test_an_episode_is_shown_with_its_latest_signal_until_it_ends() -> None:
    """A second signal of an episode replaces the first and keeps when it began."""
    board = Board()
    board.take(raised("a", 10, 0.5))
    board.take(raised("b", 11, 0.9))
    board.take(raised("a", 20, 0.95))
    assert [(e["raw_signal_id"], e["since_ns"], e["recv_ns"]) for e in board.top(5)] == [("a", 10, 20), ("b", 11, 11)]
    assert len(board.top(1)) == 1
    board.take(closed("a", 30))
    assert [e["raw_signal_id"] for e in board.top(5)] == ["b"]
    (ended,) = board.recent(5)
    assert (ended["reason"], ended["raised_ns"], ended["recv_ns"]) == ("stale", 20, 30)
    assert (board.raised, board.closed) == (3, 1)


def test_filters() -> None:
    """By symbol, and by venue on either side."""
    board = Board()
    board.take(raised("a", 1, 0.5, symbol="ETH-USDT"))
    board.take(raised("b", 2, 0.6, buy="binance"))
    assert [e["raw_signal_id"] for e in board.top(5, symbols=["ETH-USDT"])] == ["a"]
    assert [e["raw_signal_id"] for e in board.top(5, venues=["binance"])] == ["b"]
    assert [e["raw_signal_id"] for e in board.top(5, venues=["kraken"])] == ["b", "a"]


def test_ended_ones_are_kept_up_to_a_limit_newest_first() -> None:
    """The oldest are forgotten."""
    board = Board(recent=2)
    for k in range(4):
        board.take(raised(str(k), k, 0.5))
        board.take(closed(str(k), k))
    board.take(closed("never seen", 9))
    assert [e["raw_signal_id"] for e in board.recent(9)] == ["3", "2"]
