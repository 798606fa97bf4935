"""What a transcript becomes in the database, and what a second import adds: nothing."""

import json
import shutil

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from config.lib.scope import workspace_scope
from contacts.models import Revision
from memory.importers.claude_code import discover, source
from memory.importers.claude_code.store import BATCH_LINES
from memory.importers.problems import Code
from memory.importers.registry import SOURCES
from memory.importers.run import run_import
from sessions.models import Message, Project, RawLine, Session, SessionEvent, Thread
from sessions.services.sessions import update_session
from tests.api.test_concurrency import at_once
from tests.factories import ALICE, make_workspace
from tests.importers.transcripts import SESSION, assistant, call, result, user, write


def run(workspace, path):
    return run_import(workspace_id=workspace.id, source=SOURCES["claude-code"], where=str(path))


def counts(workspace):
    with workspace_scope(workspace.id):
        return {
            model.__name__: model.objects.count()
            for model in (Session, Thread, Message, SessionEvent, RawLine, Project, Revision)
        }


@pytest.fixture
def claude(legacy):
    return legacy.root / "transcripts" / "claude"


@pytest.fixture
def manifest(legacy):
    return legacy.facts("transcripts/claude")


def test_everything_of_the_samples_goes_in(workspace, claude, manifest):
    report = run(workspace, claude)
    with workspace_scope(workspace.id):
        for session in Session.objects.all():
            threads = list(session.threads.all())
            assert threads, session.name
            for thread in threads:
                indexes = list(thread.messages.order_by("idx").values_list("idx", flat=True))
                assert indexes == list(range(thread.message_count))
            sequence = list(session.events.order_by("seq").values_list("seq", flat=True))
            assert sequence == list(range(1, session.event_count + 1))
            assert session.message_count == session.messages.count()
            assert session.name
            assert session.prompt
            assert session.ended_at is not None
        assert (
            Session.objects.count()
            == report.tables["sessions"].created
            == len(discover(claude).sessions)
        )


def test_token_totals_count_each_message_once(workspace, claude, manifest):
    """For sessions in one file; subagents' files add to their session."""
    run(workspace, claude)
    compared = 0
    with workspace_scope(workspace.id):
        for file, expected in manifest.items():
            usage = expected.get("usage_once_per_message")
            if usage is None or "claude/" not in file or "subagents" in file:
                continue
            external_id = expected["session_ids"][0]
            session = Session.objects.get(source="claude-code", external_id=external_id)
            if session.threads.filter(metadata__agent_id__isnull=False).exists():
                continue
            if session.metadata.get("forked_from"):
                continue
            assert session.input_tokens == usage["input_tokens"], file
            assert session.output_tokens == usage["output_tokens"], file
            assert session.cache_creation_tokens == usage["cache_creation_input_tokens"], file
            assert session.cache_read_tokens == usage["cache_read_input_tokens"], file
            compared += 1
    assert compared >= 4


def test_subagents_have_threads_below_the_main_one(workspace, claude):
    run(workspace, claude / "projects" / "-path-to-Demo")
    with workspace_scope(workspace.id):
        session = Session.objects.get(external_id="e69c89ee-6399-40d8-9260-309c8671e9ba")
        main = session.threads.get(parent=None)
        assert main.name == "main"
        below = list(main.children.order_by("created_at"))
        assert len(below) == 2
        assert all(thread.name and thread.message_count for thread in below)


def test_tool_calls_are_events(workspace, claude, manifest):
    file = next(f for f in manifest if f.endswith("0cf3db51-1c73-43bb-8d05-dc02739514a5.jsonl"))
    run(workspace, claude / "projects" / "-Users-dev-workspace-cli")
    with workspace_scope(workspace.id):
        session = Session.objects.get(external_id="0cf3db51-1c73-43bb-8d05-dc02739514a5")
        calls = session.events.filter(event_type="tool_use")
        assert calls.count() == manifest[file]["tool_use_blocks"] == session.tool_count
        assert session.metadata["compactions"] == 1


