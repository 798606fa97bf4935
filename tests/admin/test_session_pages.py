"""The list of sessions and the pages of one: grouping, filters, finding, timeline, what belongs to
it, and its conversation over several sessions."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape

import pytest

from config.lib.scope import workspace_scope
from memory.services.memories import NewMemory, create_memory
from sessions.admin import find
from sessions.admin.markdown import render
from sessions.admin.timeline import LANES, SAMPLE, Axis, Event, draw, read_events
from sessions.models import Session, SessionEvent, Thread, Worker
from sessions.services.events import NewEvent, append_events
from sessions.services.handoffs import create_handoff
from sessions.services.projects import create_project
from sessions.services.sessions import end_session
from sessions.services.threads import NewMessage, append_messages
from sessions.services.workers import spawn_worker
from tests.admin.pages import MAX_QUERIES, queries_of, url
from tests.admin.test_conversation import call, result, say
from tests.factories import ALICE, make_agent, make_session, make_thread

START = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
LIST = url(Session, "changelist")


def text_of(client, address, **query):
    response = client.get(address, query)
    assert response.status_code == 200, (address, query, response.status_code)
    return unescape(response.content.decode())


def titles(client, **query):
    """The names of the sessions a list shows, in its order."""
    return re.findall(r'class="rm-title">([^<]+)<', text_of(client, LIST, **query))


@pytest.fixture
def three(workspace, db):
    """Three sessions that differ in every column that is filtered by."""
    with workspace_scope(workspace.id):
        garden = create_project(actor=ALICE, title="Garden")
        fields = {
            "Fern": {"host": "pi", "branch": "main", "message_count": 5, "tool_count": 1,
                     "cost_usd": Decimal("0.25"), "output_tokens": 100, "project": garden.id},
            "Oak": {"host": "laptop", "branch": "fix/pump", "message_count": 50, "tool_count": 20,
                    "error_count": 3, "output_tokens": 9000},
            "Moss": {"host": "pi", "message_count": 500, "cost_usd": Decimal("2.50"),
                     "project": garden.id},
        }  # fmt: skip
        made = {}
        for n, (name, given) in enumerate(fields.items()):
            at = START + timedelta(hours=n)
            took = timedelta(minutes=10 ** (n + 1))
            made[name] = make_session(name=name, started_at=at, last_seen_at=at + took, **given)
        return made


# --- The list -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"host__icontains": "pi"}, ["Moss", "Fern"]),
        ({"branch__icontains": "pump"}, ["Oak"]),
        ({"message_count_from": "6", "message_count_to": "500"}, ["Moss", "Oak"]),
        ({"message_count_to": "50"}, ["Oak", "Fern"]),
        ({"tool_count_from": "1"}, ["Oak", "Fern"]),
        ({"output_tokens_from": "1e3"}, ["Oak"]),
        ({"cost_usd_from": "0.3"}, ["Moss"]),
        ({"cost_usd_to": "99999999999999"}, ["Moss", "Fern"]),
        ({"errors": "yes"}, ["Oak"]),
        ({"errors": "no"}, ["Moss", "Fern"]),
        ({"cost": "yes"}, ["Moss", "Fern"]),
        ({"cost": "no"}, ["Oak"]),
        ({"minutes_from": "11"}, ["Moss", "Oak"]),
        ({"minutes_to": "100"}, ["Oak", "Fern"]),
        ({"errors": "no", "host__icontains": "pi", "minutes_from": "20"}, ["Moss"]),
        ({"q": "oak"}, ["Oak"]),
    ],
)  # fmt: skip
def test_the_list_is_narrowed_by_what_it_shows(alice, three, query, found):
    assert titles(alice, **query) == found


def test_the_list_is_narrowed_by_the_tags_of_what_was_learned(alice, workspace, three):
    with workspace_scope(workspace.id):
        for text in ("Water at noon.", "Never at night."):
            fields = {"session_id": three["Oak"].id, "tags": ["pump", "night"]}
            create_memory(actor=ALICE, new=NewMemory(text=text, fields=fields))
    assert titles(alice, tag="pump") == ["Oak"]
    assert titles(alice, tag="pum") == []
    assert titles(alice, tag="") == ["Moss", "Oak", "Fern"]


@pytest.mark.parametrize("query", ["message_count_from=many", "cost_usd_to=NaN", "minutes_from=inf",
                                   "cost_usd_from=1e999", "tool_count_to=%00", "group=nonsense",
                                   "tag=%00", "group=project&o=1.-2", "minutes_to=-5"])  # fmt: skip
def test_a_wrong_filter_of_sessions_is_no_server_error(alice, three, query):
    assert alice.get(f"{LIST}?{query}", follow=True).status_code == 200


def test_the_list_says_what_each_said_last_in_one_more_query(alice, workspace):
    def make(n):
        with workspace_scope(workspace.id):
            thread = make_thread(make_session(name=f"Session {n}"))
            said = [say("Why?", "user"), say(f"**Because** of {n}."), call(1), result(1)]
            append_messages(actor=ALICE, thread_id=thread.id, messages=said)

    make(1)
    alice.get(LIST)
    few = len(queries_of(alice, LIST))
    for n in range(2, 9):
        make(n)
    statements = queries_of(alice, LIST)
    assert len(statements) == few <= MAX_QUERIES
    page = text_of(alice, LIST)
    assert all(f">Because of {n}.<" in page for n in range(1, 9))


def test_the_list_is_put_together_by_project_with_the_sums_of_the_page(alice, three):
    assert titles(alice, group="project") == ["Moss", "Fern", "Oak"]
    page = " ".join(text_of(alice, LIST, group="project").split())
    assert "Garden" in page
    assert "2 on this page · 505 messages · 1 tool · 100 tokens out · $2.75" in page
    assert "Without a project" in page
    assert "1 on this page · 50 messages · 20 tools · 9k tokens out" in page
    kept = text_of(alice, LIST, group="project", errors="no")
    assert "Without a project" not in kept
    assert "?errors=no&group=conversation" in kept
    assert '<a href="?errors=no"' in kept


def test_the_list_is_put_together_by_conversation(alice, workspace):
    with workspace_scope(workspace.id):
        for n, name in enumerate(("one", "other", "one again")):
            make_session(name=name, conversation_id=name.split()[0],
                         started_at=START + timedelta(hours=n))  # fmt: skip
    assert titles(alice, group="conversation") == ["one again", "one", "other"]
    page = text_of(alice, LIST, group="conversation")
    assert url(Session, "of_conversation", "one") in page
    assert len(queries_of(alice, f"{LIST}?group=conversation")) <= MAX_QUERIES


# --- Reading --------------------------------------------------------------------------------------


def test_code_is_coloured_by_classes_and_nothing_of_it_runs():
    html = render("```python\ndef f(x):\n    return '<b>'  # <i>\n```")
    assert '<span class="tok-k">def</span>' in html
    assert "<b>" not in html
    assert "<i>" not in html
    assert "style=" not in html
    assert 'class="language-python"' in html


@pytest.mark.parametrize("text", [
    '<span class="tok-k">x</span>', '```x" class="rm-conflict\ny\n```', "```python\n" + "x" * 2000,
    "```nonsense\n<script>1</script>\n```", "```\n<script>1</script>\n```",
])  # fmt: skip
def test_code_that_is_not_read_stays_text(text):
    html = render(text)
    assert "<span" not in html
    assert "<script" not in html
    assert 'class="rm-' not in html


def test_a_subagents_thread_is_read_in_place(alice, workspace):
    with workspace_scope(workspace.id):
        session = make_session(name="Pump")
        main = make_thread(session, name="main")
        sub = make_thread(session, name="Explore", parent_id=main.id,
                          metadata={"tool_use_id": "c1"})  # fmt: skip
        append_messages(actor=ALICE, thread_id=main.id, messages=[call(1, "Task"), result(1)])
        append_messages(actor=ALICE, thread_id=sub.id, messages=[
            say(f"Step {n}.", "user") for n in range(120)])  # fmt: skip
    page = text_of(alice, url(Session, "conversation", session.pk))
    address = f"{url(Thread, 'conversation', sub.pk)}?part=1&in=1"
    assert f'hx-get="{address}"' in page
    part = text_of(alice, address)
    assert "<html" not in part
    assert "Step 99." in part
    # Anchors of a thread within another's page do not take that one's.
    assert 'id="m-' not in part
    assert f'id="t{sub.pk.hex}-m-0"' in part
    assert "from=100&part=1&in=1" in part
    assert len(queries_of(alice, address)) <= MAX_QUERIES


def test_earlier_messages_come_without_those_that_are_there(alice, workspace):
    with workspace_scope(workspace.id):
        thread = make_thread(make_session(name="Pump"))
        append_messages(actor=ALICE, thread_id=thread.id, messages=[
            say(f"Line {n}.", "user") for n in range(200)])  # fmt: skip
    address = url(Thread, "conversation", thread.pk)
    middle = text_of(alice, address, at="170")
    assert f"{address}?part=earlier&until=150" in middle
    part = text_of(alice, address, part="earlier", until="150")
    assert re.findall(r'id="m-(\d+)"', part) == [str(n) for n in range(50, 150)]
    rest = text_of(alice, address, part="earlier", until="50")
    assert re.findall(r'id="m-(\d+)"', rest) == [str(n) for n in range(50)]
    assert "rm-earlier" not in rest


@pytest.fixture
def searched(workspace, db):
    """A thread with words in everything that is shown."""
    with workspace_scope(workspace.id):
        thread = make_thread(make_session(name="Pump"))
        thought = {"type": "thinking", "thinking": "The VALVE sticks."}
        listed = [{"type": "text", "text": "a valve of brass"}]
        append_messages(actor=ALICE, thread_id=thread.id, messages=[
            say("Is it the Valve?", "user"),
            NewMessage(role="assistant", blocks=[thought]),
            call(1, "Bash", command='grep -r "valve" .'),
            result(1, "pump.py: valve = open"),
            call(2, "ValveTool"),
            result(2, listed),
            say("It is the pump."),
            say('50% of "quotes" \\ and <b>'),
        ])  # fmt: skip
        return thread


def found(thread, words, start=0):
    answer = find.find_in(thread, words, start)
    return [match.idx for match in answer.matches]


def test_finding_looks_at_all_that_is_shown_and_at_nothing_else(workspace, searched):
    with workspace_scope(workspace.id):
        assert found(searched, "valve") == [0, 1, 2, 3, 4, 5]
        assert found(searched, "pump") == [3, 6]
        assert found(searched, "tool_result") == []
        assert found(searched, "c1") == []
        assert found(searched, '50% of "quotes" \\ and <b>') == [7]
        assert found(searched, "5_%") == []
        assert found(searched, ".*") == []
        (match,) = find.find_in(searched, "it is the PUMP").matches
    assert match.pieces == [(True, "It is the pump"), (False, ".")]


def test_finding_goes_on_where_one_request_ends(alice, workspace, searched, monkeypatch):
    monkeypatch.setattr(find, "WINDOW", 4)
    address = url(Thread, "find", searched.pk)
    page = text_of(alice, address, q="valve", part="1")
    assert re.findall(r'data-idx="(\d+)"', page) == ["0", "1", "2", "3"]
    assert f"{address}?q=valve&from=4" in page
    on = text_of(alice, address, q="valve", **{"from": "4"})
    assert re.findall(r'data-idx="(\d+)"', on) == ["4", "5"]
    monkeypatch.setattr(find, "WINDOW", 10_000)
    monkeypatch.setattr(find, "MATCHES", 2)
    assert f"{address}?q=valve&from=2" in text_of(alice, address, q="valve", part="1")


@pytest.mark.parametrize("q", ["", "%00", "\\", '"', "'", "$", "(", "x" * 5000, "<script>", "%s"])
def test_finding_takes_any_words(alice, searched, q):
    page = text_of(alice, url(Thread, "find", searched.pk), q=q)
    assert "<script>1" not in page


def test_a_match_leads_to_its_message_wherever_it_is(alice, searched):
    page = text_of(alice, url(Thread, "find", searched.pk), q="brass", part="1")
    link = f"{url(Thread, 'conversation', searched.pk)}?at=5&find=brass#m-5"
    assert link in page
    assert "<mark>brass</mark>" in page
    there = text_of(alice, link.split("#", maxsplit=1)[0])
    assert 'value="brass"' in there
    assert 'id="m-5"' in there
    statements = queries_of(alice, f"{url(Thread, 'find', searched.pk)}?q=brass")
    assert len(statements) <= MAX_QUERIES


def test_others_do_not_find_what_is_not_theirs(charlie, searched):
    assert charlie.get(url(Thread, "find", searched.pk), {"q": "valve"}).status_code == 404


# --- Timeline -------------------------------------------------------------------------------------


def event(n, kind="tool_use", at=None, failed=False):
    return Event(n, kind, at or START + timedelta(seconds=n), f"event {n}", failed)


def test_a_long_pause_is_folded_and_what_happened_has_the_room():
    times = [START + timedelta(seconds=s) for s in (0, 60, 120)]
    times += [START + timedelta(hours=8, seconds=s) for s in (0, 60, 120)]
    axis = Axis(times)
    assert [length for length, _ in axis.pauses] == [timedelta(hours=8) - timedelta(seconds=120)]
    places = [axis.place(at) for at in times]
    assert places == sorted(places)
    assert places[0] == pytest.approx(1)
    assert places[-1] == pytest.approx(99)
    assert places[3] - places[2] == pytest.approx(3)
    assert places[1] - places[0] == pytest.approx(places[5] - places[4])


def test_one_moment_has_an_axis_too():
    drawn = draw([event(1, at=START), event(2, at=START)])
    assert drawn.lanes[0].marks[0].count == 2
    assert drawn.ticks


def test_two_events_with_a_night_between_them_are_at_the_two_ends():
    axis = Axis([START, START + timedelta(hours=9)])
    assert 0 < axis.place(START) < axis.place(START + timedelta(hours=9)) <= 99


def test_lanes_are_by_type_and_what_failed_is_its_own_mark():
    kinds = [f"kind_{n}" for n in range(LANES + 5)]
    events = [event(n, kind) for n, kind in enumerate(kinds)]
    events += [event(100, "kind_0"), event(100, "kind_0", failed=True)]
    drawn = draw(events)
    assert len(drawn.lanes) == LANES
    assert drawn.lanes[0].name == "kind_0"
    assert drawn.lanes[-1].name == "other types"
    assert sum(lane.count for lane in drawn.lanes) == len(events)
    assert drawn.lanes[0].failed == 1
    assert [mark.failed for mark in drawn.lanes[0].marks] == [False, False, True]
    assert [column.last for column in drawn.columns][-1] == 100


def test_a_long_session_is_sampled_and_says_so(alice, workspace):
    with workspace_scope(workspace.id):
        session = make_session(name="Long")
        rows = [
            SessionEvent(session=session, seq=n, event_type="error" if n == 2001 else "tool_use",
                         text=f"number {n}", occurred_at=START + timedelta(seconds=n))
            for n in range(1, 4002)
        ]  # fmt: skip
        SessionEvent.objects.bulk_create(rows)
        Session.objects.filter(pk=session.pk).update(event_count=4001)
        events, whole = read_events(session.pk, 1, 4001)
        assert not whole
        assert SAMPLE <= len(events) <= SAMPLE + 1
        assert [e.seq for e in events if e.failed] == [2001]
        assert {1, 4001} <= {e.seq for e in events}
    address = url(Session, "timeline", session.pk)
    page = text_of(alice, address)
    assert "Too many to draw each" in page
    assert f"{url(Session, 'events', session.pk)}?at=2001#e-2001" in page
    closer = text_of(alice, address, first="1990", last="2010")
    assert "Too many to draw each" not in closer
    assert "Events 1,990 to 2,010 of 4,001" in closer
    assert closer.count('class="rm-axis-mark') >= 20
    assert len(queries_of(alice, address)) <= MAX_QUERIES


def test_one_zooms_by_address_from_end_to_end(alice, workspace):
    with workspace_scope(workspace.id):
        session = make_session(name="Zoom")
        append_events(actor=ALICE, session_id=session.id, events=[
            NewEvent(event_type="tool_use", occurred_at=START + timedelta(seconds=n))
            for n in range(100)])  # fmt: skip
    address = url(Session, "timeline", session.pk)

    def by_key(**query):
        page = text_of(alice, address, **query)
        found = re.findall(r'href="\?(first=\d+&last=\d+)#timeline" data-key="([^"]+)"', page)
        return {key: window for window, key in found}

    assert by_key() == {"+": "first=26&last=75"}
    assert by_key(first="26", last="75") == {
        "+": "first=38&last=63", "-": "first=1&last=100", "0": "first=1&last=100",
        "ArrowLeft": "first=1&last=50", "ArrowRight": "first=51&last=100",
    }  # fmt: skip
    assert "ArrowRight" not in by_key(first="51", last="100")
    assert "+" not in by_key(first="5", last="10")


@pytest.mark.parametrize("query", ["first=0&last=0", "first=999", "last=-4", "first=9&last=2",
                                   "first=abc"])  # fmt: skip
def test_a_wrong_place_on_the_axis_is_no_error(alice, rows, query):
    assert alice.get(f"{url(Session, 'timeline', rows[Session].pk)}?{query}").status_code == 200


# --- What belongs to it ---------------------------------------------------------------------------


def test_an_event_leads_to_the_message_that_says_the_same(alice, workspace):
    with workspace_scope(workspace.id):
        session = make_session(name="Pump")
        thread = make_thread(session)
        append_messages(actor=ALICE, thread_id=thread.id, messages=[
            say("Hello.", "user"), say("Done.", native_uuid="u-1")])  # fmt: skip
        append_events(actor=ALICE, session_id=session.id, events=[
            NewEvent(event_type="note", text=f"n{n}") for n in range(30)])  # fmt: skip
        append_events(actor=ALICE, session_id=session.id, events=[
            NewEvent(event_type="said", data={"message_uuid": "u-1"})])  # fmt: skip
    page = text_of(alice, url(Session, "events", session.pk), at="31")
    assert f"{url(Thread, 'conversation', thread.pk)}?at=1#m-1" in page
    assert 'id="e-31"' in page
    assert 'id="e-11"' not in page
    assert "From the first event" in page


def test_workers_it_spawned_and_those_that_ran_in_it(alice, workspace):
    with workspace_scope(workspace.id):
        session, run = make_session(name="Boss"), make_session(name="Run")
        worker, _ = spawn_worker(
            actor=ALICE, primitive="research", name="Dig", session_id=session.id
        )
        Worker.objects.filter(pk=worker.pk).update(run_session=run)
    spawned = text_of(alice, url(Session, "workers", session.pk))
    assert "Spawned by this session" in spawned
    assert "Ran in this session" not in spawned
    assert url(Session, "conversation", run.pk) in spawned
    ran = text_of(alice, url(Session, "workers", run.pk))
    assert "Ran in this session" in ran
    assert url(Worker, "change", worker.pk) in ran


def test_searches_are_those_of_its_agent_in_its_time(alice, workspace):
    with workspace_scope(workspace.id):
        agent = make_agent("gardener")
        session = make_session(agent=agent, name="Ask", started_at=START,
                               last_seen_at=START + timedelta(hours=1))  # fmt: skip
        for n, (q, who) in enumerate(
            [("before", agent), ("within", agent), ("after", agent), ("other", make_agent("else"))]
        ):
            at = START + timedelta(hours=(-1, 0.5, 2, 0.5)[n])
            who.searches.create(q=q, mode="hybrid", weights="1", took_ms=3, asker="x",
                                created_at=at)  # fmt: skip
    page = text_of(alice, url(Session, "searches", session.pk))
    assert "within" in page
    assert "nothing found" in page
    assert "A search knows its agent, not its session" in page
    shown = re.findall(r'class="rm-row-title">([^<]+)<', page)
    assert shown == ["within"]


@pytest.mark.parametrize("page", ["timeline", "workers", "searches"])
def test_its_further_pages_answer_within_the_bound(alice, charlie, rows, page):
    address = url(Session, page, rows[Session].pk)
    assert len(queries_of(alice, address)) <= MAX_QUERIES
    assert charlie.get(address).status_code == 404


# --- A conversation over its sessions -------------------------------------------------------------


@pytest.fixture
def resumed(workspace, db):
    """Two sessions of one conversation, with a reset and a handoff between them, and a third that
    began while the second ran."""
    with workspace_scope(workspace.id):
        made = []
        for n, name in enumerate(("First", "Second", "Third")):
            session = make_session(
                name=name, conversation_id="ops night shift", message_count=0,
                started_at=START + timedelta(hours=n), tool_count=n + 1,
            )  # fmt: skip
            thread = make_thread(session)
            append_messages(actor=ALICE, thread_id=thread.id, messages=[
                say(f"Go on with {name}.", "user"), say(f"{name} is done.")])  # fmt: skip
            made.append(session)
        create_handoff(actor=ALICE, from_session_id=made[0].id, content="Water the **rest**.")
        end_session(actor=ALICE, session_id=made[0].id)
        Session.objects.filter(pk=made[0].pk).update(ended_at=START + timedelta(minutes=20))
        return made


def test_a_conversation_shows_its_sessions_resets_and_what_was_left(alice, resumed):
    address = url(Session, "of_conversation", "ops night shift")
    page = text_of(alice, address)
    found = re.findall(r'class="rm-title" href="([^"]+)">([^<]+)<', page)
    assert [name for _, name in found] == ["First", "Second", "Third"]
    assert found[1][0] == url(Session, "conversation", resumed[1].pk)
    assert "Context reset · the next session began 40 min later" in page
    assert "The next session began while this one still ran" in page
    assert page.count("rm-reset-line") == 2
    assert "Water the <strong>rest</strong>." in page
    assert "It left neither a handoff nor a summary." in page
    assert "Third is done." in page
    assert f"{url(Session, 'conversation', resumed[0].pk)}?through=1" in page
    assert re.search(r"Sessions</dt><dd>3<", page)
    assert re.search(r"Tool calls</dt><dd>6<", page)
    assert len(queries_of(alice, address)) <= MAX_QUERIES


def test_one_reads_on_from_one_session_into_the_next(alice, resumed):
    first, second, third = (url(Session, "conversation", row.pk) for row in resumed)
    page = text_of(alice, first)
    assert "Context reset" in page
    assert f'hx-get="{second}?part=1&in=1&through=1"' in page
    assert "End of the conversation" not in page
    part = text_of(alice, second, part="1", through="1", **{"in": "1"})
    assert "Go on with Second." in part
    assert f'hx-get="{third}?part=1&in=1&through=1" hx-trigger="intersect once"' in part
    last = text_of(alice, third)
    assert "End of the conversation" in last
    assert "Context reset" not in last
    assert len(queries_of(alice, first)) <= MAX_QUERIES


def test_a_long_conversation_comes_in_pages_with_every_reset(alice, workspace, monkeypatch):
    monkeypatch.setattr("sessions.admin.conversation_pages.SESSIONS", 3)
    with workspace_scope(workspace.id):
        for n in range(7):
            make_session(name=f"S{n}", conversation_id="long",
                         started_at=START + timedelta(hours=n))  # fmt: skip
    address = url(Session, "of_conversation", "long")
    shown, resets = [], 0
    for page in ("1", "2", "3"):
        html = text_of(alice, address, page=page)
        shown += re.findall(r'class="rm-title" href="[^"]+">([^<]+)<', html)
        resets += html.count("rm-reset-line")
    assert shown == [f"S{n}" for n in range(7)]
    assert resets == 6
    assert "Later sessions" not in text_of(alice, address, page="3")
    assert alice.get(address, {"page": "99"}).status_code == 200


def test_a_conversation_of_nobody_or_of_others_is_not_found(alice, charlie, resumed):
    for client, name in ((alice, "nonsense"), (alice, "%00"), (charlie, "ops night shift")):
        assert client.get(url(Session, "of_conversation", name)).status_code == 404
