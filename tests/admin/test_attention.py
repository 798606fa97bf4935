"""Attention in the admin: answering, channels whose secrets stay in, browser notifications."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse

from config.lib import clock
from config.lib.scope import workspace_scope
from contacts.models import Revision
from contacts.models.workspace import Role
from sessions.models import Ping, PingChannel, PingDelivery, StagedContent
from sessions.services.ping_channels import create_channel
from sessions.services.pings import create_ping
from tests.admin.conftest import person, signed_in
from tests.admin.pages import form_of, url
from tests.factories import ALICE

NEW = "/admin/pings/new/"


def reread(workspace, row):
    with workspace_scope(workspace.id):
        return type(row).objects.get(pk=row.pk)


def test_a_reviewer_answers_with_an_option_or_own_words(rita, workspace, rows):
    ping = rows[Ping]
    address = url(Ping, "change", ping.pk)
    assert reread(workspace, ping).seen_at is None
    form = form_of(rita, address)
    assert reread(workspace, ping).seen_at is not None
    assert "message" not in form
    assert rita.post(address, form | {"option": "yes"}).status_code == 302
    answered = reread(workspace, ping)
    assert (answered.answer, answered.answered_by, answered.state) == ("yes", "rita", "resolved")
    page = rita.get(address).content.decode()
    assert 'name="option"' not in page
    assert 'name="answer"' not in page
    with workspace_scope(workspace.id):
        other, _ = create_ping(actor=ALICE, message="And now?", options=["yes"])
    address = url(Ping, "change", other.pk)
    sent = form_of(rita, address) | {"answer": "Not before dawn.", "option": "yes"}
    assert rita.post(address, sent).status_code == 302
    assert reread(workspace, other).answer == "Not before dawn."


def test_a_ping_is_acknowledged_and_settled_by_buttons(rita, workspace, rows):
    ping = rows[Ping]
    for action, state in (("acknowledge", "acknowledged"), ("resolve", "resolved")):
        assert rita.post(url(Ping, "do", ping.pk, action)).status_code == 302
        assert reread(workspace, ping).state == state


def test_a_viewer_who_looks_has_not_seen_it_for_the_agent(vera, workspace, rows):
    ping = rows[Ping]
    assert vera.get(url(Ping, "change", ping.pk)).status_code == 200
    assert reread(workspace, ping).seen_at is None
    assert vera.post(url(Ping, "do", ping.pk, "resolve")).status_code == 403


def test_pings_are_filtered_by_state(alice, rows):
    for state, there in (("open", True), ("resolved", False)):
        page = alice.get(url(Ping, "changelist"), {"state": state}).content.decode()
        assert ("May the pump start?" in page) is there


def test_a_secret_goes_in_and_never_comes_out(alice, workspace, rows):
    channel = rows[PingChannel]
    address = url(PingChannel, "change", channel.pk)
    kept = "a secret of many characters"
    assert kept not in alice.get(address).content.decode()
    # Left empty it stays; typed in it is replaced.
    assert alice.post(address, form_of(alice, address) | {"name": "renamed"}).status_code == 302
    assert reread(workspace, channel).secret == kept
    sent = form_of(alice, address) | {"new_secret": "another one of many characters"}
    assert alice.post(address, sent).status_code == 302
    assert reread(workspace, channel).secret == "another one of many characters"
    with workspace_scope(workspace.id):
        told = str(list(Revision.objects.filter(object_id=channel.pk).values("before", "after")))
    for page in (alice.get(address), alice.get(url(PingChannel, "history", channel.pk))):
        assert "of many characters" not in page.content.decode()
    assert "of many characters" not in told


def test_only_an_owner_sees_where_a_channel_leads_and_changes_it(alice, otto, rows):
    channel = rows[PingChannel]
    address = url(PingChannel, "change", channel.pk)
    assert "secret-path" in alice.get(address).content.decode()
    page = otto.get(address).content.decode()
    assert "secret-path" not in page
    assert "hooks.example.org" in page
    assert otto.post(address, {"_version": "1"}).status_code == 403
    assert otto.post(url(PingChannel, "do", channel.pk, "test")).status_code == 403


def test_an_owner_sets_a_channel_up_and_tests_it(alice, workspace):
    made = {"name": "mail", "kind": "email", "target": "alice@example.org", "new_secret": "",
            "min_severity": "high", "enabled": "on"}  # fmt: skip
    wrong = alice.post(url(PingChannel, "add"), made | {"target": "nobody"})
    assert "must be one e-mail address" in wrong.content.decode()
    assert alice.post(url(PingChannel, "add"), made).status_code == 302
    with workspace_scope(workspace.id):
        channel = PingChannel.objects.get()
    assert alice.post(url(PingChannel, "do", channel.pk, "test")).status_code == 302
    with workspace_scope(workspace.id):
        delivery = PingDelivery.objects.get()
    assert delivery.status == "pending"
    log = alice.get(url(PingDelivery, "changelist")).content.decode()
    assert "This is a test of the channel" in log


def test_the_board_is_shown_without_what_was_dismissed(alice, workspace, rows):
    row = rows[StagedContent]
    board = url(StagedContent, "changelist")
    assert "Water the ferns" in alice.get(board).content.decode()
    assert alice.post(url(StagedContent, "do", row.pk, "pin")).status_code == 302
    assert alice.post(url(StagedContent, "do", row.pk, "dismiss")).status_code == 302
    assert "Water the ferns" not in alice.get(board).content.decode()
    assert "Water the ferns" in alice.get(board, {"shown": "dismissed"}).content.decode()
    after = reread(workspace, row)
    assert (after.pinned, after.dismissed_at is None) == (True, False)


def test_home_shows_what_needs_a_person_with_the_way_there(alice, workspace, rows):
    ping = rows[Ping]
    page = alice.get(reverse("admin:index")).content.decode()
    assert "Needs you" in page
    assert "May the pump start?" in page
    assert url(Ping, "change", ping.pk) in page
    with workspace_scope(workspace.id):
        for n in range(12):
            create_ping(actor=ALICE, message=f"Ping {n}")
    page = alice.get(reverse("admin:index")).content.decode()
    # Ten things are shown; where a kind has more, its list is offered with how long it is.
    assert re.search(r'href="/admin/agent_sessions/ping/\?state=waiting">Pings <strong>13<', page)
    assert "script-src 'self'" in alice.get(reverse("admin:index"))["Content-Security-Policy"]


def test_home_of_a_quiet_workspace_says_so(alice):
    assert "Nothing needs you" in alice.get(reverse("admin:index")).content.decode()


# --- Browser notifications --------------------------------------------------------------------


def watch(workspace, **fields):
    with workspace_scope(workspace.id):
        fields = {"name": "desktop", "kind": "browser", "min_severity": "normal", **fields}
        return create_channel(actor=ALICE, **fields)


def ask(workspace, message, **fields):
    with workspace_scope(workspace.id):
        return create_ping(actor=ALICE, message=message, **fields)[0]


def hour_ago():
    return (clock.now() - timedelta(minutes=30)).isoformat()


def test_an_open_page_gets_new_pings_of_all_its_persons_workspaces(workspace, other_workspace):
    both = signed_in(person("bea", (workspace, Role.VIEWER), (other_workspace, Role.OWNER)))
    for place in (workspace, other_workspace):
        watch(place)
        ask(place, f"Look at {place.slug}")
    ask(workspace, "Not this one", severity="low")
    both.get(reverse("admin:index"))
    first = both.get(NEW).json()
    assert first["items"] == []
    items = both.get(NEW, {"after": hour_ago()}).json()["items"]
    assert [item["body"] for item in items] == ["Look at elsewhere", "Look at greenhouse"]
    assert all(item["url"].startswith("/admin/") for item in items)
    # The page shows one workspace; a ping of it leads to its page there.
    assert sum("ping" in item["url"] for item in items) == 1
    # What is new since the first cursor comes, until it is settled.
    late = ask(workspace, "Later")
    bodies = [i["body"] for i in both.get(NEW, {"after": first["cursor"]}).json()["items"]]
    assert bodies[0] == "Later"
    with workspace_scope(workspace.id):
        Ping.objects.filter(pk=late.pk).update(resolved_at=clock.now())
    again = both.get(NEW, {"after": first["cursor"]}).json()["items"]
    assert "Later" not in [i["body"] for i in again]


def test_the_page_that_asks_first_makes_it_delivered(alice, vera, workspace):
    watch(workspace)
    ping = ask(workspace, "Look")
    assert reread(workspace, ping).delivered_at is None
    (item,) = alice.get(NEW, {"after": hour_ago()}).json()["items"]
    assert item["id"] == str(ping.pk)
    first = reread(workspace, ping).delivered_at
    assert first is not None
    with workspace_scope(workspace.id):
        assert PingDelivery.objects.get().status == "sent"
    assert len(vera.get(NEW, {"after": hour_ago()}).json()["items"]) == 1
    assert reread(workspace, ping).delivered_at == first


def test_nothing_comes_without_a_channel_or_of_another_workspace(alice, charlie, workspace):
    ask(workspace, "Before there was a channel")
    channel = watch(workspace)
    assert alice.get(NEW, {"after": hour_ago()}).json()["items"] == []
    ask(workspace, "Look")
    assert charlie.get(NEW, {"after": hour_ago()}).json()["items"] == []
    with workspace_scope(workspace.id):
        PingChannel.objects.filter(pk=channel.pk).update(enabled=False)
    assert alice.get(NEW, {"after": hour_ago()}).json()["items"] == []


@pytest.mark.parametrize("after", ["", "yesterday", "9999-12-31T23:59:59-14:00", "\x00"])
def test_a_cursor_that_is_none_starts_anew(alice, after):
    answer = alice.get(NEW, {"after": after})
    assert answer.status_code == 200
    assert answer.json()["items"] == []


def test_the_signed_out_and_other_methods_get_nothing(client, alice):
    assert client.get(NEW).status_code == 302
    assert alice.post(NEW).status_code == 405
