"""Every operation of the API, new ones too, refuses whoever may not use it."""

import re
import uuid
from datetime import timedelta

import pytest

from config.api import api as ninja_api
from config.lib import clock
from config.lib.scope import workspace_scope
from contacts.api.auth import KeyAuth
from contacts.models import ApiKey, Revision, Workspace
from contacts.scopes import SCOPES
from contacts.services import funnel
from contacts.services.keys import revoke_key
from memory.models import ConsolidationRun, MemoryDuplicate
from tests.api.caller import Caller, caller, made, problem
from tests.conftest import Making
from tests.factories import ALICE, NOBODYS_ID, make_key, make_workspace

OPERATIONS = [
    (operation.operation_id, method, path, operation)
    for router in ninja_api._get_bound_routers()
    for path, view in router.path_operations.items()
    for operation in view.operations
    for method in operation.methods
]
OWN_ROWS = [case for case in OPERATIONS if "{" in case[2]]

# The least body that an operation with an id in its path takes.
BODIES = {
    "update_agent": {"kind": "amp"},
    "limit_key": {"rate_limit": 5},
    "update_project": {"pinned": True},
    "update_session": {"name": "x"},
    "update_thread": {"name": "x"},
    "update_memory": {"text": "x"},
    "append_event": {"event_type": "note"},
    "append_events": {"events": [{"event_type": "note"}]},
    "create_thread": {},
    "append_messages": {"role": "user"},
    "accept_handoff": {"session_id": NOBODYS_ID},
    "update_worker": {"name": "x"},
    "answer_worker": {"answer": "x"},
    "snooze_worker": {"duration": "1h"},
    "beat_worker": {"lease_id": NOBODYS_ID},
    "report_worker_progress": {"lease_id": NOBODYS_ID},
    "append_worker_output": {"lease_id": NOBODYS_ID, "pieces": [{"text": "x"}]},
    "ask_about_worker": {"lease_id": NOBODYS_ID, "question": "x"},
    "complete_worker": {"lease_id": NOBODYS_ID},
    "fail_worker": {"lease_id": NOBODYS_ID, "error": "x"},
    "release_worker": {"lease_id": NOBODYS_ID},
    "update_scheduled_mission": {"name": "x"},
    "backfill_scheduled_mission": {
        "since": "2026-01-01T00:00:00Z",
        "until": "2026-01-02T00:00:00Z",
    },
    "update_task": {"title": "x"},
    "move_task": {"place": "top"},
    "update_priority": {"content": "x"},
    "move_priority": {"place": "top"},
    "answer_ping": {"answer": "x"},
    "update_ping_channel": {"enabled": False},
    "update_staged_content": {"title": "x"},
    "move_staged_content": {"position": 1},
    "create_memory_link": {"target_id": NOBODYS_ID, "relation": "related"},
    "update_contact": {"name": "x"},
    "give_search_feedback": {"id": NOBODYS_ID, "verdict": "useful"},
    "pin_search": {},
    "update_golden_query": {"within": 5},
    "merge_contacts": {"source_id": NOBODYS_ID},
    "rename_tag": {"name": "x"},
    "merge_memories": {"keep": "older"},
    "undo_change": {},
    "run_erasure": {"confirm": "a term"},
}


def named(cases):
    return pytest.mark.parametrize(
        ("method", "path", "operation"),
        [case[1:] for case in cases],
        ids=[case[0] for case in cases],
    )


def fill(path: str, row_id: str = NOBODYS_ID) -> str:
    return re.sub(r"{\w+}", row_id, path)


def test_the_table_is_not_empty():
    assert len(OPERATIONS) > 50
    assert len({case[0] for case in OPERATIONS}) == len(OPERATIONS)


@named(OPERATIONS)
def test_every_operation_asks_for_a_key_and_a_known_scope(method, path, operation):
    (auth,) = operation.auth_callbacks
    assert isinstance(auth, KeyAuth)
    assert auth.scope is None or auth.scope in SCOPES


@pytest.fixture(scope="module")
def orangery(module_rows: Making) -> Workspace:
    with module_rows():
        return make_workspace("orangery")


