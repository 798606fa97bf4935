"""A row's form: writes through services, a stale page refused, refusals shown where they belong.

Not for the list (row_lists.py), nor for what is done without a form (actions.py).
"""

import uuid
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.admin import ModelAdmin

from config.lib import errors
from config.lib.admin import show
from config.lib.db.models import VersionedRow
from contacts.admin.access import actor_of
from contacts.admin.actions import MAX_BULK, RowActions
from contacts.admin.bulk import propose_from
from contacts.admin.conflicts import Conflict, find_conflict
from contacts.admin.deletion import consequences
from contacts.admin.forms import LinesField, RowForm, note_problem, posted_reason, posted_version
from contacts.admin.permissions import Permissions
from contacts.services import funnel


class RowForms(RowActions, Permissions, ModelAdmin):
    """The pages of a WorkspaceAdmin on which one row is made, changed and deleted."""

    form = RowForm
    warn_unsaved_form = True
    save_as = False
    change_form_before_template: str | None = "admin/includes/version.html"
    change_form_outer_before_template: str | None = "admin/includes/conflict.html"
    change_form_after_template: str | None = "admin/includes/reason.html"

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

    # --- Writes ---------------------------------------------------------------------------------

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

    # --- Deleting -------------------------------------------------------------------------------

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
