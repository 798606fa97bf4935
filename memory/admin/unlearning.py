"""Taking back what a session, worker, key or run wrote: looked at, done, brought back."""

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from config.lib.admin import show
from config.lib.db.lookup import find_id
from config.lib.errors import DomainError, Invalid
from config.lib.ids import read_id
from contacts.admin.access import actor_of, allows, page_of, require_role
from contacts.admin.actions import PageLink, RowAction
from contacts.admin.forms import normal
from contacts.admin.runs import RunAdmin
from contacts.models import ApiKey
from contacts.models.workspace import Role
from memory.models import ImportRun, Unlearning
from memory.models.unlearning import ASKED_FOR, UnlearningKind, UnlearningState
from memory.services import unlearning
from sessions.models import Session, Worker

TONES = {
    UnlearningState.PROPOSED: "grey",
    UnlearningState.RUNNING: "blue",
    UnlearningState.DONE: "green",
    UnlearningState.UNDONE: "violet",
}
PHASES = {
    UnlearningState.PROPOSED: "This would be taken back; nothing was done",
    UnlearningState.RUNNING: "Being taken back",
    UnlearningState.DONE: "Taken back",
    UnlearningState.UNDONE: "Brought back",
}
_COUNTS = (
    ("archived", "archived"), ("removed", "removed"), ("reverted", "changed back"),
    ("losing", "lose a source and stay"), ("staying", "stay"),
)  # fmt: skip
_MODELS: dict[UnlearningKind, Any] = {
    UnlearningKind.SESSION: Session,
    UnlearningKind.WORKER: Worker,
    UnlearningKind.KEY: ApiKey,
    UnlearningKind.IMPORT: ImportRun,
}
MOST_KEPT = 50


@admin.register(Unlearning)
class UnlearningAdmin(RunAdmin):
    when_empty = (
        "An unlearning takes back what a session, a worker, a key or a run wrote, and all "
        "that came of it. It is begun on their pages."
    )
    page = "admin/memory/unlearning.html"
    part = "admin/memory/unlearning_part.html"
    tones = TONES
    list_display = ("heading", "state_badge", "by", "made")
    list_filter = (("kind", ChoicesDropdownFilter), ("state", ChoicesDropdownFilter))
    list_defer = ("preview", "report", "undone", "metadata")
    row_actions = (
        RowAction("run", "Take it back", "It was taken back.", "undo", Role.OPERATOR,
                  lambda *, actor, row, reason: unlearning.run_unlearning(
                      actor=actor, unlearning_id=row.pk),
                  open_to=lambda row: row.state == UnlearningState.PROPOSED, tone="danger",
                  bulk=False, confirm="What it wrote is taken back, as the preview says. It can be "
                                      "brought back."),
        RowAction("undo", "Bring it back", "It was brought back.", "redo", Role.OPERATOR,
                  lambda *, actor, row, reason: unlearning.undo_unlearning(
                      actor=actor, unlearning_id=row.pk),
                  open_to=lambda row: row.state == UnlearningState.DONE, bulk=False,
                  confirm="All that was taken comes back, but for what was changed since."),
    )  # fmt: skip

    def get_urls(self) -> list[URLPattern]:
        view = page_of(self, UnlearningAdmin.new_view)
        return [path("new/", view, name="memory_unlearning_new"), *super().get_urls()]

    def new_view(self, request: HttpRequest) -> HttpResponse:
        """Say whose work; a POST has it looked at."""
        require_role(request, Role.OPERATOR)
        asked = request.POST if request.method == "POST" else request.GET
        said = {
            name: normal(asked.get(name, "")).replace("\x00", "").strip()
            for name in ("kind", "target", "reason")
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
            "title": "Take back what it wrote",
            "kinds": [(kind.value, kind.label) for kind in ASKED_FOR],
            "said": said,
            "wrong": wrong,
        }
        return TemplateResponse(request, "admin/memory/unlearning_new.html", context)

    def _propose(self, request: HttpRequest, said: dict[str, str]) -> Unlearning:
        if said["kind"] not in ASKED_FOR:
            raise Invalid({"kind": "is none of those there are"})
        kind = UnlearningKind(said["kind"])
        model = _MODELS.get(kind)
        target = find_id(model, said["target"]) if model else read_id(said["target"])
        if target is None or isinstance(target, str):
            raise Invalid({"target": "of a run, give its full id"})
        return unlearning.propose_unlearning(
            actor=actor_of(request), kind=kind, target_id=target, reason=said["reason"][:500]
        )

    def title_of(self, row: Unlearning) -> str:
        return str(row)

    def progress_of(self, request: HttpRequest, row: Unlearning) -> dict[str, Any]:
        state = UnlearningState(row.state)
        report = {
            UnlearningState.PROPOSED: row.preview,
            UnlearningState.RUNNING: row.report,
            UnlearningState.DONE: row.report,
            UnlearningState.UNDONE: row.undone,
        }[state]
        kept = report.get("kept", [])
        model = _MODELS.get(UnlearningKind(row.kind))
        return {
            "phase": PHASES[state],
            "counts": [
                (table, rows, label)
                for name, label in _COUNTS
                for table, rows in report.get(name, {}).items()
            ],
            "kept": [show.named_row(one) for one in kept[:MOST_KEPT]],
            "more": max(0, sum(report.get("staying", {}).values()) - MOST_KEPT),
            "target": show.change_url(model._meta.label_lower, row.target_id) if model else "",
        }

    def row_links(self, request: HttpRequest, row: Unlearning) -> list[PageLink]:
        history = reverse("admin:memory_unlearning_history", args=[row.pk])
        links = [PageLink("History", history, "history")]
        if row.state == UnlearningState.PROPOSED or not allows(request, Role.VIEWER):
            return links
        changes = show.changelist_url("contacts.revision", f"request_id={row.pk}")
        return [PageLink("What it changed", changes, "list"), *links]

    @display(description="Taken back")
    def heading(self, obj: Unlearning) -> SafeString:
        return show.preview(f"{obj}: {obj.reason}" if obj.reason else str(obj))
