"""The home page: each act and who may do it, what was decided meanwhile, numbers as their lists."""

import re
from datetime import timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.urls import reverse

from config.lib import clock
from config.lib.scope import workspace_scope
from contacts.models import Revision, Workspace
from contacts.selectors import today
from memory.models import Backup, Memory, Receipt
from sessions.admin.days import list_key
from sessions.models import Mission, Ping, Priority, ScheduledMission, Session, Worker
from sessions.services.events import NewEvent, append_events
from sessions.services.missions import create_mission, pause_mission
from sessions.services.pings import answer_ping, create_ping
from sessions.services.priorities import create_priority
from sessions.services.workers import spawn_worker
from tests.admin.pages import MAX_QUERIES, queries_of, url
from tests.factories import ALICE, NOBODYS_ID, make_memory, make_session

HOME = "/admin/"
FRAGMENT = "/admin/?fragment=1"
LINES = "/admin/agent_sessions/priority/days/do/"


def page(client, address=HOME):
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def reread(workspace, row):
    with workspace_scope(workspace.id):
        return type(row).objects.get(pk=row.pk)


def do(client, row, action, **data):
    """What a form of the page sends, and the page that follows."""
    address = url(type(row), "do", row.pk, action)
    response = client.post(address, {"next": HOME, **data})
    if response.status_code == 302:
        assert response["Location"] == HOME
        return page(client)
    return response


def waiting_worker(status: str, **fields: Any) -> Worker:
    worker, _ = spawn_worker(actor=ALICE, primitive="build", name="Build it")
    Worker.objects.filter(pk=worker.pk).update(status=status, **fields)
    return Worker.objects.get(pk=worker.pk)


@pytest.fixture
def needs(workspace: Workspace) -> dict[str, Any]:
    """One of each thing that can be settled on the page."""
    with workspace_scope(workspace.id):
        ping, _ = create_ping(actor=ALICE, message="May the pump start?", options=["yes", "no"])
        asks = waiting_worker(
            "awaiting_clarification",
            clarification_question="Which pump?",
            clarification_options=["left", "right"],
        )
        failed = waiting_worker("failed", attempts=3, error="no route", ended_at=clock.now())
        orphan = make_session(name="Lost at sea")
        ended = {"ended_at": clock.now(), "end_reason": "orphaned", "current_state": "ended"}
        Session.objects.filter(pk=orphan.pk).update(**ended)
        memory = make_memory("Perhaps the moon waters them.", state="quarantined")
        paused, _ = create_mission(
            actor=ALICE, name="Water", prompt="Water.", schedule_kind="cron", schedule="@daily"
        )
        pause_mission(actor=ALICE, scheduled_id=paused.pk, reason="5 failures in a row")
        ScheduledMission.objects.filter(pk=paused.pk).update(consecutive_failures=5)
    return {"ping": ping, "asks": asks, "failed": failed, "orphan": orphan, "memory": memory,
            "paused": paused}  # fmt: skip


ACTS = [
    ("ping", "answer", {"text": "yes"}, "May the pump start?", "answer", "yes"),
    ("ping", "answer", {"text": "At dawn."}, "May the pump start?", "answer", "At dawn."),
    ("asks", "answer", {"text": "left"}, "Which pump?", "clarification_answer", "left"),
    ("failed", "retry", {}, "no route", "status", "pending"),
    ("orphan", "end", {}, "fell silent", "end_reason", "ended by an operator"),
    ("memory", "approve", {}, "Perhaps the moon", "state", "active"),
    ("memory", "reject", {}, "Perhaps the moon", "state", "archived"),
    ("paused", "enable", {}, "5 failures in a row", "enabled", True),
]


@pytest.mark.parametrize(("what", "action", "data", "words", "field", "value"), ACTS)
def test_what_needs_a_person_is_settled_on_the_page_and_then_gone(
    otto, workspace, needs, what, action, data, words, field, value
):
    row = needs[what]
    before = page(otto)
    assert words in before
    assert url(type(row), "do", row.pk, action) in before
    after = do(otto, row, action, **data)
    assert words not in after.split('data-panel="live"')[0]
    assert getattr(reread(workspace, row), field) == value
    with workspace_scope(workspace.id):
        last = Revision.objects.filter(object_id=row.pk).order_by("-id").first()
    assert last.actor_label == "otto"


def test_options_are_buttons_and_other_words_have_a_field(otto, needs):
    shown = page(otto)
    for option in ("yes", "no", "left", "right"):
        assert f'name="text" value="{option}"' in shown
    assert shown.count('<input type="text" name="text" required') == 2


REVIEWED = {("ping", "answer"), ("memory", "approve"), ("memory", "reject")}


