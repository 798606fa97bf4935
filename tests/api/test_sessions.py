"""Sessions over REST."""

from datetime import timedelta

import pytest

from config.lib import clock
from tests.api.caller import all_items, caller, made, problem, wrong_fields


def begin(api, **fields):
    return made(api.post("/sessions", fields))


def test_a_session_begins_with_the_agent_of_the_key(api):
    answer = api.post("/sessions", {"name": "water the seedlings", "project": "greenhouse"})
    session = made(answer)
    assert answer.status_code == 201
    assert answer["Location"] == f"/api/v1/sessions/{session['id']}"
    assert answer["ETag"] == '"1"'
    assert session["agent_name"] == "claude-code"
    assert session["project_title"] == "greenhouse"
    assert session["current_state"] == "active"
    assert session["conversation_id"].startswith("session-")
    assert session["short_id"] == session["id"].replace("-", "")[-12:]
    assert session["started_at"].endswith("Z")
    assert made(api.get(f"/sessions/{session['id']}")) == session


def test_everything_that_can_be_set_comes_back(api):
    parent = begin(api)
    sent = {
        "name": "n", "role": "builder", "mode": "autonomous", "conversation_id": "chief-2026-01-01",
        "claude_session_id": "c-1", "repo_root": "/r", "host": "h", "tmux_window": "1",
        "tmux_pane": "2", "prompt": "p", "context": {"a": [1]}, "outcome": "success",
        "summary": "s", "summary_data": {"decisions": ["d"]}, "metadata": {"k": 1},
        "parent_id": parent["id"], "current_state": "idle", "status_text": "t", "model": "m",
        "branch": "b", "cwd": "/c", "context_used_percent": 12.5, "input_tokens": 1,
        "output_tokens": 2, "cache_creation_tokens": 3, "cache_read_tokens": 4,
        "cost_usd": "0.000001", "source": "mine", "external_id": "x",
        "legacy_thread_id": "l", "started_at": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    got = begin(api, **sent)
    assert {name: got[name] for name in sent} == sent


def test_the_same_external_id_is_the_same_session(api):
    first = begin(api, external_id="run-1")
    answer = api.post("/sessions", {"external_id": "run-1", "name": "again"})
    assert answer.status_code == 200
    assert answer.json() == first


def test_a_project_is_found_by_title_or_id(api):
    first = begin(api, project="greenhouse")
    assert begin(api, project="greenhouse")["project_id"] == first["project_id"]
    assert begin(api, project=first["project_id"])["project_id"] == first["project_id"]


def test_lists_are_read_page_by_page_newest_first(api):
    ids = [begin(api, name=f"n{n}")["id"] for n in range(5)]
    rows = all_items(api, "/sessions", limit=2)
    assert [row["id"] for row in rows] == ids[::-1]


def test_a_page_is_stable_while_sessions_begin(api):
    ids = [begin(api)["id"] for _ in range(4)]
    first = made(api.get("/sessions", limit=2))
    begin(api)
    second = made(api.get("/sessions", limit=2, cursor=first["next_cursor"]))
    assert [row["id"] for row in first["items"] + second["items"]] == ids[::-1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"agent": "claude-code"}, {"a", "b"}),
        ({"agent": "codex"}, {"c"}),
        ({"project": "greenhouse"}, {"a"}),
        ({"state": "idle"}, {"b"}),
        ({"role": "chief"}, {"a"}),
        ({"mode": "autonomous"}, {"c"}),
        ({"outcome": "failure"}, {"b"}),
        ({"conversation_id": "chief-2026-01-01"}, {"a"}),
        ({"claude_session_id": "c-1"}, {"c"}),
        ({"since": "2026-01-02T00:00:00Z"}, {"b", "c"}),
        ({"until": "2026-01-02T00:00:00+00:00"}, {"a"}),
        ({"agent": "claude-code", "state": "idle"}, {"b"}),
    ],
)
def test_lists_are_narrowed(workspace, api, query, expected):
    codex = caller(workspace, agent="codex")
    begin(api, name="a", project="greenhouse", role="chief", conversation_id="chief-2026-01-01",
          started_at="2026-01-01T00:00:00Z")  # fmt: skip
    begin(api, name="b", current_state="idle", outcome="failure", started_at="2026-01-02T00:00:00Z")
    begin(codex, name="c", mode="autonomous", claude_session_id="c-1",
          started_at="2026-01-03T00:00:00Z")  # fmt: skip
    assert {row["name"] for row in all_items(api, "/sessions", **query)} == expected


def test_a_filter_that_names_nothing_says_so(api):
    for query in ({"agent": "nobody"}, {"project": "nothing"}, {"parent": "deadbeef"}):
        problem(api.get("/sessions", **query), 404)


