"""Actions of lists over many rows: proposed as a run, and what a run does to one row.

Not for the pages of runs (bulk_runs.py), and not for slices (services/bulk.py). A run reads the
list by the list's own filters, with the eyes of the one who began it, anew in each slice.
"""

import uuid
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse

from contacts.admin.access import Entry, actor_of, allows
from contacts.admin.actions import MAX_BULK, RowAction
from contacts.admin.forms import REASON, posted_reason
from contacts.admin.listing import AtLeast, bounded_count
from contacts.models import Membership, Revision
from contacts.models.bulk import BulkRun, BulkState
from contacts.services import bulk, undo
from contacts.services.bulk import Item, Stopped, actor_of_run

DELETE = "delete"
# Of a list's address: which page of it is looked at, not what matches.
_NO_FILTER = ("p", "all", "e")


def propose_from(
    model_admin: Any, request: HttpRequest, rows: QuerySet[Any]
) -> HttpResponse | None:
    """A run for what a list's form asks for, and the way to its page; None where the rows are so
    few that the request does them itself. `rows` is the list, all of its pages."""
    name = request.POST.get("action", "")
    if name == "delete_selected":
        title, known = "Delete", model_admin.has_delete_permission(request)
        name = DELETE
    else:
        action = find_action(model_admin, name)
        title, known = action.label if action else "", bool(action and allows(request, action.role))
    if not known:
        return None
    across = request.POST.get("select_across") == "1"
    chosen = [] if across else request.POST.getlist("_selected_action")
    total = bounded_count(rows) if across else len(chosen)
    if total <= MAX_BULK:
        return None
    query = request.GET.copy()
    for one in _NO_FILTER:
        query.pop(one, None)
    names = model_admin.opts.verbose_name_plural
    run = bulk.propose(
        actor=actor_of(request),
        model=model_admin.opts.label_lower,
        action=name,
        title=f"{title}: {names}",
        query=query.urlencode() if across else "",
        ids=[str(one) for one in _ids(chosen)],
        total=int(total),
        at_least=isinstance(total, AtLeast),
        reason=posted_reason(request),
    )
    return HttpResponseRedirect(reverse("admin:contacts_bulkrun_change", args=[run.pk]))


def _ids(values: Sequence[str]) -> list[uuid.UUID]:
    found = []
    for value in values:
        try:
            found.append(uuid.UUID(value))
        except ValueError:
            continue
    return found


def find_action(model_admin: Any, name: str) -> RowAction | None:
    found: RowAction | None = next(
        (one for one in model_admin.row_actions if one.name == name and one.bulk), None
    )
    return found


def admin_of(run: BulkRun) -> Any:
    """None where a later release has no such page any more."""
    admin.autodiscover()
    registry = admin.site._registry.items()
    return next((one for model, one in registry if model._meta.label_lower == run.model), None)


# --- One slice ------------------------------------------------------------------------------------


def work_slice(run_id: uuid.UUID) -> bool:
    """In the current scope; whether there is more to do."""
    run = BulkRun.objects.filter(pk=run_id).only("state").first()
    if run is None:
        return False
    if run.state == BulkState.UNDOING:
        return bulk.work_slice(run_id, _read_changes, _undo_change)
    return bulk.work_slice(run_id, _read_rows, _do_row)


def _request_of(run: BulkRun) -> HttpRequest:
    """As if the one who began the run looked at the list now. Stopped where they may not."""
    user = User.objects.filter(pk=int(run.actor_id), is_active=True).first()
    member = Membership.objects.filter(user=user).select_related("workspace").first()
    if user is None or member is None:
        raise Stopped(f"{run.actor_label} is no member of this workspace any more.")
    request = HttpRequest()
    request.method = "GET"
    request.GET = QueryDict(run.query)
    request.POST = QueryDict(urlencode({REASON: run.reason}))
    request.user = user
    request.entry = Entry(member, [member], actor_of_run(run))  # type: ignore[attr-defined]
    return request