def test_a_second_import_adds_nothing(workspace, claude):
    run(workspace, claude)
    before = counts(workspace)
    report = run(workspace, claude)
    assert counts(workspace) == before
    assert not report.changed
    assert not report.rows.total()


def test_a_file_that_has_grown_adds_what_is_new(workspace, legacy, tmp_path, manifest):
    growing = legacy.root / "transcripts" / "claude_growing"
    (earlier,) = (growing / "1_earlier").iterdir()
    (later,) = (growing / "2_later").iterdir()
    path = tmp_path / later.name
    shutil.copyfile(earlier, path)
    run(workspace, path)
    with workspace_scope(workspace.id):
        first = list(Message.objects.order_by("thread", "idx").values_list("id", "content"))
    shutil.copyfile(later, path)
    run(workspace, path)
    with workspace_scope(workspace.id):
        session = Session.objects.get()
        after = list(Message.objects.order_by("thread", "idx").values_list("id", "content"))
        assert after[: len(first)] == first
        assert len(after) > len(first)
        (file,) = (f for f in manifest if "2_later" in f)
        expected = manifest[file]["usage_once_per_message"]
        assert session.input_tokens == expected["input_tokens"]
        assert session.cache_read_tokens == expected["cache_read_input_tokens"]
        assert session.ended_at == session.last_seen_at


def test_importing_the_grown_file_at_once_gives_the_same(workspace, other_workspace, legacy):
    growing = legacy.root / "transcripts" / "claude_growing"
    run(workspace, growing / "1_earlier")
    run(workspace, growing / "2_later")
    run(other_workspace, growing / "2_later")

    def content(place):
        with workspace_scope(place.id):
            rows = Message.objects.order_by("native_uuid")
            return list(rows.values_list("native_uuid", "role", "content"))

    assert content(workspace) == content(other_workspace)


def test_broken_lines_are_reported_with_file_and_line_and_the_rest_goes_in(workspace, claude):
    path = claude / "projects" / "-path-to-Demo" / "4daaf928-6c68-4bb1-9175-400b176163f2.jsonl"
    report = run(workspace, path)
    assert report.broken > 0
    for problem in report.problems:
        assert problem.file.endswith(path.name)
        assert problem.reason
    with workspace_scope(workspace.id):
        assert Message.objects.count() > 20
        # The broken line itself is kept, readable.
        assert RawLine.objects.filter(raw__contains="\\u0000").exists()


def test_what_a_person_corrected_stays(workspace, claude):
    path = claude / "projects" / "-Users-dev-workspace-cli"
    run(workspace, path)
    with workspace_scope(workspace.id):
        session = Session.objects.get()
        update_session(actor=ALICE, session_id=session.id, changes={"name": "The commit"})
    run(workspace, path)
    with workspace_scope(workspace.id):
        assert Session.objects.get().name == "The commit"


