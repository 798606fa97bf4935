"""Named people: alice owns a workspace, vera may look, rita reviews, otto operates, charlie is
of another workspace."""

import copy
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from config.lib.scope import workspace_scope
from contacts.models import Workspace
from contacts.services import redaction
from contacts.services.workspaces import add_member, create_user
from memory.admin import review_count
from tests.admin.pages import Rows, fill
from tests.conftest import Making
from tests.factories import ALICE, make_workspace

SignIn = Callable[..., Client]


def person(username: str, *workspaces: tuple[Workspace, str], superuser: bool = False) -> User:
    user = create_user(username=username, password="a long password", superuser=superuser)
    for workspace, role in workspaces:
        with workspace_scope(workspace.id):
            add_member(actor=ALICE, user=user, role=role)
    return user


def signed_in(user: User) -> Client:
    client = Client(raise_request_exception=True)
    client.force_login(user)
    return client


@pytest.fixture(autouse=True)
def _what_is_kept_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is: what a page costs is asked after another one has counted what
    the sidebar shows, and read the workspace's patterns of secrets."""
    monkeypatch.setattr(review_count, "COUNTED_SECONDS", 3600.0)
    monkeypatch.setattr(redaction, "HELD_FOR", 3600.0)


@pytest.fixture(scope="module")
def filled(module_rows: Making) -> tuple[Workspace, Rows]:
    """A workspace with a member and one row of each model."""
    with module_rows():
        workspace = make_workspace("orangery")
        person("gwen", (workspace, "owner"))
        return workspace, fill(workspace)


@pytest.fixture
def rows(filled: tuple[Workspace, Rows], db: None) -> Rows:
    """One row of each model in alice's workspace, as they were made."""
    return copy.deepcopy(filled[1])


@pytest.fixture
def workspace(request: pytest.FixtureRequest, db: None) -> Workspace:
    """Where alice works: empty, unless the test asks for `rows`."""
    if "rows" in request.fixturenames:
        filled, _ = request.getfixturevalue("filled")
        return copy.deepcopy(filled)
    return make_workspace("greenhouse")


@pytest.fixture
def alice(workspace: Workspace) -> Client:
    return signed_in(person("alice", (workspace, "owner")))


@pytest.fixture
def otto(workspace: Workspace) -> Client:
    return signed_in(person("otto", (workspace, "operator")))


@pytest.fixture
def rita(workspace: Workspace) -> Client:
    return signed_in(person("rita", (workspace, "reviewer")))


@pytest.fixture
def vera(workspace: Workspace) -> Client:
    return signed_in(person("vera", (workspace, "viewer")))


@pytest.fixture
def charlie(other_workspace: Workspace) -> Client:
    return signed_in(person("charlie", (other_workspace, "owner")))
