"""Clients that send clips as fast as they are answered, and take the time: ``python -m benchmarks.httpload PLAN``.

A process of its own, so that the threads of the benchmark do not slow its clock. The plan is JSON: `port`, `path`,
`files`, `clients`, `requests`; what it prints is JSON too.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from benchmarks.httpclient import Client, post_form


async def load(plan: dict[str, Any], requests: list[bytes]) -> dict[str, Any]:
    """Send requests; return the wall seconds, those of each request, and how many answers had which status."""
    waiting = islice(cycle(requests), plan["requests"])
    seconds: list[float] = []
    statuses: Counter[int] = Counter()
    begin = time.perf_counter()
    await asyncio.gather(*(_send(plan["port"], waiting, seconds, statuses) for _ in range(plan["clients"])))
    return {"wall": time.perf_counter() - begin, "seconds": seconds, "statuses": statuses}


async def _send(port: int, waiting: Iterator[bytes], seconds: list[float], statuses: Counter[int]) -> None:
    async with Client(port) as client:
        for request in waiting:
            begin = time.perf_counter()
            answer = await client.ask(request)
            seconds.append(time.perf_counter() - begin)
            statuses[answer.status] += 1


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    made = [post_form(given["port"], given["path"], Path(file).read_bytes()) for file in given["files"]]
    print(json.dumps(asyncio.run(load(given, made))))
