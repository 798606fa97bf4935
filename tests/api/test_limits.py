"""Rates of keys, budgets of days and of workspaces, and what there is no room for."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config.lib import clock, room
from config.lib.errors import Conflict, NoRoom
from config.lib.scope import workspace_scope
from contacts.models import Revision, StorageCount, UsageDay
from contacts.services import allowances, keys, usage
from contacts.services.keys import LIMITS
from memory.models import HookPayload, ImportRun, Receipt
from memory.services import hooks, memories
from memory.services.hooks import map_waiting
from memory.tasks import embed_passages
from memory.tasks_hooks import map_hooks
from memory.verify import kept
from memory.verify.report import Options
from tests.api.caller import Caller, all_items, caller, made, problem, wrong_fields
from tests.factories import ALICE
from tests.mcp.speaking import Agent

SLOW, DAY = 0.01, 24 * 3600


@pytest.fixture(autouse=True)
def limited(settings, monkeypatch):
    """Each test is a process that has just begun."""
    settings.KEYS_LIMITED = True
    allowances.forget()
    monkeypatch.setattr(usage, "_waiting", {})
    room.look_anew()
    yield
    room.look_anew()


def limit(api: Caller, key_id: str = "", **limits) -> None:
    key_id = key_id or made(api.get("/me"))["key"]["id"]
    made(api.patch(f"/keys/{key_id}", limits))


# --- Requests ---------------------------------------------------------------------------------


def test_a_key_may_make_so_many_requests_and_waits_for_the_next(api):
    limit(api, rate_limit=SLOW, burst_limit=3)
    for left in (2, 1, 0):
        answer = api.get("/me")
        made(answer)
        assert answer["RateLimit-Policy"] == '"key";q=3;w=300'
        assert answer["RateLimit"].startswith(f'"key";r={left};t=')
    refused = api.get("/me")
    assert problem(refused, 429)["code"] == "too_many"
    assert 90 <= int(refused["Retry-After"]) <= 100
    assert refused["RateLimit"].startswith('"key";r=0;')


def test_a_bucket_fills_with_time(api, monkeypatch):
    limit(api, rate_limit=SLOW, burst_limit=1)
    made(api.get("/me"))
    problem(api.get("/me"), 429)
    allowances.forget()  # another process, which knows of nothing but the row
    problem(api.get("/me"), 429)
    allowances.forget()
    later = allowances.time.time() + 1 / SLOW
    monkeypatch.setattr(allowances.time, "time", lambda: later)
    made(api.get("/me"))
    allowances.forget()
    # It holds no more than fits in, and a clock that is behind takes nothing away.
    monkeypatch.setattr(allowances.time, "time", lambda: later - 10 * DAY)
    problem(api.get("/me"), 429)


def test_a_refused_or_failed_request_counts_and_nobody_elses_does(api, workspace):
    limit(api, rate_limit=SLOW, burst_limit=2)
    problem(api.get(f"/memories/{'0' * 8}-0000-7000-8000-{'0' * 12}"), 404)
    problem(api.post("/memories", {}), 422)
    problem(api.get("/me"), 429)
    made(caller(workspace, agent="another").get("/me"))


def test_mcp_and_hooks_are_held_alike(api, workspace):
    limit(api, rate_limit=SLOW, burst_limit=2)
    assert api.post("/hooks/claude-code", {"hook_event_name": "Stop"}).status_code == 200
    ask = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    headers = {"authorization": f"Bearer {api.token}", "accept": "application/json"}

    def mcp():
        return api.client.post("/mcp/", ask, content_type="application/json", headers=headers)

    assert mcp().status_code != 429
    refused = mcp()
    assert refused.status_code == 429
    assert refused["Retry-After"]
    problem(api.post("/hooks/claude-code", {"hook_event_name": "Stop"}), 429)
    with workspace_scope(workspace.id):
        assert HookPayload.objects.count() == 1


def test_most_requests_cost_no_statement(api):
    made(api.get("/me"))
    with CaptureQueriesContext(connection) as asked:
        made(api.get("/me"))
    assert not any("bucket" in q["sql"] and "UPDATE" in q["sql"] for q in asked.captured_queries)
    allowances.forget()
    with CaptureQueriesContext(connection) as asked:
        made(api.get("/me"))
    assert sum("SET bucket_granted" in q["sql"] for q in asked.captured_queries) == 1


def test_a_lease_is_lost_when_it_is_old(api, monkeypatch):
    made(api.get("/me"))
    later = allowances.time.monotonic() + allowances.LEASE_SECONDS + 1
    monkeypatch.setattr(allowances.time, "monotonic", lambda: later)
    with CaptureQueriesContext(connection) as asked:
        made(api.get("/me"))
    assert sum("SET bucket_granted" in q["sql"] for q in asked.captured_queries) == 1


def test_a_key_has_the_settings_limits_or_its_own(api, workspace, settings):
    settings.KEY_RATE, settings.KEY_BURST = 7.5, 30
    told = made(api.get("/limits"))
    assert (told["rate"], told["burst"]) == (7.5, 30)
    me = made(api.get("/me"))["key"]
    assert [me[name] for name in LIMITS] == [None] * 4
    limit(api, rate_limit=0)
    told = made(api.get("/limits"))
    assert (told["rate"], told["burst"]) == (None, None)
    assert "RateLimit" not in api.get("/me")
    limit(api, rate_limit=None, burst_limit=5, daily_rows=10)
    told = made(api.get("/limits"))
    assert (told["rate"], told["burst"], told["key"]["daily_rows"]) == (7.5, 5, 10)
    with workspace_scope(workspace.id):
        history = Revision.objects.filter(object_id=me["id"], action="limit").order_by("id")
        assert [row.after for row in history] == [
            {"rate_limit": 0}, {"rate_limit": None, "burst_limit": 5, "daily_rows": 10},
        ]  # fmt: skip


def test_limits_are_given_by_those_who_may_change_the_workspace(api, workspace):
    weak = caller(workspace, agent="weak", scopes=["keys:write", "sessions:read"])
    key_id = made(weak.get("/me"))["key"]["id"]
    problem(weak.patch(f"/keys/{key_id}", {"rate_limit": 0}), 403)
    wrong = wrong_fields(api.patch(f"/keys/{key_id}", {"rate_limit": -1, "burst_limit": 0}))
    assert set(wrong) == {"rate_limit", "burst_limit"}
    limit(api, key_id, rate_limit=5, daily_rows=9)
    # Nor does it get round them by another key, or by rotation.
    other = made(weak.post("/keys", {"agent": "weak"}))
    assert (other["rate_limit"], other["daily_rows"]) == (5, 9)
    with workspace_scope(workspace.id):
        rotated, _ = keys.rotate_key(actor=ALICE, key_id=other["id"], overlap=timedelta(0))
    assert keys.own_limits(rotated) == {
        "rate_limit": 5, "burst_limit": None, "daily_rows": 9, "daily_bytes": None,
    }  # fmt: skip


# --- What is written ----------------------------------------------------------------------------


def test_a_key_writes_so_many_rows_a_day(api):
    limit(api, daily_rows=3)  # itself a row
    for text in ("one", "two"):
        made(api.post("/memories", {"text": text}))
    refused = api.post("/memories", {"text": "three"})
    assert problem(refused, 429)["code"] == "daily_budget"
    now = clock.now()
    left = DAY - (now.hour * 3600 + now.minute * 60 + now.second)
    assert left - 5 <= int(refused["Retry-After"]) <= left + 1
    assert len(all_items(api, "/memories")) == 2
    # Also after what was counted is in the database, and where another process asks.
    usage.flush()
    allowances.forget()
    problem(api.post("/memories", {"text": "three"}), 429)
    told = made(api.get("/limits"))["key"]
    assert (told["rows"], told["daily_rows"]) == (3, 3)


def test_a_batch_counts_its_rows_and_is_refused_whole(api):
    session = made(api.post("/sessions", {"name": "n"}))["id"]
    limit(api, daily_rows=6)
    events = {"events": [{"event_type": "note", "text": str(n)} for n in range(5)]}
    problem(api.post(f"/sessions/{session}/events/batch", events), 429)
    assert all_items(api, f"/sessions/{session}/events") == []
    events["events"] = events["events"][:4]
    assert api.post(f"/sessions/{session}/events/batch", events).status_code in (200, 201)


def test_bytes_are_those_that_were_sent_to_be_written(api):
    limit(api, daily_bytes=1000)
    made(api.post("/search", {"q": "x" * 900}))
    made(api.post("/memories", {"text": "y" * 600}))
    problem(api.post("/memories", {"text": "z" * 600}), 429)
    usage.flush()
    assert 600 < made(api.get("/limits"))["key"]["bytes"] < 800


def test_what_a_tool_undid_is_not_counted(api, monkeypatch):
    agent, genuine = Agent(api.token), memories.create_memory

    def create(**asked):
        genuine(**asked)
        raise Conflict("somebody was faster")

    with monkeypatch.context() as patched:
        patched.setattr(memories, "create_memory", create)
        assert "somebody was faster" in str(agent.result("tools/call", **save("one")))
    agent.result("tools/call", **save("two"))
    usage.flush()
    assert made(api.get("/limits"))["key"]["rows"] == len(all_items(api, "/memories")) == 1


def save(text: str) -> dict[str, Any]:
    return {"name": "memory_save", "arguments": {"text": text}}


def test_a_workspace_has_a_budget_that_its_keys_share(api, workspace, settings):
    other = caller(workspace, agent="other")
    settings.DAILY_ROWS = 2
    made(api.post("/memories", {"text": "one"}))
    usage.flush()
    made(other.post("/memories", {"text": "two"}))
    problem(other.post("/memories", {"text": "three"}), 429)
    # An owner gives it more.
    with workspace_scope(workspace.id):
        workspace.settings["daily_rows"] = 100
        workspace.save()
    allowances.forget()
    made(other.post("/memories", {"text": "three"}))
    assert made(api.get("/limits"))["workspace"]["daily_rows"] == 100
    wrong = wrong_fields(api.patch("/workspace", {"settings": {"daily_rows": -1}}))
    assert set(wrong) == {"settings.daily_rows"}


def test_yesterday_is_over(api, workspace, monkeypatch):
    limit(api, daily_rows=2)
    made(api.post("/memories", {"text": "one"}))
    problem(api.post("/memories", {"text": "two"}), 429)
    usage.flush()
    tomorrow = clock.now() + timedelta(days=1)
    monkeypatch.setattr(clock, "now", lambda: tomorrow)
    made(api.post("/memories", {"text": "two"}))
    usage.flush()
    with workspace_scope(workspace.id):
        assert [day.rows for day in UsageDay.objects.order_by("day")] == [2, 1]


def test_a_workspace_may_hold_so_much(api, workspace, settings):
    made(api.post("/memories", {"text": "x" * 5000}))
    usage.flush()
    usage.measure_storage(workspace.id)
    told = made(api.get("/limits"))["workspace"]
    assert told["stored"] > 500
    assert told["measured_at"]
    settings.STORED_BYTES = told["stored"] + 1000
    allowances.forget()
    made(api.post("/memories", {"text": "y" * 700}))
    refused = api.post("/memories", {"text": "z" * 700})
    assert problem(refused, 429)["code"] == "storage_budget"
    usage.flush()
    allowances.forget()
    problem(api.post("/memories", {"text": "z" * 700}), 429)
    assert made(api.get("/limits"))["workspace"]["stored"] > told["stored"]


def test_storage_is_measured_when_due_and_verified(api, workspace):
    assert usage.measure_storage(workspace.id)
    assert not usage.measure_storage(workspace.id)
    check = next(c for c in kept.check(workspace.id, Options()) if c.name == "kept storage")
    assert (check.expected, check.findings) == (1, 0)
    with workspace_scope(workspace.id):
        StorageCount.objects.update(bytes=10**9)
    check = next(c for c in kept.check(workspace.id, Options()) if c.name == "kept storage")
    assert check.findings == 1
    with workspace_scope(workspace.id):
        # An import, which nobody's budget counts, may have brought as much since.
        run = ImportRun(source="amp", ended_at=clock.now())
        run.save(force_insert=True)
    check = next(c for c in kept.check(workspace.id, Options()) if c.name == "kept storage")
    assert (check.findings, len(check.notes)) == (0, 1)
    with workspace_scope(workspace.id):
        ImportRun.objects.update(ended_at=clock.now() - timedelta(days=1))
    check = next(c for c in kept.check(workspace.id, Options(fix=True)) if c.name == "kept storage")
    assert (check.findings, check.fixed) == (0, 1)
    with workspace_scope(workspace.id):
        assert StorageCount.objects.get().bytes < 10**9


def test_counts_that_could_not_be_written_are_written_later(api, monkeypatch):
    made(api.post("/memories", {"text": "one"}))

    def broken(*_):
        raise usage.DatabaseError

    with monkeypatch.context() as patched:
        patched.setattr(usage, "_write", broken)
        usage.flush()
    usage.flush()
    assert made(api.get("/limits"))["key"]["rows"] == 1


# --- Room -----------------------------------------------------------------------------------------


def test_without_room_nothing_is_written_and_everything_is_read(api, workspace, full):
    memory = made(api.post("/memories", {"text": "a heron at the pond"}))
    session = made(api.post("/sessions", {"name": "n"}))
    full()
    refused = api.post("/memories", {"text": "another"})
    assert problem(refused, 507)["code"] == "no_room"
    assert int(refused["Retry-After"]) > 0
    problem(api.patch(f"/memories/{memory['id']}", {"text": "new"}, if_match="*"), 507)
    problem(api.post(f"/sessions/{session['id']}/events", {"event_type": "note"}), 507)
    problem(api.post("/hooks/claude-code", {"hook_event_name": "Stop"}), 507)
    assert made(api.get(f"/memories/{memory['id']}"))["text"] == "a heron at the pond"
    with workspace_scope(workspace.id):
        before = Receipt.objects.count()
    hits = made(api.post("/search", {"q": "heron"}))["hits"]
    assert len(hits) == 1
    with workspace_scope(workspace.id):
        assert Receipt.objects.count() == before
    # Deleting makes room.
    assert api.delete(f"/sessions/{session['id']}", if_match="*").status_code in (200, 204)
    full(False)
    made(api.post("/memories", {"text": "another"}))


def test_jobs_wait_for_room_and_lose_nothing(api, workspace, full, monkeypatch):
    started = {"hook_event_name": "SessionEnd", "session_id": "s", "reason": "other"}
    with monkeypatch.context() as patched:
        patched.setattr(hooks, "map_after", lambda *_: None)
        assert api.post("/hooks/claude-code", started).status_code == 200
    full()
    map_hooks(str(workspace.id))
    embed_passages(str(workspace.id), 0)
    # One that began while there was room leaves it waiting as well.
    with pytest.raises(NoRoom):
        map_waiting(workspace.id, seconds=1)
    with workspace_scope(workspace.id):
        assert set(HookPayload.objects.values_list("state", flat=True)) == {"waiting"}
    full(False)
    map_waiting(workspace.id, seconds=1)
    with workspace_scope(workspace.id):
        assert "waiting" not in HookPayload.objects.values_list("state", flat=True)


def test_a_database_elsewhere_has_a_most_where_one_is_set(api, settings):
    settings.EMBEDDED, settings.DATABASE_BYTES = False, 1000
    room.look_anew()
    assert "may have" in problem(api.post("/memories", {"text": "one"}), 507)["detail"]
    settings.DATABASE_BYTES = 10**15
    room.look_anew()
    made(api.post("/memories", {"text": "one"}))


def test_people_see_that_there_is_no_room(client, api, workspace, full):
    told = client.get("/metrics").content.decode()
    assert "remembrancer_room 1" in told
    full()
    told = client.get("/metrics").content.decode()
    assert "remembrancer_room 0" in told
    assert "remembrancer_disk_free_bytes " in told
