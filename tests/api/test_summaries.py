"""POST sessions/{id}/summarize: what it writes and leaves alone, what it says when it fails."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.db import connection

from config.lib.scope import workspace_scope
from memory.summaries import material
from memory.summaries.material import read_material, spread
from sessions.models import Session
from sessions.services.events import NewEvent, append_events
from sessions.services.sessions import update_session
from sessions.services.threads import NewMessage, append_messages
from tests.api.caller import all_items, made, problem
from tests.factories import ALICE, make_session, make_thread, nowhere
from tests.unit.embedding_endpoint import KEY, Endpoint, refusal, silent
from tests.unit.test_summary_endpoints import DRAFT, MALFORMED, chat, good

SAID = [
    ("user", "Please find out why the irrigation pump restarts every night at two."),
    ("assistant", "The humidity sensor draws too much current when it reports to the pump."),
    ("assistant", "We decided to power the humidity sensor from its own supply."),
    ("assistant", "I fixed the wiring of the humidity sensor and the pump runs through."),
    ("assistant", "The documentation of the pump still needs a drawing of the supply."),
]


@pytest.fixture(autouse=True)
def _words_alone(settings):
    """No test here is about a model of meaning."""
    settings.EMBEDDING_PROVIDER = "none"


@pytest.fixture
def endpoint(settings, monkeypatch) -> Iterator[Endpoint]:
    """The configured model's server."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made_here = Endpoint()
    settings.SUMMARY_PROVIDER = "openai"
    settings.SUMMARY_URL, settings.SUMMARY_MODEL = made_here.url, "m-1"
    settings.SUMMARY_API_KEY, settings.SUMMARY_TIMEOUT = KEY, 5.0
    yield made_here
    made_here.close()


def session_of(api, said=SAID, **fields):
    session = made(api.post("/sessions", fields))["id"]
    thread = made(api.post(f"/sessions/{session}/threads", {}))["id"]
    messages = [{"role": role, "content": text} for role, text in said]
    made(api.post(f"/threads/{thread}/messages", {"messages": messages}))
    return session


def summarize(api, session):
    return made(api.post(f"/sessions/{session}/summarize"))


# --- Without a language model -------------------------------------------------------------------


def test_a_session_is_summarised_by_its_own_sentences(api):
    session = session_of(api)
    decision = {"event_type": "decision_made", "data": {"decision": "Buy a 12 V supply"}}
    made(api.post(f"/sessions/{session}/events", decision))
    task = made(api.post("/tasks", {"title": "Draw the supply", "session_id": session}))
    row = summarize(api, session)
    assert row["summary"].startswith(f"Asked: {SAID[0][1]}")
    data = row["summary_data"]
    assert data.keys() == {
        "asked", "key_events", "decisions", "outcomes", "files", "commands", "errors",
        "last_words", "next_steps",
    }  # fmt: skip
    assert data["asked"] == [SAID[0][1]]
    assert data["last_words"] == [SAID[4][1]]
    assert data["decisions"] == [SAID[2][1], "Buy a 12 V supply"]
    assert data["outcomes"] == [SAID[3][1]]
    assert data["next_steps"] == [SAID[4][1], "Task created: Draw the supply"]
    assert SAID[1][1] in data["key_events"]
    done = {"status": "done", "session_id": session}
    made(api.patch(f"/tasks/{task['id']}", done, if_match="*"))
    data = summarize(api, session)["summary_data"]
    assert "Task completed: Draw the supply" in data["outcomes"]
    assert data["next_steps"] == [SAID[4][1]]


def test_a_summary_is_kept_in_the_history_and_found_by_search(api):
    session = session_of(api, summary="Written by hand")
    row = summarize(api, session)
    change = all_items(api, f"/sessions/{session}/history")[0]
    assert change["before"]["summary"] == "Written by hand"
    assert change["reason"] == "summarised: extractive"
    query = {"q": "humidity sensor", "kinds": ["summary"], "mode": "lexical"}
    assert [hit["id"] for hit in made(api.post("/search", query))["hits"]] == [session]
    again = summarize(api, row["short_id"])
    assert again == row, "nothing new was said, so nothing changes"


