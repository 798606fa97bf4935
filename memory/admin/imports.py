"""Imports: the list of runs, and the page of one: what to read, its dry run, its report, taking it
back. Each step is begun here and done by a job (memory/importers/asked.py).

Not for getting the files here (import_upload.py).
"""

import uuid
from dataclasses import replace
from functools import cache, partial
from typing import Any

from django.apps import apps
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from config.lib.actor import Actor
from config.lib.admin import show
from config.lib.errors import DomainError
from contacts.admin.access import actor_of, allows, page_of, require_role
from contacts.admin.actions import PageLink, RowAction, unlearn_links
from contacts.admin.runs import RunAdmin, silence
from contacts.models.workspace import Role
from memory.admin import import_upload
from memory.admin.import_report import share, told
from memory.importers import asked
from memory.importers.registry import SOURCES
from memory.importers.source import times_of
from memory.models import ImportRun
from memory.models.imports import ACTIVE, ImportState

TONES = {
    ImportState.RECEIVING: "grey",
    ImportState.UNPACKING: "blue",
    ImportState.PROPOSED: "grey",
    ImportState.TRYING: "blue",
    ImportState.TRIED: "grey",
    ImportState.RUNNING: "blue",
    ImportState.DONE: "green",
    ImportState.FAILED: "red",
    ImportState.INTERRUPTED: "amber",
    ImportState.PREVIEWING: "blue",
    ImportState.UNDOING: "blue",
    ImportState.UNDONE: "violet",
}
# What stands above the report of each.
PHASES = {
    ImportState.RECEIVING: "The upload has not ended",
    ImportState.UNPACKING: "Looking at what was uploaded",
    ImportState.PROPOSED: "What is it?",
    ImportState.TRYING: "Dry run: nothing is kept",
    ImportState.TRIED: "Dry run: this would happen; nothing was kept",
    ImportState.RUNNING: "Importing",
    ImportState.DONE: "Imported",
    ImportState.FAILED: "Failed",
    ImportState.INTERRUPTED: "Interrupted: what it brought is there",
    ImportState.PREVIEWING: "Looking at what would go and what would stay",
    ImportState.UNDOING: "Taking it back",
    ImportState.UNDONE: "Taken back",
}
_TRIALS = (ImportState.TRYING, ImportState.TRIED)
# More of a preview than this nobody reads on a page.
MAX_KEPT = 50


def _begin(state: ImportState, *, actor: Actor, row: ImportRun, reason: str) -> ImportRun:
    return asked.begin(actor=actor, run_id=row.pk, state=state, reason=reason)


def _action(
    state: ImportState, label: str, icon: str, said: str, tone: str, **more: Any
) -> RowAction:
    return RowAction(
        name=state.value, label=label, done=said, icon=icon, role=Role.OPERATOR,
        run=partial(_begin, state), open_to=lambda row: asked.may_become(row, state), tone=tone,
        bulk=False, **more,
    )  # fmt: skip


