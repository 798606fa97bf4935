"""Hooks of several agents at once, over HTTP through gunicorn, at a steady rate, as JSON.

`python -m benchmarks.hooks` has eight sessions at work, 50 events a second for 20 seconds, sent
when they are due whether or not the one before was answered; memories are there to be recalled, the
job worker maps meanwhile. All eight begin within a fifth of a second, on connections that have
planned nothing yet: the first seconds are told apart. Beside it the same payloads as one plain
INSERT and commit each.
"""

import argparse
import itertools
import json
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg

from benchmarks._bars import at_most
from benchmarks._server import Bench, Client, machine, running, summary, timed

SESSIONS, CLIENTS, MEMORIES, CALLS = 8, 16, 500, 12
MOST_P95_MS, MOST_MAPPED_SECONDS = 50.0, 1.0
WAIT_SECONDS = 30.0
FIRST_SECONDS = 3.0
TOPICS = ("pump", "sensor", "fern", "valve", "lamp", "tank", "filter", "timer", "door", "fan")
OUTPUT = (
    "412 passed, 3 failed in tests/api/test_sessions.py. The lock was held by the export. " * 20
)


def payloads(session: str, first_calls: int = CALLS) -> Iterator[dict[str, Any]]:
    """What one agent's hooks are given, turn by turn: twelve calls to a prompt, in the first turn
    `first_calls`."""
    base = {
        "session_id": session,
        "cwd": f"/home/vera/{session[-2:]}",
        "permission_mode": "default",
    }

    def one(event: str, **fields: Any) -> dict[str, Any]:
        return {**base, "hook_event_name": event, **fields}

    yield one("SessionStart", source="startup", model="claude-opus-4-5")
    for turn in itertools.count():
        prompt_id, topic = f"p{turn}", TOPICS[turn % len(TOPICS)]
        prompt = f"Why does the {topic} of house {turn} stop, and what did we decide about it?"
        yield one("UserPromptSubmit", prompt=prompt, prompt_id=prompt_id)
        for n in range(CALLS if turn else first_calls):
            call = {
                "tool_name": "Bash",
                "tool_input": {"command": f"pytest -k case_{n}", "description": "Run tests"},
                "tool_use_id": f"toolu_{session}_{turn}_{n}",
                "prompt_id": prompt_id,
            }
            yield one("PreToolUse", **call)
            yield one("PostToolUse", **call, tool_response={"stdout": OUTPUT}, duration_ms=900)
        yield one("Stop", last_assistant_message=f"The {topic} is fixed.", prompt_id=prompt_id)


def make_memories(bench: Bench) -> None:
    from config.lib.actor import Actor
    from config.lib.scope import workspace_scope
    from memory.services.memories import NewMemory, create_memory

    actor = Actor("system", "benchmark", "benchmark", "shell")
    with workspace_scope(bench.workspace_id):
        for n in range(MEMORIES):
            topic = TOPICS[n % len(TOPICS)]
            text = f"We decided that the {topic} of house {n} is looked at every {n % 24} hours."
            create_memory(actor=actor, new=NewMemory(text=text))


def measure(bench: Bench, *, rate: int, seconds: int) -> dict[str, Any]:
    """Milliseconds from when each payload was due to its answer."""
    due: queue.Queue[tuple[float, dict[str, Any]] | None] = queue.Queue()
    first: list[float] = []
    taken: list[tuple[str, float]] = []
    failed: list[str] = []

    def work() -> None:
        client = bench.client()
        while (job := due.get()) is not None:
            at, payload = job
            try:
                status, answer = client.post("/api/v1/hooks/claude-code", payload)
            except OSError as error:
                failed.append(repr(error))
                client.renew()
                continue
            took = (time.perf_counter() - at) * 1000
            if at < begun + FIRST_SECONDS:
                first.append(took)
            else:
                taken.append((payload["hook_event_name"], took))
            if status != 200:
                failed.append(f"{status} {answer.decode()[:200]}")

    threads = [threading.Thread(target=work, daemon=True) for _ in range(CLIENTS)]
    # Agents do not ask in step.
    sessions = [payloads(f"{n:032x}", CALLS * n // SESSIONS) for n in range(SESSIONS)]
    begun, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for n in range(int(rate * (seconds + FIRST_SECONDS))):
        at = begun + n / rate
        time.sleep(max(0.0, at - time.perf_counter()))
        due.put((at, next(sessions[n % SESSIONS])))
    for _ in threads:
        due.put(None)
    for thread in threads:
        thread.join()
    asked = ("SessionStart", "UserPromptSubmit")
    return {
        "rate": rate,
        "seconds": seconds,
        "sessions": SESSIONS,
        "failed": failed[:5],
        "failures": len(failed),
        "client_cpu_share": round((time.process_time() - cpu) / (time.perf_counter() - begun), 2),
        "first_seconds": summary(first),
        "all": summary([ms for _, ms in taken]),
        "with_context": summary([ms for event, ms in taken if event in asked]),
        "without_context": summary([ms for event, ms in taken if event not in asked]),
    }


def mapped(bench: Bench) -> dict[str, Any]:
    """How long after it came each payload was in the session's rows, once all are."""
    from config.lib.scope import workspace_scope
    from memory.models import HookPayload

    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        with workspace_scope(bench.workspace_id):
            if not HookPayload.objects.filter(state="waiting").exists():
                break
        time.sleep(0.2)
    with workspace_scope(bench.workspace_id):
        rows = list(HookPayload.objects.values_list("state", "created_at", "mapped_at"))
        answered = HookPayload.objects.filter(answer__tokens__gt=0).count()
    late = [(at - came).total_seconds() * 1000 for state, came, at in rows if state == "mapped"]
    return {
        "payloads": len(rows),
        "not_mapped": sum(state != "mapped" for state, _, _ in rows),
        "answered_with_context": answered,
        **summary(late),
    }


def plain_sql(bench: Bench, *, times: int) -> dict[str, float]:
    """One INSERT of the payload and a commit, as the runtime role."""
    connection = psycopg.connect(bench.urls.superuser.replace("/postgres?", "/remembrancer?"))
    connection.execute("CREATE TABLE plain_hooks (id bigserial PRIMARY KEY, payload jsonb)")
    connection.commit()
    source = payloads("f" * 32)

    def insert() -> None:
        connection.execute(
            "INSERT INTO plain_hooks (payload) VALUES (%s::jsonb)", [json.dumps(next(source))]
        )
        connection.commit()

    return summary(timed(insert, times=times))


def warm(bench: Bench) -> None:
    """Each web process loads the model on its first search."""
    clients = [Client(bench.port, bench.token) for _ in range(CLIENTS)]
    for n, client in enumerate(clients * 2):
        client.post("/api/v1/search", {"q": f"warm {n}"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=50, help="events a second")
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    with running(jobs=True) as bench:
        make_memories(bench)
        warm(bench)
        found = measure(bench, rate=options.rate, seconds=options.seconds)
        late = mapped(bench)
        plain = plain_sql(bench, times=500)
    bars = [
        at_most("p95_ms of all", found["all"]["p95_ms"], MOST_P95_MS),
        at_most("p95 seconds until mapped", late["p95_ms"] / 1000, MOST_MAPPED_SECONDS),
        at_most("failures", found["failures"], 0),
    ]
    told = {"machine": machine(), **found, "mapped": late, "plain_sql": plain, "bars": bars}
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