def test_a_session_is_found_by_the_tail_of_its_id(api):
    session = begin(api)
    for tail in (session["short_id"], session["short_id"][-8:], session["short_id"].upper()):
        assert made(api.get(f"/sessions/{tail}"))["id"] == session["id"]
    problem(api.get(f"/sessions/{session['short_id'][-7:]}"), 404)
    problem(api.get("/sessions/not-an-id"), 404)


def test_a_change_needs_the_version_it_is_a_change_of(api):
    session = begin(api, name="first")
    path = f"/sessions/{session['id']}"
    assert problem(api.patch(path, {"name": "x"}), 428)["code"] == "if_match_required"
    assert "If-Match" in wrong_fields(api.patch(path, {"name": "x"}, if_match="zero"))
    changed = api.patch(path, {"name": "second"}, if_match='"1"')
    assert (changed["ETag"], made(changed)["name"]) == ('"2"', "second")
    assert problem(api.patch(path, {"name": "third"}, if_match='"1"'), 412)["code"] == "stale"
    assert made(api.patch(path, {"name": "third"}, if_match="*"))["version"] == 3
    problem(api.delete(path), 428)
    problem(api.delete(path, if_match='"1"'), 412)
    assert api.delete(path, if_match='"3"').status_code == 204
    problem(api.get(path), 404)


def test_telemetry_raises_no_version_and_no_history(api):
    session = begin(api)
    path = f"/sessions/{session['id']}"
    got = made(api.patch(path, {"status_text": "reading", "input_tokens": 5}, if_match="*"))
    assert (got["version"], got["status_text"], got["input_tokens"]) == (1, "reading", 5)
    assert len(all_items(api, path + "/history")) == 1


def test_links_of_a_session_are_checked_and_can_be_taken_off(api):
    session, other = begin(api), begin(api)
    path = f"/sessions/{session['id']}"
    got = made(api.patch(path, {"parent_id": other["short_id"]}, if_match="*"))
    assert got["parent_id"] == other["id"]
    assert made(api.patch(path, {"parent_id": None}, if_match="*"))["parent_id"] is None
    assert "parent_id" in wrong_fields(api.patch(path, {"parent_id": session["id"]}, if_match="*"))
    problem(api.patch(path, {"project_id": "deadbeef"}, if_match="*"), 404)


def test_a_heartbeat_says_how_it_goes(api):
    session = begin(api)
    path = f"/sessions/{session['id']}"
    assert made(api.post(path + "/heartbeat"))["last_seen_at"] > session["last_seen_at"]
    got = made(
        api.post(
            path + "/heartbeat",
            {"current_state": "tool_active", "status_text": "testing", "context_used_percent": 40},
        )
    )
    assert (got["current_state"], got["status_text"]) == ("tool_active", "testing")
    assert got["context_used_percent"] == 40
    assert "current_state" in wrong_fields(
        api.post(path + "/heartbeat", {"current_state": "ended"})
    )
    made(api.post(path + "/end"))
    assert problem(api.post(path + "/heartbeat"), 409)["code"] == "session_ended"


def test_ending_twice_changes_nothing(api):
    session = begin(api)
    path = f"/sessions/{session['id']}/end"
    first = made(api.post(path, {"reason": "done", "outcome": "success", "summary": "All green."}))
    assert (first["current_state"], first["outcome"]) == ("ended", "success")
    again = made(api.post(path, {"reason": "crash", "outcome": "failure"}))
    assert again == first


def test_active_sessions_are_those_that_have_not_ended(api):
    running, ended = begin(api), begin(api)
    made(api.post(f"/sessions/{ended['id']}/end"))
    assert [row["id"] for row in all_items(api, "/sessions/active")] == [running["id"]]


def test_active_sessions_of_one_agent(workspace, api):
    begin(api)
    theirs = begin(caller(workspace, agent="codex"))
    found = all_items(api, "/sessions/active", agent="codex")
    assert [row["id"] for row in found] == [theirs["id"]]
    problem(api.get("/sessions/active", agent="nobody"), 404)


def test_recent_sessions_bring_their_summaries(api):
    begin(api, started_at="2020-01-01T00:00:00Z", name="old")
    new = begin(api, name="new", summary="It works.", prompt="x" * 500)
    (row,) = all_items(api, "/sessions/recent")
    assert (row["id"], row["summary"]) == (new["id"], "It works.")
    assert row["prompt_start"] == "x" * 200
    assert [row["name"] for row in all_items(api, "/sessions/recent", hours=1, limit=1)] == ["new"]


