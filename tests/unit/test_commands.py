"""Commands that make keys, workspaces and invitations."""

import json

import pytest
from django.core.management import CommandError, call_command

from config.lib.scope import workspace_scope
from contacts.models import Agent, ApiKey, Invitation, Revision
from contacts.scopes import AGENT_SCOPES, SCOPES
from contacts.selectors import get_workspace
from contacts.services.bootstrap import bootstrap_installation
from contacts.services.workspaces import update_workspace
from tests.api.caller import Caller, made
from tests.commands import manage
from tests.factories import ALICE


@pytest.fixture
def run(capsys):
    """Runs a command and returns what it printed, (out, err)."""

    def run(*words, **options):
        call_command(*words, **options)
        return capsys.readouterr()

    return run


def test_createkey_prints_a_token_that_works_and_nothing_else(workspace, run):
    out, err = run("createkey", "--agent", "codex", "--workspace", "greenhouse")
    me = made(Caller(out.strip()).get("/me"))
    assert (me["agent"]["name"], me["workspace"]["slug"]) == ("codex", "greenhouse")
    assert me["key"]["scopes"] == AGENT_SCOPES
    assert "shown this once" in err
    assert out.strip() not in err


def test_createkey_takes_scopes_a_name_and_an_end(workspace, run):
    out, _ = run(
        "createkey", "--agent=codex", "--workspace=greenhouse", "--scope=search",
        "--scope=stats:read", "--name=laptop", "--expires-days=30", "--json",
    )  # fmt: skip
    key = json.loads(out)
    assert (key["agent"], key["scopes"]) == ("codex", ["search", "stats:read"])
    assert key["expires_at"]
    with workspace_scope(workspace.id):
        assert ApiKey.objects.get(pk=key["id"]).name == "laptop"
    all_scopes = run(
        "createkey", "--agent=codex", "--workspace=greenhouse", "--scope=all", "--json"
    )
    assert json.loads(all_scopes.out)["scopes"] == list(SCOPES)
    with workspace_scope(workspace.id):
        assert Agent.objects.count() == 1
        revision = Revision.objects.filter(model="contacts.apikey").first()
    assert (revision.channel, revision.actor_kind) == ("shell", "system")
    assert revision.actor_label.startswith("createkey (")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--agent=a", "--workspace=nowhere"], "No workspace nowhere"),
        (["--agent=a", "--scope=everything"], "--scope: no scope everything"),
        (["--agent=a", "--expires-days=0"], "--expires-days: must be from 1"),
        (["--agent=a", "--expires-days=999999999"], "--expires-days: must be from 1"),
        (["--agent="], "name: must not be empty"),
        (["--agent=" + "x" * 121], "name: has 121 characters"),
        ([], "--agent"),
    ],
)
def test_createkey_says_in_one_line_what_is_wrong(workspace, words, why):
    if not any("--workspace" in word for word in words):
        words = [*words, "--workspace=greenhouse"]
    with pytest.raises(CommandError) as caught:
        call_command("createkey", *words)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)
    with workspace_scope(workspace.id):
        assert not ApiKey.objects.exists()
        assert not Agent.objects.exists()


def test_createworkspace_makes_an_empty_one(db, run):
    out, _ = run("createworkspace", "orchard", "--name", "The Orchard", "--timezone=Asia/Tokyo")
    workspace = get_workspace("orchard")
    assert (workspace.name, workspace.settings) == ("The Orchard", {"timezone": "Asia/Tokyo"})
    assert "invite EMAIL --workspace orchard" in out
    for words, why in (
        (["orchard"], "There is a workspace 'orchard' already"),
        (["Bad Slug"], "slug: lower-case"),
        (["fine", "--timezone=Mars"], "timezone: 'Mars' is not"),
    ):
        with pytest.raises(CommandError, match=why):
            call_command("createworkspace", *words)


def test_invite_prints_the_links_path(workspace, run, client):
    out, err = run("invite", "Dora@Example.org", "--workspace", "greenhouse", "--role", "reviewer")
    assert out.startswith("/invite/")
    assert client.get(out.strip()).status_code == 200
    with workspace_scope(workspace.id):
        invitation = Invitation.objects.get()
    assert (invitation.email, invitation.role) == ("dora@example.org", "reviewer")
    assert "dora@example.org as reviewer of greenhouse" in err
    for words in (["x@y.org", "--role=king"], ["no-address"], ["x@y.org", "--workspace=nowhere"]):
        if not any("--workspace" in word for word in words):
            words = [*words, "--workspace=greenhouse"]
        with pytest.raises(CommandError):
            call_command("invite", *words)


def test_no_key_can_make_the_first_start_happen_again(workspace, run):
    first = bootstrap_installation("seedlings at noon")
    assert first is None, "there is a workspace already"
    with workspace_scope(workspace.id):
        update_workspace(actor=ALICE, settings={"bootstrapped": None})
    assert bootstrap_installation("seedlings at noon") is None


def test_the_first_start_is_known_by_what_it_made(db):
    made_first = bootstrap_installation("seedlings at noon")
    assert made_first is not None
    workspace = get_workspace("default")
    with workspace_scope(workspace.id):
        update_workspace(actor=ALICE, settings={"bootstrapped": None, "timezone": None})
    assert bootstrap_installation("seedlings at noon") is None


def test_a_login_that_sees_every_workspace_is_refused_by_every_process(database_server):
    url = database_server.superuser
    done = manage("createworkspace", "elsewhere", DATABASE_URL=url, SECRET_KEY="k" * 50)
    assert done.returncode == 1
    assert "is a superuser, so row-level security would not hold it" in done.stderr
    assert "Traceback" not in done.stderr
