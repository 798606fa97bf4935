"""Events over REST."""

from tests.api.caller import all_items, made, problem, wrong_fields


def path_of(api):
    return f"/sessions/{made(api.post('/sessions', {}))['id']}/events"


def test_an_event_is_appended_and_read_back(api):
    path = path_of(api)
    answer = api.post(
        path,
        {
            "event_type": "tool_use",
            "text": "ran the tests",
            "data": {"tool": "bash", "exit": 0},
            "occurred_at": "2026-01-01T12:00:00+02:00",
        },
    )
    event = made(answer)
    assert answer.status_code == 201
    assert answer["Location"] == f"/api/v1/events/{event['id']}"
    assert (event["seq"], event["occurred_at"]) == (1, "2026-01-01T10:00:00Z")
    assert event["data"] == {"tool": "bash", "exit": 0}
    assert made(api.get(f"/events/{event['id']}")) == event
    assert made(api.get(f"/events/{event['short_id']}")) == event
    assert all_items(api, path) == [event]


def test_events_count_from_one_and_the_session_counts_them(api):
    path = path_of(api)
    made(api.post(path, {"event_type": "note"}))
    batch = made(
        api.post(path + "/batch", {"events": [{"event_type": "tool_use"}, {"event_type": "error"}]})
    )
    assert [item["seq"] for item in batch["items"]] == [2, 3]
    assert batch["created"] == 2
    session = made(api.get(path.removesuffix("/events")))
    counters = ("event_count", "tool_count", "error_count")
    assert [session[name] for name in counters] == [3, 1, 1]


def test_a_repeated_dedupe_key_brings_the_first_event_back(api):
    path = path_of(api)
    first = made(api.post(path, {"event_type": "note", "text": "one", "dedupe_key": "k"}))
    again = api.post(path, {"event_type": "note", "text": "two", "dedupe_key": "k"})
    assert again.status_code == 200
    assert again.json() == first
    batch = made(
        api.post(
            path + "/batch",
            {"events": [{"event_type": "note", "dedupe_key": k} for k in ("k", "l", "l")]},
        )
    )
    assert [item["created"] for item in batch["items"]] == [False, True, False]
    assert [item["seq"] for item in batch["items"]] == [1, 2, 2]


def test_events_are_listed_by_seq_either_way_and_by_type(api):
    path = path_of(api)
    events = [{"event_type": "note" if n % 2 else "tool_use"} for n in range(5)]
    made(api.post(path + "/batch", {"events": events}))
    assert [e["seq"] for e in all_items(api, path, limit=2)] == [1, 2, 3, 4, 5]
    assert [e["seq"] for e in all_items(api, path, limit=2, order="desc")] == [5, 4, 3, 2, 1]
    assert [e["seq"] for e in all_items(api, path, event_type="note")] == [2, 4]
    assert "order" in wrong_fields(api.get(path, order="sideways"))


def test_a_batch_is_taken_whole_or_not_at_all(api):
    path = path_of(api)
    good = {"event_type": "note"}
    wrong = wrong_fields(api.post(path + "/batch", {"events": [good, {"event_type": ""}]}))
    assert list(wrong) == ["events[1].event_type"]
    assert "events" in wrong_fields(api.post(path + "/batch", {"events": []}))
    assert "events" in wrong_fields(api.post(path + "/batch", {"events": [good] * 1001}))
    assert all_items(api, path) == []
    assert made(api.post(path + "/batch", {"events": [good] * 1000}))["created"] == 1000


def test_an_unknown_session_has_no_events(api):
    nowhere = "/sessions/01990000-0000-7000-8000-000000000000/events"
    problem(api.get(nowhere), 404)
    problem(api.post(nowhere, {"event_type": "note"}), 404)
    problem(api.post(nowhere + "/batch", {"events": [{"event_type": "note"}]}), 404)
