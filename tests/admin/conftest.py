"""Named people: alice owns greenhouse, vera may look, rita reviews, otto operates, charlie is of
another workspace."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from config.lib.scope import workspace_scope
from contacts.models import Workspace
from contacts.services.workspaces import add_member, create_user
from tests.factories import ALICE

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
