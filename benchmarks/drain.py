"""Embedding under load, as JSON: an import drains, people write, and searches are served.

`python -m benchmarks.drain --import-rows 20000` imports so many messages through the services and
then, while the job worker embeds them with the real model, writes single messages over HTTP, each
waited for until it has its vector, and searches at a steady pace. Nothing in it is prepared: the
vectors are the model's own. The output is described in docs/benchmarks.md.
"""

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg

from benchmarks._bars import at_most
from benchmarks._clients import Asking, endless
from benchmarks._fill import Home, import_texts
from benchmarks._server import Bench, machine, running, summary, superuser
from benchmarks._sizes import Memory
from benchmarks._texts import queries, texts

WRITE = "/api/v1/threads/{}/messages"
# Between two writes, and between two looks whether the last one has its vector.
PAUSE_SECONDS, LOOK_SECONDS = 0.5, 0.01
MOST_WAITED_SECONDS = 60.0
WARM_CONNECTIONS = 8
WITHIN_MS, LEAST_TEXTS = 1000.0, 100.0
WAITING = "SELECT count(*) FROM memory_passage WHERE lane = 1 AND embedding IS NULL"
EMBEDDED = """
    SELECT count(*) = count(embedding) AND count(*) > 0 FROM memory_passage
     WHERE workspace_id = %s AND of_message_id = %s
"""


class Background:
    """Work repeated by threads of their own until told to stop; the first error is raised then."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self._threads: list[threading.Thread] = []
        self._failed: list[BaseException] = []

    def repeat(self, work: Callable[[], Any], *, every: float) -> None:
        def run() -> None:
            try:
                while not self._done.is_set():
                    begun = time.monotonic()
                    work()
                    self._done.wait(max(0.0, every - (time.monotonic() - begun)))
            except BaseException as error:
                self._failed.append(error)
                self._done.set()

        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()

    def wait(self, seconds: float) -> None:
        self._done.wait(seconds)

    def stop(self) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()
        if self._failed:
            raise self._failed[0]


class Writes:
    """Somebody's messages over HTTP, one after the other, and how long until each was embedded."""

    def __init__(self, bench: Bench) -> None:
        self.client, self.workspace_id = bench.client(), bench.workspace_id
        self.connection = superuser(bench, autocommit=True)
        self.texts = (text for _, text in texts(100_000, seed=99))
        session = self._made("/api/v1/sessions", {"name": "people"})
        self.thread = self._made(f"/api/v1/sessions/{session}/threads", {})
        self.waited: list[float] = []
        self.answered: list[float] = []

    def one(self) -> None:
        begun = time.perf_counter()
        body = {"role": "user", "content": next(self.texts)}
        message = self._made(WRITE.format(self.thread), body)
        written = time.perf_counter()
        while not self._embedded(message):
            if time.perf_counter() - written > MOST_WAITED_SECONDS:
                raise RuntimeError(f"a write has no vector after {MOST_WAITED_SECONDS:.0f} s")
            time.sleep(LOOK_SECONDS)
        self.answered.append((written - begun) * 1000)
        self.waited.append((time.perf_counter() - written) * 1000)

    def _embedded(self, message: str) -> bool:
        row = self.connection.execute(EMBEDDED, [self.workspace_id, message]).fetchone()
        return bool(row and row[0])

    def _made(self, path: str, body: dict[str, Any]) -> str:
        status, answer = self.client.post(path, body)
        if status >= 300:
            raise RuntimeError(f"{path}: {status} {answer.decode()[:500]}")
        made = json.loads(answer)
        return str(made.get("items", [made])[0]["id"])


def measure(bench: Bench, options: argparse.Namespace) -> dict[str, Any]:
    home = Home(bench.workspace_id, bench.token, options.import_rows)
    begun = time.perf_counter()
    import_texts(home, texts(options.import_rows))
    result: dict[str, Any] = {
        "imported": options.import_rows,
        "imported_per_s": round(options.import_rows / (time.perf_counter() - begun)),
    }
    writes, searcher, taken = Writes(bench), bench.client(), list[float]()
    asking = Asking(bench, [home], "hybrid", [])
    new = endless(queries(200, texts_of=options.import_rows))

    def search() -> None:
        asking.asked = [next(new)]
        taken.append(asking.one(searcher, 0))

    background = Background()
    # Both web processes load the model, and the worker begins.
    writes.one()
    for _ in range(WARM_CONNECTIONS):
        asking.asked = [next(new)]
        asking.one(bench.client(), 0)
    for warm in (writes.waited, writes.answered, taken):
        warm.clear()
    memory = Memory(bench)
    with superuser(bench, autocommit=True) as connection:
        before, begun = _waiting(connection), time.perf_counter()
        background.repeat(writes.one, every=PAUSE_SECONDS)
        background.repeat(search, every=1 / options.searches_per_second)
        end = begun + options.seconds
        left = before
        while left and time.perf_counter() < end:
            background.wait(1.0)
            left = _waiting(connection)
        seconds = time.perf_counter() - begun
        background.stop()
        memory.look()
    return result | {
        "waiting_before": before,
        "waiting_after": left,
        "seconds": round(seconds, 1),
        "drained_texts_per_s": round((before - left) / seconds, 1),
        "interactive_write": summary(writes.answered),
        "interactive_until_embedded": summary(writes.waited),
        "searches": summary(taken) | {"asked_per_s": options.searches_per_second},
        "searches_refused": asking.refused,
        "memory": memory.peaks,
    }


def _waiting(connection: psycopg.Connection) -> int:
    row = connection.execute(WAITING).fetchone()
    return int(row[0]) if row else 0


def bars(result: dict[str, Any]) -> list[Any]:
    waited, texts_per_s = result["interactive_until_embedded"], result["drained_texts_per_s"]
    return [
        at_most("interactive write until embedded, p99_ms", waited["p99_ms"], WITHIN_MS),
        {
            "bar": "texts embedded a second while searches are served",
            "value": texts_per_s,
            "least": LEAST_TEXTS,
            "met": texts_per_s >= LEAST_TEXTS,
        },
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--import-rows", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=90.0, help="at most; the drain goes on")
    parser.add_argument("--searches-per-second", type=float, default=2.0)
    options = parser.parse_args()
    result: dict[str, Any] = {"machine": machine()}
    with running(jobs=True) as bench:
        result |= measure(bench, options)
    result["bars"] = bars(result)
    json.dump(result, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
