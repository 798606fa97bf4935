"""The base of every admin page: a model's list (row_lists.py) and its rows' forms (row_forms.py)
for who may see and change them (permissions.py), with the history that the funnel writes.

Not for anything one model needs alone. A subclass names its columns and, where a service exists
for its model, overrides `create_row`, `update_row` and `delete_row`.
"""

import uuid
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.decorators import display

from config.lib.admin import show
from config.lib.ids import read_id
from contacts.admin.history import history_page
from contacts.admin.permissions import Permissions
from contacts.admin.row_forms import RowForms
from contacts.admin.row_lists import RowLists
from contacts.models import Revision
from contacts.models.workspace import Role
from contacts.selectors import history


def folded(title: str, *fields: Any) -> tuple[str, dict[str, Any]]:
    """A fieldset that is closed until somebody wants it."""
    return title, {"classes": ("collapse",), "fields": fields}


class WorkspaceAdmin(RowLists, RowForms):
    """A model's pages in one workspace."""

    object_history_template = "admin/history.html"

    # --- Instead of Django's log --------------------------------------------------------------

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """The funnel's Revision says it, in the same transaction."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """See log_addition."""

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:
        """See log_addition."""

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The row's Revisions, newest first."""
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            **history_page(obj.pk, request.GET.get("before")),
            "title": f"History of {obj}",
            "opts": self.opts,
            "original": obj,
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, self.object_history_template, context)

    def _get_obj_does_not_exist_redirect(
        self, request: HttpRequest, opts: Any, object_id: str
    ) -> HttpResponse:
        """To the change that deleted the row, where it is restored, rather than to the first page.

        Django's own is for a row that never was, or is another workspace's.
        """
        row_id = read_id(unquote(object_id))
        changes = history(row_id) if isinstance(row_id, uuid.UUID) else Revision.objects.none()
        last = changes.filter(model=opts.label_lower).first()
        if last is None or last.action != "delete":
            found: HttpResponse = super()._get_obj_does_not_exist_redirect(request, opts, object_id)
            return found
        messages.warning(request, f"This {opts.verbose_name} was deleted.")
        return HttpResponseRedirect(show.change_url("contacts.revision", last.pk) or "")

    # --- Columns that every model has ----------------------------------------------------------

    @display(description="Made", ordering="created_at")
    def made(self, obj: Any) -> SafeString:
        return show.when(obj.created_at)

    @display(description="Changed", ordering="updated_at")
    def changed(self, obj: Any) -> SafeString:
        return show.when(obj.updated_at)

    @display(description="Id")
    def ids(self, obj: Any) -> SafeString:
        return show.identifiers(obj.pk)


class ReadOnlyAdmin(WorkspaceAdmin):
    """Rows that are their own history, or that the product derives: to look at only."""

    add_role: Role | None = None
    change_role: Role | None = None
    delete_role: Role | None = None
    actions = None
    change_form_before_template = None
    change_form_after_template = None
    change_form_outer_before_template: str | None = None
    warn_unsaved_form = False


class ReadOnlyInline(Permissions, TabularInline):
    """Related rows on a row's page, to look at; each leads to its own page."""

    add_role = change_role = delete_role = None
    extra = 0
    max_num = 0
    can_delete = False
    show_change_link = False
    hide_title = True
    ordering: Sequence[str] = ("-id",)
    related: Sequence[str] = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return rows.select_related(*self.related) if self.related else rows
