"""Erasures: what each would remove, doing it with its name typed, what was removed and remains."""

import uuid
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from config.lib.admin import show
from config.lib.db.lookup import find_id
from config.lib.errors import DomainError, Invalid
from contacts.admin.access import actor_of, allows, page_of, require_role
from contacts.admin.actions import PageLink, RowAction
from contacts.admin.forms import normal, posted_version
from contacts.admin.runs import RunAdmin
from contacts.models import Erasure
from contacts.models.erasure import ACTIVE, ErasureKind, ErasureState
from contacts.models.workspace import Role
from memory.services import erasures

TONES = {
    ErasureState.LOOKING: "blue",
    ErasureState.PROPOSED: "grey",
    ErasureState.RUNNING: "blue",
    ErasureState.DONE: "green",
    ErasureState.FAILED: "red",
    ErasureState.DROPPED: "grey",
}
PHASES = {
    ErasureState.LOOKING: "Looking at what would go",
    ErasureState.PROPOSED: "This would go; nothing was removed",
    ErasureState.RUNNING: "Erasing",
    ErasureState.DONE: "Erased",
    ErasureState.FAILED: "Failed: nothing was removed",
    ErasureState.DROPPED: "Left: nothing was removed",
}


@admin.register(Erasure)
class ErasureAdmin(RunAdmin):
    when_empty = (
        "An erasure removes a memory, a session, a contact or all about a term for good, "
        "and proves it."
    )
    page = "admin/memory/erasure.html"
    part = "admin/memory/erasure_part.html"
    tones = TONES
    list_display = ("heading", "state_badge", "rows", "by", "made")
    list_filter = (("kind", ChoicesDropdownFilter), ("state", ChoicesDropdownFilter))
    list_defer = ("wanted", "preview", "metadata")
    list_before_template = "admin/memory/erasures_top.html"
    row_actions = (
        RowAction("drop", "Leave it", "Nothing was removed.", "close", Role.OWNER,
                  lambda *, actor, row, reason: erasures.drop_erasure(
                      actor=actor, erasure_id=row.pk),
                  open_to=lambda row: row.state in erasures.WAITING, bulk=False),
        RowAction("lift", "Lift it", "It may be stored again.", "lock_open", Role.OWNER,
                  lambda *, actor, row, reason: erasures.lift_erasure(
                      actor=actor, erasure_id=row.pk, reason=reason),
                  open_to=lambda row: row.state == ErasureState.DONE and row.lifted_at is None,
                  bulk=False,
                  confirm="What was erased stays gone, but an import, an agent or a person may "
                          "store it anew."),
    )  # fmt: skip

    def get_urls(self) -> list[URLPattern]:
        pages = (
            ("new/", ErasureAdmin.new_view, "new"),
            ("<uuid:object_id>/run/", ErasureAdmin.run_view, "run"),
        )
        own = [
            path(address, page_of(self, view), name=f"contacts_erasure_{name}")
            for address, view, name in pages
        ]
        return [*own, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"may_erase": allows(request, Role.OWNER), **(extra_context or {})}
        return super().changelist_view(request, context)

    def new_view(self, request: HttpRequest) -> HttpResponse:
        """Say what; a POST has it looked at."""
        require_role(request, Role.OWNER)
        asked = request.POST if request.method == "POST" else request.GET
        said = {
            name: normal(asked.get(name, "")).replace("\x00", "").strip()
            for name in ("kind", "target", "term", "reason")
        }
        wrong = ""
        if request.method == "POST":
            try:
                with transaction.atomic():
                    row = self._propose(request, said)
                return HttpResponseRedirect(self.page_url(row))
            except DomainError as error:
                wrong = error.detail
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Erase for good",
            "kinds": ErasureKind.choices,
            "said": {**said, "kind": said["kind"] or ErasureKind.TERM.value},
            "wrong": wrong,
        }
        return TemplateResponse(request, "admin/memory/erasure_new.html", context)

    def _propose(self, request: HttpRequest, said: dict[str, str]) -> Erasure:
        if said["kind"] not in ErasureKind.values:
            raise Invalid({"kind": "is none of those there are"})
        kind, target = ErasureKind(said["kind"]), None
        if kind is not ErasureKind.TERM:
            target = find_id(erasures.TARGETS[kind], said["target"])
        return erasures.propose_erasure(
            actor=actor_of(request), kind=kind, target_id=target,
            term=said["term"] if target is None else "", reason=said["reason"][:500],
        )  # fmt: skip

    def run_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        """POST with its name typed erases it."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        require_role(request, Role.OWNER)
        row = self.find(object_id)
        try:
            with transaction.atomic():
                erasures.begin_erasure(
                    actor=actor_of(request),
                    erasure_id=row.pk,
                    confirm=normal(request.POST.get("confirm", "")),
                    expected_version=posted_version(request),
                )
        except DomainError as error:
            messages.error(request, error.detail)
        else:
            messages.success(request, "It is being erased.")
        return HttpResponseRedirect(self.page_url(row))

    def title_of(self, row: Erasure) -> str:
        return str(row)

    def progress_of(self, request: HttpRequest, row: Erasure) -> dict[str, Any]:
        state = ErasureState(row.state)
        report = row.report if state is ErasureState.DONE else row.preview
        ours = allows(request, Role.OWNER)
        named = [show.named_row(one) for one in (report.get("named", []) if ours else [])]
        return {
            "phase": PHASES[state],
            "active": state in ACTIVE,
            "is_done": state is ErasureState.DONE,
            "report": report,
            "removed": sorted(report.get("removed", {}).items()),
            "struck": sorted(report.get("struck", {}).items()),
            "named": named,
            "confirm": erasures.confirmation_of(row)
            if ours and state in erasures.WAITING and row.preview
            else "",
            "target": show.change_url(f"{_LABELS[row.kind]}", row.target_id)
            if row.target_id and state is not ErasureState.DONE
            else "",
        }

    def row_links(self, request: HttpRequest, row: Erasure) -> list[PageLink]:
        history = reverse("admin:contacts_erasure_history", args=[row.pk])
        return [PageLink("History", history, "history")]

    @display(description="Erasure")
    def heading(self, obj: Erasure) -> SafeString:
        return show.preview(f"{obj}{', lifted' if obj.lifted_at else ''}")

    @display(description="Rows")
    def rows(self, obj: Erasure) -> str:
        found = obj.report.get("removed")
        return f"{sum(found.values()):,}" if found else show.EMPTY


_LABELS = {kind.value: model._meta.label_lower for kind, model in erasures.TARGETS.items()} | {
    ErasureKind.TERM.value: ""
}
