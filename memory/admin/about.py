"""What is known of a contact, on its page; and what a memory is about, on its own."""

from typing import Any

from django.db.models import QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.decorators import display

from config.lib.admin import show
from contacts.admin.base import ReadOnlyInline
from contacts.admin.contacts import ContactAdmin
from memory.models import MemoryAbout

# Of a contact that much is known of the newest are shown; the API has them all.
MAX_KNOWN = 50


class _Newest(BaseInlineFormSet):
    """No more rows than a page has room for. Index memoryabout_contact."""

    def get_queryset(self) -> Any:
        if not hasattr(self, "_newest"):
            self._newest = super().get_queryset()[:MAX_KNOWN]
        return self._newest


class KnownInline(ReadOnlyInline):
    model = MemoryAbout
    fk_name = "contact"
    formset = _Newest
    fields = readonly_fields = ("known", "state", "spoken_of", "where")
    verbose_name_plural = "what is known"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request).select_related("memory", "memory__session")
        return rows.only(
            "id", "workspace_id", "contact_id", "memory__text", "memory__state",
            "memory__recorded_at", "memory__session__name", "memory__workspace_id",
            "memory__session__workspace_id",
        )  # fmt: skip

    @display(description="Memory")
    def known(self, obj: MemoryAbout) -> SafeString:
        url = show.change_url("memory.memory", obj.memory_id) or ""
        return show.link(url, " ".join(obj.memory.text.split())[:200])

    @display(description="State")
    def state(self, obj: MemoryAbout) -> SafeString:
        return show.badge(obj.memory.state)

    @display(description="Spoken of")
    def spoken_of(self, obj: MemoryAbout) -> SafeString:
        return show.when(obj.memory.recorded_at)

    @display(description="Session")
    def where(self, obj: MemoryAbout) -> SafeString | str:
        session = obj.memory.session
        if session is None:
            return show.EMPTY
        url = show.change_url("agent_sessions.session", session.pk) or ""
        return show.link(url, session.name or session.short_id)


class AboutInline(ReadOnlyInline):
    model = MemoryAbout
    fk_name = "memory"
    fields = readonly_fields = ("what", "made_at")
    verbose_name_plural = "about"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request).select_related("contact", "project", "task")
        return rows.only(
            "id", "workspace_id", "memory_id", "created_at", "contact__name", "project__title",
            "task__title", "contact__workspace_id", "project__workspace_id", "task__workspace_id",
        )  # fmt: skip

    @display(description="Whom or what")
    def what(self, obj: MemoryAbout) -> SafeString | str:
        target: Any = obj.contact or obj.project or obj.task
        url = show.change_url(target._meta.label_lower, target.pk)
        return show.link(url, target) if url else str(target)

    @display(description="Since")
    def made_at(self, obj: MemoryAbout) -> SafeString:
        return show.when(obj.created_at)


# The page is the contacts app's, which knows nothing of memories.
ContactAdmin.inlines = (*ContactAdmin.inlines, KnownInline)
