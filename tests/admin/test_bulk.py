"""Actions over more rows than a request does: proposed, tried, run by a job, taken back."""

import pytest
from django.db.models import F

from config.lib.scope import workspace_scope
from contacts.admin import bulk as bulk_admin
from contacts.models import BulkRun, Membership, Revision
from contacts.services import bulk
from contacts.tasks import sweep_bulk_runs, work_bulk_run
from sessions.models import Task, Worker
from sessions.services.tasks import create_task, update_task
from sessions.services.workers import spawn_worker
from tests.admin.pages import MAX_QUERIES, queries_of, url
from tests.factories import ALICE

LIST = url(Task, "changelist")


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Three rows are many, two a slice: the same paths with fewer rows."""
    monkeypatch.setattr(bulk_admin, "MAX_BULK", 2)
    monkeypatch.setattr(bulk, "SLICE", 2)


@pytest.fixture
def tasks(workspace):
    with workspace_scope(workspace.id):
        return [create_task(actor=ALICE, title=f"Dig {n}")[0] for n in range(5)]


def ask(client, rows, action, query="", **more):
    sent = {"action": action, "_selected_action": [str(row.pk) for row in rows], **more}
    return client.post(f"{LIST}?{query}", sent)


def latest(workspace):
    with workspace_scope(workspace.id):
        return BulkRun.objects.order_by("-id").first()


def press(client, run, what):
    return client.post(url(BulkRun, "do", run.pk, what), follow=True).content.decode()


def page_of(client, run):
    return client.get(url(BulkRun, "change", run.pk)).content.decode()


def work(workspace, run):
    work_bulk_run(str(workspace.id), str(run.pk))
    return latest(workspace)


def statuses(workspace):
    with workspace_scope(workspace.id):
        return list(Task.objects.order_by("id").values_list("status", flat=True))


def counts(run):
    return (run.state, run.done, run.skipped, run.failed)


def test_few_rows_are_done_at_once(alice, workspace, tasks):
    assert ask(alice, tasks[:2], "done").url == LIST
    assert statuses(workspace) == ["done", "done", "todo", "todo", "todo"]
    assert latest(workspace) is None


def test_many_rows_become_a_run_that_waits_for_its_word(alice, workspace, tasks):
    answer = ask(alice, tasks, "done")
    run = latest(workspace)
    assert answer.url == url(BulkRun, "change", run.pk)
    page = alice.get(answer.url).content.decode()
    assert "Done: tasks" in page
    assert "Nothing has been done yet." in page
    assert len(queries_of(alice, answer.url)) <= MAX_QUERIES
    assert statuses(workspace) == ["todo"] * 5


def test_a_run_does_each_row_and_says_what_needed_nothing(alice, workspace, tasks):
    with workspace_scope(workspace.id):
        update_task(actor=ALICE, task_id=tasks[1].pk, changes={"status": "done"})
    ask(alice, tasks, "done")
    assert "The run has begun." in press(alice, latest(workspace), "running")
    run = work(workspace, latest(workspace))
    assert counts(run) == ("done", 4, 1, 0)
    assert statuses(workspace) == ["done"] * 5
    page = alice.get(url(BulkRun, "progress", run.pk)).content.decode()
    assert "<html" not in page
    assert str(tasks[1].pk) in page
    assert "It needs nothing" in page
    with workspace_scope(workspace.id):
        made = Revision.objects.filter(request_id=str(run.pk), model=Task._meta.label_lower)
        assert {(r.actor_label, r.channel) for r in made} == {("alice", "job")}
        assert made.count() == 4


def test_a_dry_run_tells_and_keeps_nothing(alice, workspace):
    with workspace_scope(workspace.id):
        made = [spawn_worker(actor=ALICE, primitive="p", name=f"W{n}")[0] for n in range(3)]
        # Others wait for it, and so it may not be deleted.
        spawn_worker(actor=ALICE, primitive="p", depends_on=[made[2].pk])
    sent = {"action": "delete_selected", "_selected_action": [str(one.pk) for one in made]}
    assert alice.post(url(Worker, "changelist"), sent).status_code == 302
    press(alice, latest(workspace), "trying")
    run = work(workspace, latest(workspace))
    assert counts(run) == ("tried", 2, 0, 1)
    assert run.problems == [
        {"id": str(made[2].pk), "kind": "failed",
         "why": "Other workers wait for this one; delete them first, or change what they need."}
    ]  # fmt: skip
    with workspace_scope(workspace.id):
        assert Worker.objects.count() == 4
        assert not Revision.objects.filter(
            request_id=str(run.pk), model=Worker._meta.label_lower
        ).exists()
    # Then in earnest; the dry run is still told.
    press(alice, run, "running")
    run = work(workspace, run)
    assert counts(run) == ("done", 2, 0, 1)
    assert run.tried["done"] == 2
    with workspace_scope(workspace.id):
        assert Worker.objects.count() == 2


def test_all_rows_that_match_are_those_of_the_lists_filters(alice, workspace, tasks):
    with workspace_scope(workspace.id):
        update_task(actor=ALICE, task_id=tasks[0].pk, changes={"assignee": "Ada"})
    ask(alice, tasks[1:3], "doing", "assignee=User&p=1", select_across="1")
    run = latest(workspace)
    assert (run.ids, run.total) == ([], 4)
    # What came afterwards was not meant.
    with workspace_scope(workspace.id):
        create_task(actor=ALICE, title="Later")
    press(alice, run, "running")
    assert counts(work(workspace, run)) == ("done", 4, 0, 0)
    assert statuses(workspace) == ["todo", *["doing"] * 4, "todo"]


def test_a_run_goes_on_where_a_job_died(alice, workspace, tasks):
    ask(alice, tasks, "doing")
    run = latest(workspace)
    press(alice, run, "running")
    with workspace_scope(workspace.id):
        assert bulk_admin.work_slice(run.pk)
    # The job is killed in the middle of the second slice: that slice leaves nothing.
    with pytest.raises(KeyboardInterrupt), workspace_scope(workspace.id):
        bulk_admin.work_slice(run.pk)
        raise KeyboardInterrupt
    assert statuses(workspace) == ["doing", "doing", "todo", "todo", "todo"]
    with workspace_scope(workspace.id):
        assert bulk.lost_runs() == []
    silent = "Nothing has been heard of its worker"
    assert silent not in page_of(alice, run)
    with workspace_scope(workspace.id):
        BulkRun.objects.update(beat_at=F("beat_at") - bulk.LOST)
        assert bulk.lost_runs() == [run.pk]
    assert silent in page_of(alice, run)
    sweep_bulk_runs(0)
    assert counts(work(workspace, run)) == ("done", 5, 0, 0)
    with workspace_scope(workspace.id):
        made = Revision.objects.filter(request_id=str(run.pk), model=Task._meta.label_lower)
        assert sorted(made.values_list("object_id", flat=True)) == [row.pk for row in tasks]
    # Once more does nothing more.
    assert counts(work(workspace, run)) == ("done", 5, 0, 0)


def test_a_run_is_taken_back_except_what_was_changed_since(alice, workspace, tasks):
    ask(alice, tasks, "done")
    press(alice, latest(workspace), "running")
    run = work(workspace, latest(workspace))
    with workspace_scope(workspace.id):
        update_task(actor=ALICE, task_id=tasks[3].pk, changes={"status": "review"})
    press(alice, run, "undoing")
    run = work(workspace, run)
    assert counts(run) == ("undone", 4, 1, 0)
    assert statuses(workspace) == ["todo", "todo", "todo", "review", "todo"]
    assert "Changed once more since: status" in run.problems[0]["why"]
    page = alice.get(url(BulkRun, "change", run.pk)).content.decode()
    assert "could not be taken back" in page
    assert str(tasks[3].pk) in page
    with workspace_scope(workspace.id):
        assert Task.objects.get(pk=tasks[0].pk).completed_at is None


def test_what_has_an_action_of_its_own_is_taken_back_by_the_opposite(alice, workspace, tasks):
    ask(alice, tasks, "archive")
    press(alice, latest(workspace), "running")
    run = work(workspace, latest(workspace))
    press(alice, run, "undoing")
    assert counts(work(workspace, run)) == ("undone", 5, 0, 0)
    with workspace_scope(workspace.id):
        assert Task.objects.filter(archived_at=None).count() == 5


def test_deleted_rows_come_back(alice, workspace, tasks):
    with workspace_scope(workspace.id):
        child, _ = create_task(actor=ALICE, title="Find the spade", parent_id=tasks[0].pk)
    ask(alice, tasks, "delete_selected")
    press(alice, latest(workspace), "running")
    run = work(workspace, latest(workspace))
    assert counts(run) == ("done", 5, 0, 0)
    assert statuses(workspace) == []
    press(alice, run, "undoing")
    assert counts(work(workspace, run)) == ("undone", 6, 0, 0)
    with workspace_scope(workspace.id):
        assert Task.objects.get(pk=child.pk).parent_id == tasks[0].pk
        assert Task.objects.count() == 6


def test_a_run_is_stopped_and_what_is_done_stays(alice, workspace, tasks):
    ask(alice, tasks, "done")
    run = latest(workspace)
    press(alice, run, "running")
    with workspace_scope(workspace.id):
        bulk_admin.work_slice(run.pk)
    assert "The run has stopped." in press(alice, run, "stop")
    assert counts(work(workspace, run)) == ("stopped", 2, 0, 0)
    assert statuses(workspace) == ["done", "done", "todo", "todo", "todo"]
    assert "Nothing was done" in press(alice, run, "running")


def test_who_may_not_any_more_does_not(alice, otto, vera, workspace, tasks):
    ask(vera, tasks, "done")
    assert latest(workspace) is None
    ask(otto, tasks, "done")
    run = latest(workspace)
    press(otto, run, "running")
    with workspace_scope(workspace.id):
        Membership.objects.filter(user__username="otto").update(role="viewer")
    run = work(workspace, run)
    assert counts(run) == ("stopped", 0, 0, 0)
    assert statuses(workspace) == ["todo"] * 5
    assert alice.get(url(BulkRun, "history", run.pk)).content.decode().count("may not do this") == 1
    assert vera.post(url(BulkRun, "do", run.pk, "undoing")).status_code == 403


def test_taking_back_needs_what_the_run_needed(alice, otto, rita, workspace, tasks):
    ask(otto, tasks, "done")
    press(otto, latest(workspace), "running")
    run = work(workspace, latest(workspace))
    press(rita, run, "undoing")
    assert counts(work(workspace, run)) == ("stopped", 0, 0, 0)
    assert statuses(workspace) == ["done"] * 5
    # In the name of the one who takes it back, not of the one who ran it.
    press(alice, run, "undoing")
    assert counts(work(workspace, run)) == ("undone", 5, 0, 0)
    with workspace_scope(workspace.id):
        last = Revision.objects.filter(object_id=tasks[0].pk).order_by("-id").first()
    assert last.actor_label == "alice"


def test_another_workspace_has_no_such_run(alice, charlie, workspace, tasks):
    ask(alice, tasks, "done")
    run = latest(workspace)
    assert charlie.get(url(BulkRun, "progress", run.pk)).status_code == 404
    assert charlie.post(url(BulkRun, "do", run.pk, "running")).status_code == 404
