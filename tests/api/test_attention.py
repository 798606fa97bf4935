"""What needs a person, over REST: each kind, its order, its bounds, its index."""

from datetime import timedelta

from config.lib import clock
from config.lib.scope import workspace_scope
from memory.selectors_attention import needs_attention
from sessions.models import Mission, ScheduledMission, Session, Worker
from tests.api.caller import made, problem, wrong_fields
from tests.factories import make_memory, make_session

HOUR = timedelta(hours=1)


def attention(api, **query):
    return made(api.get("/attention", **query))


def kinds(api):
    return [item["kind"] for item in attention(api)["items"]]


def only(api):
    (item,) = attention(api)["items"]
    return item


def ping(api, **fields):
    return made(api.post("/pings", {"message": "Deploy?", **fields}))


def add(row, **fields):
    """A row as the runner and the scheduler leave them."""
    for name, value in fields.items():
        setattr(row, name, value)
    row.save(force_insert=True)
    return row


def mission_of(**fields):
    return add(
        ScheduledMission(name="nightly", slug="nightly", prompt="p", schedule_kind="interval",
                         schedule="3600"), **fields,
    )  # fmt: skip


def test_nothing_needs_a_person_in_a_quiet_workspace(api, workspace):
    with workspace_scope(workspace.id):
        make_session(name="at work")
        make_memory("The pump starts at noon.")
        add(Worker(primitive="build"), status="complete")
        mission_of()
    assert attention(api) == {"items": [], "more": []}


def test_an_open_ping_needs_a_person_until_it_is_settled(api):
    asked = ping(api, severity="urgent", options=["yes", "no"])
    item = only(api)
    assert (item["kind"], item["id"], item["severity"]) == ("ping", asked["id"], "urgent")
    assert item["short_id"] == asked["short_id"]
    assert item["title"] == "Deploy?"
    assert item["reason"] == "claude-code asks for an answer"
    assert item["since"] == asked["created_at"]
    assert item["link"] == f"/admin/agent_sessions/ping/{asked['id']}/change/"
    assert 0 <= item["age_seconds"] < 60
    # Acknowledged, it still wants one of its options; one that only tells something does not.
    made(api.post(f"/pings/{asked['id']}/acknowledge"))
    assert only(api)["reason"].endswith("acknowledged")
    made(api.post(f"/pings/{asked['id']}/answer", {"answer": "yes"}))
    assert kinds(api) == []
    told = ping(api)
    made(api.post(f"/pings/{told['id']}/acknowledge"))
    assert kinds(api) == []


def test_a_worker_that_asks_and_a_dead_one_need_a_person(api, workspace):
    now = clock.now()
    with workspace_scope(workspace.id):
        add(Worker(primitive="build", name="Build it"), status="awaiting_clarification",
            clarification_question="Which pump?", clarification_asked_at=now - HOUR)  # fmt: skip
        add(Worker(primitive="test"), status="failed", attempts=3, error="no\n route",
            ended_at=now - 2 * HOUR)  # fmt: skip
        mission = mission_of()
        its_worker = add(Worker(primitive="x", dedupe_key="mission:1"), status="failed")
        add(Mission(scheduled_mission=mission, scheduled_for=now - HOUR), status="failed",
            worker=its_worker, error="no space", ended_at=now)  # fmt: skip
    asks, dead, failed = attention(api)["items"]
    assert (asks["kind"], asks["severity"], asks["title"]) == (
        "clarification", "high", "Which pump?",
    )  # fmt: skip
    assert 3600 <= asks["age_seconds"] < 3700
    assert (dead["kind"], dead["title"]) == ("failed_worker", "test")
    assert dead["reason"] == "Failed after 3 attempts: no route"
    # A mission's worker is told once, by its mission.
    assert (failed["kind"], failed["title"]) == ("failed_mission", "nightly")
    assert failed["reason"] == "Failed: no space"


