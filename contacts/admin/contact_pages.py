"""The pages around contacts: duplicates, merging with a look before, import and export.

Not for a contact's own form (contacts.py).
"""

import uuid
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldBooleanSwitchWidget,
)

from config.lib.errors import DomainError
from contacts.admin.access import actor_of, allows, page_of, require_entry, require_role
from contacts.admin.forms import posted_reason
from contacts.admin.history import plain
from contacts.models import Contact
from contacts.models.workspace import Role
from contacts.schemas_contacts import ContactRow
from contacts.selectors_contacts import list_contacts, shown
from contacts.selectors_duplicates import find_duplicates
from contacts.services.exports import FileFormat, card_of, contact_parts
from contacts.services.imports import Report, import_sheet, import_vcards
from contacts.services.merges import Merged, merge_contacts, preview_merge

PER_PAGE = 25
CANDIDATES = 20
# More of a report than this nobody reads on a page; the numbers are there.
MAX_SHOWN = 200
REASONS = {
    "same_email": "same email",
    "same_phone": "same number",
    "same_name": "same name",
    "similar_name": "similar name",
}

View = Callable[..., HttpResponseBase]


def contact_urls(admin: Any) -> list[URLPattern]:
    """Their addresses, below the model's."""
    pages: tuple[tuple[str, View, str], ...] = (
        ("duplicates/", duplicates_view, "duplicates"),
        ("import/", import_view, "import"),
        ("export/<slug:name>/", export_view, "export"),
        ("<uuid:object_id>/merge/", merge_view, "merge"),
        ("<uuid:object_id>/card/", card_view, "card"),
    )
    return [
        path(address, page_of(admin, view), name=f"contacts_contact_{name}")
        for address, view, name in pages
    ]


def _page(admin: Any, request: HttpRequest, name: str, **context: Any) -> TemplateResponse:
    shared = {**admin.admin_site.each_context(request), "opts": admin.opts}
    return TemplateResponse(request, f"admin/contacts/{name}.html", {**shared, **context})


def _find(object_id: uuid.UUID) -> Contact:
    found = Contact.objects.filter(pk=object_id).first()
    if found is None:
        raise Http404
    return found


# --- Duplicates and merging ---------------------------------------------------------------------


def duplicates_view(admin: Any, request: HttpRequest) -> HttpResponse:
    """Groups that may be one person, `?cursor=` for the next page."""
    groups, cursor = find_duplicates(cursor=request.GET.get("cursor") or None, limit=PER_PAGE)
    everyone = {row.pk: row for group in groups for row in group.contacts}
    details = {one["id"]: one for one in shown(everyone.values(), ContactRow.model_fields)}
    found = [
        {
            "reasons": [(REASONS[why.reason], why.value) for why in group.reasons],
            "target": details[group.contacts[0].pk],
            "others": [details[row.pk] for row in group.contacts[1:]],
        }
        for group in groups
    ]
    return _page(
        admin,
        request,
        "duplicates",
        title="Contacts that may be one",
        groups=found,
        cursor=cursor,
        may_merge=allows(request, Role.OPERATOR),
    )