@pytest.fixture(scope="module")
def dead_tokens(module_rows: Making, orangery: Workspace) -> list[str | None]:
    """None, no token at all, and those of keys that open nothing."""
    with module_rows():
        expiring, expired = make_key(orangery, expires_at=clock.now() + timedelta(hours=1))
        revoked_key, revoked = make_key(orangery)
        with workspace_scope(orangery.id):
            past = clock.now() - timedelta(seconds=1)
            ApiKey.objects.filter(pk=expiring.pk).update(expires_at=past)
            revoke_key(actor=ALICE, key_id=revoked_key.id)
        _, live = make_key(orangery)
    flipped = live[:-10] + ("A" if live[-10] != "A" else "B") + live[-9:]
    return [None, "", "garbage", "rmb_a_b", flipped, expired, revoked]


@pytest.fixture(scope="module")
def weak_callers(module_rows: Making, orangery: Workspace) -> dict[str, Caller]:
    """By scope: a program whose key has all others."""
    with module_rows():
        return {
            scope: caller(orangery, scopes=[other for other in SCOPES if other != scope])
            for scope in SCOPES
        }


@named(OPERATIONS)
@pytest.mark.django_db
def test_nobody_gets_in_without_a_live_key(dead_tokens, method, path, operation):
    bodies = set()
    for token in dead_tokens:
        answer = Caller(token).call(method, fill(path))
        body = problem(answer, 401)
        assert answer["WWW-Authenticate"].startswith("Bearer")
        bodies.add((body["detail"], body["code"]))
    assert len(bodies) == 1, "a refusal must not say why"


@named([case for case in OPERATIONS if case[3].auth_callbacks[0].scope is not None])
@pytest.mark.django_db
def test_a_key_without_the_scope_is_refused(weak_callers, method, path, operation):
    scope = operation.auth_callbacks[0].scope
    body = problem(weak_callers[scope].call(method, fill(path)), 403)
    assert body["code"] == "scope_missing"
    assert scope in body["detail"]


def make_rows(api: Caller, workspace: Workspace) -> dict[str, str]:
    """One row of each kind in alice's workspace, by the name of the path's parameter."""
    conversation = str(uuid.uuid4())
    fields = {"project": "greenhouse", "conversation_id": conversation}
    session = made(api.post("/sessions", fields))
    in_session = f"/sessions/{session['id']}"
    thread = made(api.post(in_session + "/threads", {}))
    message = made(api.post(f"/threads/{thread['id']}/messages", {"role": "user"}))["items"][0]
    event = made(api.post(in_session + "/events", {"event_type": "note"}))
    memory, other = (made(api.post("/memories", {"text": text})) for text in ("a", "b"))
    to_other = {"target_id": other["id"], "relation": "related"}
    link = made(api.post(f"/memories/{memory['id']}/links", to_other))
    worker = made(api.post("/workers", {"primitive": "research"}))
    contact = made(api.post("/contacts", {"name": "Ada", "tags": ["client"]}))
    tag = made(api.get("/tags"))["items"][0]
    body = {"name": "x", "prompt": "x", "schedule_kind": "cron", "schedule": "@daily"}
    scheduled = made(api.post("/scheduled-missions", body))
    mission = made(api.post(f"/scheduled-missions/{scheduled['id']}/run"))
    ping = made(api.post("/pings", {"message": "m"}))
    mail = {"name": "mail", "kind": "email", "target": "alice@example.org"}
    channel = made(api.post("/ping-channels", mail))
    staged = made(api.post("/staged-content", {"content_type": "draft", "title": "t"}))
    key = made(api.get("/me"))["key"]
    made(api.post("/hooks/claude-code", {"hook_event_name": "Stop", "session_id": "s"}))
    (payload,) = made(api.get("/hook-payloads"))["items"]
    search = made(api.post("/search", {"q": "a b", "mode": "lexical"}))["receipt_id"]
    pinned = {"name": "g", "request": {"q": "x"}, "expected": [memory["id"]]}
    golden = made(api.post("/golden-queries", pinned))
    handoff = made(api.post("/handoffs", {"from_session_id": session["id"], "content": "c"}))
    (notification,) = made(api.get("/notifications"))["items"]
    erasure = made(api.post("/erasures", {"kind": "term", "term": "a term"}))
    body = {"kind": "session", "target_id": session["id"]}
    unlearning = made(api.post("/unlearnings", body))
    with workspace_scope(workspace.id):
        pair = MemoryDuplicate(
            older_id=memory["id"], newer_id=other["id"], similarity=0.95, overlap=0.8
        )
        duplicate = str(funnel.create(pair, actor=ALICE).pk)
        told = ConsolidationRun(actor_label="alice")
        consolidation = str(funnel.create(told, actor=ALICE).pk)
        revision = Revision.objects.filter(object_id=memory["id"]).latest("id")
    return {
        "session_id": session["id"],
        "project_id": session["project_id"],
        "agent": session["agent_id"],
        "thread_id": thread["id"],
        "message_id": message["id"],
        "event_id": event["id"],
        "memory_id": memory["id"],
        "link_id": link["id"],
        "worker_id": worker["id"],
        "scheduled_mission_id": scheduled["id"],
        "mission_id": mission["id"],
        "ping_id": ping["id"],
        "channel_id": channel["id"],
        "staged_id": staged["id"],
        "key_id": key["id"],
        "conversation_id": conversation,
        "handoff_id": handoff["id"],
        "notification_id": notification["id"],
        "contact_id": contact["id"],
        "tag": tag["id"],
        "task_id": made(api.post("/tasks", {"title": "t"}))["id"],
        "search_id": search,
        "golden_id": golden["id"],
        "run_id": made(api.post("/golden-queries/run"))["id"],
        "priority_id": made(api.post("/priorities", {"content": "p"}))["id"],
        "duplicate_id": duplicate,
        "payload_id": payload["id"],
        "object_id": memory["id"],
        "revision_id": str(revision.pk),
        "consolidation_id": consolidation,
        "event": "Stop",
        "erasure_id": erasure["id"],
        "unlearning_id": unlearning["id"],
    }


