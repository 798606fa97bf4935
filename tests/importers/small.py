"""The least source of each kind that has every text its program writes: a row of each table, with
each column that is carried over, or a line of each kind.

For tests of what becomes of texts whatever they are; SAID stands where people and programs wrote.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from memory.importers.amp import reader as amp_reader
from memory.importers.archon import tables as archon_tables
from memory.importers.experience_store import reader as experience_reader
from memory.importers.life_engine import reader as life_reader
from tests.importers.transcripts import assistant, call, encode, result, text, user

# Long enough for whoever puts something behind texts alone.
SAID = "What somebody said of this one"
AT, LATER = "2026-01-02 03:04:05", "2026-01-02 03:14:05"
KEY = "11111111-2222-4333-8444-555555555555"
JSON = json.dumps({"said": SAID, "list": [SAID]})
Columns = Mapping[str, tuple[str, ...]]
# Column -> value, where it is no text: by its table, or in all of them.
Values = Mapping[str, Any]


def _sqlite(path: Path, tables: Columns, values: Mapping[str, Values]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as database:
        for table, columns in tables.items():
            declared = ", ".join(f'"{name}" TEXT' for name in columns)
            database.execute(f'CREATE TABLE "{table}" ({declared})')
            known = {**values[""], **values.get(table, {})}
            row = [known.get(name, SAID) for name in columns]
            marks = ", ".join("?" for _ in columns)
            database.execute(f'INSERT INTO "{table}" VALUES ({marks})', row)
    database.close()


def amp(path: Path) -> None:
    every = {
        "id": "1", "sessionId": "1", "threadId": "1", "iterationId": "1", "runId": "1",
        "caseId": "1", "idx": 0, "createdAt": AT, "lastRun": LATER, "updatedAt": LATER,
        "timestamp": AT, "startTime": AT, "endTime": LATER, "startedAt": AT, "finishedAt": LATER,
        "status": "done", "role": "user", "mode": "async", "success": 1, "type": "assistant",
        "testExitCode": 0, "exitCode": 0, "promptTokens": 1, "completionTokens": 1,
        "totalTokens": 2, "tokensTotal": 2, "toolCalls": 1, "cliToolUsageCount": 1,
        "cliErrorCount": 0, "cliLogDurationMs": 1, "durationMs": 1, "iterations": 1,
        "wallTimeSec": 1, "autoCommit": 0, "contextIncluded": 0, "argsJson": JSON, "rawJson": JSON,
        "data": JSON, "tokenUsage": JSON, "defaultsJson": JSON, "changedFiles": f'["{SAID}"]',
        "followUpPrompts": f'["{SAID}"]', "conflictFiles": f'["{SAID}"]',
    }  # fmt: skip
    _sqlite(path, amp_reader.TABLES, {"": every})


def experience_store(path: Path) -> None:
    every = {
        "id": "1", "experience_id": "1", "session_id": "1", "source_experience_id": "1",
        "belief_id": "1", "occurrence_id": "1", "type": "observation", "created_at": AT,
        "start_time": AT, "end_time": LATER, "last_activity": LATER, "deleted_at": None,
        "last_accessed": AT, "last_calculated": AT, "last_reinforced_at": AT,
        "content": json.dumps({"text": SAID, "more": {"said": SAID}}), "provenance": JSON,
        "evidence_ptrs": f'["{SAID}"]', "confidence": json.dumps({"p": 0.5, "method": "default"}),
        "embeddings": "{}", "affect": "{}", "parents": "[]", "causes": "[]", "consolidated": 0,
        "experience_ids": '["1"]', "session_metadata": JSON, "emb_metadata": JSON, "signals": JSON,
        "valence": 0.1, "arousal": 0.1, "dominance": 0.1, "access_count": 1, "entropy_score": 0.1,
        "emotional_salience": 0.1, "decay_factor": 0.5, "salience": 0.5, "activation": 0.5,
        "core_score": 0.5, "source_weight": 0.5, "atom_confidence": 0.5, "match_confidence": 0.5,
        "epistemic_confidence": 0.5, "embedding": "[]", "raw_span": "[0, 1]",
        "consolidated_narrative_id": None,
    }  # fmt: skip
    _sqlite(path, experience_reader.TABLES, {"": every})


def life_engine(path: Path) -> None:
    """In the shape that its own code makes."""
    every = {
        "id": "1", "session_id": "1", "mission_id": "1", "duty_id": "1", "contact_id": "1",
        "worker_id": "1", "entity_id": "1", "scheduled_mission_id": None, "level": "high",
        "mission_execution_id": None, "parent_session_id": None, "new_session_id": None,
        "spawned_by_session": "1", "source_session": "1", "clarification_session_id": None,
        "started_at": AT, "last_seen_at": LATER, "ended_at": LATER, "created_at": AT,
        "updated_at": LATER, "completed_at": LATER, "acknowledged_at": LATER, "notified_at": AT,
        "remind_at": AT, "requested_at": AT, "executed_at": AT, "processed_at": AT,
        "dismissed_at": None, "expires_at": None, "timestamp": AT, "date": AT[:10],
        "next_run": None, "last_run": AT, "execute_at": AT, "retry_at": None,
        "notify_after": None, "clarification_answered_at": AT, "last_contact_date": AT[:10],
        "schedule_type": "cron", "schedule_cron": "0 9 * * *", "schedule": "0 9 * * *",
        "schedule_time": "09:00", "schedule_days": "[]", "trigger_type": None, "enabled": 1,
        "timeout_minutes": 10, "duration_seconds": 60, "retry_count": 0, "priority": 1,
        "position": 1, "pinned": 0, "completed": 0, "imessage_count": 1, "has_pinged": 0,
        "has_dependent_children": 0, "needs_exploration": 0, "context_warning_level": 0,
        "status": "complete", "email": "ada@example.org", "phone": "+41446681800",
        "params_json": JSON, "depends_on_json": "[]", "attention_data_json": JSON,
        "trigger_config_json": JSON, "payload": JSON, "data": JSON, "tag": "garden",
    }  # fmt: skip
    # In the documents' shape runs are called missions; this one has both.
    tables = {name: of for name, of in life_reader.TABLES.items() if name != "scheduled_missions"}
    _sqlite(path, tables, {"": every})


def archon(path: Path) -> None:
    """A dump, as `pg_dump --inserts` writes it."""
    every: dict[str, Any] = {
        "id": KEY, "project_id": KEY, "session_id": KEY, "task_id": None, "parent_task_id": None,
        "source_id": "tea", "document_id": None, "created_at": f"{AT}+00", "timestamp": f"{AT}+00",
        "updated_at": f"{LATER}+00", "started_at": f"{AT}+00", "ended_at": f"{LATER}+00",
        "linked_at": f"{AT}+00", "archived": "f", "archived_at": None, "pinned": "f",
        "status": "todo", "priority": "medium", "task_order": 1, "total_word_count": 3,
        "version_number": 1, "field_name": "docs", "docs": f"[{JSON}]", "features": f"[{JSON}]",
        "data": f"[{JSON}]", "metadata": JSON, "context": JSON, "event_data": JSON, "content": JSON,
        "sources": f"[{JSON}]", "code_examples": f"[{JSON}]", "event_type": "note",
        "embedding": None, "github_repo": "https://github.com/ada/shop",
        "source_url": "https://example.org/tea",
    }  # fmt: skip

    def literal(value: Any) -> str:
        return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"

    lines = ["--", "-- PostgreSQL database dump", "--"]
    for table, columns in archon_tables.TABLES.items():
        names = ", ".join(f'"{name}"' for name in columns)
        values = ", ".join(literal(every.get(name, SAID)) for name in columns)
        lines.append(f"INSERT INTO public.{table} ({names}) VALUES ({values});")
    lines += ["--", "-- PostgreSQL database dump complete", "--", ""]
    path.write_text("\n".join(lines), encoding="utf-8")


def claude_code(path: Path) -> None:
    """A project's folder with a session: what both sides said, a tool's call, its result, a
    summary, an attachment, and lines of its own."""
    folder = path / "projects" / "-home-ada-shop"
    folder.mkdir(parents=True)
    lines = [
        {"type": "summary", "summary": SAID, "leafUuid": "a1"},
        user("u1", SAID),
        assistant("a1", [{"type": "thinking", "thinking": SAID, "signature": "x"}, text(SAID)],
                  parentUuid="u1"),
        assistant("a2", [call("toolu_1", command=SAID, description=SAID)], parentUuid="a1"),
        user("u2", [result("toolu_1", SAID)], parentUuid="a2",
             toolUseResult={"stdout": SAID, "stderr": SAID, "interrupted": False}),
        {"type": "system", "uuid": "s1", "parentUuid": "u2", "sessionId": KEY,
         "timestamp": "2026-01-02T12:00:09.000Z", "subtype": "informational", "content": SAID},
        {"type": "a_kind_of_tomorrow", "uuid": "n1", "sessionId": KEY, "said": SAID},
    ]  # fmt: skip
    (folder / f"{KEY}.jsonl").write_bytes(encode(*lines))


def codex(path: Path) -> None:
    """A rollout with what both sides said, thoughts, a call with its output, and other events."""
    own = "01999999-0000-7000-8000-000000000001"
    folder = path / "sessions" / "2026" / "01" / "02"
    folder.mkdir(parents=True)

    def line(kind: str, second: int = 0, **payload: Any) -> dict[str, Any]:
        return {"timestamp": f"2026-01-02T12:00:{second:02}.000Z", "type": kind, "payload": payload}

    def said(role: str, kind: str, second: int) -> dict[str, Any]:
        content = [{"type": kind, "text": SAID}]
        return line("response_item", second, type="message", role=role, content=content)

    lines = [
        line("session_meta", id=own, cwd="/code", cli_version="1.0", instructions=SAID,
             git={"branch": "b"}),
        said("user", "input_text", 1),
        line("response_item", 2, type="reasoning",
             summary=[{"type": "summary_text", "text": SAID}]),
        line("response_item", 3, type="function_call", name="shell", call_id="c1",
             arguments=json.dumps({"command": ["bash", "-lc", SAID]})),
        line("response_item", 4, type="function_call_output", call_id="c1",
             output=json.dumps({"output": SAID, "metadata": {"exit_code": 0}})),
        said("assistant", "output_text", 5),
        line("event_msg", 6, type="agent_message", message=SAID),
        line("a_kind_of_tomorrow", 7, said=SAID),
    ]  # fmt: skip
    (folder / f"rollout-2026-01-02T12-00-00-{own}.jsonl").write_bytes(encode(*lines))


MADE: dict[str, Callable[[Path], None]] = {
    "amp": amp,
    "archon": archon,
    "claude-code": claude_code,
    "codex": codex,
    "experience-store": experience_store,
    "life-engine": life_engine,
}
