"""Keys are shown once, checked by digest and revocable; people come in by a link, once."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from config.lib import clock
from config.lib.errors import Conflict, Invalid, NotFound
from config.lib.scope import workspace_scope
from config.lib.tokens import read_token
from contacts.models import ApiKey, Invitation, Membership, Workspace
from contacts.scopes import AGENT_SCOPES
from contacts.selectors import memberships_of
from contacts.services import workspaces
from contacts.services.bootstrap import bootstrap_installation
from contacts.services.keys import create_key, revoke_key, verify_token
from tests.factories import ALICE, make_agent


def test_a_token_opens_its_key_and_is_not_stored(scoped):
    key, token = create_key(actor=ALICE, agent=make_agent())
    read = read_token(token)
    assert (read.workspace_id, read.key_id) == (scoped.id, key.id)
    assert verify_token(read) == key
    stored = ApiKey.objects.get(pk=key.id)
    assert bytes(stored.digest) not in token.encode()
    assert stored.scopes == AGENT_SCOPES


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: t[:-1],
        lambda t: t + "0",
        lambda t: t.replace("rmb_", "rmx_"),
        lambda t: t[:10] + ("A" if t[10] != "A" else "B") + t[11:],
        lambda t: "",
        lambda t: "rmb__",
        lambda t: t.replace("_", "-"),
        lambda t: "é" + t,
    ],
)
def test_a_damaged_token_is_told_apart_without_a_database(scoped, spoil):
    _, token = create_key(actor=ALICE, agent=make_agent())
    assert read_token(spoil(token)) is None


def test_another_keys_secret_does_not_open_a_key(scoped):
    one, _ = create_key(actor=ALICE, agent=make_agent())
    _, token = create_key(actor=ALICE, agent=make_agent())
    read = read_token(token)
    forged = type(read)(read.workspace_id, one.id, read.digest)
    assert verify_token(forged) is None


def test_a_revoked_key_opens_nothing_and_is_revoked_once(scoped):
    key, token = create_key(actor=ALICE, agent=make_agent())
    revoke_key(actor=ALICE, key_id=key.id)
    assert verify_token(read_token(token)) is None
    with pytest.raises(Conflict):
        revoke_key(actor=ALICE, key_id=key.id)


def test_an_expired_key_opens_nothing(scoped):
    key, token = create_key(
        actor=ALICE, agent=make_agent(), expires_at=clock.now() + timedelta(hours=1)
    )
    ApiKey.objects.filter(pk=key.pk).update(expires_at=clock.now() - timedelta(seconds=1))
    assert verify_token(read_token(token)) is None


def test_unknown_and_missing_scopes_are_refused(scoped):
    with pytest.raises(Invalid, match="no scope everything"):
        create_key(actor=ALICE, agent=make_agent(), scopes=["everything"])
    with pytest.raises(Invalid, match="at least one"):
        create_key(actor=ALICE, agent=make_agent(), scopes=[])


def accept(link: str, password: str = "a long password", account: User | None = None) -> User:
    workspace_id, invitation_id, digest = workspaces.read_invitation_link(link)
    with workspace_scope(workspace_id):
        return workspaces.accept_invitation(
            invitation_id=invitation_id,
            digest=digest,
            password=password,
            account=account,
        )


def invite(workspace: Workspace, email: str = "Vera@Example.org ", role: str = "viewer") -> str:
    with workspace_scope(workspace.id):
        return workspaces.invite_person(actor=ALICE, email=email, role=role)[1]


def test_an_invited_person_sets_a_password_and_is_in(workspace):
    user = accept(invite(workspace, role="reviewer"))
    assert (user.username, user.is_staff, user.is_superuser) == ("vera@example.org", True, False)
    assert user.check_password("a long password")
    assert [(m.workspace_id, m.role) for m in memberships_of(user.pk)] == [
        (workspace.id, "reviewer")
    ]


def test_a_link_works_once(workspace):
    link = invite(workspace)
    accept(link)
    with pytest.raises(NotFound):
        accept(link)


def test_an_expired_or_altered_link_opens_nothing(workspace):
    link = invite(workspace)
    with pytest.raises(NotFound):
        accept(link[:-1] + ("A" if link[-1] != "A" else "B"))
    with workspace_scope(workspace.id):
        Invitation.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    with pytest.raises(NotFound):
        accept(link)
    assert workspaces.read_invitation_link("nonsense") is None


def test_a_weak_password_is_refused_and_the_link_still_works(workspace):
    link = invite(workspace)
    with pytest.raises(Invalid, match="too short"):
        accept(link, "short")
    assert accept(link).pk


def test_somebody_with_an_account_proves_it_to_join_a_second_workspace(workspace, other_workspace):
    user = accept(invite(workspace))
    link = invite(other_workspace)
    with pytest.raises(Invalid, match="present password"):
        accept(link)
    with pytest.raises(Invalid, match="present password"):
        accept(link, account=workspaces.create_user(username="else", password="a long password"))
    assert accept(link, account=user).pk == user.pk
    assert len(memberships_of(user.pk)) == 2


def test_a_slug_is_taken_once(db):
    workspaces.create_workspace(actor=ALICE, slug="twice")
    with pytest.raises(Conflict):
        workspaces.create_workspace(actor=ALICE, slug="twice")
    with pytest.raises(Invalid):
        workspaces.create_workspace(actor=ALICE, slug="Not a slug")
    with pytest.raises(Invalid, match="IANA"):
        workspaces.create_workspace(actor=ALICE, slug="mars", timezone="Mars/Olympus")


def test_the_first_start_makes_what_is_needed_once(db):
    first = bootstrap_installation()
    assert first.admin_username == "admin"
    assert User.objects.get(username="admin").check_password(first.admin_password)
    read = read_token(first.api_key)
    with workspace_scope(read.workspace_id):
        assert verify_token(read).agent.name == first.agent_name
        assert Membership.objects.get().role == "owner"
    assert bootstrap_installation() is None


def test_a_given_admin_password_is_not_shown(db):
    first = bootstrap_installation("chosen by hand")
    assert first.admin_password is None
    assert User.objects.get(username="admin").check_password("chosen by hand")


def test_a_first_start_that_was_killed_is_finished(db):
    workspaces.create_workspace(actor=ALICE, slug="default")
    assert bootstrap_installation().workspace_slug == "default"
