"""How fast other programs' files come in, and an export of ours, beside COPY, as JSON.

`python -m benchmarks.imports --legacy FILE` makes each source as large as `--rows` (_moving.py),
and runs `manage.py import` on it as a user would, in a process of its own, into a workspace of its
own; nothing embeds meanwhile. Then what came of it is exported and imported once more, and the rows
that it made are written again by COPY into the same tables and their indexes, foreign keys
unchecked, in a transaction that is rolled back: what is left between the two is the price of
reading, mapping, redaction, comparing and history. Exits with 1 where a bar is not met.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg import sql

from benchmarks._bars import at_most
from benchmarks._moving import Sources
from benchmarks._server import PROJECT, Bench, machine, make_workspace, running, superuser

LEAST_RATE, MOST_MB = 3000.0, 500.0
PART_BYTES = 1_000_000
OURS = "remembrancer"
TABLES = """
    SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum)
      FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
       AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
       AND a.attgenerated = '' AND EXISTS (SELECT FROM pg_attribute w WHERE w.attrelid = c.oid
                                             AND w.attname = 'workspace_id' AND NOT w.attisdropped)
     GROUP BY c.relname
"""


def manage(*arguments: str) -> tuple[bytes, float, float]:
    """The output of a command, its seconds, and the megabytes of memory it took at most. A child's
    begin with those of the process that starts it, so this one keeps nothing large."""
    begun = time.monotonic()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT,
            stdout=out,
            env=os.environ | {"LOG_LEVEL": "ERROR"},
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - begun
        out.seek(0)
        said = out.read()
    return said, seconds, used.ru_maxrss / 1024


def imported(name: str, path: Path, slug: str) -> dict[str, Any]:
    said, seconds, megabytes = manage("import", name, str(path), "--workspace", slug, "--json")
    report = json.loads(said)
    rows = sum(table["read"] for table in report["tables"].values())
    return {
        "rows": rows,
        "made": sum(report["rows"].values()),
        "seconds": round(report["seconds"], 2),
        "rows_per_second": round(rows / report["seconds"]),
        "with_start_and_check_seconds": round(seconds, 2),
        "memory_mb": round(megabytes),
        "adds_up": report["checked"]["ok"],
    }


def by_copy(bench: Bench, workspace: uuid.UUID) -> dict[str, Any]:
    """The workspace's rows taken out and written again by COPY."""
    with superuser(bench) as connection, tempfile.TemporaryFile() as kept:
        connection.execute("SET LOCAL session_replication_role = replica")
        held = []
        for table, columns in connection.execute(TABLES).fetchall():
            begin = kept.tell()
            _take_out(connection, table, columns, workspace, kept)
            if size := kept.tell() - begin:
                held.append((table, columns, size))
                connection.execute(
                    sql.SQL("DELETE FROM {} WHERE workspace_id = %s").format(sql.Identifier(table)),
                    [workspace],
                )
        kept.seek(0)
        begun = time.monotonic()
        rows = 0
        for table, columns, size in held:
            with connection.cursor() as cursor:
                query = sql.SQL("COPY {} ({}) FROM STDIN").format(
                    sql.Identifier(table), _listed(columns)
                )
                with cursor.copy(query) as into:
                    for part in _parts(kept, size):
                        into.write(part)
                rows += cursor.rowcount
        seconds = time.monotonic() - begun
        connection.rollback()
    # Else autovacuum would do it while the next source is timed, which is not that one's price.
    with superuser(bench, autocommit=True) as connection:
        for table, _, _ in held:
            connection.execute(sql.SQL("VACUUM {}").format(sql.Identifier(table)))
    return {"rows": rows, "seconds": round(seconds, 2)}


def _listed(columns: list[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _take_out(
    connection: psycopg.Connection,
    table: str,
    columns: list[str],
    workspace: uuid.UUID,
    into: IO[bytes],
) -> None:
    query = sql.SQL("COPY (SELECT {} FROM {} WHERE workspace_id = {}) TO STDOUT").format(
        _listed(columns), sql.Identifier(table), sql.Literal(workspace)
    )
    with connection.cursor() as cursor, cursor.copy(query) as parts:
        for part in parts:
            into.write(part)


def _parts(kept: IO[bytes], size: int) -> Iterator[bytes]:
    while size:
        part = kept.read(min(size, PART_BYTES))
        size -= len(part)
        yield part


def of_ours(slug: str, folder: Path) -> dict[str, Any]:
    """What came of a source, exported and imported into another workspace."""
    path = folder / f"{slug}.export"
    _, seconds, megabytes = manage("export", "--output", str(path), "--workspace", slug)
    make_workspace(f"{slug}-again")
    told = imported(OURS, path, f"{slug}-again")
    return told | {"export_seconds": round(seconds, 2), "export_memory_mb": round(megabytes)}


def bars(results: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for name, result in results.items():
        for of, told in ((name, result), (f"{OURS} of {name}", result[OURS])):
            value = told["rows_per_second"]
            met = value >= LEAST_RATE
            found.append({"bar": f"{of} rows/s", "value": value, "least": LEAST_RATE, "met": met})
            found.append(at_most(f"{of} memory MB", told["memory_mb"], MOST_MB))
            found.append({"bar": f"{of} adds up", "met": told["adds_up"]})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--legacy", type=Path, help="the archive of the test data")
    parser.add_argument("--rows", type=int, default=20_000, help="of each source")
    parser.add_argument("--only", action="append", default=[], metavar="SOURCE")
    arguments = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as made, running(web=False) as bench:
        folder = Path(made)
        before = machine()
        sources = Sources(folder, arguments.legacy, arguments.rows)
        for name in sources.names():
            if arguments.only and name not in arguments.only:
                continue
            workspace, _ = make_workspace(name)
            result = imported(name, sources.make(name), name)
            copied = result["plain_copy"] = by_copy(bench, workspace)
            result["written_per_second"] = round(copied["rows"] / result["seconds"])
            result[OURS] = of_ours(name, folder)
            results[name] = result
            print(name, json.dumps(result), file=sys.stderr, flush=True)
    reached = bars(results)
    left_out = [] if arguments.legacy else ["the test data's sources: no --legacy given"]
    told = {"benchmark": "imports", "machine": before, "sources": results, "bars": reached}
    print(json.dumps(told | {"left_out": left_out}, indent=2))
    sys.exit(0 if all(bar["met"] for bar in reached) else 1)


if __name__ == "__main__":
    main()
