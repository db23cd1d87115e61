"""S26 in full: slow and silent clients by the hundred, and what a client that means well sees meanwhile.

python -m tests.web.slow [CLIENTS] [SECONDS]      500 clients for 60 s; prints the health check's percentiles
"""

import asyncio
import statistics
import sys
import time

from gambit.web.server import IDLE_SEC
from tests.web.rig import Rig, rig
from tests.web.schema_driven import Patient

POST = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
HEAD = b"GET /health HTTP/1.1\r\nHost: x\r\n"


async def drip(door: Rig, kind: int, until: float) -> float:
    """One slow client: a byte now and then. How long it was held; it comes again when it is cut."""
    begun = time.monotonic()
    reader, writer = await asyncio.open_connection(*door.server.address)
    gone = asyncio.ensure_future(reader.read())
    try:
        writer.write(
            (HEAD, POST + b"Content-Length: 60000\r\n\r\n", POST + b"Transfer-Encoding: chunked\r\n\r\n", b"")[kind]
        )
        while not gone.done() and time.monotonic() < until:
            await asyncio.wait([gone], timeout=1.0)
            writer.write((b"X-A: b\r\n", b" ", b"1\r\n \r\n", b"")[kind])
    except ConnectionError:
        return time.monotonic() - begun
    finally:
        gone.cancel()
        writer.close()
    return time.monotonic() - begun


async def run(clients: int, seconds: float) -> dict[str, float]:
    """p50, p99 and worst of the health check in seconds, the longest that a slow client was held, and how many came."""
    async with rig(limiter=Patient()) as door:
        until, held, taken = time.monotonic() + seconds, [0.0], [0.0]

        async def slow(kind: int) -> None:
            while time.monotonic() < until:
                held.append(await drip(door, kind, until + IDLE_SEC * 2))

        tasks = [asyncio.create_task(slow(at % 4)) for at in range(clients)]
        while time.monotonic() < until:
            begun = time.perf_counter()
            assert (await door.ask("GET", "/health")).status == 200
            taken.append(time.perf_counter() - begun)
            await asyncio.sleep(0.02)
        await asyncio.gather(*tasks)
        cuts = statistics.quantiles(taken[1:], n=100)
        return {"p50": cuts[49], "p99": cuts[98], "worst": max(taken), "held": max(held), "came": float(len(held) - 1)}


if __name__ == "__main__":
    given = [float(word) for word in sys.argv[1:]]
    print(asyncio.run(run(int(given[0]) if given else 500, given[1] if len(given) > 1 else 60.0)))
