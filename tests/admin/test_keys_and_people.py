"""Keys and invitations are shown once; members come, change roles and go."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from config.lib import clock
from config.lib.scope import workspace_scope
from config.lib.tokens import read_token
from contacts.models import Agent, ApiKey, Invitation, Membership, Revision, Workspace
from contacts.scopes import AGENT_SCOPES
from contacts.services import usage
from contacts.services.keys import create_key, verify_token
from tests.admin.conftest import person, signed_in
from tests.admin.pages import form_of, sent_by, url
from tests.factories import ALICE, make_agent


def test_a_new_key_is_shown_once_and_works(alice, client, workspace, rows):
    agent = rows[Agent]
    sent = form_of(alice, url(ApiKey, "add")) | {"agent": str(agent.pk), "name": "laptop"}
    assert sent["scopes"] == AGENT_SCOPES
    made = alice.post(url(ApiKey, "add"), sent)
    token = re.search(r'id="rm-secret">(rmb_\w+)<', made.content.decode())[1]
    me = client.get("/api/v1/me", headers={"authorization": f"Bearer {token}"})
    assert me.status_code == 200
    with workspace_scope(workspace.id):
        key = ApiKey.objects.get(name="laptop")
        assert Revision.objects.get(object_id=key.pk).actor_label == "alice"
    for page in (url(ApiKey, "change", key.pk), url(ApiKey, "changelist"),
                 url(ApiKey, "history", key.pk)):  # fmt: skip
        assert token not in alice.get(page).content.decode()


def test_a_key_without_scopes_is_refused(alice, rows):
    agent = rows[Agent]
    response = alice.post(url(ApiKey, "add"), {"agent": str(agent.pk), "name": "", "scopes": []})
    assert response.context["adminform"].form.errors["scopes"]


def test_a_key_is_revoked_by_a_button(alice, workspace, rows):
    key = rows[ApiKey]
    page = alice.get(url(ApiKey, "change", key.pk)).content.decode()
    assert "/do/revoke/" in page
    assert alice.post(url(ApiKey, "do", key.pk, "revoke")).status_code == 302
    with workspace_scope(workspace.id):
        assert ApiKey.objects.get(pk=key.pk).revoked_at
        assert Revision.objects.filter(object_id=key.pk, action="revoke").exists()
    assert "/do/revoke/" not in alice.get(url(ApiKey, "change", key.pk)).content.decode()


def test_what_a_key_may_do_is_fixed(alice, rows):
    key = rows[ApiKey]
    address = url(ApiKey, "change", key.pk)
    assert not {"scopes", "agent"} & form_of(alice, address).keys()


def test_an_invitation_shows_its_link_once(alice, client, workspace):
    made = alice.post(url(Invitation, "add"), {"email": "Dora@Example.com", "role": "operator"})
    link = re.search(r'id="rm-secret">(http[^<]+)<', made.content.decode())[1]
    assert client.get(link).status_code == 200
    with workspace_scope(workspace.id):
        invitation = Invitation.objects.get()
    assert invitation.email == "dora@example.com"
    assert link not in alice.get(url(Invitation, "change", invitation.pk)).content.decode()
    assert alice.post(url(Invitation, "do", invitation.pk, "revoke")).status_code == 302
    assert client.get(link).status_code == 404


@pytest.mark.parametrize("email", ["", "nonsense"])
def test_an_invitation_needs_an_address(alice, workspace, email):
    response = alice.post(url(Invitation, "add"), {"email": email, "role": "viewer"})
    assert response.context["adminform"].form.errors["email"]


def test_a_member_gets_another_role_and_goes(alice, workspace):
    person("vera", (workspace, "viewer"))
    with workspace_scope(workspace.id):
        vera = Membership.objects.get(user__username="vera")
    address = url(Membership, "change", vera.pk)
    assert alice.post(address, form_of(alice, address) | {"role": "operator"}).status_code == 302
    with workspace_scope(workspace.id):
        assert Membership.objects.get(pk=vera.pk).role == "operator"
    assert alice.post(url(Membership, "delete", vera.pk), {"post": "yes"}).status_code == 302
    with workspace_scope(workspace.id):
        assert not Membership.objects.filter(pk=vera.pk).exists()


def test_the_last_owner_stays(alice, workspace):
    with workspace_scope(workspace.id):
        owner = Membership.objects.get()
    address = url(Membership, "change", owner.pk)
    refused = alice.post(address, form_of(alice, address) | {"role": "viewer"})
    assert "last owner" in refused.content.decode()
    gone = alice.post(url(Membership, "delete", owner.pk), {"post": "yes"}, follow=True)
    assert "last owner" in gone.content.decode()
    with workspace_scope(workspace.id):
        assert Membership.objects.get(pk=owner.pk).role == "owner"


def test_settings_lose_what_is_taken_out(alice, workspace):
    address = url(Workspace, "change", workspace.pk)
    sent = form_of(alice, address) | {"settings": '{"timezone": "Europe/Berlin"}'}
    assert alice.post(address, sent).status_code == 302
    refused = alice.post(address, sent | {"settings": '{"timezone": "Mars"}'})
    assert "IANA" in refused.content.decode()
    assert sent_by(refused.content.decode())["settings"]
    assert Workspace.objects.get(pk=workspace.pk).settings == {"timezone": "Europe/Berlin"}


def test_an_accounts_password_is_set_without_a_log_entry(workspace):
    root = person("root", (workspace, "owner"), superuser=True)
    client = signed_in(root)
    address = reverse("admin:auth_user_password_change", args=[root.pk])
    sent = {"password1": "another long one", "password2": "another long one"}
    sent["usable_password"] = "true"
    assert client.post(address, sent).status_code == 302
    assert LogEntry.objects.count() == 0


def test_a_key_is_rotated_and_the_old_one_ends_after_the_overlap(alice, otto, workspace):
    with workspace_scope(workspace.id):
        old, first = create_key(
            actor=ALICE, agent=make_agent(), name="nightly", scopes=["work:read"]
        )
    address = url(ApiKey, "rotate", old.pk)
    assert address in alice.get(url(ApiKey, "change", old.pk)).content.decode()
    assert otto.get(address).status_code == 403
    assert "work:read" in alice.get(address).content.decode()
    page = alice.post(address, {"overlap": "1d", "_reason": "It leaked."}).content.decode()
    token = re.search(r'id="rm-secret">([^<]+)<', page)[1]
    assert "The old one ends in a day." in page
    with workspace_scope(workspace.id):
        new = ApiKey.objects.exclude(pk=old.pk).get()
        assert (new.name, new.scopes, new.expires_at) == ("nightly", ["work:read"], None)
        old.refresh_from_db()
        assert timedelta(hours=23) < old.expires_at - clock.now() < timedelta(hours=25)
        # Both open until then.
        for one in (first, token):
            assert verify_token(read_token(one)) is not None
        assert [
            (one.action, one.reason)
            for one in Revision.objects.filter(object_id=old.pk).order_by("id")
        ][-1] == ("rotate", "It leaked.")
    alice.post(address, {"overlap": "0"})
    with workspace_scope(workspace.id):
        assert verify_token(read_token(first)) is None
        assert verify_token(read_token(token)) is not None
    again = alice.post(address, {"overlap": "0"}, follow=True).content.decode()
    assert "opens nothing any more" in again


def test_an_owner_gives_a_key_limits_of_its_own_and_sees_what_is_used(alice, otto, workspace, rows):
    key, address = rows[ApiKey], url(ApiKey, "change", rows[ApiKey].pk)
    usage.note(workspace.id, key.pk, rows=1234, size=5000)
    usage.flush()
    sent = form_of(alice, address) | {"rate_limit": "2.5", "daily_rows": "7000"}
    assert alice.post(address, sent).status_code == 302
    with workspace_scope(workspace.id):
        key = ApiKey.objects.get(pk=key.pk)
        assert (key.rate_limit, key.daily_rows, key.burst_limit) == (2.5, 7000, None)
    page = alice.get(address).content.decode()
    assert "2.5 requests a second" in page
    assert "1 requests, 1,234 rows" in page
    refused = alice.post(address, form_of(alice, address) | {"burst_limit": "0"})
    assert refused.context["adminform"].form.errors["burst_limit"]
    assert "rate_limit" not in form_of(otto, address)
    usage.measure_storage(workspace.id)
    page = alice.get(url(Workspace, "change", workspace.pk)).content.decode()
    assert "1,234 rows" in page
    assert "measured" in page


def test_without_room_people_read_and_are_told(alice, workspace, rows, full):
    full()
    address = url(Agent, "change", rows[Agent].pk)
    refused = alice.post(address, form_of(alice, address) | {"name": "renamed"})
    assert refused.status_code == 507
    assert refused["Retry-After"]
    assert "nearly full" in refused.content.decode()
    assert "The disk of the database is nearly full" in alice.get("/admin/").content.decode()
    full(False)
    assert alice.post(address, form_of(alice, address) | {"name": "renamed"}).status_code == 302
    assert "nearly full" not in alice.get("/admin/").content.decode()
