"""Input that cannot be taken gets a clear problem, and nothing of it is stored."""

import orjson
import pytest
from django.test import Client

from config.lib.body import MAX_DEPTH
from config.lib.cursor import MAX_LIMIT
from tests.api.caller import Caller, all_items, made, problem, wrong_fields

NUL = "holds a NUL character at position 1; remove it"


def nested(levels: int) -> bytes:
    return b'{"text":"t","data":' + b'{"a":' * (levels - 1) + b"1" + b"}" * (levels - 1) + b"}"


# --- Bodies that are no JSON ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"text=hello", "Expecting value at line 1, column 1"),
        (b'{"text": "t",}', "line 1, column 14"),
        (b'{\n "text": t}', "line 2, column 10"),
        (b'{"text": "t"} {"text": "u"}', "Extra data at line 1, column 15"),
        (b'{"text": "\x01"}', "Invalid control character"),
        (b'{"text": NaN}', "NaN is no JSON value"),
        (b'{"text": -Infinity}', "-Infinity is no JSON value"),
        (b'{"text": "t", "confidence": 1e999}', "1e999, which is too large"),
        (b'{"text": "t", "data": {"n": ' + b"9" * 5000 + b"}}", "Exceeds the limit"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b'{"text": "\xff"}', "not UTF-8: byte 10 (0xff)"),
        ('{"text": "\ud800"}'.encode("utf-8", "surrogatepass"), "not UTF-8"),
        ('{"text": "t"}'.encode("utf-16"), "not UTF-8"),
    ],
)
def test_a_body_that_is_no_json_is_told_where(api, raw, why):
    body = problem(api.post("/memories", raw=raw), 400)
    assert body["code"] == "unreadable_body"
    assert why in body["detail"]
    assert all_items(api, "/memories") == []


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 5_000, 20_000, 200_000])
def test_a_body_nested_too_deep_is_refused(api, levels):
    body = problem(api.post("/memories", raw=nested(levels)), 400)
    assert "nested too deep" in body["detail"]
    problem(api.post("/memories", raw=b"[" * levels), 400)


def test_json_too_deep_to_store_names_its_field(api):
    assert made(api.post("/memories", raw=nested(60)))
    (name,) = wrong_fields(api.post("/memories", raw=nested(80)))
    assert name.startswith("data.a.a")


def test_a_body_that_is_too_large_is_refused(api, settings):
    settings.MAX_BODY_BYTES = settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    assert api.post("/memories", {"text": "x" * 900}).status_code == 201
    body = problem(api.post("/memories", {"text": "x" * 1000}), 413)
    assert body["code"] == "body_too_large"
    assert "1,000 bytes" in body["detail"]


def test_a_length_that_is_no_number_is_refused(api):
    answer = Client().post("/api/v1/memories", b"{}", "application/json", CONTENT_LENGTH="many")
    problem(answer, 400)


def test_a_missing_body_is_named(api):
    assert wrong_fields(api.post("/memories")) == {"body": "is required"}
    assert list(wrong_fields(api.post("/memories", raw=b"null"))) == ["body"]
    assert list(wrong_fields(api.post("/memories", raw=b'"text"'))) == ["body"]


# --- Text that cannot be stored ---------------------------------------------------------------


