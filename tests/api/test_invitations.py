"""Inviting a person, and the page behind the link."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from config.lib import clock
from config.lib.scope import workspace_scope
from contacts.models import Invitation, Membership
from contacts.selectors import memberships_of
from contacts.services.workspaces import create_user
from tests.api.caller import made, problem, wrong_fields

PASSWORD = "seedlings at noon"


@pytest.fixture
def link(api):
    answer = made(api.post("/invitations", {"email": "Dora@example.org", "role": "operator"}))
    assert answer["email"] == "dora@example.org"
    return re.sub(r"^http://[^/]+", "", answer["link"])


def join(client, link, password=PASSWORD, again=None):
    return client.post(link, {"password": password, "again": password if again is None else again})


def test_a_person_sets_a_password_and_is_in(link, workspace, client):
    page = client.get(link)
    assert page.status_code == 200
    html = page.content.decode()
    assert "dora@example.org" in html
    assert "greenhouse" in html
    assert "operator" in html
    assert page["Referrer-Policy"] == "no-referrer"
    assert "no-store" in page["Cache-Control"]
    answer = join(client, link)
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")
    user = get_user_model().objects.get(username="dora@example.org")
    assert client.session["_auth_user_id"] == str(user.pk)
    (membership,) = memberships_of(user.pk)
    assert (membership.workspace.slug, membership.role) == ("greenhouse", "operator")


def test_a_link_works_once(link, client):
    join(client, link)
    assert Client().get(link).status_code == 404
    assert join(Client(), link).status_code == 404


def test_every_dead_link_looks_the_same(link, workspace, client):
    workspace_part, invitation_part, secret = link.removeprefix("/invite/").split(".")
    nobody = "0" * 32
    dead = {
        "/invite/nothing",
        "/invite/a.b.c",
        f"/invite/{workspace_part}.{invitation_part}.wrong",
        f"/invite/{nobody}.{invitation_part}.{secret}",
        f"/invite/{workspace_part}.{nobody}.{secret}",
    }
    pages = {client.get(path).content for path in dead} | {
        join(client, path).content for path in dead
    }
    with workspace_scope(workspace.id):
        Invitation.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    answer = client.get(link)
    assert answer.status_code == 404
    pages.add(answer.content)
    with workspace_scope(workspace.id):
        Invitation.objects.update(
            expires_at=clock.now() + timedelta(days=1), revoked_at=clock.now()
        )
    pages.add(client.get(link).content)
    assert len(pages) == 1
    assert not get_user_model().objects.exists()


def test_a_password_that_will_not_do_is_told_and_nothing_happens(link, workspace, client):
    for password, again, why in (
        ("basil", None, "too short"),
        (PASSWORD, "something else", "The two passwords differ"),
        ("", None, "too short"),
    ):
        answer = join(client, link, password, again)
        assert answer.status_code == 422
        assert why in answer.content.decode()
        if password:
            assert password not in answer.content.decode()
    with workspace_scope(workspace.id):
        assert not Membership.objects.exists()
    assert not get_user_model().objects.exists()
    assert join(client, link).status_code == 302


def test_a_person_with_an_account_joins_with_its_password(link, client):
    user = create_user(username="dora@example.org", password=PASSWORD)
    answer = join(client, link, "another long password")
    assert answer.status_code == 422
    assert "has an account" in answer.content.decode()
    assert join(client, link).status_code == 302
    assert len(memberships_of(user.pk)) == 1


def test_the_form_is_guarded_against_other_sites(link):
    client = Client(enforce_csrf_checks=True)
    assert join(client, link).status_code == 403
    token = re.search(
        r'name="csrfmiddlewaretoken" value="(\w+)"', client.get(link).content.decode()
    )
    fields = {"password": PASSWORD, "again": PASSWORD, "csrfmiddlewaretoken": token[1]}
    assert client.post(link, fields).status_code == 302


def test_what_is_shown_is_escaped(api, client):
    made(api.patch("/workspace", {"name": "<script>alert(1)</script>"}))
    answer = made(api.post("/invitations", {"email": "eve@example.org"}))
    html = client.get(re.sub(r"^http://[^/]+", "", answer["link"])).content.decode()
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_an_invitation_is_made_by_whoever_may(api):
    assert "email" in wrong_fields(api.post("/invitations", {"email": "nobody"}))
    assert "role" in wrong_fields(api.post("/invitations", {"email": "a@b.org", "role": "king"}))
    kept = made(api.post("/invitations", {"email": "a@b.org"}, idempotency_key="k"))
    replayed = made(api.post("/invitations", {"email": "a@b.org"}, idempotency_key="k"))
    assert replayed == {**kept, "link": None}


def test_a_member_is_not_invited_again(api, link, client):
    join(client, link)
    answer = api.post("/invitations", {"email": "dora@example.org"})
    assert problem(answer, 409)["code"] == "already_member"


def test_a_key_invites_no_owner_and_no_address_too_long_for_an_account(api):
    owner = {"email": "kim@example.org", "role": "owner"}
    assert problem(api.post("/invitations", owner), 403)["code"] == "owner_by_person"
    long = {"email": f"{'k' * 140}@example.org"}
    assert "email" in wrong_fields(api.post("/invitations", long))
