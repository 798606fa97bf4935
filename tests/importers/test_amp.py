"""An Amp session manager's file: one thread of what its migrations made two, whatever its age."""

import shutil
import sqlite3

import pytest

from config.lib.scope import workspace_scope
from sessions.models import Message, Session, SessionEvent, Thread
from sessions.services.legacy_threads import MIGRATED, migrate_all
from tests.factories import ALICE
from tests.importers.sources import Sample, take

pytestmark = pytest.mark.django_db
AGES = ("before", "migrated_001", "after")


def test_three_ages_of_a_file_bring_each_thread_and_message_once(workspace, legacy):
    for age in AGES:
        sample = Sample("amp", f"amp/sessions_{age}.sqlite")
        report = take(workspace, sample, sample.where(legacy))
        assert report.checked.ok, report.checked.differences
    with workspace_scope(workspace.id):
        messages = Message.objects.filter(content__startswith=MIGRATED)
        told = list(messages.values_list("session_id", "content"))
        assert len(told) == len(set(told))
        assert set(messages.values_list("idx", flat=True)) == {0}
        threads = list(Thread.objects.values_list("external_id", flat=True))
        for session in Session.objects.exclude(legacy_thread_id=""):
            assert session.legacy_thread_id in threads
        for thread in Thread.objects.exclude(metadata__merged=None):
            gone = {one["id"] for one in thread.metadata["merged"]} - {thread.external_id}
            assert not gone & set(threads)
        # Events are in the order of time, whichever table they are from.
        for session in Session.objects.filter(event_count__gt=5):
            times = list(session.events.order_by("seq").values_list("occurred_at", flat=True))
            assert times == sorted(times)
    # What the service would do is done.
    assert migrate_all(actor=ALICE, workspace_id=workspace.id).migrated == 0


@pytest.fixture
def changed(tmp_path, legacy):
    """A copy of the file to change."""
    path = tmp_path / "sessions.sqlite"
    shutil.copyfile(Sample("amp", "amp/sessions_after.sqlite").where(legacy), path)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode = delete")
        for table in ("thread_messages", "threads", "iterations", "tool_calls", "stream_events",
                      "merge_history", "batch_items", "batches", "swebench_case_results",
                      "metric_iterations"):  # fmt: skip
            db.execute(f"DELETE FROM {table}")
        db.execute("DELETE FROM sessions WHERE rowid > 2")
        (first, second) = [row[0] for row in db.execute("SELECT id FROM sessions ORDER BY rowid")]
    return path, first, second


def test_tokens_and_costs_are_summed_as_far_as_they_are_told(workspace, changed):
    path, first, second = changed
    with sqlite3.connect(path) as db:
        for number, tokens in enumerate(
            [(100, 10, None), (None, 20, 50), (40, None, 45), (None, None, 7), (-5, 3, None)]
        ):
            db.execute(
                "INSERT INTO iterations (id, sessionId, startTime, promptTokens, completionTokens, "
                "totalTokens, model) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (f"i{number}", first, f"2025-08-19T15:0{number}:00.000Z", *tokens, f"m{number}"),
            )
        db.execute("UPDATE sessions SET modelOverride = NULL")
        db.executemany(
            "INSERT INTO metric_iterations (id, session_id, iteration_number, started_at, "
            "total_cost_usd) VALUES (?, ?, 1, '2025-08-19T15:00:00.000Z', ?)",
            [("c1", first, 0.25), ("c2", first, 0.5), ("c3", second, 0)],
        )
    assert take(workspace, Sample("amp", ""), path).checked.ok
    with workspace_scope(workspace.id):
        one = Session.objects.get(external_id=first)
        assert (one.input_tokens, one.output_tokens) == (100 + 30 + 40 + 7, 10 + 20 + 5 + 3)
        assert (one.model, float(one.cost_usd)) == ("m4", 0.75)
        assert Session.objects.get(external_id=second).cost_usd is None


def test_a_migrated_thread_that_went_on_stays_beside_one_that_did_too(workspace, changed):
    path, first, _ = changed
    said = [("m0", "own", "system", MIGRATED + "T-1", 0), ("m1", "own", "user", "here", 1),
            ("m2", "T-1", "user", "there", 0)]  # fmt: skip
    with sqlite3.connect(path) as db:
        for thread, name in (("own", "Migrated Thread for x"), ("T-1", "Thread T-1")):
            db.execute(
                "INSERT INTO threads (id, sessionId, name, createdAt, updatedAt) VALUES "
                "(?, ?, ?, '2025-08-20T00:00:00Z', '2025-08-20T00:00:00Z')",
                (thread, first, name),
            )
        db.executemany(
            "INSERT INTO thread_messages VALUES (?, ?, ?, ?, '2025-08-20T00:00:00Z', ?)", said
        )
    assert take(workspace, Sample("amp", ""), path).checked.ok
    with workspace_scope(workspace.id):
        for key, contents in (("own", [MIGRATED + "T-1", "here"]), ("T-1", ["there"])):
            thread = Thread.objects.get(external_id=key)
            found = thread.messages.order_by("idx").values_list("content", flat=True)
            assert list(found) == contents


def test_a_tool_call_that_failed_counts_as_one(workspace, changed):
    path, first, _ = changed
    with sqlite3.connect(path) as db:
        db.execute(
            "INSERT INTO tool_calls VALUES ('t', ?, 'gone', '2025-08-19T15:00:00Z', 'Bash', "
            '\'{"command": "ls"}\', 0, 12, NULL)',
            (first,),
        )
    take(workspace, Sample("amp", ""), path)
    with workspace_scope(workspace.id):
        event = SessionEvent.objects.get(event_type="tool_use")
        assert event.text == "Bash: ls"
        assert event.data["input"] == {"command": "ls"}
        session = Session.objects.get(external_id=first)
        assert (session.tool_count, session.error_count) == (1, 1)