def calls(api: Caller, text: str) -> dict[str, tuple[str, dict]]:
    """Every kind of text field, by the name that the problem must give it."""
    session = f"/sessions/{made(api.post('/sessions', {}))['id']}"
    thread = f"/threads/{made(api.post(session + '/threads', {}))['id']}"
    good = {"role": "user"}
    return {
        "text": ("/memories", {"text": text}),
        "tags[1]": ("/memories", {"text": "t", "tags": ["a", text]}),
        "data.a": ("/memories", {"text": "t", "data": {"a": text}}),
        "metadata.a[1].b": ("/memories", {"text": "t", "metadata": {"a": [0, {"b": text}]}}),
        "affect.labels[0]": ("/memories", {"text": "t", "affect": {"labels": [text]}}),
        "evidence[0].quote": ("/memories", {"text": "t", "evidence": [{"quote": text}]}),
        "external_id": ("/memories", {"text": "t", "external_id": text}),
        "memories[1].signature": (
            "/memories/batch",
            {"memories": [{"text": "t"}, {"text": "t", "signature": text}]},
        ),
        "name": ("/sessions", {"name": text}),
        "project": ("/sessions", {"project": text}),
        "summary_data.decisions[0]": ("/sessions", {"summary_data": {"decisions": [text]}}),
        "context.k": ("/sessions", {"context": {"k": text}}),
        "event_type": (session + "/events", {"event_type": text}),
        "dedupe_key": (session + "/events", {"event_type": "note", "dedupe_key": text}),
        "events[0].data.a": (
            session + "/events/batch",
            {"events": [{"event_type": "note", "data": {"a": text}}]},
        ),
        "events[1].text": (
            session + "/events/batch",
            {"events": [{"event_type": "note"}, {"event_type": "note", "text": text}]},
        ),
        "content": (thread + "/messages", {"role": "user", "content": text}),
        "blocks[0].text": (thread + "/messages", {"role": "user", "blocks": [{"text": text}]}),
        "messages[3].content": (
            thread + "/messages",
            {"messages": [good, good, good, {"role": "user", "content": text}]},
        ),
        "messages[0].native_uuid": (
            thread + "/messages",
            {"messages": [{"role": "user", "native_uuid": text}]},
        ),
        "agent": ("/keys", {"agent": text}),
        "scopes[0]": ("/keys", {"agent": "claude-code", "scopes": [text]}),
        "email": ("/invitations", {"email": text}),
        "settings.a": ("/workspace", {"settings": {"a": text}}),
        "title": ("/projects", {"title": text}),
        "docs[0].a": ("/projects", {"title": "t", "docs": [{"a": text}]}),
        "capabilities[0]": ("/agents", {"name": "n", "capabilities": [text]}),
    }


def send(api: Caller, path: str, body: dict, raw: bytes):
    method = "PATCH" if path == "/workspace" else "POST"
    return api.call(method, path, raw=raw)


def test_a_nul_names_its_field_wherever_it_stands(api):
    for name, (path, body) in calls(api, "a\x00b").items():
        answer = send(api, path, body, orjson.dumps(body))
        assert wrong_fields(answer) == {name: NUL}, name


def test_a_lone_surrogate_names_its_field_wherever_it_stands(api):
    for name, (path, body) in calls(api, "MARK").items():
        raw = orjson.dumps(body).replace(b"MARK", b"a\\ud800b")
        found = wrong_fields(send(api, path, body, raw))
        assert list(found) == [name], name
        assert "lone surrogate" in found[name], name


def test_a_nul_or_surrogate_in_a_key_is_refused(api):
    raw = b'{"text": "t", "data": {"inner": {"a\\u0000": 1}}}'
    assert wrong_fields(api.post("/memories", raw=raw)) == {
        "data.inner": "has a key that holds a NUL character at position 1; remove it"
    }
    problem(api.post("/memories", raw=b'{"text": "t", "data": {"a\\ud800": 1}}'), 422)
    problem(api.post("/memories", raw=b'{"text": "t", "\\ud800": 1}'), 422)


def test_text_of_every_language_comes_back_as_it_was(api):
    text = "ä 漢字 עברית 🌱\u200b\u202e e\u0301 \\u0000 \r\n\t"
    memory = made(api.post("/memories", {"text": text, "data": {"k": text}}))
    assert (memory["text"], memory["data"]) == (text, {"k": text})


@pytest.mark.parametrize("raw", [b"null", b"[]", b"7", b'"text"'])
def test_a_body_that_is_no_object_is_refused(api, raw):
    assert wrong_fields(api.post("/memories", raw=raw)) == {"body": "must be a JSON object"}


