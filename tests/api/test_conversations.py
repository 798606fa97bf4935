"""Conversations over REST: sessions across context resets, their totals and their transcript."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sessions.services.sessions import new_conversation_id
from tests.api.caller import all_items, caller, made, problem, wrong_fields


def begin(api, **fields):
    return made(api.post("/sessions", fields))


def ids(rows):
    return [row["conversation_id"] for row in rows]


def say(api, session, *texts, role="user", **fields):
    thread = made(api.post(f"/sessions/{session['id']}/threads", {}))
    messages = [{"role": role, "content": text, **fields} for text in texts]
    made(api.post(f"/threads/{thread['id']}/messages", {"messages": messages}))
    return thread


# --- Their ids --------------------------------------------------------------------------------


def test_a_chiefs_sessions_of_one_day_share_a_conversation(api):
    first = begin(api, role="chief", started_at="2026-03-01T08:00:00Z")
    made(api.post(f"/sessions/{first['id']}/end"))
    second = begin(api, role="chief", started_at="2026-03-01T18:00:00Z")
    third = begin(api, role="chief", started_at="2026-03-02T00:30:00Z")
    assert first["conversation_id"] == second["conversation_id"] == "chief-2026-03-01"
    assert third["conversation_id"] == "chief-2026-03-02"


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("Pacific/Auckland", "chief-2026-03-02"), ("America/Los_Angeles", "chief-2026-02-28")],
)
def test_a_chiefs_day_is_that_of_the_workspaces_time_zone(api, zone, expected):
    made(api.patch("/workspace", {"settings": {"timezone": zone}}))
    hour = 12 if zone == "Pacific/Auckland" else 3
    session = begin(api, role="chief", started_at=f"2026-03-01T{hour:02}:00:00Z")
    assert session["conversation_id"] == expected


def test_other_roles_have_an_id_of_their_own_each_time(api):
    pattern = r"^builder-[0-9a-f]{8}$"
    first, second = begin(api, role="builder"), begin(api, role="builder")
    for session in (first, second):
        assert re.match(pattern, session["conversation_id"])
    assert first["conversation_id"] != second["conversation_id"]
    assert begin(api)["conversation_id"].startswith("session-")
    after_reset = begin(api, role="builder", conversation_id=first["conversation_id"])
    assert after_reset["conversation_id"] == first["conversation_id"]


def test_a_conversation_has_an_address_so_its_id_has_no_slash(api):
    assert "conversation_id" in wrong_fields(api.post("/sessions", {"conversation_id": "a/b"}))
    path = f"/sessions/{begin(api)['id']}"
    answer = api.patch(path, {"conversation_id": "a/b"}, if_match="*")
    assert "conversation_id" in wrong_fields(answer)
    schedule = {"name": "m", "prompt": "p", "schedule_kind": "cron", "schedule": "@daily"}
    for path, body in (
        ("/workers", {"primitive": "p"}),
        ("/scheduled-missions", schedule),
        ("/pings", {"message": "m"}),
        ("/notifications", {"notification_type": "t", "entity_id": "1"}),
        ("/staged-content", {"content_type": "note", "title": "t"}),
    ):
        answer = api.post(path, {**body, "conversation_id": "a/b"})
        assert list(wrong_fields(answer)) == ["conversation_id"], path
    made_of_a_role = begin(api, role="qa/ui")["conversation_id"]
    assert re.fullmatch("qa-ui-[0-9a-f]{8}", made_of_a_role)
    assert made(api.get(f"/conversations/{made_of_a_role}"))["session_count"] == 1


@pytest.mark.parametrize("zone", ["Mars/Olympus", "localtime", "", 5, ["UTC"], {"a": 1}])
def test_a_time_zone_that_is_none_is_refused(api, zone):
    answer = api.patch("/workspace", {"settings": {"timezone": zone}})
    assert "settings.timezone" in wrong_fields(answer)


def test_an_id_needs_no_workspace_row_but_a_chiefs(scoped):
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert new_conversation_id("chief", moment) == "chief-2026-03-01"
    assert new_conversation_id("", moment).startswith("session-")


# --- The list ---------------------------------------------------------------------------------


def test_conversations_are_listed_by_their_latest_session(api):
    begin(api, conversation_id="a", started_at="2026-01-01T00:00:00Z")
    begin(api, conversation_id="b", started_at="2026-01-02T00:00:00Z")
    begin(api, conversation_id="a", started_at="2026-01-03T00:00:00Z")
    begin(api, conversation_id="c", started_at="2026-01-01T12:00:00Z")
    assert ids(all_items(api, "/conversations")) == ["a", "b", "c"]
    assert ids(all_items(api, "/conversations", limit=1)) == ["a", "b", "c"]


def test_sessions_begun_at_the_same_moment_are_one_conversation_still(api):
    for _ in range(3):
        begin(api, conversation_id="a", started_at="2026-01-01T00:00:00Z")
    (row,) = all_items(api, "/conversations", limit=1)
    assert (row["conversation_id"], row["session_count"]) == ("a", 3)


def test_a_row_has_totals_of_all_sessions_and_the_words_of_both_ends(api):
    first = begin(
        api, conversation_id="a", prompt="Water the ferns.", name="old", role="builder",
        started_at="2026-01-01T00:00:00Z", input_tokens=5, cost_usd="0.5",
    )  # fmt: skip
    made(api.post(f"/sessions/{first['id']}/end"))
    second = begin(
        api, conversation_id="a", name="new", role="builder", project="greenhouse",
        started_at="2026-01-02T00:00:00Z", input_tokens=7, output_tokens=1,
    )  # fmt: skip
    say(api, first, "Water the ferns.", "And the moss.")
    say(api, second, "Done with the ferns.", role="assistant")
    made(api.post(f"/sessions/{second['id']}/events", {"event_type": "tool_use"}))
    (row,) = all_items(api, "/conversations")
    assert (row["session_count"], row["active_sessions"], row["message_count"]) == (2, 1, 3)
    assert (row["event_count"], row["tool_count"], row["error_count"]) == (1, 1, 0)
    assert (row["input_tokens"], row["output_tokens"], row["cost_usd"]) == (12, 1, "0.500000")
    assert (row["name"], row["latest_session_id"]) == ("new", second["id"])
    assert (row["agent_name"], row["project_title"]) == ("claude-code", "greenhouse")
    assert (row["prompt_start"], row["response_start"]) == (
        "Water the ferns.",
        "Done with the ferns.",
    )
    assert row["started_at"] == first["started_at"]
    assert row["ended_at"] is None
    made(api.post(f"/sessions/{second['id']}/end"))
    (row,) = all_items(api, "/conversations")
    assert row["active_sessions"] == 0
    assert row["ended_at"] is not None


def test_without_an_answer_the_summary_says_where_it_stands(api):
    session = begin(api, conversation_id="a")
    say(api, session, "Water the ferns.")
    made(api.post(f"/sessions/{session['id']}/end", {"summary": "All ferns are wet."}))
    assert made(api.get("/conversations/a"))["response_start"] == "All ferns are wet."


def test_an_unknown_cost_is_blank_and_not_nothing(api):
    begin(api, conversation_id="a")
    assert made(api.get("/conversations/a"))["cost_usd"] is None


def test_conversations_are_narrowed_to_those_with_a_session_that_fits(workspace, api):
    codex = caller(workspace, agent="codex")
    begin(codex, conversation_id="both", role="chief", started_at="2026-01-01T00:00:00Z")
    begin(api, conversation_id="both", project="fern", started_at="2026-01-05T00:00:00Z")
    ended = begin(api, conversation_id="ended", role="chief", started_at="2026-01-03T00:00:00Z")
    made(api.post(f"/sessions/{ended['id']}/end"))
    assert ids(all_items(api, "/conversations", agent="codex")) == ["both"]
    assert ids(all_items(api, "/conversations", agent="claude-code")) == ["both", "ended"]
    assert ids(all_items(api, "/conversations", role="chief")) == ["ended", "both"]
    assert ids(all_items(api, "/conversations", project="fern")) == ["both"]
    assert ids(all_items(api, "/conversations", since="2026-01-04T00:00:00Z")) == ["both"]
    assert ids(all_items(api, "/conversations", active="true")) == ["both"]
    assert ids(all_items(api, "/conversations", active="false")) == ["ended"]
    problem(api.get("/conversations", agent="nobody"), 404)


def test_a_page_costs_the_same_however_many_sessions_there_are(api):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            made(api.get("/conversations"))
        return len(captured)

    begin(api, conversation_id="a")
    queries()  # the first call of a key also notes its use
    few = queries()
    for n in range(9):
        begin(api, conversation_id=f"c{n % 4}")
    assert queries() == few


# --- One conversation -------------------------------------------------------------------------


def test_a_conversation_is_read_with_what_belongs_to_it(api):
    first = begin(api, conversation_id="a", started_at="2026-01-01T00:00:00Z")
    second = begin(api, conversation_id="a", started_at="2026-01-02T00:00:00Z")
    handoff = made(api.post("/handoffs", {"from_session_id": first["id"], "content": "Go on."}))
    got = made(api.get("/conversations/a"))
    assert [row["id"] for row in got["sessions"]] == [second["id"], first["id"]]
    assert [row["id"] for row in got["handoffs"]] == [handoff["id"]]
    assert got["pending_notifications"] == 1
    (pending,) = all_items(api, "/conversations/a/notifications")
    assert pending["entity_id"] == handoff["id"]
    for path in ("", "/transcript", "/notifications"):
        problem(api.get(f"/conversations/nobody{path}"), 404)


def test_a_transcript_goes_through_all_sessions_in_order(api):
    # Begun later, written earlier: the order is that of the sessions.
    second = begin(api, conversation_id="a", started_at="2026-01-02T00:00:00Z")
    say(api, second, "three", "four", occurred_at="2026-01-02T01:00:00Z")
    begin(api, conversation_id="a", started_at="2026-01-01T12:00:00Z")  # says nothing
    first = begin(api, conversation_id="a", started_at="2026-01-01T00:00:00Z")
    say(api, first, "one", "two", occurred_at="2026-01-01T01:00:00Z")
    say(api, begin(api, conversation_id="b"), "elsewhere")
    for limit in (1, 2, 3, 50):
        rows = all_items(api, "/conversations/a/transcript", limit=limit)
        assert [row["content"] for row in rows] == ["one", "two", "three", "four"], limit
        assert [row["session_id"] for row in rows] == [first["id"]] * 2 + [second["id"]] * 2


def test_subagents_are_in_a_transcript_at_their_time(api):
    session = begin(api, conversation_id="a")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    times = [(at + timedelta(minutes=n)).isoformat() for n in range(3)]
    main = say(api, session, "first", occurred_at=times[0])
    say(api, session, "subagent", occurred_at=times[1])
    last = {"role": "assistant", "content": "last", "occurred_at": times[2]}
    made(api.post(f"/threads/{main['id']}/messages", last))
    rows = all_items(api, "/conversations/a/transcript", limit=1)
    assert [row["content"] for row in rows] == ["first", "subagent", "last"]


def test_a_transcripts_cursor_is_checked(api):
    say(api, begin(api, conversation_id="a"), "one", "two")
    cursor = made(api.get("/conversations/a/transcript", limit=1))["next_cursor"]
    rest = made(api.get("/conversations/a/transcript", cursor=cursor))
    assert [row["content"] for row in rest["items"]] == ["two"]
    other = made(api.get("/sessions", limit=1))["next_cursor"] or "W10"
    for wrong in ("nonsense", other, cursor[:-4]):
        answer = api.get("/conversations/a/transcript", cursor=wrong)
        assert "cursor" in wrong_fields(answer), wrong


# --- A full context ---------------------------------------------------------------------------


def beat(api, session, percent):
    return made(api.post(f"/sessions/{session['id']}/heartbeat", {"context_used_percent": percent}))


def warnings(api, session):
    path = f"/conversations/{session['conversation_id']}/notifications"
    rows = [row for row in all_items(api, path) if row["notification_type"] == "context_warning"]
    return [row["entity_id"].removeprefix(f"{session['id']}:") for row in rows]


def test_what_a_conversation_was_told_before_its_first_session_can_be_read(api):
    """A mission tells its own conversation, which somebody may join later."""
    body = {"conversation_id": "mission-x", "notification_type": "t", "entity_id": "1"}
    made(api.post("/notifications", body))
    (told,) = all_items(api, "/conversations/mission-x/notifications")
    assert told["entity_id"] == "1"


def test_each_threshold_warns_once(api):
    session = begin(api)
    levels = [beat(api, session, p)["context_warning_level"] for p in (49.9, 50, 55, 71, 20, 75)]
    assert levels == [0, 50, 50, 70, 70, 70]
    assert warnings(api, session) == ["50", "70"]
    assert beat(api, session, 99)["context_warning_level"] == 90
    assert warnings(api, session) == ["50", "70", "90"]
    (told, *_) = all_items(api, f"/conversations/{session['conversation_id']}/notifications")
    assert told["payload"]["threshold"] == 50
    assert told["payload"]["session_id"] == session["id"]


def test_a_leap_over_several_thresholds_tells_each(api):
    session = begin(api)
    assert beat(api, session, 95)["context_warning_level"] == 90
    assert warnings(api, session) == ["50", "70", "90"]


def test_a_context_told_by_a_change_of_the_session_warns_too(api):
    session = begin(api, context_used_percent=60)
    assert warnings(api, session) == ["50"]
    path = f"/sessions/{session['id']}"
    made(api.patch(path, {"context_used_percent": 72}, if_match="*"))
    assert warnings(api, session) == ["50", "70"]


def test_two_sessions_of_a_conversation_warn_each_for_itself(api):
    first = begin(api, conversation_id="a")
    second = begin(api, conversation_id="a")
    beat(api, first, 60)
    beat(api, second, 60)
    entities = [row["entity_id"] for row in all_items(api, "/conversations/a/notifications")]
    assert entities == [f"{first['id']}:50", f"{second['id']}:50"]


def test_a_workspace_has_thresholds_of_its_own(api):
    made(api.patch("/workspace", {"settings": {"context_thresholds": [80, 30]}}))
    session = begin(api)
    assert [beat(api, session, p)["context_warning_level"] for p in (29, 30, 79, 80)] == [
        0, 30, 30, 80
    ]  # fmt: skip
    made(api.patch("/workspace", {"settings": {"context_thresholds": []}}))
    assert beat(api, begin(api), 99)["context_warning_level"] == 0


@pytest.mark.parametrize("wrong", [[0], [101], [50, 50], ["50"], [50.5], [True], 50, "50", [[1]],
                                   list(range(1, 30))])  # fmt: skip
def test_wrong_thresholds_are_refused(api, wrong):
    answer = api.patch("/workspace", {"settings": {"context_thresholds": wrong}})
    assert "settings.context_thresholds" in wrong_fields(answer)
