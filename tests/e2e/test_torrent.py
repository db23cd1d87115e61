"""A daemon in a process of its own takes a tape of valid frames without losing one. The long run, with its numbers, is
`python -m benchmarks.live.torrent`."""

from benchmarks.live.torrent import is_whole, make_tape, run

RATE = 3000
SECONDS = 2.0


def test_nothing_is_lost() -> None:
    """Every frame sent is counted; no gap, no refused frame, no overrun, no dropped sample, over several rounds."""
    tape = make_tape(1.0, RATE)
    samples, poured = run(tape, SECONDS, sample_sec=0.5)
    assert poured.frames > tape.frames
    assert samples[-1].frames == tape.opened + poured.frames
    assert is_whole(tape, samples[-1], poured)