def test_a_mission_paused_by_its_failures_needs_a_person(api, workspace):
    with workspace_scope(workspace.id):
        mission_of(enabled=False, pause_reason="5 failures in a row", consecutive_failures=5)
        mission_of(slug="by-hand", enabled=False, pause_reason="on holiday")
    item = only(api)
    assert (item["kind"], item["reason"]) == ("paused_mission", "5 failures in a row")


def test_an_old_failure_is_history(api, workspace):
    with workspace_scope(workspace.id):
        mission = mission_of()
        old = clock.now() - timedelta(days=8)
        add(Mission(scheduled_mission=mission, scheduled_for=old), status="failed")
        spawned = clock.now() - timedelta(days=31)
        add(Worker(primitive="build", created_at=spawned), status="failed", ended_at=spawned)
    assert kinds(api) == []


def test_a_context_past_its_last_threshold_needs_a_person(api, workspace):
    with workspace_scope(workspace.id):
        full = make_session(name="Full", context_used_percent=93.4, context_warning_level=90)
        make_session(name="Half", context_warning_level=70)
        ended = make_session(name="Ended", context_warning_level=90)
        Session.objects.filter(pk=ended.pk).update(ended_at=clock.now())
    item = only(api)
    assert (item["kind"], item["id"], item["title"]) == ("full_context", str(full.id), "Full")
    assert "93 %" in item["reason"]
    assert item["link"].startswith("/admin/agent_sessions/session/")
    for thresholds, count in (([70], 2), ([95], 0), ([], 0)):
        settings = {"settings": {"context_thresholds": thresholds}}
        made(api.patch("/workspace", settings))
        assert len(kinds(api)) == count, thresholds


def test_an_orphan_needs_a_person_for_some_days(api, workspace):
    now = clock.now()
    with workspace_scope(workspace.id):
        for name, ended, reason in (
            ("lost", now - HOUR, "orphaned"),
            ("lost long ago", now - timedelta(days=4), "orphaned"),
            ("done", now, "exit"),
        ):
            row = make_session(name=name)
            Session.objects.filter(pk=row.pk).update(ended_at=ended, end_reason=reason)
    item = only(api)
    assert (item["kind"], item["severity"], item["title"]) == ("orphan", "low", "lost")


def test_a_memory_in_quarantine_needs_a_person(api, workspace):
    with workspace_scope(workspace.id):
        make_memory("Perhaps the moon waters them.", state="quarantined")
    item = only(api)
    assert (item["kind"], item["title"]) == ("review", "A memory that waits for review")


def test_the_most_severe_comes_first_then_who_waits_longest(api, workspace):
    for severity in ("low", "normal", "urgent", "high", "urgent"):
        ping(api, severity=severity, message=severity)
    with workspace_scope(workspace.id):
        make_memory("m", state="quarantined")
    items = attention(api)["items"]
    assert [item["severity"] for item in items] == [
        "urgent", "urgent", "high", "normal", "low", "low",
    ]  # fmt: skip
    assert items[0]["since"] < items[1]["since"]
    assert [item["kind"] for item in items[-2:]] == ["ping", "review"]


def test_a_kind_is_bounded_and_says_how_many_more_there_are(api):
    for n in range(5):
        ping(api, message=f"ping {n}")
    found = attention(api, per_kind=2)
    assert [item["title"] for item in found["items"]] == ["ping 0", "ping 1"]
    assert found["more"] == [{"kind": "ping", "more": 3, "at_least": False}]
    for wrong in ("0", "101", "many"):
        assert "per_kind" in wrong_fields(api.get("/attention", per_kind=wrong))
    problem(api.get("/attention", limit=3), 422)


def test_nothing_of_another_workspace_is_shown(api, stranger):
    ping(api)
    assert attention(stranger) == {"items": [], "more": []}


def test_the_number_of_queries_does_not_grow(api, workspace, django_assert_num_queries):
    for _ in range(3):
        ping(api)
    with workspace_scope(workspace.id), django_assert_num_queries(2):
        assert len(needs_attention().items) == 3
