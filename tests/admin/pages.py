"""What admin tests share: rows of every model, addresses, forms filled in from their page."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from config.lib import clock
from config.lib.scope import workspace_scope
from contacts.models import (
    Agent,
    ApiKey,
    BulkRun,
    Contact,
    Erasure,
    Invitation,
    Membership,
    Revision,
    RevisionSeal,
    Tag,
    Workspace,
)
from contacts.models.erasure import ErasureKind
from contacts.services import funnel
from contacts.services.addresses import Labelled
from contacts.services.bulk import propose
from contacts.services.contacts import create_contact
from contacts.services.keys import create_key
from contacts.services.workspaces import invite_person
from memory.models import (
    ConsolidationRun,
    EmbeddingSpace,
    GoldenQuery,
    GoldenRun,
    HookPayload,
    ImportRun,
    Memory,
    MemoryDuplicate,
    ModelUse,
    Passage,
    Receipt,
    SearchFeedback,
    Transcript,
    Unlearning,
)
from memory.models.unlearning import UnlearningKind
from memory.search.funnel import search
from memory.search.schemas import SearchQuery
from memory.services.about import About
from memory.services.erasures import propose_erasure
from memory.services.golden import check_golden, pin_receipt
from memory.services.memories import NewEvidence, NewMemory, create_memory, link_memories
from memory.services.receipts import give_feedback, keep
from memory.services.unlearning import propose_unlearning
from sessions.models import (
    Handoff,
    Message,
    Mission,
    Notification,
    Ping,
    PingChannel,
    PingDelivery,
    Priority,
    Project,
    RawLine,
    ScheduledMission,
    Session,
    SessionEvent,
    StagedContent,
    Task,
    Thread,
    Worker,
    WorkerOutput,
)
from sessions.services.events import NewEvent, append_events
from sessions.services.handoffs import create_handoff
from sessions.services.mission_starts import run_now
from sessions.services.missions import create_mission
from sessions.services.priorities import create_priority
from sessions.services.projects import create_project
from sessions.services.tasks import create_task
from sessions.services.threads import NewMessage, append_messages
from sessions.services.workers import spawn_worker
from tests.admin.attention_rows import fill_attention
from tests.factories import ALICE, make_agent, make_session, make_thread

# Statements of the transaction itself, which no page can save.
_CONTROL = re.compile(r"^\s*(SAVEPOINT|RELEASE|ROLLBACK|SET LOCAL|BEGIN|COMMIT)")
MAX_QUERIES = 12


@dataclass
class Rows:
    """One row of each model of the admin, and a second memory linked to the first."""

    by_model: dict[type[Model], Any]

    def __getitem__(self, model: type[Model]) -> Any:
        return self.by_model[model]


def fill(workspace: Workspace) -> Rows:
    """One row of each model, as their services make them."""
    with workspace_scope(workspace.id):
        agent = make_agent()
        key, _ = create_key(actor=ALICE, agent=agent, name="nightly")
        invitation, _ = invite_person(actor=ALICE, email="new@example.com")
        project = create_project(actor=ALICE, title="Greenhouse")
        session = make_session(agent=agent, project=project.id, name="Water the seedlings")
        thread = make_thread(session, name="main")
        (message, *_), _ = append_messages(
            actor=ALICE,
            thread_id=thread.id,
            messages=[
                NewMessage(role="user", content="When does the pump start?"),
                NewMessage(role="assistant", content="At **noon**."),
            ],
        )
        (event,), _ = append_events(
            actor=ALICE,
            session_id=session.id,
            events=[NewEvent(event_type="tool_use", text="Read: pump.py", data={"a": 1})],
        )
        line = RawLine(
            session=session, file="a/b.jsonl", line_no=1, byte_offset=0, line_key="k",
            digest=b"x" * 32, raw='{"type": "user"}',
        )  # fmt: skip
        line.save(force_insert=True)
        evidence = [NewEvidence(message_id=message.id, quote="the pump")]
        fields = {"session_id": session.id, "project_id": project.id, "tags": ["pump"]}
        memory, _ = create_memory(
            actor=ALICE,
            new=NewMemory(text="The pump starts at noon.", fields=fields, evidence=evidence),
        )
        contact = create_contact(
            actor=ALICE,
            fields={
                "name": "Ada Lovelace", "emails": [Labelled("ada@example.com", "work")],
                "phones": [Labelled("+41446681800")], "tags": ["client"],
            },
        )  # fmt: skip
        about = [About(contact_id=contact.id)]
        other, _ = create_memory(actor=ALICE, new=NewMemory(text="Noon is at 12.", about=about))
        link_memories(actor=ALICE, source_id=memory.id, target_id=other.id, relation="supports")
        pair = MemoryDuplicate(older=memory, newer=other, similarity=0.95, overlap=0.8)
        funnel.create(pair, actor=ALICE)
        space = EmbeddingSpace.objects.first() or EmbeddingSpace.objects.create(
            provider="local", model="m", dimensions=384
        )
        passage = Passage.objects.first()
        if passage is None:
            passage = Passage.objects.create(
                of_memory=memory, kind="memory", occurred_at=memory.recorded_at,
                text=memory.text, lexical=memory.text,
            )  # fmt: skip
        handoff, _ = create_handoff(
            actor=ALICE, from_session_id=session.id, content="Water the **rest**."
        )
        notification = Notification.objects.get(entity_id=str(handoff.id))
        worker, _ = spawn_worker(actor=ALICE, primitive="research", name="Pump")
        printed = WorkerOutput(worker=worker, seq=1, attempt=1, text="pumping")
        printed.save(force_insert=True)
        scheduled, _ = create_mission(
            actor=ALICE, name="Water", prompt="Water.", schedule_kind="cron", schedule="@daily"
        )
        mission = run_now(actor=ALICE, scheduled_id=scheduled.pk)
        task, _ = create_task(actor=ALICE, title="Repot the fern", project_id=project.id)
        priority, _ = create_priority(actor=ALICE, content="Water the ferns")
        asked = SearchQuery(q="pump", mode="lexical")
        answer = search(query=asked)
        kept = keep(query=asked, answer=answer, took_ms=1.0, actor=ALICE)
        receipt = Receipt.objects.get(pk=kept)
        feedback = give_feedback(
            actor=ALICE, receipt=str(receipt.pk), hit_id=str(answer.hits[0].id), verdict="useful"
        )
        golden = pin_receipt(actor=ALICE, receipt=receipt)
        hooked = HookPayload(
            agent=agent, dialect="claude-code", event="Sneeze", session_name="s", dedupe_key="k",
            payload={"a": 1}, state="unmapped", reason="unknown event", session=session,
        )  # fmt: skip
        hooked.save(force_insert=True)
        uploaded = Transcript(
            dialect="claude-code", session_name="s", file="main", session=session, taken=10,
            seen=20, gaps=[[2, 4]],
        )  # fmt: skip
        uploaded.save(force_insert=True)
        used = ModelUse(day="2026-03-10", calls=3, tokens=50_000)
        used.save(force_insert=True)
        seal = RevisionSeal(
            position=1, previous=bytes(32), digest=bytes(32), count=1, sealed_at=clock.now()
        )
        seal.save(force_insert=True)
        run = propose(
            actor=ALICE, model="agent_sessions.task", action="done", title="Done: tasks", total=1
        )
        imported = ImportRun(
            source="experience-store", path="raw_store.db", state="done", actor_label="alice",
            counts={"experience": dict.fromkeys(
                ("total", "read", "created", "updated", "unchanged", "skipped", "older"), 1)},
        )  # fmt: skip
        funnel.append([imported], actor=ALICE)
        erasure = propose_erasure(
            actor=ALICE, kind=ErasureKind.TERM, term="Nobody of this name", job=False
        )
        unit = propose_unlearning(actor=ALICE, kind=UnlearningKind.SESSION, target_id=session.id)
        told = ConsolidationRun(
            state="held", hides=True, read=3, would_hide=3, of=4, held="It would archive 3 of 4.",
            actor_label="alice", groups=[{"title": "Monday", "sources": [str(memory.pk)],
                                          "memory": str(other.pk), "told": [str(memory.pk)]}],
        )  # fmt: skip
        funnel.create(told, actor=ALICE)
        rows = [unit, agent, key, invitation, run, erasure, project, session, thread, message,
                event, line, memory, pair, space, passage, handoff, notification, worker, printed,
                contact, scheduled, mission, task, priority, seal, Tag.objects.first(),
                Revision.objects.first(), Membership.objects.first(), workspace,
                receipt, feedback, golden, hooked, uploaded, used, imported, told,
                *fill_attention(session)]  # fmt: skip
    rows.append(check_golden(workspace.id))
    return Rows({type(row): row for row in rows})


WORKSPACE_MODELS: list[type[Model]] = [
    Agent, ApiKey, Invitation, Membership, Revision, Workspace, Project, Session, SessionEvent,
    Thread, Message, RawLine, Memory, MemoryDuplicate, Passage, EmbeddingSpace, Handoff,
    Notification, Worker, WorkerOutput, Contact, Tag, ScheduledMission, Mission, Task, Priority,
    RevisionSeal, Ping, PingChannel, PingDelivery, StagedContent, Receipt, SearchFeedback,
    GoldenQuery, GoldenRun, HookPayload, Transcript, ModelUse, BulkRun, ImportRun, Erasure,
    Unlearning, ConsolidationRun,
]  # fmt: skip
READ_ONLY: list[type[Model]] = [
    Revision, SessionEvent, Message, RawLine, MemoryDuplicate, Passage, EmbeddingSpace, Handoff,
    Notification, WorkerOutput, Mission, RevisionSeal, PingDelivery, Receipt, SearchFeedback,
    GoldenRun, HookPayload, Transcript, ModelUse, BulkRun, Erasure, Unlearning, ConsolidationRun,
]  # fmt: skip


def registered() -> set[type[Model]]:
    admin.autodiscover()
    return set(admin.site._registry) - {User}


def url(model: type[Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def queries_of(client: Client, address: str) -> list[str]:
    """The statements a GET costs, without those of its transaction; the page must answer 200.

    It is not the first page that somebody opens: what the sidebar counts is kept for some seconds.
    """
    client.get(reverse("admin:password_change"))
    with CaptureQueriesContext(connection) as captured:
        response = client.get(address)
    assert response.status_code == 200, (address, response.status_code)
    return [q["sql"] for q in captured if not _CONTROL.match(q["sql"])]


class _Form(HTMLParser):
    """The fields of a page's main form, as a browser sends them when nothing is touched."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.data: dict[str, list[str]] = {}
        self.inside = False
        self.textarea: tuple[str, list[str]] | None = None
        self.select: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        name = found.get("name") or ""
        if tag == "form":
            self.inside = (found.get("id") or "").endswith("_form")
        elif not self.inside:
            return
        elif tag == "input" and name and found.get("type") not in ("submit", "button"):
            if found.get("type") not in ("checkbox", "radio") or "checked" in found:
                self.data.setdefault(name, []).append(found.get("value") or "")
        elif tag == "textarea":
            self.textarea = (name, [])
        elif tag == "select":
            self.select = name
        elif tag == "option" and self.select and "selected" in found:
            self.data.setdefault(self.select, []).append(found.get("value") or "")

    def handle_data(self, data: str) -> None:
        if self.textarea:
            self.textarea[1].append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False
        elif tag == "select":
            self.select = None
        elif tag == "textarea" and self.textarea:
            name, parts = self.textarea
            # A browser drops one line end at the start, and sends each as two characters.
            text = "".join(parts).removeprefix("\n").replace("\n", "\r\n")
            self.data.setdefault(name, []).append(text)
            self.textarea = None


def form_of(client: Client, address: str) -> dict[str, Any]:
    """The data a browser would send if the page's form were submitted as it is."""
    response = client.get(address)
    assert response.status_code == 200, (address, response.status_code)
    return sent_by(response.content.decode())


def sent_by(page: str) -> dict[str, Any]:
    reader = _Form()
    reader.feed(page)
    return {name: values if len(values) > 1 else values[0] for name, values in reader.data.items()}