class SourceFilter(DropdownFilter):
    title = "source"
    parameter_name = "source"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, SOURCES[name].title) for name in sorted(SOURCES)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Index importrun_source."""
        return queryset.filter(source=self.value()) if self.value() else queryset


@admin.register(ImportRun)
class ImportRunAdmin(RunAdmin):
    when_empty = (
        "What is brought along from another system stands here, run by run, with report and undo."
    )
    page = "admin/memory/import_run.html"
    part = "admin/memory/import_part.html"
    tones = TONES
    # A new one begins with its upload, on a page of its own.
    add_role = Role.OPERATOR
    list_before_template = "admin/memory/imports_top.html"
    list_display = ("heading", "state_badge", "rows", "left_out", "by", "made")
    list_filter = (("state", ChoicesDropdownFilter), SourceFilter)
    list_defer = (
        "problems", "tried", "preview", "undone", "files", "found", "checked", "error", "options",
        "metadata",
    )  # fmt: skip
    row_actions = (
        _action(ImportState.RUNNING, "Import", "play_arrow", "The import has begun.", "primary"),
        RowAction("stop", "Stop", "It has stopped.", "stop_circle", Role.OPERATOR,
                  lambda *, actor, row, reason: asked.stop(
                      actor=actor, run_id=row.pk, reason=reason),
                  open_to=asked.may_stop, bulk=False),
        _action(ImportState.PREVIEWING, "Take it back …", "undo",
                "What would go and what would stay is being looked at.", "default"),
        _action(ImportState.UNDOING, "Take it back", "undo", "It is being taken back.", "danger",
                confirm="What this import brought is removed, as the preview says."),
        RowAction("discard", "Delete the upload", "The upload is deleted.", "delete",
                  Role.OPERATOR,
                  lambda *, actor, row, reason: asked.discard(
                      actor=actor, run_id=row.pk, reason=reason),
                  open_to=asked.may_discard, bulk=False),
    )  # fmt: skip

    def get_urls(self) -> list[URLPattern]:
        pages = (
            ("<uuid:object_id>/ask/", ImportRunAdmin.ask_view, "ask"),
            ("begin/", import_upload.begin_view, "begin"),
            ("<uuid:object_id>/piece/", import_upload.piece_view, "piece"),
        )
        own = [
            path(address, page_of(self, view), name=f"memory_importrun_{name}")
            for address, view, name in pages
        ]
        return [*own, *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The upload."""
        require_role(request, Role.OPERATOR)
        request.current_app = self.admin_site.name
        return import_upload.upload_view(self, request)

    def title_of(self, row: ImportRun) -> str:
        return f"Import of {row.path}"

    def state_of(self, row: ImportRun) -> ImportState:
        return ImportState.INTERRUPTED if asked.is_lost(row) else ImportState(row.state)

    def ask_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        """POST says what to read of it as what, and begins the dry run."""
        require_role(request, Role.OPERATOR)
        row = self.find(object_id)
        page = HttpResponseRedirect(self.page_url(row))
        if request.method != "POST":
            return page
        asking = {name: request.POST.get(name, "").replace("\x00", "")
                  for name in ("source", "read", "agent", "since")}  # fmt: skip
        try:
            with transaction.atomic():
                asked.ask(actor=actor_of(request), run_id=row.pk, **asking)
        except DomainError as error:
            messages.error(request, error.detail)
        else:
            messages.success(request, "The dry run has begun.")
        return page

    def progress_of(self, request: HttpRequest, row: ImportRun) -> dict[str, Any]:
        state = ImportState(row.state)
        lost = asked.is_lost(row)
        tried = row.tried if state is ImportState.TRIED else None
        mine = {
            name: getattr(row, name)
            for name in ("counts", "problem_counts", "problems", "redacted", "checked")
        }
        asking = asked.may_become(row, ImportState.TRYING) and allows(request, Role.OPERATOR)
        taking = row.undone if state is ImportState.UNDONE else row.preview
        return {
            "source": SOURCES[row.source].title if row.source in SOURCES else row.source,
            "phase": PHASES[self.state_of(row)],
            # A command's run ends by itself too, and says so in its row.
            "active": state in ACTIVE and not lost,
            "silent": silence(row.beat_at, asked.LOST) if state in ACTIVE and row.by_page else None,
            "measured": state in (ImportState.TRYING, ImportState.RUNNING),
            "share": share(row.counts),
            "would": state in _TRIALS,
            "report": told(tried or mine) if tried or row.counts else None,
            "taking": _taking(taking) if "removed" in taking else None,
            "asking": asking,
            "sources": [(name, SOURCES[name].title) for name in sorted(SOURCES)] if asking else [],
            "times": times_of(SOURCES[row.source]) if row.source in SOURCES else "",
            "has_upload": asked.has_upload(row),
        }

    def buttons(self, request: HttpRequest, row: Any) -> list[dict[str, Any]]:
        found = super().buttons(request, row)
        names = {one["action"].name for one in found}
        # One of the two: with the preview on the page the next step is the thing itself.
        if ImportState.UNDOING in names:
            found = [one for one in found if one["action"].name != ImportState.PREVIEWING]
        return found

    def row_links(self, request: HttpRequest, row: Any) -> list[PageLink]:
        history = reverse("admin:memory_importrun_history", args=[row.pk])
        changes = show.changelist_url("contacts.revision", f"actor_id={row.pk}")
        links = [PageLink("History", history, "history")]
        if unit := row.undone.get("unlearning_id"):
            page = show.change_url("memory.unlearning", unit) or ""
            links.insert(0, PageLink("Bring it back …", page, "redo"))
        if not row.counts:
            return links
        # Its own taking back removes what it brought; this one archives memories and what follows.
        back = [
            replace(one, label="Archive what it wrote …")
            for one in unlearn_links(request, "run", row)
            if row.state != ImportState.UNDONE
        ]
        return [PageLink("What it wrote", changes, "list"), *links, *back]

    @display(description="Import")
    def heading(self, obj: ImportRun) -> SafeString:
        return show.preview(f"{obj.source or 'unknown'}: {obj.path}")

    @display(description="Rows")
    def rows(self, obj: ImportRun) -> str:
        sums = told({"counts": obj.counts})["sums"]
        named = (("created", "new"), ("updated", "changed"), ("unchanged", "same"))
        return ", ".join(f"{sums[name]:,} {word}" for name, word in named if sums[name]) or "–"

    @display(description="Left out")
    def left_out(self, obj: ImportRun) -> str:
        return f"{told({'counts': obj.counts})['sums']['skipped']:,}" if obj.counts else "–"


@cache
def _plurals() -> dict[str, str]:
    """What several of each are called, by the name of one."""
    options = [model._meta for model in apps.get_models()]
    return {str(one.verbose_name): str(one.verbose_name_plural) for one in options}


def _taking(report: dict[str, Any]) -> dict[str, Any]:
    """What an undo did or would do: [(rows, of what)] of each, and what stays with why."""
    listed = {
        name: [
            (n, what if n == 1 else _plurals().get(what, what))
            for what, n in report.get(name, {}).items()
            if n
        ]
        for name in ("removed", "reverted", "staying")
    }
    kept = report.get("kept", [])
    staying = sum(n for n, _ in listed["staying"])
    return {**listed, "kept": kept[:MAX_KEPT], "more": max(0, staying - MAX_KEPT)}
