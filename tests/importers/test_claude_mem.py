"""What is peculiar to claude-mem: sessions by three names, renamed columns, lists in JSON."""

import sqlite3

import pytest

from config.lib.scope import workspace_scope
from memory.importers.claude_code.source import CLAUDE_CODE
from memory.importers.claude_mem import CLAUDE_MEM
from memory.importers.run import run_import
from memory.importers.undo import undo_import
from memory.models import Memory
from sessions.models import Project, Session
from tests.factories import ALICE
from tests.importers.made import claude_mem
from tests.importers.transcripts import SESSION, assistant, call, result, user, write

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


@pytest.fixture
def take(workspace, taken, tmp_path):
    """Takes claude-mem's database, or Claude Code's transcript of its first session. With `own` the
    first has a prompt that the transcript has not."""
    path = write(
        tmp_path / "shop" / f"{SESSION}.jsonl",
        user("u1", "Fix the till,  time 1"),
        assistant("a1", [call("toolu_1", "Edit", file="till.py")]),
        user("u2", [result("toolu_1")]),
        user("u3", "<command-name>/review</command-name><command-args>the till</command-args>"),
        assistant("a2", "It is fixed."),
    )
    changes = "".join(
        f"UPDATE {table} SET content_session_id = '{SESSION}' WHERE id = 1;"
        for table in ("sdk_sessions", "user_prompts", "tool_uses")
    )
    changes += "UPDATE user_prompts SET session_db_id = 1, prompt_text = '/review the till' "

    def take(source, own=False):
        if source is CLAUDE_MEM:
            text = "Only I know" if own else "/review the till"
            return taken(f"{changes} WHERE id = 2; UPDATE user_prompts SET session_db_id = 1, "
                         f"prompt_text = '{text}' WHERE id = 3")  # fmt: skip
        return run_import(workspace_id=workspace.id, source=source, where=str(path))

    return take


either_first = pytest.mark.parametrize(
    "order", [(CLAUDE_CODE, CLAUDE_MEM), (CLAUDE_MEM, CLAUDE_CODE)], ids=lambda one: one[0].name
)


@either_first
def test_a_session_that_claude_code_brought_too_is_one(workspace, take, order):
    for source in order:
        report = take(source)
        assert report.checked.ok, report.checked.differences
    for source in (CLAUDE_MEM, CLAUDE_CODE):
        report = take(source)
        assert report.checked.ok, report.checked.differences
        assert not report.changed
        assert not +report.rows
    with workspace_scope(workspace.id):
        session = Session.objects.get(external_id=SESSION)
        assert (session.source, session.claude_session_id) == ("claude-code", SESSION)
        assert session.end_reason == "transcript_end"
        assert session.memories.count() == 2
        assert session.threads.get().external_id == f"{SESSION}/main"
        said = session.messages.order_by("idx").values_list("native_uuid", flat=True)
        assert list(said) == ["u1", "a1", "u2", "u3", "a2"]
        assert session.message_count == 5
        assert session.events.filter(event_type="tool_use").count() == session.tool_count == 1
        # The others are claude-mem's own.
        assert Session.objects.filter(source="claude-mem").count() == 2


@either_first
def test_what_only_claude_mem_knows_of_it_stays(workspace, take, order):
    runs = {source.name: take(source, own=True) for source in order}
    assert not take(CLAUDE_MEM, own=True).changed
    with workspace_scope(workspace.id):
        session = Session.objects.get(external_id=SESSION)
        (theirs,) = session.threads.filter(source="claude-mem")
        assert theirs.messages.filter(content="Only I know").exists()
        assert session.message_count == session.messages.count()
    undone = undo_import(workspace_id=workspace.id, run_id=runs["claude-mem"].run_id, actor=ALICE)
    with workspace_scope(workspace.id):
        assert not Memory.objects.exists()
        assert session.messages.filter(native_uuid="a2").exists()
        # Where its row was first, the transcript hangs on that.
        stays = {"session", "agent"} if order[0] is CLAUDE_MEM else set()
        assert set(+undone.staying) == stays, undone.kept
