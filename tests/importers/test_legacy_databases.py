"""Every count, fact and bad row that the manifest tells of databases: read, not repeated."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from config.lib.scope import workspace_scope
from contacts.models import Contact
from memory.importers.report import ImportReport
from memory.importers.sqlite import Database, opened
from memory.importers.values import parse_time
from memory.models import Memory
from sessions.models import (
    Message,
    Mission,
    Notification,
    Ping,
    Priority,
    ScheduledMission,
    Session,
    SessionEvent,
    StagedContent,
    Thread,
    Worker,
)
from tests.factories import make_workspace
from tests.importers.sources import Sample, take

pytestmark = pytest.mark.django_db

FILES = {
    "ai_exp/raw_store.db": "experience-store",
    "ai_exp/raw_store_old.db": "experience-store",
    "ai_exp/raw_store_migrated.db": "experience-store",
    "amp/sessions_before.sqlite": "amp",
    "amp/sessions_migrated_001.sqlite": "amp",
    "amp/sessions_after.sqlite": "amp",
    "claude_os/real_5da23e82/system.db": "life-engine",
    "claude_os/seed_shape/system.db": "life-engine",
}
SYSTEMS = ("ai_exp", "amp_session_manager", "claude_os")


@dataclass
class Moved:
    """One file of the test data, imported, and its own copy to look things up in."""

    file: str
    report: ImportReport
    workspace: Any
    database: Database
    manifest: dict

    @property
    def facts(self) -> list[dict]:
        return self.of("spot_facts")

    @property
    def bad_rows(self) -> list[dict]:
        return self.of("bad_rows")

    def of(self, what: str) -> list[dict]:
        every = [one for name in SYSTEMS for one in self.manifest["systems"][name][what]]
        return [one for one in every if one["file"] == self.file]

    def columns(self, table: str) -> list[str]:
        return self.database.tables[table]

    def id_column(self, table: str) -> str:
        known = ("session_id",) if table == "sessions" else ()
        for name in (*known, "id", "experience_id", "contact_id", "worker_id", "occurrence_id"):
            if name in self.columns(table):
                return name
        return self.columns(table)[0]

    def rows(self, table: str, key: dict) -> list[dict]:
        """The source's own rows of a key of the manifest."""
        # Some keys name several rows.
        plural = {
            name.removesuffix("s") if isinstance(v, list) else name: v for name, v in key.items()
        }
        wanted = {name: v if isinstance(v, list) else [v] for name, v in plural.items()}
        return [
            row
            for row in self.database.table(table)
            if all(row.get(name) in values for name, values in wanted.items())
        ]


@pytest.fixture(scope="module", params=FILES)
def moved(request, module_rows, legacy, tmp_path_factory):
    sample = Sample(FILES[request.param], request.param)
    where = sample.where(legacy)
    with module_rows():
        workspace = make_workspace(f"moved-{list(FILES).index(request.param)}")
        report = take(workspace, sample, where)
    with opened(where, tmp_path_factory.mktemp("copy")) as database:
        yield Moved(request.param, report, workspace, database, legacy.manifest)


def test_every_table_is_read_whole_or_named_as_left_out(moved):
    left_out = {
        problem.file: problem.reason for problem in moved.report.problems if not problem.key
    }
    for table, rows in moved.manifest["row_counts"][moved.file].items():
        if table in moved.report.tables:
            assert moved.report.tables[table].total == rows == moved.report.tables[table].read
        elif rows:
            assert f"{rows:,} rows" in left_out[table]
    assert moved.report.checked.ok, moved.report.checked.differences


def test_every_bad_row_is_reported_and_nothing_else_is_lost(moved):
    """What `importer_should` says in words: to report, and to skip or to import."""
    reported: dict[str, list[str]] = {}
    for problem in moved.report.problems:
        reported.setdefault(problem.key or problem.file, []).append(str(problem))
    assert not moved.report.problems.omitted
    for bad in moved.bad_rows:
        should, table, key = bad["importer_should"], bad["table"], bad["key"]
        if "*" in key:
            assert any(table == name for name in reported), bad
            continue
        rows = moved.rows(table, key)
        assert rows, bad
        ids = {str(row[moved.id_column(table)]) for row in rows}
        ids |= {str(row["entity_id"]) for row in rows if "entity_id" in row}
        told = [name for name in reported if any(one == name or one in name for one in ids)]
        if "report" in should or "secret" in bad["problem"]:
            assert told, bad


