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

from config.lib.scope import workspace_scope
from contacts.models import Agent, ApiKey, Invitation, Membership, Revision, Workspace
from contacts.services.keys import create_key
from contacts.services.workspaces import invite_person
from memory.models import EmbeddingSpace, Memory, Passage
from memory.services.memories import NewEvidence, NewMemory, create_memory, link_memories
from sessions.models import (
    Message,
    Ping,
    PingChannel,
    PingDelivery,
    Project,
    RawLine,
    Session,
    SessionEvent,
    StagedContent,
    Thread,
)
from sessions.services.events import NewEvent, append_events
from sessions.services.projects import create_project
from sessions.services.threads import NewMessage, append_messages
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
        other, _ = create_memory(actor=ALICE, new=NewMemory(text="Noon is at 12."))
        link_memories(actor=ALICE, source_id=memory.id, target_id=other.id, relation="supports")
        space = EmbeddingSpace.objects.first() or EmbeddingSpace.objects.create(
            provider="local", model="m", dimensions=384
        )
        passage = Passage.objects.first()
        if passage is None:
            passage = Passage.objects.create(
                of_memory=memory, kind="memory", occurred_at=memory.recorded_at,
                text=memory.text, lexical=memory.text,
            )  # fmt: skip
        rows = [agent, key, invitation, project, session, thread, message, event, line, memory,
                space, passage, Revision.objects.first(), Membership.objects.first(),
                workspace, *fill_attention(session)]  # fmt: skip
    return Rows({type(row): row for row in rows})


WORKSPACE_MODELS: list[type[Model]] = [
    Agent, ApiKey, Invitation, Membership, Revision, Workspace, Project, Session, SessionEvent,
    Thread, Message, RawLine, Memory, Passage, EmbeddingSpace,
    Ping, PingChannel, PingDelivery, StagedContent,
]  # fmt: skip
READ_ONLY: list[type[Model]] = [
    Revision, SessionEvent, Message, RawLine, Passage, EmbeddingSpace, PingDelivery,
]  # fmt: skip


def registered() -> set[type[Model]]:
    return set(admin.site._registry) - {User}


def url(model: type[Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def queries_of(client: Client, address: str) -> list[str]:
    """The statements a GET costs, without those of its transaction; the page must answer 200."""
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