def test_an_empty_session_has_nothing_to_summarise(api):
    session = made(api.post("/sessions", {}))["id"]
    answer = problem(api.post(f"/sessions/{session}/summarize"), 409)
    assert answer["code"] == "nothing_said"
    problem(api.post(f"/sessions/{nowhere()}/summarize"), 404)
    prompted = made(api.post("/sessions", {"prompt": "Find out why the pump drips"}))["id"]
    assert summarize(api, prompted)["summary"] == "Asked: Find out why the pump drips"


def test_what_tools_printed_is_left_out(api):
    printed = ("tool", "We decided to print the whole of this long line of the file.")
    data = summarize(api, session_of(api, [*SAID, printed]))["summary_data"]
    assert printed[1] not in str(data)


def test_how_the_program_was_begun_and_left_says_nothing(api):
    session = session_of(api)
    life = [("session_start", "startup"), ("session_end", "prompt_input_exit")]
    told = [*life, ("session_end", "Packed the sensors away.")]
    for event_type, text in told:
        made(api.post(f"/sessions/{session}/events", {"event_type": event_type, "text": text}))
    found = str(summarize(api, session))
    assert "Packed the sensors away." in found
    for _, word in life:
        assert word not in found


def test_a_huge_session_is_sampled_from_its_ends_and_its_middle(scoped, monkeypatch):
    monkeypatch.setattr(material, "MOST_MESSAGES", 20)
    monkeypatch.setattr(material, "MOST_EVENTS", 10)
    session = make_session()
    thread = make_thread(session)
    roles = ("user", "tool")
    append_messages(
        actor=ALICE,
        thread_id=thread.id,
        messages=[NewMessage(role=roles[n % 2], content=f"m{n}") for n in range(400)],
    )
    events = [NewEvent(event_type="note", text=f"e{n}") for n in range(300)]
    events[150] = NewEvent(event_type="decision_made", data={"decision": "in the middle"})
    events[151] = NewEvent(event_type="note", text="same", data={"message_uuid": "u"})
    append_events(actor=ALICE, session_id=session.id, events=events)
    read = read_material(Session.objects.get(pk=session.pk))
    messages = [said.text for said in read.said if said.who == "user"]
    told = [said.text for said in read.said if said.who == "event"]
    assert (messages[0], messages[-1], len(messages)) == ("m0", "m398", 20)
    middle = [int(text[1:]) for text in messages if 100 < int(text[1:]) < 300]
    assert len(middle) > 5
    assert (told[0], told[-1]) == ("e0", "e299")
    assert "in the middle" in told
    assert "same" not in told
    assert len(told) < 40
    assert read.total == 700


def test_a_long_text_is_read_from_both_ends(scoped):
    session = make_session()
    content = "the start " + "x" * 50_000 + " the end"
    append_messages(
        actor=ALICE,
        thread_id=make_thread(session).id,
        messages=[NewMessage(role="user", content=content)],
    )
    (said,) = read_material(Session.objects.get(pk=session.pk)).said
    assert said.text.startswith("the start")
    assert said.text.endswith("the end")
    assert len(said.text) < 5_000


@pytest.mark.parametrize(
    ("first", "count", "most", "expected"),
    [(1, 3, 5, [1, 2, 3]), (0, 10, 4, [0, 3, 6, 9]), (1, 0, 3, []), (5, 9, 1, [5])],
)
def test_numbers_are_spread_evenly(first, count, most, expected):
    assert spread(first, count, most) == expected


# --- With one -----------------------------------------------------------------------------------


def test_a_configured_model_summarises(api, endpoint):
    endpoint.script = [chat(json.dumps(DRAFT))]
    session = session_of(api)
    row = summarize(api, session)
    assert row["summary"] == DRAFT["summary"]
    assert row["summary_data"]["next_steps"] == DRAFT["next_steps"]
    assert SAID[0][1] in endpoint.requests[0]["messages"][1]["content"]
    assert all_items(api, f"/sessions/{session}/history")[0]["reason"] == "summarised: openai m-1"