@pytest.fixture
def rows(api: Caller, workspace: Workspace) -> dict[str, str]:
    return make_rows(api, workspace)


def test_every_row_of_another_workspace_is_not_found(api, stranger, rows):
    for name, method, path, _ in OWN_ROWS:
        for digits in (36, 12):
            theirs = re.sub(r"{(\w+)}", lambda match, n=digits: rows[match[1]][-n:], path)
            answer = stranger.call(method, theirs, BODIES.get(name), if_match="*")
            body = problem(answer, 404)
            nobodys = stranger.call(
                method, fill(path, NOBODYS_ID[-digits:]), BODIES.get(name), if_match="*"
            )
            assert shape(body) == shape(problem(nobodys, 404)), name
    # The very same calls by their owner are no 404s, so the above proves something.
    for name, method, path, _ in OWN_ROWS:
        if method == "GET":
            own = re.sub(r"{(\w+)}", lambda match: rows[match[1]], path)
            assert api.get(own).status_code == 200, name


def shape(body):
    """A 404 without what the caller sent and without the request's own id."""
    detail = re.sub(r"[0-9a-f-]{12,36}", "ID", body["detail"])
    return {**body, "detail": detail, "request_id": ""}


def test_no_body_or_filter_reaches_into_another_workspace(stranger, rows):
    session = made(stranger.post("/sessions", {}))
    memory = made(stranger.post("/memories", {"text": "t"}))
    contact = made(stranger.post("/contacts", {"name": "Charlie"}))
    thread = made(stranger.post(f"/sessions/{session['id']}/threads", {}))
    events, messages = rows["event_id"], rows["message_id"]
    task = made(stranger.post("/tasks", {"title": "t"}))
    priority = made(stranger.post("/priorities", {"content": "p"}))
    calls = [
        ("POST", "/tasks", {"title": "t", "project_id": rows["project_id"]}),
        ("POST", "/tasks", {"title": "t", "parent_id": rows["task_id"]}),
        ("POST", "/tasks", {"title": "t", "session_id": rows["session_id"]}),
        ("PATCH", f"/tasks/{task['id']}", {"project_id": rows["project_id"]}),
        ("PATCH", f"/tasks/{task['id']}", {"parent_id": rows["task_id"]}),
        ("POST", f"/tasks/{task['id']}/move", {"after": rows["task_id"]}),
        ("POST", "/tasks/bulk-status", {"task_ids": [rows["task_id"]], "status": "done"}),
        ("POST", "/tasks/bulk-archive", {"task_ids": [task["id"], rows["task_id"]]}),
        ("GET", f"/tasks?project={rows['project_id']}", None),
        ("GET", f"/tasks?parent={rows['task_id']}", None),
        ("GET", f"/tasks/search?q=t&parent={rows['task_id']}", None),
        ("POST", f"/priorities/{priority['id']}/move", {"before": rows["priority_id"]}),
        ("POST", "/sessions", {"parent_id": rows["session_id"]}),
        ("POST", "/sessions", {"project": rows["project_id"]}),
        ("PATCH", f"/sessions/{session['id']}", {"project_id": rows["project_id"]}),
        ("PATCH", f"/sessions/{session['id']}", {"parent_id": rows["session_id"]}),
        ("POST", f"/sessions/{session['id']}/threads", {"parent_id": rows["thread_id"]}),
        ("POST", "/keys", {"agent": rows["agent"]}),
        ("POST", "/memories", {"text": "t", "session_id": rows["session_id"]}),
        ("POST", "/memories", {"text": "t", "project_id": rows["project_id"]}),
        ("POST", "/memories", {"text": "t", "about": [{"contact": rows["contact_id"]}]}),
        ("POST", "/memories", {"text": "t", "about": [{"project": rows["project_id"]}]}),
        ("PATCH", f"/memories/{memory['id']}", {"about": [{"contact": rows["contact_id"]}]}),
        ("POST", f"/contacts/{contact['id']}/merge", {"source_id": rows["contact_id"]}),
        ("GET", f"/memories?about_contact={rows['contact_id']}", None),
        ("POST", "/memories", {"text": "t", "parents": [rows["memory_id"]]}),
        ("POST", "/memories", {"text": "t", "causes": [rows["memory_id"]]}),
        ("POST", "/memories", {"text": "t", "evidence": [{"message_id": messages}]}),
        ("POST", "/memories", {"text": "t", "evidence": [{"event_id": events}]}),
        ("PATCH", f"/memories/{memory['id']}", {"session_id": rows["session_id"]}),
        (
            "POST",
            f"/memories/{memory['id']}/links",
            {"target_id": rows["memory_id"], "relation": "related"},
        ),
        ("POST", "/pings", {"message": "m", "session_id": rows["session_id"]}),
        (
            "POST",
            "/staged-content",
            {"content_type": "d", "title": "t", "session_id": rows["session_id"]},
        ),
        ("GET", f"/pings?session={rows['session_id']}", None),
        ("GET", f"/pings?agent={rows['agent']}", None),
        ("GET", f"/staged-content?session={rows['session_id']}", None),
        ("GET", f"/sessions?agent={rows['agent']}", None),
        ("GET", f"/searches?agent={rows['agent']}", None),
        ("GET", f"/sessions?project={rows['project_id']}", None),
        ("GET", f"/sessions?parent={rows['session_id']}", None),
        ("GET", f"/memories?session={rows['session_id']}", None),
        ("POST", "/workers", {"primitive": "x", "session_id": rows["session_id"]}),
        ("GET", f"/scheduled-missions?project={rows['project_id']}", None),
        ("GET", f"/missions?scheduled_mission={rows['scheduled_mission_id']}", None),
        ("GET", f"/executions?worker={rows['worker_id']}", None),
        ("GET", f"/executions?mission={rows['mission_id']}", None),
        (
            "POST",
            "/scheduled-missions",
            {
                "name": "x",
                "prompt": "x",
                "schedule_kind": "cron",
                "schedule": "@daily",
                "project_id": rows["project_id"],
            },
        ),
        ("POST", "/workers/claim", {"session_id": rows["session_id"]}),
        ("GET", f"/workers?session={rows['session_id']}", None),
        ("GET", f"/workers?claimed_by={rows['agent']}", None),
        ("GET", f"/hook-payloads?agent={rows['agent']}", None),
        ("GET", f"/hook-payloads?session={rows['session_id']}", None),
        ("GET", f"/briefing?session={rows['session_id']}", None),
        ("GET", f"/briefing?project={rows['project_id']}", None),
    ]
    for method, path, body in calls:
        problem(stranger.call(method, path, body, if_match="*"), 404)
    assert made(stranger.get(f"/threads/{thread['id']}"))["parent_id"] is None
