"""Erasing a term from a large workspace, beside people who go on writing, as JSON.

`python -m benchmarks.erasure` copies the demo's rows (_multiply.py) until there are 100,000
memories and 200,000 messages, has a word said in one of a hundred of these, with their passages and
history, looks at what an erasure of it would do, and does it. Meanwhile somebody saves a memory and
reads one, again and again: what they wait is what the erasure's locks cost.
"""

import argparse
import json
import sys
import threading
import time
import uuid
from collections import defaultdict
from typing import Any

from benchmarks._multiply import Wanted, multiply
from benchmarks._server import Bench, machine, running, summary, superuser

TERM = "quillonwort"
# One row of so many says it.
ONE_OF = 100
PAUSE_SECONDS = 0.05
# (table, column, what it becomes, which rows)
_SAID = (
    ("memory_memory", "text", "text || ' About the {term}.'", "true"),
    ("agent_sessions_message", "content", "content || ' About the {term}.'", "true"),
    ("agent_sessions_sessionevent", "text", "text || ' About the {term}.'", "text <> ''"),
    ("memory_receipt", "q", "q || ' {term}'", "true"),
)


def say(bench: Bench, workspace_id: uuid.UUID) -> dict[str, int]:
    """Have the word said; how many rows say it, by table."""
    said: dict[str, int] = {}
    with superuser(bench) as connection:
        connection.execute("SET session_replication_role = replica")
        for table, column, value, which in _SAID:
            cursor = connection.execute(
                f"UPDATE {table} SET {column} = {value.format(term=TERM)} "
                f"WHERE workspace_id = %s AND {which} AND abs(hashtext(id::text)) %% %s = 0",
                [workspace_id, ONE_OF],
            )
            said[table] = cursor.rowcount
        # Each text is one of its own, as those of people are.
        connection.execute(
            "UPDATE memory_memory SET text = text || ' ' || id, content_hash = "
            "encode(sha256(id::text::bytea), 'hex') WHERE workspace_id = %s AND text LIKE %s",
            [workspace_id, f"%{TERM}%"],
        )
        for column, table in (
            ("of_memory_id", "memory_memory"), ("of_message_id", "agent_sessions_message"),
        ):  # fmt: skip
            text = "text" if table == "memory_memory" else "content"
            cursor = connection.execute(
                f"UPDATE memory_passage p SET text = s.{text}, lexical = s.{text} FROM {table} s "
                f"WHERE p.workspace_id = %s AND s.workspace_id = %s AND s.id = p.{column} "
                f"AND s.{text} LIKE %s",
                [workspace_id, workspace_id, f"%{TERM}%"],
            )
            said[f"memory_passage {column}"] = cursor.rowcount
        cursor = connection.execute(
            "UPDATE contacts_revision r SET after = jsonb_set(r.after, '{text}', "
            "to_jsonb(m.text)) FROM memory_memory m WHERE r.workspace_id = %s "
            "AND m.workspace_id = %s AND m.id = r.object_id AND m.text LIKE %s",
            [workspace_id, workspace_id, f"%{TERM}%"],
        )
        said["contacts_revision"] = cursor.rowcount
    with superuser(bench, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return said


class Writer(threading.Thread):
    """Saves a memory and reads it, again and again; what each took, in ms."""

    def __init__(self, workspace_id: uuid.UUID, actor: Any) -> None:
        super().__init__(daemon=True)
        self.workspace_id, self.actor = workspace_id, actor
        self.done = threading.Event()
        self.saved: list[float] = []
        self.read: list[float] = []

    def run(self) -> None:
        from django.db import connection

        from config.lib.scope import workspace_scope
        from memory.models import Memory
        from memory.services.memories import NewMemory, create_memory

        try:
            while not self.done.wait(PAUSE_SECONDS):
                begun = time.perf_counter()
                with workspace_scope(self.workspace_id):
                    text = f"The seedlings were watered, time {len(self.saved)}."
                    memory, _ = create_memory(actor=self.actor, new=NewMemory(text=text))
                self.saved.append((time.perf_counter() - begun) * 1000)
                begun = time.perf_counter()
                with workspace_scope(self.workspace_id):
                    Memory.objects.get(pk=memory.pk)
                self.read.append((time.perf_counter() - begun) * 1000)
        finally:
            connection.close()


class Phases:
    """How long each step took, by what it told of itself."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.name, self.begun = "finding what follows", time.perf_counter()

    def tell(self, text: str) -> None:
        now = time.perf_counter()
        self.seconds[self.name] += now - self.begun
        self.name, self.begun = text, now

    def told(self) -> dict[str, float]:
        self.tell("")
        return {
            name: round(taken, 2)
            for name, taken in sorted(self.seconds.items(), key=lambda one: -one[1])
            if taken >= 0.05
        }


def erase(workspace_id: uuid.UUID, actor: Any) -> dict[str, Any]:
    from config.lib.scope import workspace_scope
    from contacts.models import Erasure
    from contacts.models.erasure import ErasureKind
    from memory.erasing import work
    from memory.services import erasures
    from memory.verify.report import patient_scope

    with workspace_scope(workspace_id):
        row = erasures.propose_erasure(actor=actor, kind=ErasureKind.TERM, term=TERM, job=False)
    told: dict[str, Any] = {}
    phases, begun = Phases(), time.perf_counter()
    with patient_scope(workspace_id):
        work.look(Erasure.objects.get(pk=row.pk), phases.tell)
    told["look_seconds"] = round(time.perf_counter() - begun, 1)
    told["look_phases"] = phases.told()
    erasures.look_now(workspace_id, row.pk)
    with workspace_scope(workspace_id):
        erasures.begin_erasure(actor=actor, erasure_id=row.pk, confirm=TERM, job=False)
    writer = Writer(workspace_id, actor)
    writer.start()
    phases, begun = Phases(), time.perf_counter()
    report = work.carry_out(workspace_id, row.pk, actor=actor, progress=phases.tell)
    told["seconds"] = round(time.perf_counter() - begun, 1)
    told["phases"] = phases.told()
    writer.done.set()
    writer.join()
    told["report"] = {name: report[name] for name in ("removed", "struck", "revisions", "losing")}
    told["beside"] = {"saved": summary(writer.saved), "read": summary(writer.read)}
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of the rows above")
    options = parser.parse_args()
    wanted = Wanted(sessions=10_000, messages=200_000, events=50_000, memories=100_000)
    report: dict[str, Any] = {"benchmark": "erasure", "machine": machine()}
    with running(web=False) as bench:
        from config.lib import clock
        from config.lib.actor import Actor
        from memory.demo.seed import seed_demo

        actor = Actor(kind="system", id="benchmark", label="benchmark", channel="shell")
        done = seed_demo(actor=actor, slug="demo", seed=1, now=clock.now())
        report["filled"] = multiply(bench, done.workspace_id, wanted.times(options.scale))
        report["said"] = say(bench, done.workspace_id)
        report |= erase(done.workspace_id, actor)
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
