"""What a person may do with notifications and handoffs: settle them, and nothing else."""

import pytest

from config.lib.scope import workspace_scope
from sessions.models import Handoff, Notification, StagedContent
from sessions.services.handoffs import create_handoff
from sessions.services.staged_content import dismiss_staged, stage_content
from tests.admin.pages import MAX_QUERIES, queries_of, url
from tests.factories import ALICE, make_session

ACTIONS = [(Notification, "acknowledge"), (Handoff, "reject"), (Handoff, "fail")]


def now_of(workspace, row):
    with workspace_scope(workspace.id):
        return type(row).objects.get(pk=row.pk)


def test_a_notification_is_acknowledged_by_its_button_and_then_has_none(otto, workspace, rows):
    row = rows[Notification]
    action = url(Notification, "do", row.pk, "acknowledge")
    assert action in otto.get(url(Notification, "change", row.pk)).content.decode()
    otto.post(action)
    assert now_of(workspace, row).acked_at is not None
    assert action not in otto.get(url(Notification, "change", row.pk)).content.decode()


def test_many_notifications_are_acknowledged_from_the_list(otto, workspace):
    with workspace_scope(workspace.id):
        session = make_session()
        for _ in range(3):
            create_handoff(actor=ALICE, from_session_id=session.id, content="x")
        rows = list(Notification.objects.all())
    data = {"action": "acknowledge", "_selected_action": [str(row.pk) for row in rows[:2]]}
    otto.post(url(Notification, "changelist"), data)
    assert [now_of(workspace, row).acked_at is not None for row in rows] == [True, True, False]


@pytest.mark.parametrize(("name", "status"), [("reject", "rejected"), ("fail", "failed")])
def test_a_handoff_nobody_takes_is_ended_by_its_button(otto, workspace, rows, name, status):
    row = rows[Handoff]
    action = url(Handoff, "do", row.pk, name)
    otto.post(action, {"_reason": "stale"})
    found = now_of(workspace, row)
    assert (found.status, found.settled_at is not None) == (status, True)
    assert action not in otto.get(url(Handoff, "change", row.pk)).content.decode()


@pytest.mark.parametrize(("model", "name"), ACTIONS)
def test_who_may_only_look_settles_nothing(vera, workspace, rows, model, name):
    row = rows[model]
    assert vera.post(url(model, "do", row.pk, name)).status_code == 403
    assert now_of(workspace, row).created_at == row.created_at
    page = vera.get(url(model, "change", row.pk)).content.decode()
    assert url(model, "do", row.pk, name) not in page


@pytest.mark.parametrize("model", [Notification, Handoff])
def test_nobody_reaches_into_another_workspace(charlie, rows, model):
    row = rows[model]
    assert charlie.get(url(model, "change", row.pk)).status_code in (302, 404)
    assert charlie.post(url(model, "do", row.pk, "acknowledge")).status_code == 404


def test_the_board_shows_what_is_staged_as_its_person_sees_it(rita, vera, workspace):
    with workspace_scope(workspace.id):
        for title, pinned in (("Plan", False), ("Draft", True), ("Gone", False)):
            row, _ = stage_content(
                actor=ALICE, content_type="note", title=title, pinned=pinned,
                body="Water **all** ferns. <script>alert(1)</script>" + " x" * 3000,
            )  # fmt: skip
        dismiss_staged(actor=ALICE, staged_id=row.pk)
    address = url(StagedContent, "board")
    page = rita.get(address).content.decode()
    assert page.index(">Draft<") < page.index(">Plan<")
    assert ">Gone<" not in page
    assert "<strong>all</strong>" in page
    assert "<script>alert" not in page
    assert "Read all of it" in page
    assert len(queries_of(rita, address)) <= MAX_QUERIES
    with workspace_scope(workspace.id):
        plan = StagedContent.objects.get(title="Plan")
    dismiss = url(StagedContent, "do", plan.pk, "dismiss")
    assert dismiss in page
    assert rita.post(dismiss, {"next": address}).url == address
    assert ">Plan<" not in rita.get(address).content.decode()
    assert "/do/" not in vera.get(address).content.decode()
