"""The edge of an admin request: its transaction, its headers, and what it says when it fails."""

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.db import DatabaseError, OperationalError
from django.http import HttpResponse
from django.test import RequestFactory
from psycopg_pool import PoolTimeout

from config.admin import scope
from config.lib.scope import in_scope, workspace_scope
from contacts.models import Agent
from contacts.selectors import memberships_of
from sessions.models import Session
from tests.admin.conftest import person
from tests.admin.pages import url
from tests.factories import ALICE, make_agent


def through(user, view, path="/admin/"):
    request = RequestFactory().get(path)
    request.user, request.session, request.request_id = user, SessionStore(), "r-1"
    return scope.AdminScope(view)(request)


def test_the_whole_request_runs_in_the_persons_workspace(workspace):
    user = person("alice", (workspace, "owner"))
    seen = {}

    def view(request):
        seen["workspace"], seen["actor"] = request.workspace, request.actor
        seen["agents"] = Agent.objects.count()
        return HttpResponse("ok")

    assert through(user, view).status_code == 200
    assert seen["workspace"] == workspace
    actor = seen["actor"]
    assert (actor.kind, actor.id, actor.label) == ("user", str(user.pk), "alice")
    assert (actor.channel, actor.request_id) == ("admin", "r-1")
    assert not in_scope()


@pytest.mark.parametrize(("status", "kept"), [(200, 1), (302, 1), (400, 0), (409, 0), (500, 0)])
def test_an_answer_of_400_or_more_keeps_nothing(workspace, status, kept):
    user = person("alice", (workspace, "owner"))

    def view(request):
        make_agent("made on the way", actor=ALICE)
        return HttpResponse(status=status)

    through(user, view)
    with workspace_scope(workspace.id):
        assert Agent.objects.count() == kept


def test_signing_in_and_out_needs_no_workspace(db):
    user = person("nobody")
    for path in sorted(scope.OUTSIDE):
        assert (
            through(user, lambda request: HttpResponse(str(in_scope())), path).content == b"False"
        )


def failing(error):
    def fail(*args, **kwargs):
        raise error

    return fail


def test_a_busy_database_is_said_with_the_time_to_come_back(alice, workspace, monkeypatch):
    error = OperationalError("no connection")
    error.__cause__ = PoolTimeout("no connection")
    monkeypatch.setattr(scope, "memberships_of", failing(error))
    response = alice.get("/admin/")
    assert response.status_code == 503
    assert response["Retry-After"] == "1"
    assert "All database connections are in use" in response.content.decode()


def test_a_database_error_in_a_page_shows_nothing_of_the_statement(alice, workspace, monkeypatch):
    error = DatabaseError("SELECT secret FROM hidden")
    monkeypatch.setattr("config.admin.home.glance", failing(error))
    response = alice.get("/admin/")
    assert response.status_code == 503
    assert "secret" not in response.content.decode()


class Unreadable:
    """Stands for what is looked up in the database when it is touched."""

    def __getattr__(self, name):
        error = OperationalError("no connection")
        error.__cause__ = PoolTimeout("no connection")
        raise error


def test_without_a_connection_not_even_the_session_is_read_for_the_answer():
    request = RequestFactory().get("/admin/")
    request.user = request.session = Unreadable()
    response = scope.AdminScope(lambda request: HttpResponse("ok"))(request)
    assert response.status_code == 503
    assert "All database connections are in use" in response.content.decode()
    assert "Sign out" not in response.content.decode()


def test_every_page_has_a_policy_without_inline_scripts(alice, client, rows):
    for who, page in (
        (alice, "/admin/"),
        (client, "/admin/login/"),
        (alice, url(Session, "conversation", rows[Session].pk)),
        (alice, "/admin/nothing/"),
    ):
        policy = who.get(page)["Content-Security-Policy"]
        scripts = next(p for p in policy.split("; ") if p.startswith("script-src"))
        assert scripts == "script-src 'self' 'unsafe-eval'"
        assert "img-src 'self' data:" in policy
        assert "frame-ancestors 'none'" in policy


def test_pages_are_not_kept_by_browsers_and_proxies(alice, workspace):
    assert "no-store" in alice.get("/admin/")["Cache-Control"]


def test_memberships_are_read_outside_a_scope(workspace):
    user = person("alice", (workspace, "owner"))
    assert [m.workspace for m in memberships_of(user.pk)] == [workspace]
