"""`manage.py seed_demo`: it refuses, replaces, and tells the same story again."""

from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection

from config.lib.scope import workspace_scope
from contacts.models import Agent, Membership, Revision, Workspace
from contacts.services.workspaces import create_user
from memory.models import Memory
from sessions.models import Message, Session

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
NOW = datetime(2026, 9, 18, 14, 40, tzinfo=UTC)


@pytest.fixture
def owner_url(transactional_db, settings, database_server):
    name = connection.settings_dict["NAME"]
    settings.OWNER_URL = urlunsplit(urlsplit(database_server.owner)._replace(path=f"/{name}"))
    return settings.OWNER_URL


def contents(slug: str) -> list[tuple]:
    workspace = Workspace.objects.get(slug=slug)
    with workspace_scope(workspace.id):
        return [
            *Message.objects.order_by("id").values_list("id", "occurred_at", "content"),
            *Session.objects.order_by("id").values_list("id", "conversation_id", "cost_usd"),
            *Memory.objects.order_by("id").values_list("id", "recorded_at", "text"),
            *Revision.objects.order_by("id").values_list("id", "created_at", "action"),
        ]


def test_the_command_refuses_replaces_and_tells_the_same_story_again(owner_url, capsys):
    create_user(username="admin", password="a long password", superuser=True)
    options = {"now": NOW, "user": "admin"}
    call_command("seed_demo", **options)
    assert "60 sessions" in capsys.readouterr().out
    before = contents("demo")
    with pytest.raises(CommandError, match="give --replace"):
        call_command("seed_demo", **options)
    assert contents("demo") == before
    call_command("seed_demo", replace=True, **options)
    assert contents("demo") == before
    workspace = Workspace.objects.get(slug="demo")
    with workspace_scope(workspace.id):
        assert Membership.objects.get().role == "owner"
        assert Membership.objects.get().user_id == get_user_model().objects.get().pk
        assert Agent.objects.count() == 5


def test_the_command_wants_an_account_that_is_there(db):
    with pytest.raises(CommandError, match="No account nobody"):
        call_command("seed_demo", user="nobody")
    assert not Workspace.objects.filter(slug="demo").exists()
