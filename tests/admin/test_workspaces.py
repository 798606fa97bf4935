"""One workspace at a time: nothing of another shows, and one chooses among one's own."""

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from config.lib.scope import workspace_scope
from contacts.models import Membership
from sessions.models import Session, Task
from tests.admin.conftest import person, signed_in
from tests.admin.pages import WORKSPACE_MODELS, form_of, url
from tests.factories import NOBODYS_ID, make_session


@pytest.mark.parametrize("model", WORKSPACE_MODELS, ids=lambda m: m._meta.model_name)
def test_charlie_sees_nothing_of_alices(alice, charlie, rows, model):
    row = rows[model]
    listed = charlie.get(url(model, "changelist")).content.decode()
    assert str(row.pk) not in listed
    for page in ("change", "delete", "history"):
        response = charlie.get(url(model, page, row.pk))
        assert response.status_code in (302, 403), page
    assert charlie.post(url(model, "change", row.pk), {"_version": "1"}).status_code in (302, 403)


@pytest.mark.parametrize("page", ["conversation", "events", "memories", "raw"])
def test_charlie_reads_no_session_of_alices(charlie, rows, page):
    session = rows[Session]
    assert charlie.get(url(Session, page, session.pk)).status_code == 404


def test_charlie_runs_no_action_on_a_row_of_alices(charlie, workspace, rows):
    session = rows[Session]
    assert charlie.post(url(Session, "do", session.pk, "end")).status_code == 404
    with workspace_scope(workspace.id):
        assert Session.objects.get(pk=session.pk).ended_at is None


def test_autocomplete_and_palette_find_ones_own_only(alice, charlie, rows):
    cache.clear()
    field = {"app_label": "agent_sessions", "model_name": "thread", "field_name": "session"}
    auto, palette = reverse("admin:autocomplete"), reverse("admin:palette")
    for client, sees in ((alice, True), (charlie, False), (alice, True)):
        found = client.get(auto, field | {"term": "seedlings"}).json()["results"]
        assert bool(found) is sees
        page = client.get(palette, {"s": "seedlings", "extended": "1"}).content.decode()
        assert ("Water the seedlings" in page) is sees
        for term, title in (("ada", "Ada"), ("repot", "Repot the fern")):
            page = client.get(palette, {"s": term, "extended": "1"}).content.decode()
            assert (title in page) is sees, term


def test_a_person_of_two_workspaces_switches_between_them(workspace, other_workspace):
    client = signed_in(person("dora", (workspace, "viewer"), (other_workspace, "owner")))
    with workspace_scope(workspace.id):
        make_session(name="Here")
    with workspace_scope(other_workspace.id):
        make_session(name="There")
    switch = reverse("admin:switch_workspace")

    def seen():
        return client.get(url(Session, "changelist")).content.decode()

    for target, shown, hidden in (
        (workspace, "Here", "There"),
        (other_workspace, "There", "Here"),
        (workspace, "Here", "There"),
    ):
        assert client.post(switch, {"workspace": str(target.id)}).status_code == 302
        page = seen()
        assert shown in page
        assert hidden not in page
        assert target.name in page
    assert client.get(switch).status_code == 405


@pytest.mark.parametrize("wanted", ["", "nonsense", NOBODYS_ID, "other"])
def test_nobody_switches_to_what_is_not_theirs(alice, workspace, other_workspace, wanted):
    with workspace_scope(other_workspace.id):
        make_session(name="There")
    target = str(other_workspace.id) if wanted == "other" else wanted
    assert alice.post(reverse("admin:switch_workspace"), {"workspace": target}).status_code == 404
    session = alice.session
    session["workspace"] = str(other_workspace.id)
    session.save()
    assert "There" not in alice.get(url(Session, "changelist")).content.decode()


def test_switching_needs_the_pages_own_form(workspace, other_workspace):
    user = person("dora", (workspace, "owner"), (other_workspace, "owner"))
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    sent = {"workspace": str(other_workspace.id)}
    assert client.post(reverse("admin:switch_workspace"), sent).status_code == 403


def test_a_form_opened_before_the_switch_is_refused(workspace, other_workspace):
    """In one tab a form is filled in, in another the workspace is changed."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(person("dora", (workspace, "owner"), (other_workspace, "owner")))
    add = url(Task, "add")
    switch = reverse("admin:switch_workspace")

    def form(**fields):
        return form_of(client, add) | fields

    assert client.post(switch, form(workspace=str(workspace.id))).status_code == 302
    stale = form(title="Secret of the one")
    # Choosing the same one again spoils nothing.
    assert client.post(switch, form(workspace=str(workspace.id))).status_code == 302
    assert client.post(add, stale).status_code == 302
    assert client.post(switch, form(workspace=str(other_workspace.id))).status_code == 302
    refused = client.post(add, stale)
    assert refused.status_code == 403
    assert "This page is out of date" in refused.content.decode()
    everything = {"action": "done", "select_across": "1", "_selected_action": NOBODYS_ID}
    token = {"csrfmiddlewaretoken": stale["csrfmiddlewaretoken"]}
    assert client.post(url(Task, "changelist"), everything | token).status_code == 403
    with workspace_scope(other_workspace.id):
        assert not Task.objects.exists()
    assert client.post(add, form(title="Said here")).status_code == 302


def test_who_is_in_no_workspace_is_told_so(db):
    client = signed_in(person("nobody", superuser=True))
    response = client.get("/admin/")
    assert response.status_code == 403
    assert "No workspace yet" in response.content.decode()
    assert "Sign out" in response.content.decode()
    assert client.post("/admin/logout/").status_code == 200


def test_who_was_removed_is_out_at_once(alice, workspace):
    assert alice.get("/admin/").status_code == 200
    with workspace_scope(workspace.id):
        Membership.objects.all().delete()
    assert alice.get("/admin/").status_code == 403


def test_the_anonymous_are_asked_to_sign_in(client, db):
    for page in ("/admin/", url(Session, "changelist"), "/admin/search/?s=x", "/admin/workspace/"):
        response = client.get(page)
        assert response.status_code == 302
        assert response["Location"].startswith("/admin/login/")
    assert client.get("/admin/login/").status_code == 200