@pytest.mark.parametrize(("what", "action"), sorted({(one[0], one[1]) for one in ACTS}))
def test_each_role_has_the_acts_it_may_do(vera, rita, workspace, needs, what, action):
    row = needs[what]
    address = url(type(row), "do", row.pk, action)
    assert address not in page(vera)
    assert vera.post(address, {"text": "x", "next": HOME}).status_code == 403
    assert (address in page(rita)) is ((what, action) in REVIEWED)
    if (what, action) not in REVIEWED:
        assert rita.post(address, {"text": "x", "next": HOME}).status_code == 403
    assert reread(workspace, row).version == row.version or what == "paused"


def test_a_viewer_sees_everything_and_has_no_form(vera, needs):
    panels = page(vera, FRAGMENT)
    assert "May the pump start?" in panels
    assert "<form" not in panels


def test_nobody_acts_in_another_workspace(charlie, needs):
    for what, action in {(one[0], one[1]) for one in ACTS}:
        row = needs[what]
        assert charlie.post(url(type(row), "do", row.pk, action)).status_code == 404


def test_a_ping_answered_meanwhile_keeps_the_first_answer(rita, workspace, needs):
    ping = needs["ping"]
    page(rita)
    with workspace_scope(workspace.id):
        answer_ping(actor=ALICE, ping_id=ping.pk, answer="no")
    after = do(rita, ping, "answer", text="yes")
    assert "changed meanwhile" in after
    assert reread(workspace, ping).answer == "no"


def test_a_memory_changed_meanwhile_is_not_decided_on_unread(rita, workspace, needs):
    memory = needs["memory"]
    shown = page(rita)
    (version,) = set(re.findall(r'name="_version" value="(\d+)"', shown))
    do(rita, memory, "reject", _version=version)
    after = do(rita, memory, "approve", _version=version)
    assert "changed meanwhile" in after
    assert reread(workspace, memory).state == "archived"


def test_an_empty_answer_is_none(otto, workspace, needs):
    assert "answer: is empty" in do(otto, needs["ping"], "answer", text="  ")
    assert "answer: is empty" in do(otto, needs["asks"], "answer")
    assert reread(workspace, needs["asks"]).status == "awaiting_clarification"


def test_an_act_needs_a_post_and_its_token(needs, workspace):
    from django.test import Client

    from tests.admin.conftest import person

    client = Client(enforce_csrf_checks=True)
    client.force_login(person("otto", (workspace, "operator")))
    address = url(Ping, "do", needs["ping"].pk, "answer")
    assert client.get(address).status_code == 405
    assert client.post(address, {"text": "yes"}).status_code == 403
    assert client.post(LINES, {"content": "x"}).status_code == 403
    assert reread(workspace, needs["ping"]).answer == ""


def test_the_next_page_is_one_of_ours(otto, needs):
    address = url(Ping, "do", needs["ping"].pk, "answer")
    response = otto.post(address, {"text": "yes", "next": "https://example.com/"})
    assert response["Location"] == url(Ping, "change", needs["ping"].pk)


# --- Today ----------------------------------------------------------------------------------------


def order(workspace, pool="main"):
    with workspace_scope(workspace.id):
        rows = Priority.objects.filter(pool=pool).order_by("position", "id")
        return [row.content for row in rows]


def todays(workspace, pool="main"):
    """How a form names today's list."""
    with workspace_scope(workspace.id):
        return list_key(today(), pool)


def test_a_priority_is_added_completed_and_opened_again(otto, workspace):
    assert "Write its first line below" in page(otto)
    key = todays(workspace)
    assert f'name="list" value="{key}"' in page(otto)
    sent = {"content": " Water the ferns ", "list": key, "next": HOME}
    assert otto.post(LINES, sent)["Location"] == HOME
    with workspace_scope(workspace.id):
        row = Priority.objects.get()
    assert (row.content, row.pool, row.completed_at) == ("Water the ferns", "main", None)
    shown = page(otto)
    assert "0 of 1 done" in shown
    assert 'aria-checked="false"' in shown
    assert "1 of 1 done" in do(otto, row, "complete")
    assert "0 of 1 done" in do(otto, row, "reopen")


def test_what_cannot_be_a_line_is_said(otto, workspace):
    key = todays(workspace)
    otto.post(LINES, {"content": " ", "list": key, "next": HOME})
    assert "content" in page(otto)
    otto.post(LINES, {"content": "x", "list": todays(workspace, "p" * 61), "next": HOME})
    otto.post(LINES, {"content": "x", "list": "no day", "next": HOME})
    assert order(workspace) == []


