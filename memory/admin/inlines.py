"""What a memory rests on and hangs together with, on its page."""

from django.utils.safestring import SafeString
from unfold.decorators import display

from config.lib.admin import show
from contacts.admin.base import ReadOnlyInline
from memory.models import Evidence, MemoryLink
from sessions.admin.threads import message_url


class EvidenceInline(ReadOnlyInline):
    model = Evidence
    fields = readonly_fields = ("quoted", "source", "made_at")
    verbose_name_plural = "evidence"
    related = ("message", "event")

    def get_queryset(self, request):  # type: ignore[no-untyped-def]
        """The rows evidence points at, without their bodies."""
        return super().get_queryset(request).defer(
            "message__content", "message__blocks", "message__metadata", "message__usage",
            "event__text", "event__data",
        )  # fmt: skip

    @display(description="Words relied on")
    def quoted(self, obj: Evidence) -> SafeString:
        return show.include("admin/memory/includes/quote.html", quote=obj.quote)

    @display(description="Source")
    def source(self, obj: Evidence) -> SafeString | str:
        if obj.message is not None:
            url = message_url(obj.message.thread_id, obj.message.idx)
            return show.link(url, f"{obj.message.role} message {obj.message.idx}")
        if obj.event is not None:
            url = show.change_url("agent_sessions.sessionevent", obj.event_id) or ""
            return show.link(url, f"{obj.event.event_type} #{obj.event.seq}")
        # Never fetched and not a link: an address in stored text is data.
        return obj.uri or show.EMPTY

    @display(description="Noted")
    def made_at(self, obj: Evidence) -> SafeString:
        return show.when(obj.created_at)


class LinkOutInline(ReadOnlyInline):
    """Reads from left to right: this memory has the other one as its parent, cause, support."""

    model = MemoryLink
    fk_name = "source"
    fields = readonly_fields = ("how", "other", "made_at")
    verbose_name_plural = "links to other memories"
    related = ("target",)

    @display(description="Has as its")
    def how(self, obj: MemoryLink) -> SafeString:
        return show.badge(obj.relation, tone="red" if obj.relation == "contradicts" else "blue")

    @display(description="Memory")
    def other(self, obj: MemoryLink) -> SafeString:
        url = show.change_url("memory.memory", obj.target_id) or ""
        return show.link(url, str(obj.target))

    @display(description="Linked")
    def made_at(self, obj: MemoryLink) -> SafeString:
        return show.when(obj.created_at)


class LinkInInline(LinkOutInline):
    fk_name = "target"
    verbose_name_plural = "links from other memories"
    related = ("source",)

    @display(description="Is its")
    def how(self, obj: MemoryLink) -> SafeString:
        return show.badge(obj.relation, tone="red" if obj.relation == "contradicts" else "blue")

    @display(description="Memory")
    def other(self, obj: MemoryLink) -> SafeString:
        url = show.change_url("memory.memory", obj.source_id) or ""
        return show.link(url, str(obj.source))
