"""The base of every admin page: roles, bounded lists, writes through services, history.

Not for anything one model needs alone. A subclass names its columns and, where a service exists
for its model, overrides `create_row`, `update_row` and `delete_row`.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models import QuerySet
from django.forms import Media
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from config.lib import errors
from config.lib.admin import show
from config.lib.db.models import VersionedRow, WorkspaceRow
from contacts.admin.access import actor_of, allows, require_entry
from contacts.admin.actions import MAX_BULK, RowActions
from contacts.admin.bulk import propose_from
from contacts.admin.conflicts import Conflict, find_conflict
from contacts.admin.deletion import consequences
from contacts.admin.forms import LinesField, RowForm, note_problem, posted_reason, posted_version
from contacts.admin.history import history_page
from contacts.admin.listing import (
    BoundedPaginator,
    Finder,
    WorkspaceChangeList,
    filter_media,
    search_rows,
)
from contacts.models.workspace import Role
from contacts.services import funnel
from contacts.services.row_exports import RowFormat, row_parts


def folded(title: str, *fields: Any) -> tuple[str, dict[str, Any]]:
    """A fieldset that is closed until somebody wants it."""
    return title, {"classes": ("collapse",), "fields": fields}


class Permissions:
    """What a role may do with rows of a model; None is what nobody does here."""

    view_role: Role | None = Role.VIEWER
    add_role: Role | None = Role.OPERATOR
    change_role: Role | None = Role.OPERATOR
    delete_role: Role | None = Role.OPERATOR
    # Where `change_role` is below an operator: the fields that it decides on.
    decided: frozenset[str] = frozenset()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return allows(request, self.view_role)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return allows(request, self.view_role)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return allows(request, self.add_role)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return allows(request, self.change_role)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return allows(request, self.delete_role)


class WorkspaceAdmin(RowActions, Permissions, ModelAdmin):
    """A model's pages in one workspace."""

    form = RowForm
    paginator = BoundedPaginator
    show_full_result_count = False
    # Counts beside each filter would each read the whole table.
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    list_filter_submit = True
    list_filter_sheet = True
    list_fullwidth = True
    warn_unsaved_form = True
    actions_on_bottom = False
    save_as = False
    # What a list does not read: bodies and vectors.
    list_defer: Sequence[str] = ()
    list_annotate: Mapping[str, Any] = {}
    # How its search box finds rows, where the product's search knows the model (set by
    # memory/admin/lists.py), and the columns of which a part is looked for as well.
    find_rows: Finder | None = None
    search_names: Sequence[str] = ()
    list_after_template: str | None = "admin/includes/downloads.html"
    change_form_before_template: str | None = "admin/includes/version.html"
    change_form_outer_before_template: str | None = "admin/includes/conflict.html"
    change_form_after_template: str | None = "admin/includes/reason.html"
    object_history_template = "admin/history.html"

    # --- Lists ------------------------------------------------------------------------------

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[WorkspaceChangeList]:
        return WorkspaceChangeList

    @property
    def media(self) -> Media:
        """Django's. Unfold's adds the scripts of whichever list was opened last, to any page."""
        return super(ModelAdmin, self).media

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, with the scripts of its own filters."""
        response = super().changelist_view(request, extra_context)
        context = getattr(response, "context_data", None)
        if context and "media" in context:
            context["media"] += filter_media(self.get_list_filter(request))
        return response

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By the product's search where it knows the model, else by a part of the columns."""
        term = search_term.replace("\x00", "").strip()
        if self.find_rows is None or not term:
            return super().get_search_results(request, queryset, search_term)
        chosen = request.GET.dict()
        return search_rows(queryset, term, self.find_rows, self.search_names, chosen), False

    def get_urls(self) -> list[URLPattern]:
        urls: list[URLPattern] = super().get_urls()
        if not issubclass(self.model, WorkspaceRow):
            return urls
        view = self.admin_site.admin_view(self.download_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_download"
        return [path("download/<slug:ending>/", view, name=name), *urls]

    def download_view(self, request: HttpRequest, ending: str) -> StreamingHttpResponse:
        """The rows that the list's filters match, as csv, json or ndjson."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if ending not in list(RowFormat):
            raise Http404
        wanted = RowFormat(ending)
        query = request.GET.copy()
        query.pop("p", None)
        request.GET = query  # type: ignore[assignment]
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            raise Http404 from None
        # Read after this request's scope has ended: each part enters one of its own.
        parts = row_parts(require_entry(request).workspace.pk, rows, wanted)
        response = StreamingHttpResponse(parts, content_type=wanted.content_type)
        filename = f"{self.opts.model_name}s.{ending}"
        response["Content-Disposition"] = f'attachment; filename="{filename}"'
        return response

    @property
    def downloads(self) -> list[str]:
        """For includes/downloads.html."""
        return list(RowFormat) if issubclass(self.model, WorkspaceRow) else []

    def for_list(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of a list, without what it does not show."""
        if self.list_defer:
            rows = rows.defer(*self.list_defer)
        return rows.annotate(**self.list_annotate) if self.list_annotate else rows

    def url_of(self, obj: Any) -> str | None:
        """Where a row's title leads, if not to its form."""
        return None

    def get_autocomplete_fields(self, request: HttpRequest) -> Sequence[str]:
        """Every foreign key whose target can be searched: a select would hold the whole table."""
        registry = self.admin_site._registry
        return [
            field.name
            for field in self.model._meta.concrete_fields
            if isinstance(field, models.ForeignKey)
            and bool(getattr(registry.get(field.related_model), "search_fields", None))
        ]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if isinstance(db_field, models.TextField):
            # Stripping would change a text that nobody touched.
            kwargs.setdefault("strip", False)
        elif isinstance(db_field, ArrayField):
            kwargs.setdefault("form_class", LinesField)
            kwargs.setdefault("help_text", "One per line.")
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """By id; an id that is none is not found, whatever it holds."""
        try:
            return super().get_object(request, object_id, from_field)
        except (ValueError, ValidationError):
            return None

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[RowForm]:
        form = super().get_form(request, obj, change=change, **kwargs)
        conflict: Conflict | None = getattr(request, "conflict", None)
        kept = conflict.kept if conflict else {}
        return type(form.__name__, (form,), {"request": request, "kept": kept})

    # --- Writes -----------------------------------------------------------------------------

    def create_row(self, request: HttpRequest, obj: Any, form: RowForm) -> Any:
        """Insert `obj`; returns the row. Override where a service makes rows of this model."""
        return funnel.create(obj, actor=actor_of(request), reason=posted_reason(request))

    def update_row(
        self, request: HttpRequest, pk: uuid.UUID, changes: dict[str, Any], version: int | None
    ) -> Any:
        """Write `changes`; returns the row. Override where a service changes rows of this model."""
        row = funnel.get_row(self.model, pk, lock=True)
        return funnel.update(
            row,
            changes,
            actor=actor_of(request),
            expected_version=version,
            reason=posted_reason(request),
        )

    def delete_row(self, request: HttpRequest, obj: Any) -> None:
        """Remove `obj`. Override where a service removes rows of this model."""
        row = funnel.get_row(self.model, obj.pk, lock=True)
        funnel.delete(row, actor=actor_of(request), reason=posted_reason(request))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            made = self.create_row(request, obj, form)
            # A service makes its own object; Django goes on with this one.
            obj.__dict__.update(made.__dict__)
            return
        changes = form.changes()
        if changes:
            row = self.update_row(request, obj.pk, changes, posted_version(request))
            obj.version = getattr(row, "version", None)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.delete_row(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        rows = list(queryset[: MAX_BULK + 1])
        if len(rows) > MAX_BULK:
            raise errors.Invalid({"": f"at most {MAX_BULK} rows are deleted at once"})
        for row in rows:
            self.delete_row(request, row)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Django's, with a stale page refused and what a service refuses shown at its field."""
        extra_context = {"show_save_and_add_another": False, **(extra_context or {})}
        extra_context = self.page_context(request, object_id, extra_context)
        if request.method == "POST" and object_id is not None:
            refused = self._refuse_stale(request, object_id, form_url, extra_context)
            if refused is not None:
                return refused
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except errors.Stale:
            # Changed between our look and our write; the second look sees it.
            refused = self._refuse_stale(request, str(object_id), form_url, extra_context)
            if refused is None:
                raise
            return refused
        except (errors.DomainError, IntegrityError) as error:
            note_problem(request, error)
            return super().changeform_view(request, object_id, form_url, extra_context)

    def page_context(
        self, request: HttpRequest, object_id: str | None, context: dict[str, Any]
    ) -> dict[str, Any]:
        """What a row's page needs beside Django's own: the buttons of its actions."""
        row = self.get_object(request, unquote(object_id)) if object_id is not None else None
        if row is None:
            return context
        found = {"buttons": self.buttons(request, row), "links": self.row_links(request, row)}
        return {**context, **found}

    def _refuse_stale(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str,
        extra_context: dict[str, Any],
    ) -> HttpResponse | None:
        """The page with both versions, or None where nothing came in between."""
        row, copy = (self.get_object(request, unquote(object_id)) for _ in range(2))
        if not isinstance(row, VersionedRow) or not self.has_change_permission(request, row):
            return None
        seen = posted_version(request)
        if seen == row.version:
            return None
        form = self.get_form(request, copy, change=True)(request.POST, instance=copy)
        conflict = find_conflict(row, form, seen)
        if conflict is None:
            return None
        request.conflict = conflict  # type: ignore[attr-defined]
        request.method = "GET"
        response = super().changeform_view(
            request, object_id, form_url, {**extra_context, "conflict": conflict}
        )
        response.status_code = 409
        return response

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return self._guarded(request, super().delete_view, object_id, extra_context)

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Few rows at once, many as a run of their own."""
        proposed = propose_from(self, request, queryset)
        return proposed or self._guarded(request, super().response_action, queryset)

    def _guarded(self, request: HttpRequest, view: Any, *args: Any) -> HttpResponse:
        """A refusal of a service becomes a message on the list, with nothing written."""
        try:
            with transaction.atomic():
                response: HttpResponse = view(request, *args)
                return response
        except (errors.DomainError, IntegrityError) as error:
            detail = getattr(error, "detail", "Other rows still need this one.")
            messages.error(request, detail)
            return self.to_list()

    def to_list(self) -> HttpResponse:
        return HttpResponseRedirect(show.changelist_url(self.model._meta.label_lower))

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

    # --- Deleting -----------------------------------------------------------------------------

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, str], set[str], list[str]]:
        """Counts, not rows: the database cascades, and nobody reads a list of 100,000 lines."""
        rows = list(objs[: MAX_BULK + 1])
        named, counts, forbidden = consequences(rows)
        if len(rows) > MAX_BULK:
            forbidden.append(f"At most {MAX_BULK} rows are deleted at once; choose fewer.")
        lacking = set() if self.has_delete_permission(request) else {str(self.opts.verbose_name)}
        return named, counts, lacking, forbidden


class ReadOnlyAdmin(WorkspaceAdmin):
    """Rows that are their own history, or that the product derives: to look at only."""

    add_role = change_role = delete_role = None
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
