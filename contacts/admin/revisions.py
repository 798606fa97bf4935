"""The history of the workspace: every change, by whom, with its difference; and taking it back."""

import uuid
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from config.lib.admin import show
from config.lib.errors import DomainError
from contacts.admin.access import actor_of, allows, page_of
from contacts.admin.actions import PageLink
from contacts.admin.base import ReadOnlyAdmin
from contacts.admin.filters import DaysFilter
from contacts.admin.forms import posted_reason
from contacts.admin.history import as_it_was, describe, summary, undoing
from contacts.admin.listing import newest_with
from contacts.models import Revision, RevisionSeal
from contacts.models.workspace import Role
from contacts.services import undo
from contacts.services.funnel import get_row
from contacts.services.undoable import taken_back_whole

ACTIONS = ("create", "update", "delete", "restore", "end", "revoke", "accept")
CHANNELS = ("api", "mcp", "hook", "admin", "job", "import", "shell")


class ActionFilter(DropdownFilter):
    """Known words: reading the distinct values of a million rows would take seconds."""

    title = "action"
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name.capitalize()) for name in ACTIONS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(action=self.value()) if self.value() else queryset


class ChannelFilter(DropdownFilter):
    title = "channel"
    parameter_name = "channel"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in CHANNELS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(channel=self.value()) if self.value() else queryset


# By who and what there is no index: changes are many, and people few.
LOOKED_THROUGH = 50_000