def test_a_run_killed_in_the_middle_is_finished_by_the_next(workspace, tmp_path, monkeypatch):
    lines = BATCH_LINES * 2 + 50
    path = write(
        tmp_path / f"{SESSION}.jsonl", *(user(f"line-{n}", f"message {n}") for n in range(lines))
    )
    original, calls = source.write_together, []

    def die_at_the_second(actor, batches):
        calls.append(len(batches))
        if len(calls) == 2:
            raise KeyboardInterrupt
        original(actor, batches)

    monkeypatch.setattr(source, "write_together", die_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        run(workspace, path)
    monkeypatch.undo()
    with workspace_scope(workspace.id):
        assert RawLine.objects.count() == BATCH_LINES
    run(workspace, path)
    with workspace_scope(workspace.id):
        assert RawLine.objects.count() == lines
        thread = Thread.objects.get()
        indexes = list(thread.messages.order_by("idx").values_list("idx", flat=True))
        assert indexes == list(range(lines))


def test_a_dry_run_writes_nothing(workspace, claude, capsys):
    call_command(
        "import", "claude-code", str(claude), workspace=workspace.slug, dry_run=True, json=True
    )
    report = json.loads(capsys.readouterr().out)
    assert report["tables"]["lines"]["created"] > 400
    assert counts(workspace)["Session"] == 0


def test_the_command_says_what_it_did(workspace, claude, capsys):
    call_command("import", "claude-code", str(claude), workspace=workspace.slug)
    printed = capsys.readouterr().out
    assert "4daaf928-6c68-4bb1-9175-400b176163f2.jsonl:" in printed
    assert "messages" in printed
    call_command("import", "claude-code", str(claude), workspace=workspace.slug)
    assert "nothing was new" in capsys.readouterr().out


def test_a_path_with_nothing_in_it_is_one_line(workspace, tmp_path):
    with pytest.raises(CommandError, match=str(tmp_path)):
        call_command("import", "claude-code", str(tmp_path / "missing"), workspace=workspace.slug)
    with pytest.raises(CommandError, match="No workspace nowhere"):
        call_command("import", "claude-code", str(tmp_path), workspace="nowhere")


def test_a_fork_points_at_the_session_it_was_copied_from(workspace, claude):
    run(workspace, claude)
    with workspace_scope(workspace.id):
        fork = Session.objects.get(external_id="deca6d9d-c4f4-47fd-9282-c436f0d976be")
        assert fork.parent.external_id == "cfa1e878-62b5-4e40-b281-bbf9b250d766"


def test_a_tool_that_failed_is_counted_as_an_error(workspace, tmp_path):
    path = write(
        tmp_path / f"{SESSION}.jsonl",
        user("q", "do it"),
        assistant("a", [call("t1"), call("t2")]),
        user("r1", [result("t1", "no such file", is_error=True)]),
        user("r2", [result("t2", "fine")]),
    )
    run(workspace, path)
    with workspace_scope(workspace.id):
        session = Session.objects.get()
        assert (session.tool_count, session.error_count) == (2, 1)


@pytest.mark.django_db(transaction=True)
def test_two_runs_at_once_store_everything_once(workspace, tmp_path):
    lines = BATCH_LINES * 2 + 50
    path = write(
        tmp_path / f"{SESSION}.jsonl", *(user(f"line-{n}", f"message {n}") for n in range(lines))
    )
    reports = at_once([lambda: run(workspace, path)] * 2)
    assert sum(report.tables["lines"].created for report in reports) == lines
    with workspace_scope(workspace.id):
        assert RawLine.objects.count() == lines
        indexes = Thread.objects.get().messages.order_by("idx").values_list("idx", flat=True)
        assert list(indexes) == list(range(lines))


def test_secrets_are_taken_out_and_counted(workspace, tmp_path):
    key = "sk-ant-" + "api03-abcdefghijklmnop"
    write(
        tmp_path / f"-code-{key}" / f"{SESSION}.jsonl",
        user("u1", f"Use {key} for it"),
        assistant("a1", "I do not repeat it."),
    )
    report = run(workspace, tmp_path)
    assert report.redacted == 1
    (found,) = [one for one in report.problems if one.code is Code.REDACTED]
    assert (found.line, found.reason) == (1, "1 secret")
    with workspace_scope(workspace.id):
        assert key not in str(list(RawLine.objects.values_list("raw", "file")))
        assert Message.objects.filter(content__contains="[REDACTED:anthropic-key").count() == 1


def test_what_is_rolled_back_is_forgotten_by_who_wrote_it(db, tmp_path):
    """A savepoint that cannot be released, as of a connection that is lost at that moment."""
    path = write(tmp_path / "-code" / f"{SESSION}.jsonl", user("u1"), assistant("a1"))
    releases, raised = 9, []
    for number in range(1, releases):
        workspace = make_workspace(f"w{number}")
        left = iter(range(1, 1000))

        def fail(execute, sql, *rest, left=left, number=number):
            if sql.startswith("RELEASE") and next(left) == number:
                raise OperationalError("the connection is lost")
            return execute(sql, *rest)

        try:
            with connection.execute_wrapper(fail):
                report = run(workspace, path.parent)
        except OperationalError:
            raised.append(number)
            report = run(workspace, path.parent)
        assert report.checked.ok, report.checked.differences
        with workspace_scope(workspace.id):
            assert (Session.objects.count(), Message.objects.count()) == (1, 2)
    assert 0 < len(raised) < releases - 1
