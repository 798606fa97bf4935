"""Messages over REST."""

import pytest

from tests.api.caller import all_items, made, problem, wrong_fields


@pytest.fixture
def path(api):
    session = made(api.post("/sessions", {}))
    thread = made(api.post(f"/sessions/{session['id']}/threads", {}))
    return f"/threads/{thread['id']}/messages"


def test_one_message_is_appended_and_read_back(api, path):
    answer = api.post(
        path,
        {
            "role": "assistant",
            "content": "Done.",
            "blocks": [{"type": "text", "text": "Done."}],
            "model": "claude",
            "usage": {"input_tokens": 3},
            "metadata": {"a": None},
            "native_uuid": "u-1",
            "native_parent_uuid": "u-0",
            "occurred_at": "2026-01-01T00:00:00Z",
        },
    )
    got = made(answer)
    assert answer.status_code == 201
    (place,) = got["items"]
    assert (place["idx"], place["created"]) == (0, True)
    assert (got["created"], got["message_count"]) == (1, 1)
    assert answer["Location"] == f"/api/v1/messages/{place['id']}"
    message = made(api.get(f"/messages/{place['id']}"))
    assert message["thread_id"] in path
    assert (message["content"], message["usage"]) == ("Done.", {"input_tokens": 3})
    assert all_items(api, path) == [message]


def test_many_messages_are_appended_in_order(api, path):
    sent = [{"role": "user", "content": f"m{n}"} for n in range(5)]
    got = made(api.post(path, {"messages": sent}))
    assert [item["idx"] for item in got["items"]] == [0, 1, 2, 3, 4]
    assert made(api.post(path, sent[0]))["items"][0]["idx"] == 5
    forwards = all_items(api, path, limit=2)
    assert [row["idx"] for row in forwards] == [0, 1, 2, 3, 4, 5]
    assert all_items(api, path, limit=4, order="desc") == forwards[::-1]


def test_a_wrong_idx_is_refused_with_the_right_one(api, path):
    made(api.post(path, {"role": "user", "idx": 0}))
    wrong = wrong_fields(api.post(path, {"role": "user", "idx": 5}))
    assert "the thread's next message has idx 1" in wrong["idx"]
    batch = [{"role": "user", "idx": 1}, {"role": "user", "idx": 1}]
    assert list(wrong_fields(api.post(path, {"messages": batch}))) == ["messages[1].idx"]
    assert len(all_items(api, path)) == 1


def test_the_same_line_of_a_transcript_is_stored_once(api, path):
    made(api.post(path, {"role": "user", "content": "first", "native_uuid": "u"}))
    again = api.post(path, {"role": "user", "content": "second", "native_uuid": "u"})
    assert again.status_code == 200
    assert (again.json()["created"], again.json()["message_count"]) == (0, 1)
    assert [row["content"] for row in all_items(api, path)] == ["first"]


def test_errors_name_the_field_as_it_was_sent(api, path):
    assert list(wrong_fields(api.post(path, {"role": "robot"}))) == ["role"]
    assert list(wrong_fields(api.post(path, {"content": "x"}))) == ["role"]
    batch = {"messages": [{"role": "user"}, {"role": "user", "contents": "x"}]}
    assert wrong_fields(api.post(path, batch)) == {"messages[1].contents": "is not a field here"}
    assert "messages" in wrong_fields(api.post(path, {"messages": []}))
    assert "messages" in wrong_fields(api.post(path, {"messages": [{"role": "user"}] * 1001}))
    assert "body" in wrong_fields(api.post(path, [{"role": "user"}]))
    assert all_items(api, path) == []


def test_an_unknown_thread_has_no_messages(api):
    nowhere = "/threads/01990000-0000-7000-8000-000000000000/messages"
    problem(api.get(nowhere), 404)
    problem(api.post(nowhere, {"role": "user"}), 404)
