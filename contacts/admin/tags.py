"""Tags of contacts: renamed and deleted everywhere at once."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.decorators import display

from config.lib.admin import show
from contacts.admin.access import actor_of
from contacts.admin.base import WorkspaceAdmin, folded
from contacts.admin.forms import posted_reason
from contacts.models import Tag
from contacts.services.tags import delete_tag, rename_tag


@admin.register(Tag)
class TagAdmin(WorkspaceAdmin):
    when_empty = "A tag is made when a contact is given it."
    # A tag is made when a contact is given it.
    add_role = None
    list_display = ("name", "contacts", "made")
    search_fields = ("name",)
    search_help_text = "Name"
    ordering = ("name",)
    readonly_fields = ("contacts", "made", "ids")
    fieldsets = (
        (None, {"fields": ("name", "contacts")}),
        folded("More", "made", "ids"),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        # What a version is to other rows: the page says which name it was opened with.
        if db_field.name == "name":
            kwargs["show_hidden_initial"] = True
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def update_row(
        self, request: HttpRequest, pk: Any, changes: dict[str, Any], version: int | None
    ) -> Tag:
        return rename_tag(
            actor=actor_of(request),
            tag_id=pk,
            name=changes["name"],
            expected=request.POST.get("initial-name"),
            reason=posted_reason(request),
        )

    def delete_row(self, request: HttpRequest, obj: Tag) -> None:
        delete_tag(actor=actor_of(request), tag_id=obj.pk, reason=posted_reason(request))

    @display(description="Contacts")
    def contacts(self, obj: Tag) -> SafeString:
        query = f"contact_tags__tag__id__exact={obj.pk}"
        return show.link(show.changelist_url("contacts.contact", query), "Show contacts")
