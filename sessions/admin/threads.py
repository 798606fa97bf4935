"""Threads and messages: lists, the chat view of one thread, and one message in full."""

import uuid
from typing import Any

from django.contrib import admin
from django.db.models.functions import Left
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
)
from unfold.decorators import display

from config.lib.admin import show
from contacts.admin.access import actor_of, page_of
from contacts.admin.base import ReadOnlyAdmin, WorkspaceAdmin, folded
from contacts.admin.filters import DaysFilter
from contacts.admin.forms import posted_reason
from sessions.admin.find import find_view
from sessions.admin.frame import find_session, threads_of
from sessions.admin.markdown import render
from sessions.admin.pages import conversation
from sessions.models import Message, Session, Thread
from sessions.services.threads import delete_thread, update_thread

PREVIEW = 200


def message_url(thread_id: uuid.UUID, idx: int) -> str:
    """A message in its conversation; the same address for ever."""
    url = reverse("admin:agent_sessions_thread_conversation", args=[thread_id])
    return f"{url}?at={idx}#m-{idx}"


@admin.register(Thread)
class ThreadAdmin(WorkspaceAdmin):
    when_empty = "A session's conversations stand here: its own, and one for each of its subagents."
    add_role = None
    list_display = ("heading", "session_link", "kind", "status_badge", "messages", "last")
    list_filter = (
        ("session", AutocompleteSelectFilter),
        ("status", ChoicesDropdownFilter),
        ("created_at", DaysFilter),
    )
    list_select_related = ("session",)
    list_defer = (
        "session__prompt", "session__context", "session__summary", "session__summary_data",
        "session__metadata",
    )  # fmt: skip
    search_fields = ("name",)
    search_help_text = "Name"
    ordering = ("-created_at", "-id")
    readonly_fields = ("session_link", "parent", "messages", "last", "made", "changed", "ids")
    fieldsets = (
        (None, {"fields": ("name", "status")}),
        ("Of", {"fields": (("session_link", "parent"), ("messages", "last"))}),
        folded("More", "metadata", ("made", "changed"), "ids"),
    )

    def get_urls(self) -> list[URLPattern]:
        read, find = (
            page_of(self, v) for v in (ThreadAdmin.conversation_view, ThreadAdmin.find_view)
        )
        name = "agent_sessions_thread_{}"
        return [
            path("<uuid:object_id>/conversation/", read, name=name.format("conversation")),
            path("<uuid:object_id>/find/", find, name=name.format("find")),
            *super().get_urls(),
        ]

    def url_of(self, obj: Thread) -> str:
        return reverse("admin:agent_sessions_thread_conversation", args=[obj.pk])

    def conversation_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        """One thread, in the frame of its session."""
        thread = _thread(object_id)
        session = find_session(thread.session_id)
        pages = self.admin_site._registry[Session]
        return conversation(pages, request, session, thread, threads_of(session.pk))

    def find_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        """The messages of one thread that hold some words, also those no page shows yet."""
        return find_view(self.admin_site._registry[Session], request, _thread(object_id))

    def update_row(
        self, request: HttpRequest, pk: Any, changes: dict[str, Any], version: int | None
    ) -> Thread:
        return update_thread(
            actor=actor_of(request),
            thread_id=pk,
            changes=changes,
            expected_version=version,
            reason=posted_reason(request),
        )

    def delete_row(self, request: HttpRequest, obj: Thread) -> None:
        delete_thread(actor=actor_of(request), thread_id=obj.pk, reason=posted_reason(request))

    @display(description="Thread", ordering="name")
    def heading(self, obj: Thread) -> str:
        return obj.name or f"Thread {obj.short_id}"

    @display(description="Session")
    def session_link(self, obj: Thread) -> SafeString:
        url = reverse("admin:agent_sessions_session_conversation", args=[obj.session_id])
        return show.link(url, obj.session.name or f"Session {obj.session.short_id}")

    @display(description="Kind")
    def kind(self, obj: Thread) -> SafeString:
        if obj.parent_id is None:
            return show.badge("main", tone="violet")
        return show.badge("subagent", str(obj.metadata.get("agent_type") or "subagent"), "blue")

    @display(description="Status", ordering="status")
    def status_badge(self, obj: Thread) -> SafeString:
        return show.badge(obj.status)

    @display(description="Messages", ordering="message_count")
    def messages(self, obj: Thread) -> str:
        return f"{obj.message_count:,}"

    @display(description="Last message", ordering="last_message_at")
    def last(self, obj: Thread) -> SafeString:
        return show.when(obj.last_message_at)


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    when_empty = "What is said in agents' sessions stands here."
    list_display = ("preview", "role_badge", "session_link", "at", "place")
    list_filter = (
        ("session", AutocompleteSelectFilter),
        ("role", ChoicesDropdownFilter),
        ("occurred_at", DaysFilter),
    )
    list_select_related = ("session",)
    list_defer = (
        "content", "blocks", "metadata", "usage", "session__prompt", "session__context",
        "session__summary", "session__summary_data", "session__metadata",
    )  # fmt: skip
    list_annotate = {"beginning": Left("content", PREVIEW)}
    search_fields = ("content",)
    search_help_text = "Words of the message, best first; a part of a word in the newest; or its id"
    ordering = ("-occurred_at", "-id")
    fields = readonly_fields = (
        "role_badge", "session_link", "place", "at", "text", "raw_blocks", "model", "tokens",
        "native", "more", "ids",
    )  # fmt: skip

    @display(description="Message")
    def preview(self, obj: Message) -> SafeString:
        return show.preview(getattr(obj, "beginning", "") or f"({obj.role}, without text)")

    @display(description="Role", ordering="role")
    def role_badge(self, obj: Message) -> SafeString:
        return show.badge(obj.role)

    @display(description="Session")
    def session_link(self, obj: Message) -> SafeString:
        url = reverse("admin:agent_sessions_session_conversation", args=[obj.session_id])
        return show.link(url, obj.session.name or f"Session {obj.session.short_id}")

    @display(description="Place")
    def place(self, obj: Message) -> SafeString:
        return show.link(message_url(obj.thread_id, obj.idx), f"message {obj.idx}")

    @display(description="When", ordering="occurred_at")
    def at(self, obj: Message) -> SafeString:
        return show.when(obj.occurred_at)

    @display(description="Text")
    def text(self, obj: Message) -> SafeString:
        return show.include("admin/includes/markdown.html", html=render(obj.content))

    @display(description="Blocks")
    def raw_blocks(self, obj: Message) -> SafeString:
        return show.json_block(obj.blocks)

    @display(description="Tokens")
    def tokens(self, obj: Message) -> SafeString:
        return show.json_block(obj.usage)

    @display(description="Native id")
    def native(self, obj: Message) -> str:
        return obj.native_uuid or show.EMPTY

    @display(description="Metadata")
    def more(self, obj: Message) -> SafeString:
        return show.json_block(obj.metadata)


def _thread(object_id: uuid.UUID) -> Thread:
    thread = Thread.objects.filter(pk=object_id).first()
    if thread is None:
        raise Http404
    return thread
