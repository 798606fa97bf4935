"""Contacts with their emails, phones and tags as one form. Merging and files: contact_pages.py."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, BooleanRadioFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from config.lib.admin import show
from contacts.admin.access import actor_of, allows
from contacts.admin.actions import PageLink, RowAction, erase_links
from contacts.admin.base import WorkspaceAdmin, folded
from contacts.admin.contact_pages import contact_urls
from contacts.admin.filters import DaysFilter
from contacts.admin.forms import LinesField, RowForm, posted_reason
from contacts.models import Contact
from contacts.models.erasure import ErasureKind
from contacts.models.workspace import Role
from contacts.services.addresses import MAX_EMAILS, MAX_PHONES, MAX_TAGS, Labelled
from contacts.services.contacts import (
    PARTS,
    create_contact,
    delete_contact,
    dismiss_unreadable,
    part_values,
    update_contact,
)
from contacts.services.merges import unmerge_contact
from contacts.services.unreadable import texts_of


def _lines(limit: int, help_text: str) -> LinesField:
    return LinesField(
        forms.CharField(max_length=400),
        max_length=limit,
        required=False,
        help_text=help_text,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )


class ContactForm(RowForm):
    """The model's fields, and its parts one in a line, as its history shows them."""

    emails = _lines(MAX_EMAILS, "One per line, with what it is called: ada@example.com (work)")
    phones = _lines(MAX_PHONES, "One per line, with its country code: +41 44 668 18 00 (cell)")
    tags = _lines(MAX_TAGS, "One per line.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        instance = kwargs.get("instance")
        if instance is not None and not instance._state.adding:
            kwargs["initial"] = {**part_values(instance), **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)

    def changes(self) -> dict[str, Any]:
        return super().changes() | self.parts(only_changed=True)

    def parts(self, *, only_changed: bool = False) -> dict[str, Any]:
        """Emails, phones and tags as the service takes them."""
        wanted = PARTS & set(self.changed_data if only_changed else self.fields)
        found: dict[str, Any] = {name: self.cleaned_data.get(name) or [] for name in wanted}
        for name in wanted - {"tags"}:
            found[name] = [Labelled.read(text) for text in found[name]]
        return found


@admin.register(Contact)
class ContactAdmin(WorkspaceAdmin):
    when_empty = "People come from agents, from vCard and CSV files, from imports, and by hand."
    form = ContactForm
    list_display = ("name", "company", "email_list", "phone_list", "tag_list", "spoken", "pin")
    list_filter = (
        ("contact_tags__tag", AutocompleteSelectFilter),
        ("pinned", BooleanRadioFilter),
        ("last_contact_at", DaysFilter),
    )
    list_defer = ("vcard", "description", "notes", "metadata", "unreadable", "dismissed")
    search_fields = ("name", "company", "emails__email", "phones__number")
    search_help_text = "Words, a part of name, company, email or number, or an id"
    ordering = ("sort_name", "id")
    list_before_template = "admin/contacts/tools.html"
    change_form_outer_before_template = "admin/contacts/top.html"
    readonly_fields = ("merged", "unread", "card", "known_as", "made", "changed", "ids")
    fieldsets = (
        (None, {"fields": ("merged", "name", ("company", "role"), ("location", "relationship"))}),
        ("Addresses", {"fields": ("emails", "phones", "unread", "tags")}),
        ("About", {"fields": ("description", "notes", "last_contact_at", "pinned")}),
        folded("More", "metadata", "card", "known_as", ("made", "changed"), "ids"),
    )
    add_fieldsets = (
        (None, {"fields": ("name", ("company", "role"), ("location", "relationship"))}),
        ("Addresses", {"fields": ("emails", "phones", "tags")}),
        ("About", {"fields": ("description", "notes", "last_contact_at", "pinned")}),
    )
    row_actions = (
        RowAction(
            name="unmerge",
            label="Undo the merge",
            done="Both contacts are as they were before the merge.",
            icon="call_split",
            role=Role.OPERATOR,
            run=lambda *, actor, row, reason: unmerge_contact(
                actor=actor, source_id=row.pk, reason=reason
            ),
            open_to=lambda row: row.merged_into_id is not None,
            bulk=False,
        ),
        RowAction(
            name="dismiss-unreadable",
            label="Take out what could not be read",
            done="What could not be read is taken out; the contact's history has it.",
            icon="backspace",
            role=Role.OPERATOR,
            run=lambda *, actor, row, reason: dismiss_unreadable(
                actor=actor, contact_id=row.pk, reason=reason
            ),
            open_to=lambda row: row.merged_into_id is None and bool(row.unreadable),
            bulk=False,
        ),
    )

    def for_list(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Without those that were merged; addresses in three more queries for any number."""
        rows = super().for_list(rows).filter(merged_into=None)
        return rows.prefetch_related("emails", "phones", "contact_tags__tag")

    def get_urls(self) -> list[URLPattern]:
        return [*contact_urls(self), *super().get_urls()]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A contact that was merged is to look at; its undo brings it back."""
        merged = obj is not None and obj.merged_into_id is not None
        return not merged and super().has_change_permission(request, obj)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """With what few contacts have only where one has it."""
        sets = super().get_fieldsets(request, obj)
        if obj is None:
            return sets
        hidden = {"merged"} if obj.merged_into_id is None else set[str]()
        hidden |= set() if obj.unreadable else {"unread"}
        return [
            (name, {**of, "fields": [one for one in of["fields"] if one not in hidden]})
            for name, of in sets
        ]

    def create_row(self, request: HttpRequest, obj: Contact, form: RowForm) -> Contact:
        names = ("name", "company", "role", "location", "relationship", "description", "notes",
                 "last_contact_at", "pinned")  # fmt: skip
        fields = {name: getattr(obj, name) for name in names}
        parts = form.parts() if isinstance(form, ContactForm) else {}
        return create_contact(actor=actor_of(request), fields=fields | parts)

    def update_row(
        self, request: HttpRequest, pk: Any, changes: dict[str, Any], version: int | None
    ) -> Contact:
        return update_contact(
            actor=actor_of(request),
            contact_id=pk,
            changes=changes,
            expected_version=version,
            reason=posted_reason(request),
        )

    def delete_row(self, request: HttpRequest, obj: Contact) -> None:
        delete_contact(actor=actor_of(request), contact_id=obj.pk, reason=posted_reason(request))

    def row_links(self, request: HttpRequest, row: Contact) -> list[PageLink]:
        links = [PageLink("vCard", reverse("admin:contacts_contact_card", args=[row.pk]), "badge")]
        if allows(request, Role.OPERATOR) and row.merged_into_id is None:
            merge = reverse("admin:contacts_contact_merge", args=[row.pk])
            links.append(PageLink("Merge another into it", merge, "call_merge"))
        return links + erase_links(request, ErasureKind.CONTACT, row)

    # --- Columns ------------------------------------------------------------------------------

    @display(description="Email")
    def email_list(self, obj: Contact) -> str:
        return ", ".join(one.email for one in obj.emails.all()[:3]) or show.EMPTY

    @display(description="Phone")
    def phone_list(self, obj: Contact) -> str:
        return ", ".join(one.number for one in obj.phones.all()[:3]) or show.EMPTY

    @display(description="Tags")
    def tag_list(self, obj: Contact) -> SafeString:
        return show.tags(sorted(one.tag.name for one in obj.contact_tags.all())[:6])

    @display(description="Last contact", ordering="last_contact_at")
    def spoken(self, obj: Contact) -> SafeString:
        return show.when(obj.last_contact_at)

    @display(description="Pinned", ordering="pinned")
    def pin(self, obj: Contact) -> SafeString:
        """What most are not is left blank: a red cross would say that something is wrong."""
        return show.include("admin/contacts/pin.html", pinned=obj.pinned)

    # --- Fields to look at, for those who may not change them too ------------------------------

    @display(description="Emails")
    def emails(self, obj: Contact) -> SafeString:
        return show.long_text("\n".join(part_values(obj)["emails"]))

    @display(description="Phones")
    def phones(self, obj: Contact) -> SafeString:
        return show.long_text("\n".join(part_values(obj)["phones"]))

    @display(description="Could not be read")
    def unread(self, obj: Contact) -> SafeString | str:
        """What an import found in the place of an address, and why it is not one of those above."""
        texts = [one for name in ("emails", "phones") for one in texts_of(obj.unreadable, name)]
        return show.long_text("\n".join(texts)) if texts else show.EMPTY

    @display(description="Tags")
    def tags(self, obj: Contact) -> SafeString:
        return show.tags(part_values(obj)["tags"])

    @display(description="Merged into")
    def merged(self, obj: Contact) -> SafeString | str:
        if obj.merged_into_id is None:
            return show.EMPTY
        url = show.change_url("contacts.contact", obj.merged_into_id) or ""
        return show.link(url, str(obj.merged_into))

    @display(description="Card it came from")
    def card(self, obj: Contact) -> SafeString:
        # A photograph fills screens and says nothing.
        shortened = "\n".join(line[:200] for line in obj.vcard.splitlines()[:100])
        return show.long_text(shortened)

    @display(description="Known elsewhere as")
    def known_as(self, obj: Contact) -> str:
        return f"{obj.source} {obj.external_id} {obj.vcard_uid}".strip() or show.EMPTY
