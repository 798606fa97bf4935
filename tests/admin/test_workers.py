"""Workers in the admin: looked at, tried again, cancelled, answered, given."""

import re

import pytest

from config.lib.scope import workspace_scope
from sessions.models import Worker, WorkerOutput
from sessions.services import worker_runs, workers
from tests.admin.pages import form_of, url
from tests.factories import ALICE, make_agent


@pytest.fixture
def worker(workspace):
    with workspace_scope(workspace.id):
        return workers.spawn_worker(
            actor=ALICE, primitive="research", name="Pump", max_attempts=1
        )[0]  # fmt: skip


def claimed(workspace) -> Worker:
    with workspace_scope(workspace.id):
        found = worker_runs.claim(actor=ALICE, agent=make_agent())
        assert found is not None
        return found


def now(workspace, worker) -> Worker:
    with workspace_scope(workspace.id):
        return Worker.objects.get(pk=worker.pk)


def do(alice, worker, action):
    return alice.post(url(Worker, "do", worker.pk, action), follow=True).content.decode()


def test_a_failed_worker_is_tried_again_and_cancelled_by_a_button(alice, workspace, worker):
    held = claimed(workspace)
    with workspace_scope(workspace.id):
        worker_runs.fail(
            actor=ALICE, worker_id=held.pk, lease_id=held.lease_id, error="The well is dry."
        )
    page = alice.get(url(Worker, "change", worker.pk)).content.decode()
    assert "The well is dry." in page
    assert "in the queue again" in do(alice, worker, "retry")
    assert now(workspace, worker).status == "pending"
    assert "is cancelled" in do(alice, worker, "cancel")
    assert now(workspace, worker).status == "cancelled"


def test_what_it_is_to_do_changes_only_while_it_waits(alice, workspace, worker):
    address = url(Worker, "change", worker.pk)
    form = {**form_of(alice, address), "instructions": "Look at the well."}
    assert alice.post(address, form).status_code == 302
    assert now(workspace, worker).instructions == "Look at the well."
    assert "instructions" in form_of(alice, address)
    claimed(workspace)
    assert "instructions" not in form_of(alice, address)


def test_a_worker_is_given_by_hand(alice, workspace, worker):
    address = url(Worker, "add")
    form = {**form_of(alice, address), "primitive": "build", "instructions": "Dig."}
    assert alice.post(address, form).status_code == 302
    with workspace_scope(workspace.id):
        made = Worker.objects.get(primitive="build")
    assert (made.instructions, len(made.trace_id)) == ("Dig.", 32)


def test_what_it_prints_is_watched_escaped_and_until_its_end(alice, workspace, worker):
    held = claimed(workspace)
    with workspace_scope(workspace.id):
        worker_runs.append_output(
            actor=ALICE, worker_id=held.pk, lease_id=held.lease_id,
            pieces=[("stdout", "<b>one</b>\n"), ("stderr", "two\n")],
        )  # fmt: skip
    page = alice.get(url(Worker, "change", worker.pk)).content.decode()
    assert "&lt;b&gt;one&lt;/b&gt;\ntwo" in page
    live = alice.get(url(Worker, "live", worker.pk))
    assert live.content == b"<b>one</b>\ntwo\n"
    assert (live["Content-Type"], live["X-Live"]) == ("text/plain; charset=utf-8", "1")
    with workspace_scope(workspace.id):
        worker_runs.complete(actor=ALICE, worker_id=held.pk, lease_id=held.lease_id)
        WorkerOutput.objects.get(seq=2)
    assert alice.get(url(Worker, "live", worker.pk))["X-Live"] == "0"


def test_workers_by_status_and_their_buttons_in_the_list(alice, vera, workspace, worker):
    page = alice.get(url(Worker, "changelist")).content.decode()
    chip = re.search(r'href="(\?status__in=pending)"[^>]*>Pending <span[^>]*>1<', page)
    assert chip
    found = alice.get(url(Worker, "changelist") + chip[1])
    assert "Pump" in found.content.decode()
    assert (
        "Pump"
        not in alice.get(url(Worker, "changelist"), {"status__in": "failed"}).content.decode()
    )
    cancel = url(Worker, "do", worker.pk, "cancel")
    assert f'formaction="{cancel}"' in page
    assert cancel not in vera.get(url(Worker, "changelist")).content.decode()
    back = f"{url(Worker, 'changelist')}?status__in=pending"
    assert alice.post(cancel, {"next": back}).url == back
    assert now(workspace, worker).status == "cancelled"


def test_what_a_worker_asks_is_answered_where_it_stands(alice, vera, workspace, worker):
    held = claimed(workspace)
    with workspace_scope(workspace.id):
        worker_runs.ask(
            actor=ALICE, worker_id=held.pk, lease_id=held.lease_id, question="Which pump?",
            options=["The old one", "The new one"],
        )  # fmt: skip
    for page in (url(Worker, "changelist"), url(Worker, "change", worker.pk)):
        assert "Which pump?" in alice.get(page).content.decode()
        assert "The old one" in alice.get(page).content.decode()
    address = url(Worker, "do", worker.pk, "answer")
    assert f'action="{address}"' not in vera.get(url(Worker, "changelist")).content.decode()
    assert vera.post(address, {"text": "The old one"}).status_code == 403
    assert "is empty" in alice.post(address, {"text": " "}, follow=True).content.decode()
    alice.post(address, {"text": "The old one"})
    row = now(workspace, worker)
    assert (row.status, row.clarification_answer) == ("pending", "The old one")
    assert "changed meanwhile" in alice.post(address, {"text": "x"}, follow=True).content.decode()
