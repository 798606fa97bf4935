"""What is peculiar to claude-mem: sessions by three names, renamed columns, lists in JSON."""

import sqlite3

import pytest

from config.lib.scope import workspace_scope
from memory.importers.claude_mem import CLAUDE_MEM
from memory.importers.run import run_import
from memory.models import Memory
from sessions.models import Project, Session
from tests.importers.made import claude_mem

pytestmark = pytest.mark.django_db


@pytest.fixture
def taken(workspace, tmp_path):
    path = tmp_path / "claude-mem.db"
    claude_mem(path, sessions=3)

    def take(sql):
        db = sqlite3.connect(path)
        db.executescript(sql)
        db.close()
        return run_import(workspace_id=workspace.id, source=CLAUDE_MEM, where=str(path))

    return take


def test_a_session_with_all_that_is_its_own(workspace, taken):
    report = taken("")
    assert report.checked.ok, report.checked.differences
    assert [str(one.code) for one in report.problems] == ["not_carried"]
    with workspace_scope(workspace.id):
        session = Session.objects.get(external_id="content-1")
        assert session.agent.name == "claude-code"
        assert session.project == Project.objects.get(title="shop")
        assert session.outcome == "success"
        assert session.started_at.isoformat() == "2026-01-02T03:04:05+00:00"
        assert (session.ended_at - session.started_at).total_seconds() == 3600
        assert session.threads.get().messages.get().content == "Fix the till, time 1"
        event = session.events.get()
        assert (event.event_type, event.text) == ("tool_use", "Edit")
        assert event.data["input"] == {"file": "till.py"}
        fixed, summary = session.memories.order_by("external_id")
        assert fixed.text == "Till 1 fixed\n\nCents\n\nThe till rounded down.\n\n- It uses floats"
        assert (fixed.kind, fixed.tags) == ("occurrence", ["gotcha"])
        assert fixed.data["files_modified"] == ["till.py"]
        assert summary.text == "Asked: Fix it\n\nLearned: Floats lie\n\nCompleted: Fixed"
        assert fixed.project == session.project


def test_old_names_and_bad_rows(workspace, taken):
    report = taken(
        "ALTER TABLE sdk_sessions RENAME COLUMN content_session_id TO claude_session_id;"
        "ALTER TABLE sdk_sessions RENAME COLUMN memory_session_id TO sdk_session_id;"
        "ALTER TABLE observations RENAME COLUMN memory_session_id TO sdk_session_id;"
        "UPDATE observations SET facts = 'one fact', concepts = '[oops', type = 'epiphany',"
        " title = NULL, subtitle = NULL, narrative = NULL, text = 'Old text' WHERE id = 1;"
        "UPDATE observations SET sdk_session_id = 'gone', created_at_epoch = 'x' WHERE id = 2;"
        "UPDATE user_prompts SET session_db_id = NULL WHERE id = 1;"
        "UPDATE user_prompts SET session_db_id = 99, content_session_id = 'gone' WHERE id = 2;"
        "UPDATE sdk_sessions SET status = 'active', completed_at = NULL,"
        " completed_at_epoch = NULL, platform_source = 'cursor' WHERE id = 3;"
    )
    assert report.checked.ok, report.checked.differences
    codes = {str(code): n for code, n in report.problems.by_code.items()}
    assert codes == {
        "malformed_json": 1, "unknown_value": 1, "dangling": 1, "orphan": 1, "not_carried": 1,
    }  # fmt: skip
    assert report.tables["user_prompts"].skipped == 1
    with workspace_scope(workspace.id):
        old = Memory.objects.get(external_id="observation:1")
        assert (old.text, old.kind) == ("Old text\n\n- one fact", "observation")
        assert old.session.external_id == "content-1"
        lost = Memory.objects.get(external_id="observation:2")
        assert lost.metadata["dangling"] == {"session": ["gone"]}
        assert lost.recorded_at.year == 2026
        third = Session.objects.get(external_id="cursor/content-3")
        assert (third.agent.name, third.current_state) == ("cursor", "ended")