def test_anthropic_summarises_too(api, endpoint, settings):
    settings.SUMMARY_PROVIDER = "anthropic"
    endpoint.script = [good("anthropic")]
    assert summarize(api, session_of(api))["summary"] == DRAFT["summary"]


@pytest.mark.parametrize(
    ("script", "status", "code", "wait"),
    [
        ([refusal(429, "slow", Retry_After="77")], 503, "summary_rate_limited", "77"),
        ([refusal(429, "slow", Retry_After="11.2")], 503, "summary_rate_limited", "12"),
        ([refusal(503, "busy", Retry_After="60")], 503, "summary_failed", "60"),
        ([silent], 503, "summary_timeout", "30"),
        ([refusal(401, "no")], 502, "summary_failed", None),
        ([MALFORMED["openai"][0]], 502, "summary_malformed", None),
        ([chat(None, refusal="I can't.")], 502, "summary_refused", None),
    ],
    ids=["limited", "part of a second", "busy", "silent", "key", "malformed", "refused"],
)
def test_a_failure_says_why_and_leaves_the_session_alone(
    api, endpoint, settings, script, status, code, wait
):
    settings.SUMMARY_TIMEOUT = 0.5
    session = session_of(api, summary="Written by hand")
    before = made(api.get(f"/sessions/{session}"))
    endpoint.script = list(script)
    answer = api.post(f"/sessions/{session}/summarize")
    body = problem(answer, status)
    assert body["code"] == code
    assert "summary endpoint" in body["detail"]
    assert KEY not in answer.content.decode()
    assert answer.headers.get("Retry-After") == wait
    assert made(api.get(f"/sessions/{session}")) == before


def test_a_url_that_cannot_be_used_is_said(api, settings):
    settings.SUMMARY_PROVIDER, settings.SUMMARY_MODEL = "openai", "m"
    settings.SUMMARY_URL = "http://me:hunter2@localhost/v1"
    settings.SUMMARY_API_KEY, settings.SUMMARY_TIMEOUT = "", 1.0
    answer = api.post(f"/sessions/{session_of(api)}/summarize")
    assert "REMEMBRANCER_SUMMARY_URL" in problem(answer, 502)["detail"]
    assert b"hunter2" not in answer.content


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", ["summary", "name"])
def test_only_a_summary_written_meanwhile_stands_in_the_way(api, workspace, endpoint, change):
    """The other writer gets through while the model thinks: nothing is held open for it."""
    session = session_of(api)

    def write_meanwhile(_, __):
        def write():
            try:
                with workspace_scope(workspace.id):
                    row = Session.objects.get(pk=session)
                    update_session(
                        actor=ALICE, session_id=row.pk, changes={change: "by somebody else"}
                    )
            finally:
                connection.close()

        writer = threading.Thread(target=write)
        writer.start()
        writer.join(20)
        assert not writer.is_alive()
        return chat(json.dumps(DRAFT))(endpoint, {})

    endpoint.script = [write_meanwhile]
    answer = api.post(f"/sessions/{session}/summarize")
    row = made(api.get(f"/sessions/{session}"))
    assert row[change] == "by somebody else"
    if change == "summary":
        assert problem(answer, 409)["code"] == "concurrent_change"
    else:
        assert row["summary"] == DRAFT["summary"]


def test_the_clock_of_an_event_orders_it_among_messages(scoped):
    session = make_session()
    thread = make_thread(session)
    at = [datetime(2026, 3, 10, hour, tzinfo=UTC) for hour in range(3)]
    said = [NewMessage(role="user", content="last", occurred_at=at[2])]
    append_messages(actor=ALICE, thread_id=thread.id, messages=said)
    events = [NewEvent(event_type="note", text=t, occurred_at=at[n])
              for n, t in enumerate(["first", "second"])]  # fmt: skip
    append_events(actor=ALICE, session_id=session.id, events=events)
    read = read_material(Session.objects.get(pk=session.pk))
    assert [one.text for one in read.said] == ["first", "second", "last"]
