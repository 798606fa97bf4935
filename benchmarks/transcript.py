"""Import of a long transcript: lines a second and peak memory, beside plain SQL, as JSON.

`python -m benchmarks.transcript --lines 50000` writes a transcript as Claude Code does (prompts,
answers in several lines, tool calls with results), imports it in a process of its own whose peak
memory is read, and then inserts the same raw lines and messages as plain SQL.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from benchmarks._server import PROJECT, Bench, machine, running

SESSION = "0a1b2c3d-0000-4000-8000-000000000001"
WORDS = (
    "the test fails because session index migration returns a stale row after commit so we lock "
    "parent first then append message and count it again before release worker queue retry"
).split()
START = datetime(2026, 1, 5, 9, tzinfo=UTC)


def sentence(chance: random.Random, low: int, high: int) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(low, high)))


def blocks(chance: random.Random, turn: int) -> list[tuple[str, list[dict[str, Any]]]]:
    """One turn: a prompt, an answer with a call, its result, an answer."""
    call = {"type": "tool_use", "id": f"toolu_{turn}", "name": "Bash",
            "input": {"command": f"pytest -k case_{turn}"}}  # fmt: skip
    done = {"type": "tool_result", "tool_use_id": f"toolu_{turn}",
            "content": sentence(chance, 20, 300)}  # fmt: skip
    return [
        ("user", [{"type": "text", "text": sentence(chance, 8, 60)}]),
        ("assistant", [{"type": "text", "text": sentence(chance, 10, 120)}]),
        ("assistant", [call]),
        ("user", [done]),
        ("assistant", [{"type": "text", "text": sentence(chance, 10, 80)}]),
    ]


def write_transcript(path: Path, lines: int) -> None:
    chance, parent, number = random.Random(7), None, 0
    with path.open("w") as out:
        while number < lines:
            for role, content in blocks(chance, number)[: lines - number]:
                number += 1
                line_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
                message: dict[str, Any] = {"role": role, "content": content}
                if role == "assistant":
                    message |= {"id": f"msg_{number // 5}", "type": "message", "model": "claude-x",
                                "usage": {"input_tokens": 9, "output_tokens": 120}}  # fmt: skip
                stamp = (START + timedelta(seconds=number)).isoformat().replace("+00:00", "Z")
                line = {
                    "type": role, "uuid": line_id, "parentUuid": parent, "sessionId": SESSION,
                    "timestamp": stamp, "cwd": "/home/marisol/greenhouse", "gitBranch": "main",
                    "version": "2.1.14", "isSidechain": False, "message": message,
                    "requestId": f"req_{number // 5}",
                }  # fmt: skip
                out.write(json.dumps(line) + "\n")
                parent = line_id


def import_it(path: Path) -> tuple[float, float, dict[str, Any]]:
    """(seconds, peak MB of the importing process, its report)."""
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "manage.py", "import", "claude-code", path,
         "--workspace", "benchmark", "--json"],
        cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return seconds, peak, json.loads(done.stdout)


def plain_sql(bench: Bench, path: Path) -> float:
    """Seconds for the raw lines and the messages alone, in transactions of 1,000."""
    connection = psycopg.connect(bench.urls.runtime)
    workspace, session, thread = bench.workspace_id, uuid.uuid4(), uuid.uuid4()
    with connection.transaction():
        connection.execute(f"SET LOCAL app.workspace = '{workspace}'")
        for table, new, extra in (
            ("agent_sessions_session", session, "external_id = 'plain'"),
            ("agent_sessions_thread", thread, f"external_id = 'plain', session_id = '{session}'"),
        ):
            connection.execute(
                f"CREATE TEMP TABLE one ON COMMIT DROP AS SELECT * FROM {table} LIMIT 1"
            )
            connection.execute(f"UPDATE one SET id = '{new}', {extra}")
            connection.execute(f"INSERT INTO {table} SELECT * FROM one")
            connection.execute("DROP TABLE one")
    lines = path.read_text().splitlines()
    begun = time.perf_counter()
    for start in range(0, len(lines), 1000):
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL app.workspace = '{workspace}'")
            rows = [(n, json.loads(lines[n]), lines[n]) for n in range(start, start + 1000)
                    if n < len(lines)]  # fmt: skip
            cursor.executemany(
                "INSERT INTO agent_sessions_rawline (workspace_id, id, created_at, session_id, "
                "file, line_no, byte_offset, line_key, digest, raw) "
                "VALUES (%s, %s, now(), %s, 'f', %s, 0, %s, '', %s)",
                [(workspace, uuid.uuid4(), session, n, line["uuid"], raw) for n, line, raw in rows],
            )
            cursor.executemany(
                "INSERT INTO agent_sessions_message (workspace_id, id, created_at, session_id, "
                "thread_id, idx, role, content, blocks, native_uuid, native_parent_uuid, model, "
                "usage, occurred_at, metadata) VALUES "
                "(%s, %s, now(), %s, %s, %s, %s, %s, %s, %s, '', '', '{}', now(), '{}')",
                [
                    (
                        *(workspace, uuid.uuid4(), session, thread, n, line["type"], raw[:500]),
                        *(json.dumps(line["message"]["content"]), line["uuid"]),
                    )
                    for n, line, raw in rows
                ],
            )
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=50_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(web=False) as bench:
        path = Path(folder) / f"{SESSION}.jsonl"
        write_transcript(path, options.lines)
        size = os.path.getsize(path)
        seconds, peak, report = import_it(path)
        again, _, second = import_it(path)
        plain = plain_sql(bench, path)
    print(json.dumps({
        "machine": machine(),
        "lines": options.lines,
        "megabytes": round(size / 1e6, 1),
        "import_lines_per_second": round(options.lines / seconds),
        "import_peak_mb": round(peak, 1),
        "messages": report["messages_new"],
        "events": report["events_new"],
        "second_import_lines_per_second": round(options.lines / again),
        "second_import_new_lines": second["lines_new"],
        "plain_sql_lines_per_second": round(options.lines / plain),
        "ratio_to_plain_sql": round(seconds / plain, 2),
    }, indent=2))  # fmt: skip


if __name__ == "__main__":
    main()
