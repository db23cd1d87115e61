"""Work in threads is never left half done."""

import asyncio
import gc
import threading

import pytest

from gambit.threads import in_thread, to_its_end


async def test_a_cancelled_caller_waits_for_the_thread() -> None:
    """However often it is cancelled; and then it is cancelled."""
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        may_end.wait(30)
        ended.set()

    caller = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(begun.wait, 30)
    for _ in range(3):
        caller.cancel()
        await asyncio.sleep(0)
        assert not caller.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended.is_set()


async def test_results_and_errors_come_through() -> None:
    """As they would by themselves."""
    assert await in_thread(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await in_thread(divmod, 7, 0)


async def test_an_error_of_abandoned_work_is_the_callers_end_all_the_same() -> None:
    """Whoever cancels sees a cancelled task, whose cause the error is; the loop has none to complain of."""
    may_end = asyncio.Event()
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, told: complaints.append(told["message"]))

    async def work() -> None:
        await may_end.wait()
        raise ValueError("late")

    caller = asyncio.create_task(to_its_end(work()))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.sleep(0)
    may_end.set()
    with pytest.raises(asyncio.CancelledError) as ended:
        await caller
    assert isinstance(ended.value.__cause__, ValueError)
    del caller, ended
    await asyncio.sleep(0)  # the loop lets go of it,
    gc.collect()  # and that is when it would complain
    assert complaints == []
