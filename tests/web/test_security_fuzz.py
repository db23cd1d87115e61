"""S32, at random: whatever is sent, nothing breaks and nothing is told that should not be."""

from tests.web.fuzz import run


async def test_s32_requests_that_nobody_means():
    """No 5xx, no trace, no secret in an answer or a fact, and the door still answers. `python -m tests.web.fuzz` sends
    20,000."""
    statuses, wrong = await run(400, seed=11)
    assert wrong == []
    assert statuses.total() == 400
    assert len(statuses) >= 5, "requests of every kind"
