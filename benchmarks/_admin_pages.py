"""The admin's pages, each with an address that shows something, for its benchmark and its test."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# A word of the demo's texts that many rows have.
WORD = "alarm"


@dataclass(frozen=True)
class Page:
    name: str
    address: str


def pages() -> list[Page]:
    """Every list, and each searched and on its second page; a row's form and history; our own
    pages. Inside a workspace's scope."""
    from django.contrib import admin

    # Whoever serves nothing has not looked for them yet.
    admin.autodiscover()
    return [*_of_models(), *_our_own()]


def _of_models() -> Iterator[Page]:
    from django.contrib import admin
    from django.contrib.auth.models import User

    from config.lib.scope import current_workspace_id
    from contacts.models import Workspace

    for model, model_admin in sorted(
        admin.site._registry.items(), key=lambda one: one[0]._meta.label_lower
    ):
        if model is User:
            continue
        label = model._meta.label_lower.removeprefix("agent_").replace("sessions.", "", 1)
        base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        yield Page(f"{label} list", base)
        yield Page(f"{label} list, page 2", f"{base}?p=2")
        if model_admin.search_fields:
            yield Page(f"{label} list, searched", f"{base}?q={WORD}")
        # The newest: it has most about it. By the primary key.
        rows = model._default_manager.order_by("-pk")
        if model is Workspace:
            # Another one's are out of reach from here.
            rows = rows.filter(pk=current_workspace_id())
        for row in rows[:1]:
            yield Page(f"{label} form", f"{base}{row.pk}/change/")
            yield Page(f"{label} history", f"{base}{row.pk}/history/")


def _our_own() -> Iterator[Page]:
    from contacts.models import Contact
    from memory.models import Memory
    from sessions.models import Session, Thread, Worker

    yield Page("home", "/admin/")
    yield Page("palette", f"/admin/palette/?s={WORD}")
    yield Page("search", f"/admin/search/?q={WORD}")
    yield Page("review", "/admin/review/")
    yield Page("board of tasks", "/admin/agent_sessions/task/board/")
    yield Page("priorities by day", "/admin/agent_sessions/priority/days/")
    yield Page("schedules on a time line", "/admin/agent_sessions/scheduledmission/timeline/")
    yield Page("staged content", "/admin/agent_sessions/stagedcontent/board/")
    longest: Any = Session.objects.order_by("-message_count", "id").first()
    session = f"/admin/agent_sessions/session/{longest.pk}/"
    yield Page("conversation", f"{session}conversation/")
    yield Page("conversation, its end", f"{session}conversation/?at={longest.message_count - 1}")
    yield Page("events", f"{session}events/")
    yield Page("timeline", f"{session}timeline/")
    yield Page("workers of a session", f"{session}workers/")
    yield Page("searches of a session", f"{session}searches/")
    yield Page("sessions of a conversation", _conversation_of(longest))
    yield Page("memories of a session", f"{session}memories/")
    yield Page("raw lines of a session", f"{session}raw/")
    thread: Any = Thread.objects.order_by("-message_count", "id").first()
    yield Page("thread", f"/admin/agent_sessions/thread/{thread.pk}/conversation/?from=100&part=1")
    memory: Any = Memory.objects.order_by("-pk").first()
    yield Page("memory", f"/admin/memory/memory/{memory.pk}/read/")
    worker: Any = Worker.objects.order_by("-pk").first()
    yield Page("worker, live", f"/admin/agent_sessions/worker/{worker.pk}/live/")
    yield Page("duplicates of contacts", "/admin/contacts/contact/duplicates/")
    yield Page("import of contacts", "/admin/contacts/contact/import/")
    two: Any = list(Contact.objects.filter(merged_into=None).order_by("-pk")[:2])
    yield Page("merge", f"/admin/contacts/contact/{two[0].pk}/merge/?source={two[1].pk}")


def _conversation_of(session: Any) -> str:
    from django.urls import reverse

    named = "admin:agent_sessions_session_of_conversation"
    return reverse(named, args=[session.conversation_id])
