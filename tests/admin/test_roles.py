"""What each role may do: a viewer looks, a reviewer decides on memories, an operator edits, an
owner also keeps keys and people. Being a superuser adds nothing to it."""

import pytest

from config.lib.scope import workspace_scope
from contacts.models import Agent, ApiKey, Invitation, Membership, Workspace
from memory.models import Memory
from sessions.models import Project, Session, Thread
from tests.admin.conftest import person, signed_in
from tests.admin.pages import WORKSPACE_MODELS, form_of, url
from tests.factories import make_memory

OPERATED = [Agent, Project, Session, Thread]
OWNED = [ApiKey, Membership, Workspace]


@pytest.mark.parametrize("model", WORKSPACE_MODELS, ids=lambda m: m._meta.model_name)
def test_a_viewer_sees_everything_and_changes_nothing(vera, rows, model):
    row = rows[model]
    assert vera.get(url(model, "changelist")).status_code == 200
    page = vera.get(url(model, "change", row.pk))
    assert page.status_code == 200
    assert 'name="_save"' not in page.content.decode()
    assert vera.post(url(model, "change", row.pk), {"_version": "1"}).status_code == 403
    assert vera.get(url(model, "add")).status_code == 403
    assert vera.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403


def test_a_viewer_runs_no_action(vera, workspace, rows):
    for model, name in ((Memory, "archive"), (Session, "end"), (ApiKey, "revoke")):
        assert vera.post(url(model, "do", rows[model].pk, name)).status_code == 403
    sent = {"action": "archive", "_selected_action": [str(rows[Memory].pk)]}
    vera.post(url(Memory, "changelist"), sent)
    vera.post(url(Memory, "changelist"), sent | {"action": "delete_selected", "post": "yes"})
    with workspace_scope(workspace.id):
        assert Memory.objects.get(pk=rows[Memory].pk).state == "active"


def test_a_reviewer_decides_on_state_and_trust_only(rita, workspace, rows):
    memory = rows[Memory]
    address = url(Memory, "change", memory.pk)
    sent = form_of(rita, address)
    assert {"state", "trust"} <= sent.keys()
    assert "text" not in sent
    posted = sent | {"state": "quarantined", "trust": "verified", "text": "Something else."}
    assert rita.post(address, posted).status_code == 302
    with workspace_scope(workspace.id):
        after = Memory.objects.get(pk=memory.pk)
    assert (after.state, after.trust) == ("quarantined", "verified")
    assert after.text == "The pump starts at noon."
    assert rita.post(url(Memory, "do", memory.pk, "approve")).status_code == 302
    assert rita.post(url(Memory, "delete", memory.pk), {"post": "yes"}).status_code == 403
    assert rita.get(url(Memory, "add")).status_code == 403


@pytest.mark.parametrize("model", OPERATED + OWNED, ids=lambda m: m._meta.model_name)
def test_a_reviewer_edits_nothing_else(rita, rows, model):
    row = rows[model]
    assert rita.post(url(model, "change", row.pk), {"_version": "1"}).status_code == 403


@pytest.mark.parametrize("model", OPERATED, ids=lambda m: m._meta.model_name)
def test_an_operator_edits_the_work(otto, rows, model):
    row = rows[model]
    address = url(model, "change", row.pk)
    assert otto.post(address, form_of(otto, address)).status_code == 302


@pytest.mark.parametrize("model", OWNED, ids=lambda m: m._meta.model_name)
def test_an_operator_does_not_touch_keys_and_people(otto, rows, model):
    row = rows[model]
    assert otto.post(url(model, "change", row.pk), {"_version": "1"}).status_code == 403
    assert otto.get(url(ApiKey, "add")).status_code == 403
    assert otto.get(url(Invitation, "add")).status_code == 403


def test_superusers_have_the_role_of_their_membership(workspace, rows):
    root = signed_in(person("root", (workspace, "viewer"), superuser=True))
    row = rows[Agent]
    assert root.get(url(Agent, "change", row.pk)).status_code == 200
    assert root.post(url(Agent, "change", row.pk), {"_version": "1"}).status_code == 403


def test_accounts_are_for_superusers(alice, workspace):
    root = signed_in(person("root", (workspace, "viewer"), superuser=True))
    assert root.get("/admin/auth/user/").status_code == 200
    assert alice.get("/admin/auth/user/").status_code == 403
    assert "Accounts" not in alice.get("/admin/").content.decode()


def test_an_account_that_is_no_staff_does_not_get_in(workspace):
    user = person("helper", (workspace, "owner"))
    user.is_staff = False
    user.save()
    assert signed_in(user).get("/admin/")["Location"].startswith("/admin/login/")


def test_an_erased_memory_is_not_edited(alice, workspace):
    with workspace_scope(workspace.id):
        memory = make_memory("Gone.")
        Memory.objects.filter(pk=memory.pk).update(state="erased")
    sent = form_of(alice, url(Memory, "change", memory.pk))
    assert not {"text", "state"} & sent.keys()
