"""Every count, fact and bad row that the manifest tells of Archon: read, not repeated."""

import gzip
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from config.lib.scope import workspace_scope
from memory.importers.archon.dump import Dump
from memory.importers.report import ImportReport
from memory.models import Memory, Passage
from sessions.models import Project, Session, SessionEvent, Task
from tests.factories import make_workspace
from tests.importers.sources import Sample, take
from tests.importers.test_legacy_databases import same

pytestmark = pytest.mark.django_db

FILES = ("archon/archon_export.sql.gz", "archon/archon_data_only.sql.gz")


@dataclass
class Moved:
    """One dump, imported, and its own rows by table to look things up in."""

    file: str
    report: ImportReport
    workspace: Any
    rows: dict[str, list[dict]]
    manifest: dict

    def of(self, what: str) -> list[dict]:
        every = self.manifest["systems"]["archon"][what]
        return [one for one in every if one["file"] == self.file]

    def find(self, table: str, key: dict) -> list[dict]:
        wanted = {name: v if isinstance(v, list) else [v] for name, v in key.items()}
        return [
            row
            for row in self.rows[table]
            if all(row.get(name) in values for name, values in wanted.items())
        ]

    def problems(self, key: str) -> list:
        return [one for one in self.report.problems if one.key == key]


@pytest.fixture(scope="module", params=FILES)
def moved(request, module_rows, legacy):
    sample = Sample("archon", request.param)
    where = sample.where(legacy)
    with module_rows():
        workspace = make_workspace(f"archon-{FILES.index(request.param)}")
        report = take(workspace, sample, where)
    rows: dict[str, list[dict]] = defaultdict(list)
    with gzip.open(where) as stream:
        for row in Dump(stream).rows():
            rows[row.table.name].append(dict(zip(row.table.columns, row.values, strict=True)))
    return Moved(request.param, report, workspace, rows, legacy.manifest)


def test_every_table_is_read_whole_or_named_as_left_out(moved):
    left_out = {one.file: one.reason for one in moved.report.problems if not one.key}
    for table, rows in moved.manifest["row_counts"][moved.file].items():
        assert len(moved.rows[table]) == rows
        if table in moved.report.tables:
            count = moved.report.tables[table]
            assert count.total == rows == count.read
        elif rows:
            assert f"{rows:,} rows" in left_out[table]
    assert moved.report.checked.ok, moved.report.checked.differences


def test_every_bad_row_is_reported(moved):
    """What `importer_should` says in words."""
    assert not moved.report.problems.omitted
    whole = {one.file for one in moved.report.problems if not one.key}
    for bad in moved.of("bad_rows"):
        should, table = bad["importer_should"], bad["table"]
        rows = moved.find(table, bad["key"])
        assert rows, bad
        told = [one for row in rows for one in moved.problems(row["id"])]
        if "report once" in should:
            assert len([one for one in told if "parent_task_id" in one.reason]) == 1, bad
        elif "no error" in should or "not an error" in should or "ids decide" in should:
            assert not [one for one in told if one.code.level != "notice"], bad
        elif "table as skipped" in should:
            assert table in whole, bad
        elif any(word in should for word in ("report", "flag", "warning", "redact")):
            assert told, bad


def held(model, key: str, source: str = "archon"):
    return model.objects.get(source=source, external_id=key)


def test_bad_rows_become_what_they_should(moved):
    """By what their problem says, whichever rows have it."""
    model_of = {
        "archon_sessions": Session, "archon_tasks": Task, "archon_projects": Project,
    }  # fmt: skip
    with workspace_scope(moved.workspace.id):
        for bad in moved.of("bad_rows"):
            problem, should, table = bad["problem"], bad["importer_should"], bad["table"]
            for row in moved.find(table, bad["key"]):
                if table == "archon_session_events" and "quarantine" in should:
                    memory = held(Memory, f"event:{row['id']}")
                    assert memory.state == "quarantined"
                    assert memory.metadata["event_type"] == row["event_type"]
                elif table == "archon_session_events":
                    event = SessionEvent.objects.get(dedupe_key=row["id"])
                    assert event.event_type == row["event_type"]
                    if "scalar" in problem:
                        assert event.data == {"value": "just a string"}
                    if "secret" in problem:
                        assert "FAKE" not in f"{event.data} {event.text}"
                        assert "[REDACTED" in str(event.data)
                elif table in model_of:
                    ours = held(model_of[table], row["id"])
                    if "another spelling" in problem:
                        assert ours.agent.name == row["agent"].strip().lower()
                        assert ours.metadata["agent"] == row["agent"]
                    if "empty string" in problem:
                        assert ours.agent.name == "unknown"
                    if "200 kB" in problem:
                        field = "summary" if table == "archon_sessions" else "description"
                        assert getattr(ours, field) == row[field]
                    if "placeholder title" in should:
                        assert ours.title == "(no title)"
                    if "as null" in should:
                        assert ours.ended_at is None
                    if "without parent" in should or "parent task belongs" in problem:
                        assert ours.parent is None
                    if "without project" in should:
                        assert ours.project is None
                    if "archived_at NULL" in problem:
                        assert ours.archived_at is not None
                        assert ours.metadata["archived_at_unknown"]
                    if "empty list" in should:
                        assert ours.features == ours.data == []
                    if "keep raw" in should and table == "archon_tasks":
                        for name in ("sources", "code_examples"):
                            theirs = json.loads(row[name])
                            assert ours.metadata.get(name) == (theirs or None)
                    if "metadata is an array" in problem:
                        assert isinstance(ours.metadata["metadata"], list)
                    if "double encoded" in problem:
                        assert ours.context
                    if "verbatim" in should or "round-trip" in should:
                        assert ours.summary == row["summary"]
                    if "zero vector" in problem:
                        assert Passage.objects.filter(of_summary=ours).exists()


