"""Durable writes over HTTP through gunicorn, beside the same rows in plain SQL, as JSON.

`python -m benchmarks.writes` appends single messages and batches of 1,000 events with one client.
The SQL equivalent runs in the same database, as the same role, with one commit for each request:
what is left between the two is the price of the API (keys, checks, revisions, passages, JSON).
"""

import argparse
import json
import statistics
import uuid
from collections.abc import Callable
from typing import Any

import psycopg

from benchmarks._server import Bench, Client, machine, running, summary, timed

MESSAGE = (
    "The deployment failed because the migration waited for a lock that the nightly export held. "
    "I moved the export to three in the morning and the migration now takes its lock at once."
)
EVENT = "Ran the test suite: 412 passed, 3 failed in tests/api/test_sessions.py."
BATCH = 1000


def events() -> list[dict[str, Any]]:
    """A batch as a tool-heavy agent sends it: most events have data, every fifth has words."""
    return [
        {
            "event_type": "tool_use",
            "data": {"tool": "Bash", "input": {"command": f"pytest -k case_{n}"}, "ms": n},
            "text": EVENT if n % 5 == 0 else "",
        }
        for n in range(BATCH)
    ]


def made(client: Client, path: str, body: dict[str, Any]) -> str:
    status, answer = client.post(path, body)
    if status >= 300:
        raise RuntimeError(f"{path}: {status} {answer.decode()}")
    return str(json.loads(answer)["id"])


def expect(status_and_body: tuple[int, bytes]) -> None:
    status, body = status_and_body
    if status >= 300:
        raise RuntimeError(f"{status} {body.decode()[:500]}")


class PlainSql:
    """The least a correct write needs: lock the parent, insert, count, commit."""

    def __init__(self, bench: Bench, session: str, thread: str) -> None:
        self.connection = psycopg.connect(bench.urls.runtime)
        self.workspace, self.session, self.thread = bench.workspace_id, session, thread

    def _in_scope(self, work: Callable[[psycopg.Cursor], None]) -> None:
        with self.connection.transaction(), self.connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL app.workspace = '{self.workspace}'")
            work(cursor)

    def message(self) -> None:
        self._in_scope(self._message)

    def _message(self, cursor: psycopg.Cursor) -> None:
        cursor.execute(
            "SELECT message_count FROM agent_sessions_thread WHERE workspace_id = %s AND id = %s "
            "FOR NO KEY UPDATE",
            [self.workspace, self.thread],
        )
        (idx,) = cursor.fetchone() or (0,)
        message = uuid.uuid4()
        cursor.execute(
            "INSERT INTO agent_sessions_message (workspace_id, id, created_at, session_id, "
            "thread_id, idx, role, content, blocks, native_uuid, native_parent_uuid, model, usage, "
            "occurred_at, metadata) VALUES (%s, %s, now(), %s, %s, %s, 'user', %s, '[]', '', '', "
            "'', '{}', now(), '{}')",
            [self.workspace, message, self.session, self.thread, idx, MESSAGE],
        )
        cursor.execute(
            "INSERT INTO memory_passage (workspace_id, id, created_at, of_message_id, kind, chunk, "
            "memory_kind, session_id, thread_id, idx, occurred_at, trust, state, text, lexical, "
            "token_count, lane, tags, recorded_at, metadata) VALUES (%s, %s, now(), %s, "
            "'message', 0, '', %s, %s, %s, now(), 'agent', 'active', %s, %s, 30, 0, '{}', now(), "
            "'{}')",
            [
                *(self.workspace, uuid.uuid4(), message, self.session, self.thread, idx),
                *(MESSAGE, MESSAGE),
            ],
        )
        cursor.execute(
            "UPDATE agent_sessions_thread SET message_count = message_count + 1 "
            "WHERE workspace_id = %s AND id = %s",
            [self.workspace, self.thread],
        )

    def batch(self) -> None:
        self._in_scope(self._batch)

    def _batch(self, cursor: psycopg.Cursor) -> None:
        cursor.execute(
            "SELECT event_count FROM agent_sessions_session WHERE workspace_id = %s AND id = %s "
            "FOR NO KEY UPDATE",
            [self.workspace, self.session],
        )
        (seq,) = cursor.fetchone() or (0,)
        cursor.executemany(
            "INSERT INTO agent_sessions_sessionevent (workspace_id, id, created_at, session_id, "
            "seq, event_type, text, data, occurred_at, dedupe_key) "
            "VALUES (%s, %s, now(), %s, %s, %s, %s, %s, now(), '')",
            [
                (
                    *(self.workspace, uuid.uuid4(), self.session, seq + n, event["event_type"]),
                    *(event["text"], json.dumps(event["data"])),
                )
                for n, event in enumerate(events(), 1)
            ],
        )
        cursor.execute(
            "UPDATE agent_sessions_session SET event_count = event_count + %s "
            "WHERE workspace_id = %s AND id = %s",
            [BATCH, self.workspace, self.session],
        )


def measure(bench: Bench, *, singles: int, batches: int) -> dict[str, Any]:
    client = bench.client()
    session = made(client, "/api/v1/sessions", {"name": "benchmark"})
    thread = made(client, f"/api/v1/sessions/{session}/threads", {"name": "main"})
    other = made(client, "/api/v1/sessions", {"name": "plain SQL"})
    sql = PlainSql(bench, other, made(client, f"/api/v1/sessions/{other}/threads", {}))
    message = {"role": "user", "content": MESSAGE}
    batch = {"events": events()}
    single = timed(
        lambda: expect(client.post(f"/api/v1/threads/{thread}/messages", message)), times=singles
    )
    plain = timed(sql.message, times=singles)
    many = timed(
        lambda: expect(client.post(f"/api/v1/sessions/{session}/events/batch", batch)),
        times=batches,
    )
    plain_many = timed(sql.batch, times=batches)
    return {
        "append_one_message": {
            "http": summary(single),
            "plain_sql": summary(plain),
            "ratio_p50": round(statistics.median(single) / statistics.median(plain), 2),
        },
        "append_1000_events": {
            "http": summary(many),
            "plain_sql": summary(plain_many),
            "ratio_p50": round(statistics.median(many) / statistics.median(plain_many), 2),
            "events_per_second": round(BATCH / statistics.median(many) * 1000),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--singles", type=int, default=300)
    parser.add_argument("--batches", type=int, default=30)
    options = parser.parse_args()
    with running(jobs=True) as bench:
        figures = measure(bench, singles=options.singles, batches=options.batches)
    print(json.dumps({"machine": machine(), **figures}, indent=2))


if __name__ == "__main__":
    main()
