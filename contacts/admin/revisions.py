"""The history of the workspace: every change, by whom, with its difference. Only to read."""

import uuid
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from config.lib.admin import show
from contacts.admin.base import ReadOnlyAdmin
from contacts.admin.filters import DaysFilter
from contacts.admin.history import describe, summary
from contacts.models import Revision, RevisionSeal

ACTIONS = ("create", "update", "delete", "end", "revoke", "accept")
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


@admin.register(Revision)
class RevisionAdmin(ReadOnlyAdmin):
    list_display = ("at", "what", "on", "fields_changed", "by", "through")
    list_filter = (ActionFilter, ChannelFilter, ("created_at", DaysFilter))
    search_fields = ("actor_label", "model")
    search_help_text = "Who, model, or the id of an object"
    ordering = ("-id",)
    list_defer = ("salt", "digest")
    fields = readonly_fields = (
        "at", "what", "on", "by", "through", "reason", "difference", "sealed", "ids",
    )  # fmt: skip

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """An object's id finds its changes, also when the object is gone. Index revision_object."""
        try:
            return queryset.filter(object_id=uuid.UUID(search_term.strip())), False
        except ValueError:
            return super().get_search_results(request, queryset, search_term)

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
        return show.include("admin/includes/change.html", change=describe(obj))

    @display(description="Seal")
    def sealed(self, obj: Revision) -> str:
        if obj.seal is None:
            return "Not sealed yet"
        return f"{obj.seal.position:,}" + (" (body erased)" if obj.erased_at else "")


@admin.register(RevisionSeal)
class RevisionSealAdmin(ReadOnlyAdmin):
    """The chain, newest first. `manage.py verify` checks it."""

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
