"""A workspace is removed with every row it has, and no other's."""

from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.apps import apps
from django.db import connection

from config.lib.db.models import WorkspaceRow
from config.lib.errors import Conflict
from config.lib.scope import workspace_scope
from contacts.models import Workspace
from contacts.services.removal import remove_workspace
from tests.admin.pages import fill

MODELS = [model for model in apps.get_models() if issubclass(model, WorkspaceRow)]


def counts(workspace: Workspace) -> dict[str, int]:
    with workspace_scope(workspace.id):
        return {model._meta.label: model.objects.count() for model in MODELS}


@pytest.fixture
def owner_url(transactional_db, settings, database_server):
    """As in a real setup, where the owner's login leads to the same database."""
    name = connection.settings_dict["NAME"]
    settings.OWNER_URL = urlunsplit(urlsplit(database_server.owner)._replace(path=f"/{name}"))
    return settings.OWNER_URL


def test_everything_goes_and_nothing_of_others(owner_url, workspace, other_workspace):
    fill(workspace)
    fill(other_workspace)
    had, others = counts(workspace), counts(other_workspace)
    assert sum(count > 0 for count in had.values()) > 30
    assert remove_workspace(workspace.id) == sum(had.values()) + 1
    assert not any(counts(workspace).values())
    assert counts(other_workspace) == others
    assert [row.slug for row in Workspace.objects.all()] == [other_workspace.slug]


def test_a_failure_removes_nothing(owner_url, workspace):
    fill(workspace)
    had = counts(workspace)
    with psycopg.connect(owner_url, autocommit=True) as owner:
        # A table of somebody else's that holds on to the workspace.
        owner.execute("CREATE TABLE strange (w uuid REFERENCES contacts_workspace (id)); ")
        owner.execute("INSERT INTO strange VALUES (%s)", [workspace.id])
        try:
            with pytest.raises(psycopg.errors.ForeignKeyViolation):
                remove_workspace(workspace.id)
        finally:
            owner.execute("DROP TABLE strange")
    assert counts(workspace) == had


def test_only_the_owner_may(workspace, settings):
    settings.OWNER_URL = None
    with pytest.raises(Conflict, match="DATABASE_OWNER_URL"):
        remove_workspace(workspace.id)
