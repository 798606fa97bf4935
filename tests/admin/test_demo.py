"""The demo: what `manage.py seed_demo` makes, and that every page and list shows it."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse

from benchmarks._admin_pages import pages
from config.api import api as ninja_api
from config.lib import clock
from config.lib.scope import workspace_scope
from contacts.models import Contact, ContactEmail, Revision, Workspace
from contacts.selectors_duplicates import find_duplicates
from memory.demo.seed import DAYS, seed_demo
from memory.models import Evidence, GoldenQuery, Memory, MemoryLink, Receipt, SearchFeedback
from memory.models.links import Relation
from memory.models.memory import Kind
from memory.selectors_attention import needs_attention
from sessions.models import (
    Handoff,
    Message,
    Mission,
    Notification,
    Ping,
    Priority,
    Project,
    ScheduledMission,
    Session,
    SessionEvent,
    StagedContent,
    Task,
    Thread,
    Worker,
    WorkerOutput,
)
from sessions.models.attention import PingState
from sessions.models.worker import WorkerStatus
from tests.admin.conftest import person, signed_in
from tests.admin.pages import MAX_QUERIES, WORKSPACE_MODELS, queries_of, url
from tests.api.caller import caller, made
from tests.conftest import Making
from tests.factories import ALICE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def demo(module_rows: Making) -> Workspace:
    with module_rows():
        done = seed_demo(actor=ALICE, slug="demo", seed=1, now=clock.now())
        return Workspace.objects.get(pk=done.workspace_id)


@pytest.fixture
def inside(demo, db):
    with workspace_scope(demo.id):
        yield demo


@pytest.fixture
def gwen(demo, db):
    """She owns it."""
    return signed_in(person("gwen", (demo, "owner")))


def test_a_month_of_sessions(inside):
    rows = Session.objects.all()
    assert rows.count() == 60
    first = rows.order_by("started_at").first()
    assert timedelta(days=DAYS - 2) < clock.now() - first.started_at < timedelta(days=DAYS + 1)
    assert not rows.filter(started_at__gt=clock.now()).exists()
    assert len(set(rows.values_list("agent__name", flat=True))) >= 4
    assert len(set(rows.values_list("host", flat=True))) >= 4
    assert {"clear", "exit", "error", "orphaned"} <= set(rows.values_list("end_reason", flat=True))
    assert {"success", "failure", "unknown"} <= set(rows.values_list("outcome", flat=True))
    live = rows.filter(ended_at=None)
    assert {"active", "tool_active", "idle"} == set(live.values_list("current_state", flat=True))
    assert all(row.status_text and row.context_used_percent for row in live)
    # A conversation of several sessions: after its resets, with a handoff at each.
    parts = rows.filter(conversation_id="builder-frost-fast-path")
    assert parts.count() == 3
    assert Revision.objects.filter(action="resume").exists()
    assert Thread.objects.exclude(parent=None).count() >= 4


def test_messages_have_all_that_agents_say(inside):
    kinds = {
        block["type"] for blocks in Message.objects.values_list("blocks", flat=True)
        for block in blocks
    }  # fmt: skip
    assert {"text", "thinking", "tool_use", "tool_result"} <= kinds
    assert Message.objects.filter(content__contains="```").exists()
    assert SessionEvent.objects.filter(data__is_error=True).exists()
    session = Session.objects.get(name="INCIDENT: every alarm sent three times")
    assert session.cost_usd
    assert session.output_tokens > 100
    assert session.error_count == 1
    assert session.message_count == session.messages.count()
    said = list(session.messages.order_by("idx").values_list("occurred_at", flat=True))
    assert said == sorted(said)
    assert session.started_at < said[0]
    assert said[-1] <= session.ended_at


def test_work_in_every_state(inside):
    assert set(Worker.objects.values_list("status", flat=True)) == set(WorkerStatus.values)
    assert WorkerOutput.objects.filter(stream="stderr").exists()
    assert Project.objects.count() == 3
    assert set(Task.objects.values_list("status", flat=True)) == {"todo", "doing", "review", "done"}
    assert Task.objects.exclude(parent=None).exists()
    assert Priority.objects.filter(completed_at=None).exclude(carried_from=None).exists()
    assert len(set(Priority.objects.values_list("pool", flat=True))) == 2
    assert {"complete", "failed"} <= set(Mission.objects.values_list("status", flat=True))
    assert Mission.objects.count() > 50
    plans = ScheduledMission.objects.all()
    assert plans.filter(next_run_at__gt=clock.now()).count() >= 4
    assert plans.filter(enabled=False, pause_reason__startswith="Paused after 3").count() == 1


def test_people_and_what_is_asked_of_them(inside):
    assert {ping.state for ping in Ping.objects.all()} == set(PingState)
    assert Ping.objects.filter(resolved_at=None).exclude(options=[]).exists()
    assert StagedContent.objects.filter(dismissed_at=None, pinned=True).exists()
    assert StagedContent.objects.exclude(dismissed_at=None).exists()
    assert {"pending", "accepted", "completed", "rejected"} == set(
        Handoff.objects.values_list("status", flat=True)
    )
    assert Notification.objects.filter(notification_type="context_warning").exists()
    groups, _ = find_duplicates(cursor=None, limit=10)
    assert [{one.name for one in group.contacts} for group in groups] == [
        {"Renate Hollerbach", "R. Hollerbach"}
    ]
    assert ContactEmail.objects.count() > 10
    assert Contact.objects.exclude(last_contact_at=None).count() > 5
    assert len({one.kind for one in needs_attention(per_kind=20).items}) >= 4


def test_knowledge_of_every_kind_rests_on_messages(inside):
    rows = Memory.objects.all()
    assert set(rows.values_list("kind", flat=True)) == set(Kind.values)
    states = set(rows.values_list("state", flat=True))
    assert {"active", "quarantined", "superseded", "archived"} <= states
    assert {"operator", "verified", "agent", "external"} == set(
        rows.values_list("trust", flat=True)
    )
    relations = set(MemoryLink.objects.values_list("relation", flat=True))
    assert relations == set(Relation.values)
    resting = Evidence.objects.exclude(message=None).select_related("message")
    assert resting.count() > 30
    assert all(one.quote in one.message.content for one in resting)
    assert Receipt.objects.count() >= 10
    assert set(SearchFeedback.objects.values_list("verdict", flat=True)) >= {"useful", "wrong"}
    assert all(query.expected for query in GoldenQuery.objects.all())
    assert GoldenQuery.objects.count() >= 3


def test_nothing_looks_like_a_template(inside):
    told = Memory.objects.exclude(kind="task_execution").values_list("text", flat=True)
    names = Session.objects.values_list("name", flat=True)
    titles = Task.objects.values_list("title", flat=True)
    for texts in (list(told), list(names), list(titles)):
        assert len(set(texts)) == len(texts)
        assert not [one for one in texts if re.search(r"lorem|foo\b|todo:|example \d", one, re.I)]


@pytest.mark.parametrize("model", WORKSPACE_MODELS, ids=lambda m: m._meta.model_name)
def test_every_page_of_the_admin_shows_it(gwen, demo, model):
    assert len(queries_of(gwen, url(model, "changelist"))) <= MAX_QUERIES
    with workspace_scope(demo.id):
        # Accounts and workspaces are not the workspace's rows.
        rows = list(model.objects.order_by("-pk")[:3])
    for row in rows:
        for page in ("change", "history"):
            asked = queries_of(gwen, url(model, page, row.pk))
            assert len(asked) <= MAX_QUERIES, (page, row, [one[:150] for one in asked])


@pytest.mark.parametrize("page", ["conversation", "events", "memories", "raw"])
def test_every_session_can_be_read(gwen, demo, page):
    with workspace_scope(demo.id):
        ids = list(Session.objects.order_by("id").values_list("id", flat=True))
    for session_id in ids:
        assert gwen.get(url(Session, page, session_id)).status_code == 200


def test_what_the_benchmark_asks_costs_no_more_statements(gwen, demo):
    with workspace_scope(demo.id):
        asked = pages()
    assert len(asked) > 130
    # What a process looks up once, and keeps, is no page's.
    for warm in ("/admin/", "/admin/palette/?s=greenhouse", "/admin/search/?q=greenhouse"):
        gwen.get(warm)
    told = {page.name: len(queries_of(gwen, page.address)) for page in asked}
    over = {name: n for name, n in told.items() if n > MAX_QUERIES}
    assert not over


def test_home_and_the_pages_of_contacts(gwen, demo):
    page = gwen.get(reverse("admin:index")).content.decode()
    assert "Frost fast path, part 3" in page
    assert "Freezer run 7 of 20 on the bench" in page
    page = gwen.get("/admin/contacts/contact/duplicates/").content.decode()
    assert "R. Hollerbach" in page


LISTS = sorted(
    path
    for router in ninja_api._get_bound_routers()
    for path, view in router.path_operations.items()
    for operation in view.operations
    if "GET" in operation.methods and "{" not in path
)
# These want to be told what.
NEEDED = {
    "/context": {"q": "frost"},
    "/tasks/search": {"q": "frost"},
    "/contacts/lookup": {"email": "femke@delinde.example"},
}


@pytest.mark.parametrize("path", LISTS)
def test_every_list_of_the_api_answers(demo, db, path):
    answer = caller(demo).get(path, **NEEDED.get(path, {}))
    assert answer.status_code == 200, answer.content
    if path in ("/sessions", "/memories", "/tasks", "/workers", "/contacts", "/pings"):
        assert made(answer)["items"]