def test_sessions_are_counted_by_agent(workspace, api):
    codex = caller(workspace, agent="codex")
    begin(api)
    begin(api, current_state="idle")
    begin(codex)
    counts = {row["agent_name"]: row for row in made(api.get("/sessions/counts"))["items"]}
    assert counts["claude-code"]["total"] == 2
    assert counts["claude-code"]["by_state"] == {"active": 1, "idle": 1}
    assert counts["codex"]["total"] == 1


def test_sessions_are_counted_over_the_last_days(api):
    begin(api)
    begin(api, started_at=(clock.now() - timedelta(days=40)).isoformat())
    assert made(api.get("/sessions/counts"))["items"][0]["total"] == 1
    assert made(api.get("/sessions/counts", days=60))["items"][0]["total"] == 2
    assert "days" in wrong_fields(api.get("/sessions/counts", days=0))


def test_my_last_session_is_that_of_the_keys_agent(workspace, api):
    codex = caller(workspace, agent="codex")
    mine = begin(api)
    begin(codex)
    assert made(api.get("/agents/me/last-session"))["id"] == mine["id"]


def test_the_last_session_of_an_agent_is_found_by_name(workspace, api):
    caller(workspace, agent="codex")
    begin(api)
    last = begin(api)
    assert made(api.get("/agents/claude-code/last-session"))["id"] == last["id"]
    problem(api.get("/agents/codex/last-session"), 404)
    problem(api.get("/agents/nobody/last-session"), 404)


def test_history_says_who_did_what_and_outlives_the_session(api):
    session = begin(api, name="first")
    path = f"/sessions/{session['id']}"
    made(api.patch(path, {"name": "second", "reason": "clearer"}, if_match='"1"'))
    api.delete(path + "?reason=over", if_match="*")
    deleted, updated, created = all_items(api, path + "/history")
    assert (deleted["action"], deleted["reason"]) == ("delete", "over")
    assert (updated["before"], updated["after"]) == ({"name": "first"}, {"name": "second"})
    assert updated["reason"] == "clearer"
    assert (created["action"], created["actor_kind"], created["channel"]) == (
        "create",
        "key",
        "api",
    )
    assert created["actor_label"].startswith("claude-code (")


def test_deleting_a_session_takes_what_it_holds_but_no_memory(api):
    session = begin(api)
    path = f"/sessions/{session['id']}"
    event = made(api.post(path + "/events", {"event_type": "note"}))
    thread = made(api.post(path + "/threads", {}))
    memory = made(api.post("/memories", {"text": "kept", "session_id": session["id"]}))
    assert api.delete(path, if_match="*").status_code == 204
    problem(api.get(f"/events/{event['id']}"), 404)
    problem(api.get(f"/threads/{thread['id']}"), 404)
    assert made(api.get(f"/memories/{memory['id']}"))["session_id"] is None


def test_a_list_does_not_read_the_texts_it_does_not_show(api, django_assert_num_queries):
    begin(api, prompt="p", summary="s", context={"a": 1})
    (row,) = all_items(api, "/sessions")
    assert not row.keys() & {"prompt", "summary", "summary_data", "context", "metadata"}
    assert row["started_at"] <= clock.now().isoformat()


def test_a_session_that_has_ended_has_no_other_state(api):
    assert "current_state" in wrong_fields(api.post("/sessions", {"current_state": "ended"}))
    session = begin(api)
    made(api.post(f"/sessions/{session['id']}/end", {}))
    answer = api.patch(f"/sessions/{session['id']}", {"current_state": "active"}, if_match="*")
    assert problem(answer, 409)["code"] == "session_ended"


def test_a_session_begun_in_the_future_was_not_seen_there(api):
    session = begin(api, started_at="2099-01-01T00:00:00Z")
    assert session["last_seen_at"] < "2099"


def test_parents_form_no_circle(api):
    first = begin(api)
    second = begin(api, parent_id=first["id"])
    third = begin(api, parent_id=second["id"])
    for parent in (first, second, third):
        answer = api.patch(f"/sessions/{first['id']}", {"parent_id": parent["id"]}, if_match="*")
        assert "parent_id" in wrong_fields(answer)


def test_what_a_deleted_session_leaves_says_so_in_its_history(api):
    session = begin(api)
    memory = made(api.post("/memories", {"text": "It rained.", "session_id": session["id"]}))
    assert api.delete(f"/sessions/{session['id']}", if_match="*").status_code == 204
    path = f"/memories/{memory['id']}"
    left = made(api.get(path))
    assert (left["session_id"], left["version"]) == (None, 2)
    newest = made(api.get(path + "/history"))["items"][0]
    assert (newest["action"], newest["before"]) == ("unlink", {"session": session["id"]})