def digest(value: str) -> dict:
    return {"length": len(value), "sha256": hashlib.sha256(value.encode()).hexdigest()}


def same(ours: Any, expected: Any) -> bool:
    """Whether a value is what the manifest expects; times may be spelt otherwise."""
    if isinstance(expected, dict) and set(expected) == {"length", "sha256"}:
        return bool(digest(ours) == expected)
    if isinstance(expected, dict) and isinstance(ours, dict):
        # As far as it is told; long texts are told by their beginning.
        return all(
            ours[name].startswith(value) if name == "content" else same(ours[name], value)
            for name, value in expected.items()
        )
    if isinstance(ours, datetime):
        return bool(ours == parse_time(expected))
    if isinstance(ours, float) and isinstance(expected, (int, float)):
        return bool(ours == pytest.approx(expected))
    if isinstance(expected, str) and isinstance(ours, (dict, list)):
        return bool(ours == json.loads(expected))
    if isinstance(expected, int) and isinstance(ours, bool):
        return ours is bool(expected)
    return bool((ours or None) == (expected or None))


def nested(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = (value or {}).get(name)
    return value


def keys_of(memory: Memory, label: str, relation: str) -> list[str]:
    links = memory.links_out.filter(relation=relation).order_by("id")
    linked = list(links.values_list("target__external_id", flat=True))
    return linked + memory.metadata.get("dangling", {}).get(label, [])


def experience(memory: Memory, name: str) -> Any:
    if name.startswith("content.structured."):
        return nested(memory.data, name.removeprefix("content.structured."))
    session = memory.session.external_id if memory.session else memory.metadata.get("session_id")
    return {
        "type": memory.kind,
        "created_at": memory.recorded_at,
        "content.text": memory.text,
        "content.media": memory.data.get("media"),
        "provenance": memory.metadata.get("provenance"),
        "evidence_ptrs": memory.metadata.get("evidence"),
        "confidence": {"p": memory.confidence, "method": memory.confidence_method},
        "ownership": memory.ownership,
        "parents": keys_of(memory, "parents", "parent"),
        "causes": keys_of(memory, "causes", "cause"),
        "session_id": session,
    }[name]


def session(row: Session, name: str) -> Any:
    inside = Session.objects.filter(conversation_id=row.conversation_id)
    if name in ("sessions_in_conversation", "chief_sessions"):
        return inside.count()
    if name == "parent_session_id":
        return row.parent.external_id if row.parent else None
    if name == "status":
        return row.metadata["status"]
    if name == "experience_ids_count":
        return len(row.metadata["experience_ids"])
    if name == "consolidated_narrative_id":
        return row.metadata["narrative"]
    if name in ("start_time", "end_time"):
        return row.started_at if name == "start_time" else row.ended_at
    return row.metadata[name] if name in row.metadata else getattr(row, name)


AMP_SESSION = {
    "repoRoot": "repo_root", "branchName": "branch", "threadId": "legacy_thread_id",
    "worktreePath": "cwd", "createdAt": "started_at", "name": "name", "ampPrompt": "prompt",
}  # fmt: skip
AMP_KEPT = {
    "baseBranch": "base_branch", "followUpPrompts": "follow_up_prompts", "status": "status",
    "lastRun": "last_run",
}  # fmt: skip


def amp_session(row: Session, name: str) -> Any:
    if name == "sessions_sharing_it":
        return Session.objects.filter(legacy_thread_id=row.legacy_thread_id).count()
    if name == "lastRun":
        return parse_time(row.metadata["last_run"])
    return row.metadata[AMP_KEPT[name]] if name in AMP_KEPT else getattr(row, AMP_SESSION[name])


def amp_thread(found: tuple[Thread, str], name: str) -> Any:
    """A thread by one of its ids: what went into another one is told by what is kept of it."""
    row, theirs = found
    merged = {one["id"]: one for one in row.metadata.get("merged", ())}
    said = list(row.messages.order_by("idx"))
    kept = merged.get(theirs)
    if name == "id":
        return theirs
    if name in ("first", "last", "message"):
        if kept and not kept.get("said", 1):
            return None
        message = said[-1 if name == "last" else 0] if said else None
        return message and {
            "role": message.role, "idx": message.metadata.get("idx", message.idx),
            "content": message.content, "createdAt": message.occurred_at,
        }  # fmt: skip
    if name == "message_count":
        return kept.get("said", len(said)) if kept else len(said)
    if name == "sessionId":
        return row.session.external_id
    if name == "status":
        return row.metadata.get("status") or {"open": "active"}[row.status]
    if name == "ampMode":
        return row.metadata.get("amp_mode")
    return kept[name] if kept else {"name": row.name, "createdAt": row.created_at}[name]


def amp_iteration(row: SessionEvent, name: str) -> Any:
    if name == "tool_calls":
        calls = SessionEvent.objects.filter(event_type="tool_use")
        key = row.dedupe_key.removeprefix("iterations:")
        return calls.filter(data__iteration_id=key).count()
    ours = {
        "startTime": "started_at", "endTime": "ended_at", "commitSha": "commit_sha",
        "changedFiles": "changed_files", "promptTokens": "prompt_tokens",
        "completionTokens": "completion_tokens", "totalTokens": "total_tokens", "model": "model",
        "exitCode": "exit_code",
    }  # fmt: skip
    if name == "sessionId":
        return row.session.external_id
    value = row.data.get(ours[name])
    return parse_time(value) if name.endswith("Time") else value


def amp_message(row: Message, name: str) -> Any:
    return row.thread.external_id if name == "threadId" else getattr(row, name)


def find_amp(table: str, row: dict) -> Any:
    if table == "sessions":
        return Session.objects.get(external_id=row["id"]), amp_session
    if table == "iterations":
        return SessionEvent.objects.get(dedupe_key=f"iterations:{row['id']}"), amp_iteration
    if table == "thread_messages":
        return Message.objects.get(native_uuid=row["id"]), amp_message
    named = Thread.objects.filter(external_id=row["id"]).first()
    merged = Thread.objects.filter(metadata__merged__contains=[{"id": row["id"]}]).first()
    return (named or merged, row["id"]), amp_thread


def decay(memory: Memory, name: str) -> Any:
    known = {"access_count": memory.access_count, "decay_factor": memory.salience}
    return known[name] if name in known else memory.metadata["decay"][name]


def worker(row: Worker, name: str) -> Any:
    if name == "session_id":
        return row.session.external_id
    if name == "status":
        return row.metadata.get("status", row.status)
    if name == "retry_count":
        return row.attempts - 1
    if name.startswith("attention_"):
        return row.metadata["attention"][name.removeprefix("attention_")]
    ours = {
        "task_type": "primitive", "params_json": "params", "report_md": "report",
        "last_error": "error", "completed_at": "ended_at",
    }  # fmt: skip
    if name == "spawned_by_session":
        return row.session.external_id
    return getattr(row, ours.get(name, name))


def scheduled(row: ScheduledMission, name: str) -> Any:
    if name == "runs":
        return row.missions.count()
    if name == "enabled":
        return row.enabled
    if name.startswith("schedule"):
        # What it said there, where ours does not say the same.
        said = row.metadata.get("schedule") or row.schedule
        parts = said.split("; ")
        if name in ("schedule", "schedule_type"):
            return parts[0]
        at = {"schedule_cron": 1, "schedule_time": 1, "schedule_days": 2}[name]
        clocked = len(parts) > 1 and ":" in parts[1]
        if at == 1 and clocked != (name == "schedule_time"):
            return None
        return parts[at] if len(parts) > at else None
    if name == "last_status":
        return {"complete": "completed"}.get(row.last_status, row.last_status)
    return getattr(row, name)


def mission(row: Mission, name: str) -> Any:
    if name in ("scheduled_mission_id", "session_id"):
        return getattr(row, name.removesuffix("_id")).external_id
    if name == "status":
        return row.metadata.get("status", row.status)
    return row.metadata[name] if name in row.metadata else getattr(row, name)


def contact(row: Contact, name: str) -> Any:
    if name == "email":
        return row.emails.values_list("email", flat=True).first()
    if name == "phone":
        return row.phones.values_list("number", flat=True).first()
    if name == "tags":
        return sorted(row.contact_tags.values_list("tag__name", flat=True))
    return row.metadata["source"] if name == "source" else getattr(row, name)


def plain(row: Any, name: str) -> Any:
    if name == "session_id":
        return row.session.external_id
    if name == "completed":
        return row.completed_at is not None
    if name == "date":
        return row.date.isoformat()
    return getattr(row, name)


def find(table: str, row: dict) -> Any:
    """Our row of one of theirs, and what reads a value of theirs in it."""
    key = str(row.get("id") or row.get("session_id") or row.get("experience_id"))
    by_key = {
        "experience": (Memory, experience),
        "memory_decay_metrics": (Memory, decay),
        "session": (Session, session),
        "sessions": (Session, session),
        "workers": (Worker, worker),
        "scheduled_missions": (ScheduledMission, scheduled),
        "contacts": (Contact, contact),
        "priorities": (Priority, plain),
        "pings": (Ping, plain),
        "staged_content": (StagedContent, plain),
    }
    if table == "sessions" and "session_id" in row:
        key = str(row["session_id"])
    if table == "missions":
        runs = "scheduled_mission_id" in row
        by_key["missions"] = (Mission, mission) if runs else (ScheduledMission, scheduled)
    if table == "mission_executions":
        by_key[table] = (Mission, mission)
    if table == "conversation_notifications":
        found = Notification.objects.get(
            conversation_id=row["conversation_id"],
            notification_type=row.get("notification_type") or "worker_complete",
            entity_id=row.get("entity_id") or row["worker_id"],
        )
        return found, plain
    model, read = by_key[table]
    if model is Mission:
        return Mission.objects.get(metadata__external_id=key), read
    return model.objects.get(external_id=key), read


def test_every_fact_is_here(moved):
    wrong, compared = [], 0
    with workspace_scope(moved.workspace.id):
        for fact in moved.facts:
            table, key, expect = fact["table"], fact["key"], fact["expect"]
            if "executions_in_order" in expect:
                trace = Memory.objects.filter(data__trace_id=key["trace_id"])
                order = trace.order_by("recorded_at").values_list("external_id", flat=True)
                assert list(order) == expect["executions_in_order"]
                continue
            if table == "signature_embedding":
                memory = Memory.objects.get(external_id=expect["experience_id"])
                found = next(s for s in memory.metadata["signatures"] if s["id"] == key["id"])
                assert found["emb_metadata"] == expect["emb_metadata"]
                assert found["embedding_model"] == expect["embedding_model"]
                continue
            rows = moved.rows(table, key)
            assert rows, fact
            read_row = find_amp if FILES[moved.file] == "amp" else find
            ours, read = read_row(table, rows[0])
            for name, value in expect.items():
                if name == "causes" and isinstance(value, str):
                    value = []
                if name == "phone" and value:
                    # Kept in its one spelling.
                    digits = "".join(c for c in value.split("x")[0] if c.isdigit())[-10:]
                    found = read(ours, name) or ""
                    compared += 1
                    if not found.endswith(digits):
                        wrong.append((table, key, name, found, value))
                    continue
                compared += 1
                if not same(read(ours, name), value):
                    wrong.append((table, key, name, str(read(ours, name))[:200], str(value)[:200]))
    assert not wrong
    assert compared