@admin.register(Revision)
class RevisionAdmin(ReadOnlyAdmin):
    when_empty = (
        "Every change of a row is kept here: who made it, when, through which channel, and "
        "what it changed."
    )
    list_display = ("at", "what", "on", "fields_changed", "by", "through")
    list_filter = (ActionFilter, ChannelFilter, ("created_at", DaysFilter))
    search_fields = ("actor_label", "model")
    search_help_text = f"Who or what in the newest {LOOKED_THROUGH:,}, or the id of an object"
    ordering = ("-id",)
    list_defer = ("salt", "digest")
    fields = readonly_fields = (
        "at", "what", "on", "by", "through", "reason", "difference", "sealed", "ids",
    )  # fmt: skip
    change_form_outer_after_template = "admin/includes/undo.html"

    def get_urls(self) -> list[URLPattern]:
        undo_view = self.admin_site.admin_view(self.undo_view)
        as_of_view = page_of(self, RevisionAdmin.as_of_view)
        return [
            path("<uuid:object_id>/undo/", undo_view, name="contacts_revision_undo"),
            path("<uuid:object_id>/as-of/", as_of_view, name="contacts_revision_as_of"),
            *super().get_urls(),
        ]

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Read once for a page: what happened does not change meanwhile."""
        kept = request.__dict__.setdefault("revisions_read", {})
        if object_id not in kept:
            kept[object_id] = super().get_object(request, object_id, from_field)
        return kept[object_id]

    def page_context(
        self, request: HttpRequest, object_id: str | None, context: dict[str, Any]
    ) -> dict[str, Any]:
        """With what taking the change back would do."""
        context = super().page_context(request, object_id, context)
        row = None if object_id is None else self.get_object(request, unquote(object_id))
        if row is None:
            return context
        return {**context, "undoing": undoing(row), "may_undo": self._may_undo(request, row)}

    def row_links(self, request: HttpRequest, row: Revision) -> list[PageLink]:
        history = f"{show.changelist_url('contacts.revision')}?q={row.object_id}"
        as_of = reverse("admin:contacts_revision_as_of", args=[row.pk])
        return [
            PageLink("All changes of it", history, "history"),
            PageLink("As it was then", as_of, "restore_page"),
        ]

    def _may_undo(self, request: HttpRequest, row: Revision) -> bool:
        """Who may change such a row, in those fields, by hand."""
        model = next(
            (m for m in self.admin_site._registry if m._meta.label_lower == row.model), None
        )
        if model is None:
            return False
        admin_of = self.admin_site._registry[model]
        if undo.is_deletion(row):
            return bool(admin_of.has_delete_permission(request))
        if not admin_of.has_change_permission(request):
            return False
        if allows(request, Role.OPERATOR) or admin_of.decided.issuperset(row.before):
            return True
        return taken_back_whole(row) is not None

    def undo_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        """POST: take the change back; then to the row, or to the change where that cannot be."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        revision = get_row(Revision, object_id, what="change")
        if not self._may_undo(request, revision):
            raise PermissionDenied("this needs the role that changes such a row")
        back = reverse("admin:contacts_revision_change", args=[object_id])
        try:
            with transaction.atomic():
                row = undo.undo(
                    actor=actor_of(request),
                    revision_id=object_id,
                    over="over" in request.POST,
                    reason=posted_reason(request),
                )
        except DomainError as error:
            messages.error(request, error.detail)
            return HttpResponseRedirect(back)
        restored = undo.is_deletion(revision)
        messages.success(request, "Restored." if restored else "Taken back.")
        return HttpResponseRedirect(show.change_url(revision.model, row.pk) or back)

    def as_of_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        """The object as it was just after a change."""
        revision = get_row(Revision, object_id, what="change")
        context = {
            **self.admin_site.each_context(request),
            "title": "As it was then",
            "opts": self.opts,
            "original": revision,
            "revision": revision,
            "fields": as_it_was(revision),
            "url": show.change_url(revision.model, revision.object_id),
        }
        return TemplateResponse(request, "admin/as_of.html", context)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """An object's id finds its changes, also when the object is gone. Index revision_object.
        Who made changes, and of what, is looked for in the newest."""
        term = search_term.replace("\x00", "").strip()
        try:
            return queryset.filter(object_id=uuid.UUID(term)), False
        except ValueError:
            found = newest_with(queryset, term, self.search_fields, LOOKED_THROUGH)
            return (found if term else queryset), False

    @display(description="When", ordering="id")
    def at(self, obj: Revision) -> SafeString:
        return show.when(obj.created_at)

    @display(description="Action")
    def what(self, obj: Revision) -> SafeString:
        return show.badge(obj.action)

    @display(description="Object")
    def on(self, obj: Revision) -> SafeString:
        name = obj.model.split(".")[-1]
        url = show.change_url(obj.model, obj.object_id) if obj.action != "delete" else None
        return show.include("admin/includes/object.html", name=name, url=url, pk=obj.object_id)

    @display(description="What")
    def fields_changed(self, obj: Revision) -> str:
        return summary(obj)[:160] or show.EMPTY

    @display(description="By")
    def by(self, obj: Revision) -> SafeString:
        return show.include("admin/includes/actor.html", revision=obj)

    @display(description="Through")
    def through(self, obj: Revision) -> SafeString:
        return show.badge(obj.channel, tone="grey")

    @display(description="Change")
    def difference(self, obj: Revision) -> SafeString:
        return show.include("admin/includes/change.html", change=describe([obj])[0])

    @display(description="Seal")
    def sealed(self, obj: Revision) -> str:
        if obj.seal is None:
            return "Not sealed yet"
        return f"{obj.seal.position:,}" + (" (body erased)" if obj.erased_at else "")


@admin.register(RevisionSeal)
class RevisionSealAdmin(ReadOnlyAdmin):
    """The chain, newest first. `manage.py verify` checks it."""

    when_empty = "A job seals changes in batches, each by a hash of the one before it."
    list_display = ("number", "at", "count")
    list_defer = ("previous", "digest")
    ordering = ("-position",)
    fields = readonly_fields = ("number", "at", "count", "fingerprint", "before", "ids")

    @display(description="Seal", ordering="position")
    def number(self, obj: RevisionSeal) -> str:
        return f"{obj.position:,}"

    @display(description="Sealed")
    def at(self, obj: RevisionSeal) -> SafeString:
        return show.when(obj.sealed_at)

    @display(description="SHA-256")
    def fingerprint(self, obj: RevisionSeal) -> str:
        return bytes(obj.digest).hex()

    @display(description="Of the seal before")
    def before(self, obj: RevisionSeal) -> str:
        return bytes(obj.previous).hex()
