"""Tasks, projects and priorities in the admin: everything is written through their services."""

from datetime import timedelta

import pytest

from config.lib.scope import workspace_scope
from contacts.models import Revision
from contacts.selectors import today
from sessions.models import Priority, Project, Session, Task
from sessions.services.priorities import create_priority
from sessions.services.projects import create_project
from sessions.services.tasks import create_task
from tests.admin.pages import form_of, url
from tests.factories import ALICE, make_session


@pytest.fixture
def project(workspace):
    with workspace_scope(workspace.id):
        return create_project(actor=ALICE, title="Greenhouse")


def make_task(workspace, title="Dig", **fields):
    with workspace_scope(workspace.id):
        return create_task(actor=ALICE, title=title, **fields)[0]


def read(workspace, row):
    with workspace_scope(workspace.id):
        return type(row).objects.filter(pk=row.pk).first()


def actions_of(workspace, row):
    with workspace_scope(workspace.id):
        return list(
            Revision.objects.filter(object_id=row.pk)
            .order_by("id")
            .values_list("action", flat=True)
        )


def do(client, row, action):
    assert client.post(url(type(row), "do", row.pk, action)).status_code == 302


def test_a_task_is_made_in_its_column(alice, workspace, project):
    first = make_task(workspace, project_id=project.pk)
    form = form_of(alice, url(Task, "add")) | {"title": "Plant", "project": str(project.pk)}
    assert alice.post(url(Task, "add"), form).status_code == 302
    with workspace_scope(workspace.id):
        made = Task.objects.get(title="Plant")
    assert made.project_id == project.pk
    assert made.order > first.order


def test_what_a_service_refuses_is_shown_at_its_field(alice, workspace, project):
    parent = make_task(workspace)
    form = form_of(alice, url(Task, "add")) | {
        "title": "Plant", "project": str(project.pk), "parent": str(parent.pk)
    }  # fmt: skip
    page = alice.post(url(Task, "add"), form)
    assert page.status_code == 200
    assert "is a task of another project" in page.content.decode()


def test_a_tasks_status_and_archive_are_buttons(alice, workspace):
    task = make_task(workspace)
    do(alice, task, "done")
    assert read(workspace, task).completed_at is not None
    do(alice, task, "doing")
    assert read(workspace, task).completed_at is None
    do(alice, task, "archive")
    assert read(workspace, task).archived_by == "alice"
    do(alice, task, "unarchive")
    assert read(workspace, task).archived_at is None
    assert actions_of(workspace, task) == ["create", "update", "update", "archive", "unarchive"]


def test_many_tasks_are_done_and_deleted_from_the_list(alice, workspace):
    parent = make_task(workspace)
    child = make_task(workspace, "Find the spade", parent_id=parent.pk)
    chosen = {"_selected_action": [str(parent.pk), str(child.pk)]}
    assert alice.post(url(Task, "changelist"), {**chosen, "action": "done"}).status_code == 302
    assert {read(workspace, row).status for row in (parent, child)} == {"done"}
    sure = {**chosen, "action": "delete_selected", "post": "yes"}
    assert alice.post(url(Task, "changelist"), sure).status_code == 302
    assert read(workspace, parent) is read(workspace, child) is None
    assert actions_of(workspace, child)[-1] == "delete"


def test_lists_are_narrowed(alice, workspace, project):
    task = make_task(workspace, "Dig", project_id=project.pk)
    make_task(workspace, "Find the spade", parent_id=task.pk)
    away = make_task(workspace, "Sell the shed")
    do(alice, away, "archive")
    for query, shown, hidden in [
        ({"archived": "yes"}, "Sell the shed", "Find the spade"),
        ({"archived": "no"}, "Find the spade", "Sell the shed"),
        ({"parent__id__exact": str(task.pk)}, "Find the spade", "Sell the shed"),
        ({"project__id__exact": str(project.pk)}, "Find the spade", "Sell the shed"),
    ]:
        page = alice.get(url(Task, "changelist"), query).content.decode()
        assert shown in page, query
        assert hidden not in page, query


def test_a_project_is_archived_and_deleted_with_its_tasks(alice, workspace, project):
    task = make_task(workspace, project_id=project.pk)
    with workspace_scope(workspace.id):
        session = make_session(project=project.pk)
    do(alice, project, "archive")
    assert read(workspace, project).archived_at is not None
    do(alice, project, "unarchive")
    assert alice.post(url(Project, "delete", project.pk), {"post": "yes"}).status_code == 302
    assert read(workspace, project) is read(workspace, task) is None
    assert read(workspace, session).project_id is None
    assert actions_of(workspace, task) == ["create", "delete"]
    with workspace_scope(workspace.id):
        assert Session.objects.count() == 1


def test_a_priority_is_made_today_completed_and_moved(alice, workspace):
    with workspace_scope(workspace.id):
        day = today()
        old, _ = create_priority(actor=ALICE, content="Old", date=day - timedelta(days=400))
    form = form_of(alice, url(Priority, "add"))
    assert form["date"] == str(day)
    assert alice.post(url(Priority, "add"), form | {"content": "New"}).status_code == 302
    do(alice, old, "today")
    do(alice, old, "top")
    with workspace_scope(workspace.id):
        names = Priority.objects.filter(date=day).order_by("position").values_list("content")
        assert [name for (name,) in names] == ["Old", "New"]
    do(alice, old, "complete")
    assert read(workspace, old).completed_at is not None
    page = alice.get(url(Priority, "changelist"), {"done": "no"}).content.decode()
    assert "New" in page
    assert "Old" not in page
    do(alice, old, "reopen")
    assert read(workspace, old).completed_at is None
    assert alice.post(url(Priority, "delete", old.pk), {"post": "yes"}).status_code == 302
    assert actions_of(workspace, old)[-1] == "delete"


def test_a_viewer_changes_nothing(vera, workspace):
    task = make_task(workspace)
    assert vera.post(url(Task, "do", task.pk, "done")).status_code == 403
    assert read(workspace, task).status == "todo"