def merge_view(admin: Any, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
    """`?source=` shows what merging it would do, POST does it; without it, whom to choose."""
    require_role(request, Role.OPERATOR)
    target = _find(object_id)
    wanted = request.POST.get("source") or request.GET.get("source") or ""
    context: dict[str, Any] = {"title": f"Merge into {target}", "target": target}
    if not wanted:
        return _page(admin, request, "merge", **context, **_candidates(request, target))
    try:
        source_id = uuid.UUID(wanted)
    except ValueError:
        raise Http404 from None
    try:
        if request.method == "POST":
            with transaction.atomic():
                return _merge(request, target, source_id)
        merged = preview_merge(target_id=target.pk, source_id=source_id)
    except DomainError as error:
        messages.error(request, error.detail)
        return HttpResponseRedirect(reverse("admin:contacts_contact_change", args=[target.pk]))
    context |= {"merged": merged, "changes": _changes(merged)}
    return _page(admin, request, "merge", **context)


def _merge(request: HttpRequest, target: Contact, source_id: uuid.UUID) -> HttpResponse:
    versions = [request.POST.get(name, "") for name in ("version", "source_version")]
    seen = [int(v) if v.isascii() and v.isdigit() and len(v) < 10 else None for v in versions]
    merged = merge_contacts(
        actor=actor_of(request),
        target_id=target.pk,
        source_id=source_id,
        expected_version=seen[0],
        source_version=seen[1],
        reason=posted_reason(request),
    )
    messages.success(
        request, f"{merged.source} is merged into {merged.target}. Its own page can undo it."
    )
    return HttpResponseRedirect(reverse("admin:contacts_contact_change", args=[target.pk]))


def _candidates(request: HttpRequest, target: Contact) -> dict[str, Any]:
    """Contacts whose name, email or number begins with `?q=`."""
    q = request.GET.get("q", "").replace("\x00", "").strip()[:200]
    if not q:
        return {"q": ""}
    rows, order = list_contacts({"q": q})
    found = rows.exclude(pk=target.pk).order_by(*order)[:CANDIDATES]
    return {"q": q, "candidates": shown(found, ContactRow.model_fields)}


def _changes(merged: Merged) -> list[dict[str, str]]:
    """What becomes different in the target, for people; the raw card says nothing to them."""
    return [
        {
            "field": name.replace("_", " "),
            "before": plain(_text(merged.before.get(name))),
            "after": plain(_text(value)),
        }
        for name, value in merged.after.items()
        if name not in ("vcard", "sort_name")
    ]


def _text(value: Any) -> Any:
    return value.isoformat(" ", "minutes") if hasattr(value, "isoformat") else value


# --- Files ------------------------------------------------------------------------------------


class ImportForm(forms.Form):
    """A file, or its text."""

    file = forms.FileField(
        required=False,
        widget=UnfoldAdminFileFieldWidget,
        help_text="vCards (.vcf) or a sheet (.csv), such as Google or Outlook export them.",
    )
    text = forms.CharField(
        required=False,
        strip=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6}),
        help_text="Or paste it here.",
    )
    preview = forms.BooleanField(
        required=False,
        initial=True,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Only say what would happen.",
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not cleaned.get("file") and not (cleaned.get("text") or "").strip():
            raise forms.ValidationError("Choose a file, or paste its text.")
        return cleaned

    def content(self) -> str:
        file = self.cleaned_data.get("file")
        if not file:
            return str(self.cleaned_data["text"])
        content: bytes = file.read()
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            # What Outlook writes on Windows; every byte of it is some character.
            return content.decode("windows-1252", "replace")


def import_view(admin: Any, request: HttpRequest) -> HttpResponse:
    require_role(request, Role.OPERATOR)
    form = ImportForm(request.POST, request.FILES) if request.method == "POST" else ImportForm()
    context: dict[str, Any] = {"title": "Import contacts", "form": form}
    if request.method == "POST" and form.is_valid():
        text = form.content()
        is_cards = text.lstrip("\ufeff \r\n\t")[:11].upper() == "BEGIN:VCARD"
        run = import_vcards if is_cards else import_sheet
        try:
            with transaction.atomic():
                report = run(
                    actor=actor_of(request), text=text, preview=form.cleaned_data["preview"]
                )
        except DomainError as error:
            form.add_error(None, error.detail)
        else:
            context |= _report(report) | {"preview": form.cleaned_data["preview"]}
    return _page(admin, request, "import", **context)


def _report(report: Report) -> dict[str, Any]:
    return {
        "report": report,
        "counts": [(name, report.count(name)) for name in ("created", "updated", "unchanged")],
        "taken": report.taken[:MAX_SHOWN],
        "left_out": [(one, what) for one in report.taken for what in one.left_out][:MAX_SHOWN],
        "shortened": [(one, what) for one in report.taken for what in one.shortened][:MAX_SHOWN],
        "refused": [
            (one, "; ".join(f"{name}: {why}" for name, why in one.errors.items()))
            for one in report.refused[:MAX_SHOWN]
        ],
    }


def export_view(admin: Any, request: HttpRequest, name: str) -> StreamingHttpResponse:
    """All contacts as vcard3, vcard4 or csv."""
    if name not in list(FileFormat):
        raise Http404
    chosen = FileFormat(name)
    # Read after this request's scope has ended: each part enters one of its own.
    parts = contact_parts(require_entry(request).workspace.pk, {}, chosen)
    response = StreamingHttpResponse(parts, content_type=chosen.content_type)
    response["Content-Disposition"] = f'attachment; filename="contacts.{chosen.ending}"'
    return response


def card_view(admin: Any, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
    """One contact as a card, in the version that every program reads."""
    contact = _find(object_id)
    response = HttpResponse(card_of(contact, "3.0"), content_type=FileFormat.VCARD3.content_type)
    response["Content-Disposition"] = f'attachment; filename="{contact.short_id}.vcf"'
    return response
