"""Threads over REST."""

from tests.api.caller import all_items, made, problem, wrong_fields


def session_of(api):
    return made(api.post("/sessions", {}))


def thread_in(api, session, **fields):
    return made(api.post(f"/sessions/{session['id']}/threads", fields))


def test_a_thread_is_created_and_read_back(api):
    session = session_of(api)
    answer = api.post(f"/sessions/{session['id']}/threads", {"name": "main", "metadata": {"a": 1}})
    thread = made(answer)
    assert answer.status_code == 201
    assert answer["Location"] == f"/api/v1/threads/{thread['id']}"
    assert (thread["session_id"], thread["message_count"]) == (session["id"], 0)
    got = api.get(f"/threads/{thread['short_id']}")
    assert (made(got), got["ETag"]) == (thread, '"1"')


def test_a_subagents_thread_hangs_below_its_parent(api):
    session, other = session_of(api), session_of(api)
    main = thread_in(api, session)
    assert thread_in(api, session, parent_id=main["short_id"])["parent_id"] == main["id"]
    path = f"/sessions/{other['id']}/threads"
    assert "parent_id" in wrong_fields(api.post(path, {"parent_id": main["id"]}))
    problem(api.post(path, {"parent_id": "deadbeef"}), 404)


def test_threads_are_listed_per_session_and_all(api):
    session, other = session_of(api), session_of(api)
    first, second = thread_in(api, session), thread_in(api, session)
    elsewhere = thread_in(api, other)
    rows = all_items(api, f"/sessions/{session['id']}/threads", limit=1)
    assert [row["id"] for row in rows] == [first["id"], second["id"]]
    rows = all_items(api, "/threads", limit=2)
    assert [row["id"] for row in rows] == [elsewhere["id"], second["id"], first["id"]]


def test_a_thread_is_renamed_closed_and_reopened(api):
    thread = thread_in(api, session_of(api), name="first")
    path = f"/threads/{thread['id']}"
    problem(api.patch(path, {"name": "x"}), 428)
    closed = made(api.patch(path, {"name": "second", "status": "closed"}, if_match='"1"'))
    assert (closed["name"], closed["status"], closed["version"]) == ("second", "closed", 2)
    problem(api.patch(path, {"status": "open"}, if_match='"1"'), 412)
    assert made(api.patch(path, {"status": "open"}, if_match='"2"'))["status"] == "open"
    assert "status" in wrong_fields(api.patch(path, {"status": "gone"}, if_match="*"))
    assert [change["action"] for change in all_items(api, path + "/history")] == [
        "update",
        "update",
        "create",
    ]


def test_deleting_a_thread_takes_its_messages(api):
    session = session_of(api)
    thread = thread_in(api, session)
    path = f"/threads/{thread['id']}"
    message = made(api.post(path + "/messages", {"role": "user", "content": "hello"}))["items"][0]
    problem(api.delete(path), 428)
    assert api.delete(path, if_match="*").status_code == 204
    problem(api.get(path), 404)
    problem(api.get(f"/messages/{message['id']}"), 404)
    assert made(api.get(f"/sessions/{session['id']}"))["message_count"] == 0
    assert all_items(api, path + "/history")[0]["before"]["message_count"] == 1


def test_the_list_is_narrowed_by_each_filter(api):
    session, other = session_of(api), session_of(api)
    main = thread_in(api, session, external_id="t-1")
    child = thread_in(api, session, parent_id=main["id"])
    its = thread_in(api, other, external_id="t-1", source="amp")
    for query, wanted in (
        ({}, [its, child, main]),
        ({"session": session["id"]}, [child, main]),
        ({"parent": main["short_id"]}, [child]),
        ({"external_id": "t-1"}, [main]),
        ({"external_id": "t-1", "source": "amp"}, [its]),
        ({"external_id": "t-2"}, []),
    ):
        assert all_items(api, "/threads", **query) == wanted, query
    assert list(wrong_fields(api.get("/threads", source="amp"))) == ["source"]
    problem(api.get("/threads", session=main["id"]), 404)


def test_an_external_id_names_one_thread(api):
    session = session_of(api)
    first = thread_in(api, session, external_id="t-1")
    answer = api.post(f"/sessions/{session['id']}/threads", {"external_id": "t-1"})
    assert (answer.status_code, answer.json()) == (200, first)
    other = session_of(api)
    answer = api.post(f"/sessions/{other['id']}/threads", {"external_id": "t-1"})
    assert problem(answer, 409)["code"] == "external_id_taken"