def test_lines_are_moved_within_their_pool(otto, workspace):
    with workspace_scope(workspace.id):
        rows = [create_priority(actor=ALICE, content=c)[0] for c in "abc"]
        home_row, _ = create_priority(actor=ALICE, content="h", pool="home")
    a, b, c = ({"item": row.pk, "next": HOME} for row in rows)
    shown = page(otto)
    assert f'name="item" value="{rows[2].pk}"><input type="hidden" name="before"' in shown
    assert otto.post(LINES, {**c, "before": rows[0].pk})["Location"] == HOME
    assert order(workspace) == ["c", "a", "b"]
    otto.post(LINES, {**c, "after": rows[1].pk})
    assert order(workspace) == ["a", "b", "c"]
    otto.post(LINES, {**a, "after": home_row.pk})
    said = page(otto)
    assert "The priority beside it" in said
    otto.post(LINES, {**b, "after": "nonsense"})
    otto.post(LINES, {**b, "after": NOBODYS_ID})
    assert order(workspace) == ["a", "b", "c"]
    assert otto.get(LINES).status_code == 405


def test_pools_have_lists_and_lines_of_their_own(otto, workspace):
    with workspace_scope(workspace.id):
        create_priority(actor=ALICE, content="Mow", pool="garden")
    shown = page(otto)
    assert shown.index("main</a>") < shown.index("garden</a>")
    otto.post(LINES, {"content": "Sow", "list": todays(workspace, "garden")})
    assert order(workspace, "garden") == ["Mow", "Sow"]


def test_only_operators_write_on_the_list(rita, workspace):
    with workspace_scope(workspace.id):
        row, _ = create_priority(actor=ALICE, content="a")
    assert rita.post(LINES, {"content": "x", "list": todays(workspace)}).status_code == 403
    assert rita.post(LINES, {"item": row.pk, "before": row.pk}).status_code == 403
    assert order(workspace) == ["a"]


# --- Missions, sessions ---------------------------------------------------------------------------


def test_missions_that_come_and_what_came_of_the_last(otto, workspace):
    with workspace_scope(workspace.id):
        row, _ = create_mission(
            actor=ALICE, name="Nightly look", prompt="x", schedule_kind="cron", schedule="@daily"
        )
    assert "Nightly look" in page(otto)
    do(otto, row, "run")
    with workspace_scope(workspace.id):
        Mission.objects.update(status="failed", error="No disk left.")
    shown = page(otto)
    assert "No disk left." in shown
    assert shown.count("Run now: Nightly look") == 1


def test_live_sessions_say_what_they_do_and_where(vera, workspace):
    with workspace_scope(workspace.id):
        make_session(
            name="Fix the pump", status_text="Running <b>pytest</b>", host="pi", branch="main",
            context_used_percent=93.4, current_state="tool_active",
        )  # fmt: skip
    shown = page(vera)
    for words in ("Fix the pump", "Running &lt;b&gt;pytest", "pi", "93 %", "tool active"):
        assert words in shown


# --- Figures --------------------------------------------------------------------------------------


def listed(client, address):
    """The number of rows that a list says it has."""
    if address == reverse("admin:review"):
        return re.search(r"All <span[^>]*>([\d,]+\+?)<", page(client, address))[1]
    found = re.search(r"([\d,]+\+?)\s+(?:\w+ ?)+\s*</div>", page(client, unescape(address)))
    assert found, address
    return found[1]


def test_every_number_and_bar_is_as_long_as_its_list(alice, workspace, rows):
    now = clock.now()
    with workspace_scope(workspace.id):
        for hours in (0, 0, 1, 5, 30, 24 * 20, 24 * 40):
            at = now - timedelta(hours=hours)
            session = make_session(started_at=at, input_tokens=1000, cost_usd=Decimal("0.5"))
            append_events(
                actor=ALICE,
                session_id=session.id,
                events=[NewEvent(event_type=t, occurred_at=at) for t in ("tool_error", "tool_use")],
            )
            memory = make_memory(f"Noted {hours} hours ago: {session.id}")
            Memory.objects.filter(pk=memory.pk).update(recorded_at=at)
            receipt = Receipt(q="x", mode="lexical", weights="1", took_ms=1, asker="alice")
            receipt.save(force_insert=True)
            Receipt.objects.filter(pk=receipt.pk).update(created_at=at)
    with workspace_scope(workspace.id):
        make_memory("Perhaps.", state="quarantined")
        make_memory("Hardly.", confidence=0.1)
    shown = page(alice)
    strip = re.findall(r'rm-figure [^"]*" href="([^"]+)".*?<strong>([^<]+)<', shown, re.S)
    assert len(strip) == 5
    asked = list(strip)
    cards = re.split(r'<article class="rm-card rm-card-(\w+)"', shown)[1:]
    for what, card in zip(cards[::2], cards[1::2], strict=True):
        if what in ("tokens", "cost"):
            continue
        totals = re.findall(r'rm-chart-total" href="([^"]+)"><strong>([^<]+)<', card)
        bars = re.findall(r'<a href="([^"]+)" tabindex="-1"><title>[^:]+: ([^<]+)<', card)
        assert len(totals) == 2
        assert len(bars) >= (1 if what == "messages" else 6), what
        asked += totals + bars
    for address, number in asked:
        assert listed(alice, address) == number, address