def _prepared(run: BulkRun) -> tuple[Any, HttpRequest, Callable[[Any], str]]:
    """(the model's admin, the request, what is done to a row). Kept on the run for its slice."""
    known: tuple[Any, HttpRequest, Callable[[Any], str]] | None = run.__dict__.get("prepared")
    if known is not None:
        return known
    model_admin = admin_of(run)
    if model_admin is None:
        raise Stopped("There is no such list any more.")
    request = _request_of(run)
    found = (model_admin, request, _doing(run, model_admin, request))
    run.__dict__["prepared"] = found
    return found


def _doing(run: BulkRun, model_admin: Any, request: HttpRequest) -> Callable[[Any], str]:
    lacking = Stopped(f"{run.actor_label} may not do this any more.")
    if run.action == DELETE:
        if not model_admin.has_delete_permission(request):
            raise lacking

        def delete(row: Any) -> str:
            model_admin.delete_row(request, row)
            return ""

        return delete
    action = find_action(model_admin, run.action)
    if action is None:
        raise Stopped("There is no such action any more.")
    if not allows(request, action.role):
        raise lacking
    actor = actor_of_run(run)

    def do(row: Any) -> str:
        if not action.open_to(row):
            return "It needs nothing: it is so already, or its state does not allow it."
        action.run(actor=actor, row=row, reason=run.reason)
        return ""

    return do


def _read_rows(run: BulkRun, limit: int) -> list[Item]:
    """By id, from where the last slice ended to what was there when the run was proposed."""
    model_admin, request, _ = _prepared(run)
    if run.ids:
        rows = model_admin.get_queryset(request).filter(pk__any_of=_ids(run.ids))
    else:
        try:
            rows = model_admin.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            raise Stopped("The list's filters cannot be read any more.") from None
    rows = rows.filter(pk__lt=run.pk)
    if run.cursor is not None:
        rows = rows.filter(pk__gt=run.cursor)
    found = rows.order_by("pk").values_list("pk", flat=True)[:limit]
    return [Item(pk, pk) for pk in found]


def _do_row(run: BulkRun, item: Item) -> str:
    model_admin, _, do = _prepared(run)
    row = model_admin.model.objects.filter(pk=item.row_id).first()
    return "It is gone." if row is None else do(row)


# --- Taking a run back ----------------------------------------------------------------------------


def _read_changes(run: BulkRun, limit: int) -> list[Item]:
    """What the run did, the last first. Index revision_actor."""
    _prepared(run)
    rows = Revision.objects.filter(
        actor_id=run.ran_by, request_id=str(run.pk), id__gt=run.pk
    ).exclude(Q(action="unlink") | Q(model=BulkRun._meta.label_lower))
    if run.cursor is not None:
        rows = rows.filter(id__lt=run.cursor)
    found = rows.order_by("-id").values_list("id", "object_id")[:limit]
    return [Item(key, row_id) for key, row_id in found]


def _undo_change(run: BulkRun, item: Item) -> str:
    """By the change itself; what follows from an action, by the action that takes it back."""
    model_admin, _, _ = _prepared(run)
    revision = Revision.objects.get(pk=item.key)
    planned, actor = undo.plan(revision), actor_of_run(run)
    reason = f"took back the run {run.title}"
    if planned.since:
        names = ", ".join(name.replace("_", " ") for name in planned.since)
        return f"Changed once more since: {names}."
    if not planned.why_not:
        undo.undo(actor=actor, revision_id=revision.pk, reason=reason)
        return ""
    action = find_action(model_admin, run.action)
    back = find_action(model_admin, action.undone_by) if action and action.undone_by else None
    row = model_admin.model.objects.filter(pk=item.row_id).first()
    if back is None or row is None or revision.model != run.model:
        return planned.why_not
    if not back.open_to(row):
        return "It is as it was before already."
    back.run(actor=actor, row=row, reason=reason)
    return ""