def session(row: Session, name: str) -> Any:
    if name == "agent":
        return row.metadata.get("agent", row.agent.name)
    if name == "project_id":
        return row.project.external_id if row.project else None
    if name == "event_count":
        assert row.event_count == row.events.count()
        return row.event_count
    if name == "metadata":
        metadata = {n: v for n, v in row.metadata.items() if n != "agent"}
        if row.summary_data or "ai_summary" in metadata:
            metadata["ai_summary"] = {**row.summary_data, **metadata.get("ai_summary", {})}
        return metadata
    return getattr(row, name)


def project(row: Project, name: str) -> Any:
    if name == "github_repo":
        return row.repo_url
    if name == "archived":
        return row.archived_at is not None
    if name == "task_count":
        return row.tasks.count()
    return getattr(row, name)


def task(row: Task, name: str) -> Any:
    if name in ("parent_task_id", "project_id"):
        target = row.parent if name == "parent_task_id" else row.project
        return target.external_id if target else None
    if name == "archived":
        return row.archived_at is not None
    ours = {"task_order": "order"}
    return row.metadata[name] if name in row.metadata else getattr(row, ours.get(name, name))


def event(row: SessionEvent, name: str) -> Any:
    if name == "session_id":
        return row.session.external_id
    if name == "event_data":
        return {n: v for n, v in row.data.items() if n not in ("metadata", "event_metadata")}
    return row.occurred_at if name == "timestamp" else getattr(row, name)


def version(row: Memory, name: str) -> Any:
    if name == "project_id":
        return row.project.external_id
    return row.text if name == "change_summary" else row.data[name]


def source(row: Memory, name: str) -> Any:
    known = {"source_url": "url", "source_display_name": "display_name",
             "total_word_count": "word_count"}  # fmt: skip
    if name == "metadata":
        return row.metadata["source"]
    return row.data[known.get(name, name)]


def test_every_fact_is_here(moved):
    read_by = {
        "archon_sessions": (Session, "", session),
        "archon_projects": (Project, "", project),
        "archon_tasks": (Task, "", task),
        "archon_document_versions": (Memory, "version:", version),
        "archon_sources": (Memory, "source:", source),
    }
    wrong, compared = [], 0
    with workspace_scope(moved.workspace.id):
        for fact in moved.of("spot_facts"):
            table, expect = fact["table"], fact["expect"]
            (theirs,) = moved.find(table, fact["key"])
            key = theirs.get("id") or theirs["source_id"]
            if "embedding_dim" in expect:
                # Made anew, from passages of its text.
                assert Passage.objects.filter(of_summary=held(Session, key)).exists()
                continue
            if table == "archon_session_events":
                ours, read = SessionEvent.objects.get(dedupe_key=key), event
            else:
                model, prefix, read = read_by[table]
                ours = held(model, prefix + key)
            for name, value in expect.items():
                compared += 1
                found = read(ours, name)
                if not same(found, value):
                    wrong.append((table, key, name, str(found)[:200], str(value)[:200]))
    assert not wrong
    assert compared or not moved.of("spot_facts")


def test_totals_of_the_notes_are_here(moved):
    notes = next(n for n in moved.manifest["systems"]["archon"]["notes"] if "task_status" in n)
    if moved.file != FILES[0]:
        pytest.skip("the notes are of the other dump")
    with workspace_scope(moved.workspace.id):
        tasks, sessions = Task.objects.all(), Session.objects.select_related("agent")
        for name, field in (("task_status", "status"), ("task_priority", "priority")):
            assert Counter(tasks.values_list(field, flat=True)) == notes[name]
        assert tasks.exclude(archived_at=None).count() == notes["archived_tasks"]
        agents = Counter(one.metadata.get("agent", one.agent.name) for one in sessions
                         if one.agent.name != "unknown")  # fmt: skip
        assert agents == {n: count for n, count in notes["sessions_per_agent"].items() if n}
        with_summary = sum(bool(one.summary_data) for one in sessions)
        assert with_summary == notes["sessions_with_ai_summary"]
        unset = sum(row["ended_at"] is None for row in moved.rows["archon_sessions"])
        assert unset == notes["active_sessions"]


def test_only_what_is_wrong_is_reported(moved):
    """Of rows that the manifest calls bad, and of references and vectors, nothing else."""
    ids = {
        row["id"]
        for bad in moved.manifest["systems"]["archon"]["bad_rows"]
        if bad["table"] in moved.rows
        for row in moved.find(bad["table"], bad["key"])
    }
    others = [one for one in moved.report.problems if one.key and one.key not in ids]
    assert {one.code for one in others} <= {"dangling", "value_dropped", "empty"}
    assert len(others) < 20, [str(one) for one in others]


def test_events_are_in_the_order_of_time(moved):
    with workspace_scope(moved.workspace.id):
        last: dict[Any, datetime] = {}
        rows = SessionEvent.objects.order_by("session_id", "seq")
        for session_id, at in rows.values_list("session_id", "occurred_at"):
            assert at >= last.get(session_id, at)
            last[session_id] = at
        assert last


def test_projects_name_their_sources(moved):
    with workspace_scope(moved.workspace.id):
        named = Counter()
        for ours in Project.objects.all():
            for link in ours.metadata.get("sources", ()):
                named[ours.external_id, link["source_id"]] += 1
        known = {row["source_id"] for row in moved.rows["archon_sources"]}
        assert named == Counter(
            (row["project_id"], row["source_id"])
            for row in moved.rows["archon_project_sources"]
            if row["source_id"] in known
        )