def test_a_session_counts_its_tokens_and_cost_where_it_began(alice, workspace):
    with workspace_scope(workspace.id):
        make_session(input_tokens=1_200_000, output_tokens=34_000, cost_usd=Decimal("12.5"))
        make_session(started_at=clock.now() - timedelta(days=3), cost_usd=Decimal("0.25"))
    shown = page(alice)
    assert re.findall(r"<strong>(\$[\d.]+)<", shown) == ["$12.50", "$12.75"]
    assert re.findall(r"<strong>([\d.]+M)<", shown) == ["1.2M", "1.2M"]


def test_charts_have_words_and_a_table_for_those_who_do_not_see_them(alice, workspace):
    with workspace_scope(workspace.id):
        make_session()
    shown = page(alice)
    assert shown.count("<svg") == shown.count("</desc>") == 16
    assert "Sessions, last 24 hours</title>" in shown
    assert "1 in all; most: 1," in shown
    table = shown[shown.index("The last 24 hours as a table") :]
    assert table.count('<th scope="row">') == 24 + 30
    for name in re.findall(r'aria-(?:labelledby|describedby)="([^"]+)"', shown):
        assert shown.count(f'id="{name}"') == 1, name


# --- The page as a whole --------------------------------------------------------------------------


def test_the_page_costs_a_bounded_number_of_queries(alice, workspace, rows, needs):
    with workspace_scope(workspace.id):
        for n in range(30):
            make_memory(f"To review {n}", state="quarantined")
            make_session(name=f"s {n}")
            create_priority(actor=ALICE, content=f"line {n}", pool=f"p{n % 3}")
    assert len(queries_of(alice, HOME)) <= MAX_QUERIES
    assert len(queries_of(alice, FRAGMENT)) <= MAX_QUERIES


def test_a_fresh_workspace_is_told_how_to_begin(alice, workspace):
    shown = page(alice)
    for words in ("Begin here", "/install |", "manage.py import", "Nothing needs you"):
        assert words in shown
    with workspace_scope(workspace.id):
        make_session()
    assert "Begin here" not in page(alice)


def test_a_fragment_is_the_panels_without_the_page(alice, needs):
    part = page(alice, FRAGMENT)
    assert "<html" not in part
    names = re.findall(r'data-panel="(\w+)"', part)
    assert names == ["begin", "numbers", "needed", "live", "today", "missions", "backup"]
    names.append("activity")
    assert names == re.findall(r'data-panel="(\w+)"', page(alice))
    assert names == re.findall(r'data-panel="(\w+)"', page(alice, "/admin/?fragment=all"))
    # Another tab may have chosen another workspace: the page tells by this.
    said = re.findall(r'data-workspace="([0-9a-f-]{36})"', part)
    assert said == re.findall(r'data-workspace="([0-9a-f-]{36})"', page(alice))
    assert len(said) == 1


def test_what_was_done_is_said_in_the_fragment_too(otto, needs):
    address = url(Ping, "do", needs["ping"].pk, "answer")
    response = otto.post(address, {"text": "yes", "next": FRAGMENT}, follow=True)
    assert "Answered: the agent is told." in response.content.decode()


def test_signed_out_a_fragment_leads_to_the_login(client, workspace):
    assert client.get(FRAGMENT)["Location"].startswith(reverse("admin:login"))


def test_moments_of_a_list_that_are_none_are_refused_kindly(alice, rows):
    for value in ("2026-13-01T00:00Z", "T", "9999-12-31"):
        address = url(Session, "changelist")
        assert alice.get(address, {"started_at_to": value}).status_code in (200, 302)


def test_the_age_of_the_last_verified_backup_is_told(otto):
    assert "No verified backup yet" in page(otto, FRAGMENT)
    Backup.objects.create(error="no space", ended_at=clock.now())
    assert "No verified backup yet" in page(otto, FRAGMENT)
    made = clock.now() - timedelta(days=9)
    Backup.objects.create(started_at=made, verified_at=made)
    shown = page(otto, FRAGMENT).split('data-panel="backup"')[1]
    assert "rm-amber" in shown
    assert made.isoformat()[:16] in shown
