"""Events and raw lines: append-only, so only to read."""

import json

from django.contrib import admin
from django.db.models.functions import Left
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, FieldTextFilter
from unfold.decorators import display

from config.lib.admin import show
from contacts.admin.base import ReadOnlyAdmin
from contacts.admin.filters import DaysFilter
from sessions.models import RawLine, SessionEvent

PREVIEW = 200
OF_SESSION = (
    "session__prompt", "session__context", "session__summary", "session__summary_data",
    "session__metadata",
)  # fmt: skip


class SessionRowAdmin(ReadOnlyAdmin):
    """What belongs to one session and shows it."""

    list_select_related = ("session",)

    @display(description="Session")
    def session_link(self, obj: SessionEvent | RawLine) -> SafeString:
        url = reverse("admin:agent_sessions_session_conversation", args=[obj.session_id])
        return show.link(url, obj.session.name or f"Session {obj.session.short_id}")


@admin.register(SessionEvent)
class SessionEventAdmin(SessionRowAdmin):
    when_empty = (
        "What agents do in their sessions stands here: tools called, files changed, errors."
    )
    list_display = ("number", "what", "beginning_of", "session_link", "at")
    list_filter = (
        ("event_type", FieldTextFilter),
        ("session", AutocompleteSelectFilter),
        ("occurred_at", DaysFilter),
    )
    list_defer = ("text", "data", *OF_SESSION)
    list_annotate = {"beginning": Left("text", PREVIEW)}
    search_fields = ("text",)
    search_help_text = "Words of the event, best first; a part of a word in the newest; or its id"
    ordering = ("-occurred_at", "-id")
    fields = readonly_fields = (
        "number", "what", "session_link", "at", "full_text", "payload", "dedupe_key", "ids",
    )  # fmt: skip

    @display(description="No.", ordering="seq")
    def number(self, obj: SessionEvent) -> str:
        return f"#{obj.seq}"

    @display(description="Type", ordering="event_type")
    def what(self, obj: SessionEvent) -> SafeString:
        return show.badge(obj.event_type)

    @display(description="Text")
    def beginning_of(self, obj: SessionEvent) -> SafeString:
        return show.preview(getattr(obj, "beginning", ""))

    @display(description="When", ordering="occurred_at")
    def at(self, obj: SessionEvent) -> SafeString:
        return show.when(obj.occurred_at)

    @display(description="Text")
    def full_text(self, obj: SessionEvent) -> SafeString:
        return show.long_text(obj.text)

    @display(description="Data")
    def payload(self, obj: SessionEvent) -> SafeString:
        return show.json_block(obj.data)


@admin.register(RawLine)
class RawLineAdmin(SessionRowAdmin):
    when_empty = "Lines of transcripts stand here as they stood in their files."
    list_display = ("line", "beginning_of", "session_link", "made")
    list_filter = (("session", AutocompleteSelectFilter),)
    list_defer = ("raw", "digest", *OF_SESSION)
    list_annotate = {"beginning": Left("raw", PREVIEW)}
    search_fields = ("file", "line_key")
    search_help_text = "File or key of the line"
    ordering = ("-id",)
    fields = readonly_fields = (
        "line", "session_link", "line_key", "byte_offset", "digest_hex", "content", "made", "ids",
    )  # fmt: skip

    @display(description="Line", ordering="line_no")
    def line(self, obj: RawLine) -> SafeString:
        return show.include("admin/agent_sessions/includes/line.html", line=obj)

    @display(description="Beginning")
    def beginning_of(self, obj: RawLine) -> SafeString:
        return show.preview(getattr(obj, "beginning", ""), mono=True)

    @display(description="SHA-256")
    def digest_hex(self, obj: RawLine) -> str:
        return bytes(obj.digest).hex()

    @display(description="Content")
    def content(self, obj: RawLine) -> SafeString:
        """As JSON where it is, else as it stands."""
        try:
            return show.json_block(json.loads(obj.raw))
        except ValueError:
            return show.long_text(obj.raw)