# --- Values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("2026-01-01T00:00:00", "must have a time zone"),
        ("2026-01-01", "RFC 3339"),
        (1767225600, "RFC 3339"),
        ("yesterday at about noon", "Input should be a valid datetime"),
        ("0001-01-01T00:00:00+14:00", "outside the years"),
        ("9999-12-31T23:59:59-14:00", "outside the years"),
    ],
)
def test_a_time_that_is_no_moment_is_refused(api, value, why):
    wrong = wrong_fields(api.post("/memories", {"text": "t", "valid_from": value}))
    assert why in wrong["valid_from"]


def test_moments_at_the_edges_come_back(api):
    for value in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"):
        memory = made(api.post("/memories", {"text": "t", "recorded_at": value}))
        assert memory["recorded_at"] == value
    assert len(all_items(api, "/memories", limit=1)) == 2


def test_whole_numbers_of_any_size_come_back_exactly(api):
    numbers = b"[1, -9223372036854775808, 18446744073709551616, 123456789012345678901234567890]"
    answer = api.post("/memories", raw=b'{"text": "t", "data": {"n": %s}}' % numbers)
    memory = made(answer)
    assert memory["data"] == {"n": [1, -(2**63), 2**64, 123456789012345678901234567890]}
    assert made(api.get(f"/memories/{memory['id']}"))["data"] == memory["data"]


def test_numbers_that_do_not_fit_their_column_are_refused(api):
    session = made(api.post("/sessions", {}))
    path = f"/sessions/{session['id']}"
    too_big = {"input_tokens": 2**63}
    assert "input_tokens" in wrong_fields(api.patch(path, too_big, if_match="*"))
    assert "input_tokens" in wrong_fields(api.patch(path, {"input_tokens": -1}, if_match="*"))
    assert "cost_usd" in wrong_fields(api.patch(path, {"cost_usd": 1e12}, if_match="*"))
    assert "cost_usd" in wrong_fields(api.patch(path, {"cost_usd": -0.5}, if_match="*"))


def test_what_is_too_long_says_how_long_it_may_be(api):
    wrong = wrong_fields(api.post("/sessions", {"name": "x" * 301, "external_id": "y" * 301}))
    assert wrong == {
        "name": "is too long; at most 300 characters are kept",
        "external_id": "is too long; at most 300 characters are kept",
    }
    wrong = wrong_fields(api.post("/memories", {"text": "t", "tags": ["x" * 101]}))
    assert wrong == {"tags[0]": "has 101 characters; at most 100 are kept"}
    # Within the limit, though an index entry of it would be too large for PostgreSQL.
    path = f"/sessions/{made(api.post('/sessions', {}))['id']}"
    made(api.patch(path, {"conversation_id": "漢" * 120}, if_match="*"))


def test_a_large_event_is_taken_and_found_in_the_list(api):
    path = f"/sessions/{made(api.post('/sessions', {}))['id']}/events"
    event = made(api.post(path, {"event_type": "note", "text": "lorem ipsum " * 80_000}))
    assert len(made(api.get(f"/events/{event['id']}"))["text"]) == 960_000
    too_long = {"event_type": "note", "text": "x" * 1_000_001}
    assert "text" in wrong_fields(api.post(path, too_long))
    too_much = {"event_type": "note", "data": {"a": "x" * 1_048_576}}
    assert "1,048,576" in wrong_fields(api.post(path, too_much))["data"]


def test_a_field_nobody_knows_is_refused(api):
    answer = api.post("/memories", {"text": "t", "txet": "u", "affect": {"mood": 1}})
    assert wrong_fields(answer) == {
        "txet": "is not a field here",
        "affect.mood": "is not a field here",
    }


# --- Query strings and addresses --------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": MAX_LIMIT + 1}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"cursor": "!"}, "cursor"),
        ({"cursor": "e30"}, "cursor"),
        ({"cursor": "W10"}, "cursor"),
        ({"cursor": "x\x00"}, "cursor"),
        ({"since": "2026-01-01T00:00:00"}, "since"),
        ({"state": "asleep"}, "state"),
        ({"agent": "a\x00"}, "agent"),
        ({"name": "a\x00"}, "name"),
        ({"conversation_id": "a\x00"}, "conversation_id"),
    ],
)
def test_a_wrong_parameter_is_named(api, query, name):
    assert list(wrong_fields(api.get("/sessions", **query))) == [name]


