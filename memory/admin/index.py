"""The search index: derived and rebuildable, so only to look at."""

from typing import Any

from django.contrib import admin
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from config.lib.admin import show
from contacts.admin.base import ReadOnlyAdmin
from contacts.admin.filters import DaysFilter
from memory.models import EmbeddingSpace, Passage
from memory.models.passage import PENDING, Lane
from memory.selectors_spaces import active_slot
from sessions.admin.threads import message_url

PREVIEW = 200
NEVER_LISTED = ("text", "lexical", "tsv", "embedding", "second_embedding")


class EmbeddedFilter(DropdownFilter):
    title = "embedding"
    parameter_name = "embedded"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("pending", "Pending"), ("done", "Done"), ("refused", "Refused")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """In the active space; pending by index passage_pending or passage_second_pending."""
        waits = PENDING[active_slot()] if self.value() else Q()
        match self.value():
            case "pending":
                return queryset.filter(waits).exclude(lane=Lane.REFUSED)
            case "done":
                return queryset.exclude(waits)
            case "refused":
                return queryset.filter(waits, lane=Lane.REFUSED)
        return queryset


@admin.register(Passage)
class PassageAdmin(ReadOnlyAdmin):
    when_empty = "Every text that search reads stands here, in pieces."
    list_display = ("preview", "kind_badge", "source", "chunk", "embedded", "at")
    list_filter = (
        ("kind", ChoicesDropdownFilter),
        EmbeddedFilter,
        ("occurred_at", DaysFilter),
    )
    list_defer = NEVER_LISTED
    list_annotate = {"beginning": Left("text", PREVIEW)}
    search_fields = ("text",)
    search_help_text = "Words of the passage, best first; a part of a word in the newest; or its id"
    ordering = ("-id",)
    fields = readonly_fields = (
        "kind_badge", "source", "chunk", "at", "words", "lexical_words", "trust", "state",
        "token_count", "embedded", "made", "ids",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """No vectors, ever; whether there is one is asked of the database."""
        rows = super().get_queryset(request).defer("tsv", "embedding", "second_embedding")
        in_second = ExpressionWrapper(Q(second_embedding__isnull=False), BooleanField())
        return rows.annotate(in_second=in_second)

    @display(description="Passage")
    def preview(self, obj: Passage) -> SafeString:
        return show.preview(getattr(obj, "beginning", ""))

    @display(description="Of", ordering="kind")
    def kind_badge(self, obj: Passage) -> SafeString:
        return show.badge(obj.kind, tone="grey")

    @display(description="Source")
    def source(self, obj: Passage) -> SafeString | str:
        if obj.of_message_id and obj.thread_id and obj.idx is not None:
            return show.link(message_url(obj.thread_id, obj.idx), f"message {obj.idx}")
        for key, label in (
            (obj.of_memory_id, "memory.memory"),
            (obj.of_event_id, "agent_sessions.sessionevent"),
            (obj.of_summary_id, "agent_sessions.session"),
            (obj.of_project_id, "agent_sessions.project"),
            (obj.of_task_id, "agent_sessions.task"),
            (obj.of_contact_id, "contacts.contact"),
        ):
            if key:
                return show.link(show.change_url(label, key) or "", label.split(".")[1])
        return show.EMPTY

    @display(description="Embedded", boolean=True)
    def embedded(self, obj: Passage) -> bool:
        """In any space. In the first slot a space's key is there with its vector, not before."""
        return obj.space_id is not None or bool(getattr(obj, "in_second", False))

    @display(description="When", ordering="occurred_at")
    def at(self, obj: Passage) -> SafeString:
        return show.when(obj.occurred_at)

    @display(description="Text")
    def words(self, obj: Passage) -> SafeString:
        return show.long_text(obj.text)

    @display(description="As words for search")
    def lexical_words(self, obj: Passage) -> SafeString:
        return show.long_text(obj.lexical)


@admin.register(EmbeddingSpace)
class EmbeddingSpaceAdmin(ReadOnlyAdmin):
    when_empty = "The first text that is embedded makes a space of its model."
    list_display = ("model", "provider", "dimensions", "state_badge", "switched", "made")
    ordering = ("-id",)
    fields = readonly_fields = (
        "provider", "model", "dimensions", "state_badge", "slot", "switched", "made", "ids",
    )  # fmt: skip

    @display(description="Switched", ordering="switched_at")
    def switched(self, obj: EmbeddingSpace) -> SafeString:
        return show.when(obj.switched_at)

    @display(description="State", ordering="state")
    def state_badge(self, obj: EmbeddingSpace) -> SafeString:
        return show.badge(obj.state)
