"""Clients that ask over HTTP: one or several at once, workspaces and queries in turn."""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from benchmarks._fill import Home
from benchmarks._server import Bench, Client, summary

LIMIT = 10
OK, BUSY = 200, 503
AGAIN_SECONDS = 0.05


class Asking:
    """Searches of one mode. `asked` and the workspaces take turns, each in its own order."""

    def __init__(
        self, bench: Bench, homes: Sequence[Home], mode: str, asked: Sequence[str]
    ) -> None:
        self.bench, self.mode, self.asked = bench, mode, asked
        self.refused = 0
        self.tokens = [home.token for home in homes]
        random.Random(3).shuffle(self.tokens)

    def one(self, client: Client, place: int) -> float:
        """Milliseconds of one search. One that is refused for too much work is asked again."""
        client.be(self.tokens[place % len(self.tokens)])
        query = self.asked[place % len(self.asked)]
        begun = time.perf_counter()
        body = {"q": query, "mode": self.mode, "limit": LIMIT}
        while (answer := client.post("/api/v1/search", body))[0] == BUSY:
            self.refused += 1
            time.sleep(AGAIN_SECONDS)
        if answer[0] != OK:
            raise RuntimeError(f"{answer[0]} {answer[1].decode()[:500]}")
        return (time.perf_counter() - begun) * 1000

    def run(self, times: int, *, clients: int = 1, warmup: int = 20) -> dict[str, Any]:
        """`times` searches by all clients together; each client warms its web process up first.

        A thread waits nearly all the time, so eight of them are no bottleneck: `client_cpu_share`
        says how much of one core they and their waiting took.
        """
        ready, places = threading.Barrier(clients + 1), count()
        taken: list[float] = []
        failed: list[BaseException] = []

        def work() -> None:
            try:
                client = self.bench.client()
                for place in range(warmup):
                    self.one(client, place)
                ready.wait()
                while (place := next(places)) < times:
                    taken.append(self.one(client, warmup + place))
            except BaseException as error:
                failed.append(error)
                ready.abort()

        threads = [threading.Thread(target=work, daemon=True) for _ in range(clients)]
        for thread in threads:
            thread.start()
        _wait(ready, failed)
        self.refused = 0
        begun, cpu = time.perf_counter(), time.process_time()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - begun
        if failed:
            raise failed[0]
        return {
            **summary(taken),
            "clients": clients,
            "refused": self.refused,
            "per_second": round(len(taken) / seconds, 1),
            "client_cpu_share": round((time.process_time() - cpu) / seconds, 2),
        }


def _wait(ready: threading.Barrier, failed: Sequence[BaseException]) -> None:
    try:
        ready.wait()
    except threading.BrokenBarrierError:
        if failed:
            raise failed[0] from None
        raise


def many_and_one(one: dict[str, Any], many: dict[str, Any]) -> dict[str, float]:
    """How much longer a request takes where several clients ask."""
    return {
        f"ratio_{name}": round(many[f"{name}_ms"] / one[f"{name}_ms"], 2) for name in ("p50", "p95")
    }


def endless(asked: Sequence[str]) -> Iterator[str]:
    """Queries that no process has seen, from those it may have."""
    for round_ in count():
        yield from (f"{query} {round_}" for query in asked)
