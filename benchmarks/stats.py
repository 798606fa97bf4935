"""GET /stats over HTTP at many rows, beside plain SQL that counts the same tables, as JSON.

`python -m benchmarks.stats --rows 1000000` fills one workspace by SQL: of all rows a third are
messages, a third events, a third passages that wait for their vectors (the slowest state there
is). The job that keeps counts runs once before; the plain SQL counts from the beginning, grouped
by state as the answer has it.
"""

import argparse
import json
import sys
import time
from typing import Any

import psycopg

from benchmarks._server import Bench, machine, running, summary, timed

TIMES = 50
SQL_TIMES = 5
PER_THREAD = 500
# What differs between the one row of a table and its copies, and how many there are of them.
COPIES = [
    ("agent_sessions_session", {"name": "'session ' || n"}, "generate_series(2, {threads}) n"),
    (
        "agent_sessions_thread",
        {"session_id": "s.id"},
        "agent_sessions_session s WHERE s.id <> one.session_id",
    ),
    (
        "agent_sessions_message",
        {"thread_id": "t.id", "session_id": "t.session_id", "idx": "n"},
        "agent_sessions_thread t, generate_series(1, {each}) n",
    ),
    (
        "agent_sessions_sessionevent",
        {"session_id": "s.id", "seq": "1 + n"},
        "agent_sessions_session s, generate_series(1, {each}) n",
    ),
    (
        "memory_passage",
        {"of_message_id": "m.id", "lane": "1", "embedding": "NULL", "space_id": "NULL"},
        "agent_sessions_message m WHERE m.id <> one.of_message_id",
    ),
]
PLAIN = """
    SELECT (SELECT count(*) FROM agent_sessions_message),
           (SELECT count(*) FROM agent_sessions_session),
           (SELECT count(*) FROM agent_sessions_thread),
           (SELECT jsonb_object_agg(event_type, n) FROM
               (SELECT event_type, count(*) n FROM agent_sessions_sessionevent GROUP BY 1) e),
           (SELECT jsonb_object_agg(kind, n) FROM
               (SELECT kind, count(*) n FROM memory_passage GROUP BY 1) p),
           (SELECT count(embedding) FROM memory_passage)
"""


def fill(bench: Bench, rows: int) -> int:
    """One of each through the API, the rest as its copies; how many rows there are."""
    client = bench.client()

    def made(path: str, body: dict[str, Any]) -> str:
        status, answer = client.post(path, body)
        if status >= 300:
            raise RuntimeError(f"{path}: {status} {answer.decode()}")
        return str(json.loads(answer).get("id", ""))

    session = made("/api/v1/sessions", {})
    thread = made(f"/api/v1/sessions/{session}/threads", {})
    made(f"/api/v1/threads/{thread}/messages", {"role": "user", "content": "Water the ferns."})
    made(f"/api/v1/sessions/{session}/events", {"event_type": "tool_use"})
    with psycopg.connect(bench.urls.owner, autocommit=True) as owner:
        with owner.transaction():
            owner.execute("SELECT set_config('app.workspace', %s, true)", [str(bench.workspace_id)])
            threads = max(2, rows // 3 // PER_THREAD)
            for table, changes, source in COPIES:
                copy(owner, table, changes, source.format(threads=threads, each=PER_THREAD))
        owner.execute("VACUUM ANALYZE")
        with owner.transaction():
            owner.execute("SELECT set_config('app.workspace', %s, true)", [str(bench.workspace_id)])
            total = owner.execute(
                "SELECT (SELECT count(*) FROM agent_sessions_message) + "
                "(SELECT count(*) FROM agent_sessions_sessionevent) + "
                "(SELECT count(*) FROM memory_passage)"
            ).fetchone()
    return int(total[0]) if total else 0


def copy(owner: psycopg.Connection, table: str, changes: dict[str, str], source: str) -> None:
    """Insert the table's one row again for each row of `source`, with an id of its own."""
    columns = [
        name
        for (name,) in owner.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 "
            "AND NOT attisdropped AND attgenerated = ''",
            [table],
        )
    ]
    # Ids begin with the time at which they were made: these months ago, before the job looks.
    values = {"id": "('01900' || substr(gen_random_uuid()::text, 6))::uuid", **changes}
    listed = ", ".join(columns)
    taken = ", ".join(values.get(name, f"one.{name}") for name in columns)
    owner.execute(
        f"WITH one AS MATERIALIZED (SELECT * FROM {table} LIMIT 1) "
        f"INSERT INTO {table} ({listed}) SELECT {taken} FROM one CROSS JOIN {source}"
    )


def measure(bench: Bench, rows: int) -> dict[str, Any]:
    from memory.services.counts import refresh_counts

    result: dict[str, Any] = {"rows": fill(bench, rows)}
    begun = time.perf_counter()
    refresh_counts(bench.workspace_id)
    result["job_seconds"] = round(time.perf_counter() - begun, 2)
    client = bench.client()

    def ask() -> None:
        status, answer = client.get("/api/v1/stats")
        if status != 200:
            raise RuntimeError(f"{status} {answer.decode()}")

    result["http"] = summary(timed(ask, times=TIMES))
    with psycopg.connect(bench.urls.runtime) as connection:
        connection.execute(
            "SELECT set_config('app.workspace', %s, false)", [str(bench.workspace_id)]
        )
        result["plain_sql"] = summary(
            timed(lambda: connection.execute(PLAIN).fetchone(), times=SQL_TIMES, warmup=1)
        )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    report = {"benchmark": "stats", "machine": machine()}
    with running() as bench:
        report |= measure(bench, options.rows)
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
