"""What can be done to a row beside editing it: approve, revoke, end. Each calls one service.

A RowAction is a button on the row's page and, where `bulk`, an action of the list. Always a POST:
a link that changes something could be followed by a browser on its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme

from config.lib.errors import Conflict, DomainError, Invalid, NotFound
from contacts.admin.access import actor_of, allows, require_role
from contacts.admin.forms import normal, posted_reason, posted_version
from contacts.models.erasure import ErasureKind
from contacts.models.workspace import Role

# As many as a request has time for; more become a job (bulk.py).
MAX_BULK = 100


@dataclass(frozen=True, slots=True)
class RowAction:
    """`run(actor=, row=, reason=)` calls the service; `open_to(row)` says when it can be done.

    One that `takes_text` takes words too, `run(..., text=)`, posted as `text`: pages with a field
    for them offer it, and it is no button. Where the person is asked for the reason, `asks` names
    the field; `undone_by` names the action that takes this one back.
    """

    name: str
    label: str
    done: str
    icon: str
    role: Role
    run: Callable[..., Any]
    open_to: Callable[[Any], bool] = lambda row: True
    tone: str = "default"
    bulk: bool = True
    confirm: str = ""
    takes_text: bool = False
    asks: str = ""
    undone_by: str = ""


@dataclass(frozen=True, slots=True)
class PageLink:
    """A way from a row's page to the rows around it."""

    label: str
    url: str
    icon: str


def erase_links(request: HttpRequest, kind: ErasureKind, row: Any) -> list[PageLink]:
    """From a row's page to where its erasure begins, for who may."""
    if not allows(request, Role.OWNER):
        return []
    address = f"{reverse('admin:contacts_erasure_new')}?kind={kind.value}&target={row.pk}"
    return [PageLink("Erase …", address, "delete_forever")]


def unlearn_links(request: HttpRequest, kind: str, row: Any) -> list[PageLink]:
    """From the page of a session, worker, key or run to taking back what it wrote."""
    if not allows(request, Role.OPERATOR):
        return []
    address = f"{reverse('admin:memory_unlearning_new')}?kind={kind}&target={row.pk}"
    return [PageLink("Take back what it wrote …", address, "undo")]


class RowActions:
    """For a ModelAdmin: `row_actions` as buttons and list actions."""

    row_actions: tuple[RowAction, ...] = ()
    model: Any
    admin_site: Any
    opts: Any

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_do"
        urls: list[URLPattern] = super().get_urls()  # type: ignore[misc]
        if not self.row_actions:
            return urls
        view = self.admin_site.admin_view(self.do_view)
        return [path("<uuid:object_id>/do/<slug:action>/", view, name=name), *urls]

    def do_view(self, request: HttpRequest, object_id: Any, action: str) -> HttpResponse:
        """Run one action on one row, and go back to where the button was."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        chosen, row = self.find_action(request, object_id, action)
        try:
            with transaction.atomic():
                run_action(request, chosen, row)
        except DomainError as error:
            messages.error(request, error.detail)
        else:
            messages.success(request, chosen.done)
        return HttpResponseRedirect(self.next_page(request, row.pk))

    def find_action(
        self, request: HttpRequest, object_id: Any, action: str
    ) -> tuple[RowAction, Any]:
        """(what is to be done, the row); NotFound, and PermissionDenied to a lesser role."""
        chosen = next((one for one in self.row_actions if one.name == action), None)
        row = self.model.objects.filter(pk=object_id).first()
        if chosen is None or row is None:
            raise NotFound(str(self.opts.verbose_name), object_id)
        require_role(request, chosen.role)
        return chosen, row

    def next_page(self, request: HttpRequest, object_id: Any) -> str:
        """Where the button was, if it said so; else the row's own page."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return posted_next(request, reverse(name, args=[object_id]))

    def buttons(self, request: HttpRequest, row: Any) -> list[dict[str, Any]]:
        """The actions this person may run on this row now, for includes/buttons.html."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_do"
        return [
            {"action": one, "url": reverse(name, args=[row.pk, one.name])}
            for one in self.row_actions
            if not one.takes_text and allows(request, one.role) and one.open_to(row)
        ]

    def row_links(self, request: HttpRequest, row: Any) -> list[PageLink]:
        """Where to go from this row. Beside the buttons."""
        return []

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)  # type: ignore[misc]
        for one in self.row_actions:
            if one.bulk and not one.takes_text and allows(request, one.role):
                actions[one.name] = (_on_many(one), one.name, one.label)
        return actions


def run_action(request: HttpRequest, action: RowAction, row: Any) -> None:
    """Do what was posted; DomainError, with nothing written, where it cannot be done any more."""
    _refuse_late(request, action, row)
    said = {"text": _posted_text(request)} if action.takes_text else {}
    action.run(actor=actor_of(request), row=row, reason=posted_reason(request), **said)


def posted_next(request: HttpRequest, otherwise: str) -> str:
    """Where the form was, if it says so and that is a page of ours."""
    wanted = request.POST.get("next", "")
    return wanted if url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) else otherwise


def _refuse_late(request: HttpRequest, action: RowAction, row: Any) -> None:
    """A button may be on a page that was opened before somebody else decided."""
    seen = posted_version(request)
    if not action.open_to(row) or (seen is not None and seen != row.version):
        raise Conflict(
            f"Nothing was done: this {row._meta.verbose_name} was changed meanwhile.",
            code="changed_meanwhile",
        )


def _posted_text(request: HttpRequest) -> str:
    text = normal(request.POST.get("text", "")).strip()
    if not text:
        raise Invalid({"answer": "is empty; nothing was done"})
    return text


def _on_many(action: RowAction) -> Callable[[Any, HttpRequest, QuerySet[Any]], None]:
    def run(admin: Any, request: HttpRequest, rows: QuerySet[Any]) -> None:
        chosen = list(rows[:MAX_BULK])
        done = 0
        for row in chosen:
            if not action.open_to(row):
                continue
            action.run(actor=actor_of(request), row=row, reason="")
            done += 1
        skipped = len(chosen) - done
        text = f"{action.label}: {done:,} done"
        messages.success(request, f"{text}, {skipped:,} needed nothing." if skipped else f"{text}.")

    return run