def test_a_parameter_nobody_knows_is_refused(api):
    """Else a filter with a typing error would answer everything."""
    wrong = wrong_fields(api.get("/sessions/active", agnet="codex"))
    assert wrong == {"agnet": "is not a parameter here; there are agent, cursor, limit"}
    assert "x" in wrong_fields(api.get("/me", x="1"))


def cursor_of(*values) -> str:
    import base64

    return base64.urlsafe_b64encode(orjson.dumps(values)).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("/sessions", ["2026-01-01T00:00:00", "01990000-0000-7000-8000-000000000000"]),
        ("/sessions", ["2026-01-01T00:00:00Z", "nobody"]),
        ("/sessions", ["2026-01-01T00:00:00Z", 5]),
        ("/sessions", [True, True]),
        ("/sessions", [{"a": 1}, []]),
        ("/agents", ["a\x00"]),
        ("/agents", ["x" * 1000]),
        ("EVENTS", [10**15]),
        ("EVENTS", ["five"]),
        ("EVENTS", [-1]),
        ("EVENTS", [True]),
    ],
)
def test_a_forged_cursor_is_refused(api, path, values):
    if path == "EVENTS":
        path = f"/sessions/{made(api.post('/sessions', {}))['id']}/events"
    assert list(wrong_fields(api.get(path, cursor=cursor_of(*values)))) == ["cursor"]


def test_what_is_no_id_is_not_found(api):
    for text in ("x", "%00", "%ED%A0%80", "%FF", "a" * 500, "1234567", "'; DROP TABLE x; --"):
        problem(api.get(f"/sessions/{text}"), 404 if text != "%00" else 422)


def test_an_id_that_two_rows_end_in_is_ambiguous(api, workspace):
    import uuid

    from config.lib.scope import workspace_scope
    from sessions.models import Session
    from tests.factories import make_agent

    tail = "0123456789ab"
    with workspace_scope(workspace.id):
        for head in (1, 2):
            Session.objects.create(
                id=uuid.UUID(f"0199000{head}-0000-7000-8000-{tail}"),
                agent=make_agent(),
                conversation_id="c",
            )
    assert problem(api.get(f"/sessions/{tail}"), 409)["code"] == "ambiguous_id"
    assert made(api.get(f"/sessions/01990001-0000-7000-8000-{tail}"))
    assert made(api.get(f"/sessions/1-0000-7000-8000-{tail}"))


# --- Every failure has the same shape -----------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/sessions/", 404),
        ("GET", "/", 404),
        ("PUT", "/sessions", 405),
        ("POST", "/me", 405),
        ("OPTIONS", "/sessions", 405),
    ],
)
def test_unknown_addresses_and_methods_are_problems(api, method, path, status):
    answer = api.call(method, path)
    problem(answer, status)
    assert ("Allow" in answer) == (status == 405)


def test_outside_the_version_too(db):
    problem(Client().get("/api/"), 404)
    problem(Client().get("/api/v2/sessions"), 404)


def test_a_host_we_do_not_answer_to_is_a_problem(db):
    problem(Client().get("/api/v1/me", headers={"host": "evil.example"}), 400)


def test_our_own_failure_is_a_problem_without_its_cause(api, monkeypatch):
    def broken(**asked):
        raise RuntimeError("the secret inside")

    monkeypatch.setattr("sessions.selectors.count_sessions_by_agent", broken)
    body = problem(api.get("/sessions/counts"), 500)
    assert "secret" not in str(body)


def test_a_page_of_the_admin_is_no_problem(db):
    assert Client().get("/nothing")["Content-Type"].startswith("text/html")
    assert Client().get("/")["Location"] == "/admin/"
