"""Reads of contacts and tags. Duplicates have a module of their own (selectors_duplicates.py)."""

import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, TypedDict

import phonenumbers
from django.db.models import Func, IntegerField, OuterRef, Q, QuerySet, Subquery

from config.lib.db.lookup import find_id, find_row
from config.lib.errors import Invalid, NotFound
from contacts.models import Contact, ContactEmail, ContactPhone, ContactTag, Tag
from contacts.services.addresses import (
    folded,
    normal_tags,
    read_email,
    read_phone,
    sort_name,
    workspace_region,
)

BY_NAME = ["sort_name", "id"]
BY_LAST_CONTACT = ["-last_contact_at", "-id"]
# Lists read neither the raw card nor the long texts.
DEFERRED = ("vcard", "description", "notes", "metadata", "unreadable", "dismissed")
# So many of each kind of match are looked at for `q`; who has more looks by more letters.
MATCHES = 500
COUNT_LIMIT = 1_000
# Above every character that a text can hold: the end of a prefix.
_LAST = "\U0010ffff"


class ContactFilter(TypedDict, total=False):
    """What a list of contacts can be narrowed by; None and absent ask for nothing."""

    q: str | None
    tags: Sequence[str] | None
    company: str | None
    pinned: bool | None
    email: str | None
    phone: str | None
    spoken_since: datetime | None


def list_contacts(wanted: ContactFilter) -> tuple[QuerySet[Contact], list[str]]:
    """(rows, their order): by name, or with `spoken_since` who was spoken to last first.

    Index contact_list, or contact_pinned, contact_company, contact_last_contact under that filter;
    contacttag_tag or contacttag_unique under `tags`; `email`, `phone` and `q` first find ids by
    contactemail_email, contactphone_number, contact_list and contact_company.
    """
    rows = Contact.objects.filter(merged_into=None).defer(*DEFERRED)
    for name in wanted.get("tags") or ():
        tag = Tag.objects.filter(name__in=normal_tags([name])).first()
        if tag is None:
            return rows.none(), BY_NAME
        rows = rows.filter(contact_tags__tag_id=tag.pk)
    if wanted.get("company") is not None:
        rows = rows.filter(company=wanted["company"])
    if wanted.get("pinned") is not None:
        rows = rows.filter(pinned=wanted["pinned"])
    email, phone, q = wanted.get("email"), wanted.get("phone"), wanted.get("q")
    if email is not None:
        rows = rows.filter(pk__any_of=list(ids_by_email(_exact("email", email))[:MATCHES]))
    if phone is not None:
        rows = rows.filter(pk__any_of=list(ids_by_phone(_exact("phone", phone))[:MATCHES]))
    if q is not None:
        rows = rows.filter(pk__any_of=_matching(q))
    since = wanted.get("spoken_since")
    if since is not None:
        return rows.filter(last_contact_at__gte=since), BY_LAST_CONTACT
    return rows, BY_NAME


def _exact(name: str, text: str) -> str:
    try:
        return read_email(text) if name == "email" else read_phone(text, workspace_region())[0]
    except ValueError as error:
        raise Invalid({name: str(error)}) from None


def ids_by_email(email: str) -> QuerySet[Any, uuid.UUID]:
    """Whose address it is. Index contactemail_email."""
    return ContactEmail.objects.filter(email=email).values_list("contact_id", flat=True)


def ids_by_phone(number: str) -> QuerySet[Any, uuid.UUID]:
    """Whose number it is. Index contactphone_number."""
    return ContactPhone.objects.filter(number=number).values_list("contact_id", flat=True)


def _matching(q: str) -> list[uuid.UUID]:
    """Contacts whose name, company, email or number begins with `q`: MATCHES of each at most.

    A company is compared as it is typed, and with the usual capitals: its index knows no other
    way. Words inside a name, and notes, are what the search finds.
    """
    text = folded(q)
    if not text:
        raise Invalid({"q": "must not be empty"})
    live = Contact.objects.filter(merged_into=None)
    name = sort_name(text)
    found: set[uuid.UUID] = set()
    by_name = live.filter(sort_name__gte=name, sort_name__lt=name + _LAST).order_by(*BY_NAME)
    found.update(by_name.values_list("pk", flat=True)[:MATCHES])
    for spelling in {text, text.lower(), text.upper(), text.title(), text.capitalize()}:
        companies = live.filter(company__gte=spelling, company__lt=spelling + _LAST)
        ordered = companies.order_by("company", *BY_NAME)
        found.update(ordered.values_list("pk", flat=True)[:MATCHES])
    email = text.casefold()
    emails = ContactEmail.objects.filter(email__gte=email, email__lt=email + _LAST)
    found.update(emails.order_by("email").values_list("contact_id", flat=True)[:MATCHES])
    for number in _numbers(text):
        phones = ContactPhone.objects.filter(number__gte=number, number__lt=number + _LAST)
        found.update(phones.order_by("number").values_list("contact_id", flat=True)[:MATCHES])
    return list(found)


def _numbers(text: str) -> set[str]:
    """The beginnings of numbers that `text` may mean; none where it is no number."""
    digits = "".join(c for c in text if c.isascii() and c.isdigit())
    if len(digits) < 3 or any(c.isalpha() for c in text):
        return set()
    numbers = {f"+{digits}"}
    region = workspace_region()
    if region and not text.lstrip("(").startswith(("+", "00")):
        trunk = phonenumbers.ndd_prefix_for_region(region, True) or ""
        country = phonenumbers.country_code_for_region(region)
        numbers.add(f"+{country}{digits.removeprefix(trunk)}")
    with suppress(ValueError):  # the beginning of one is none yet
        numbers.add(read_phone(text, region)[0])
    return numbers


def get_contact(text: str) -> Contact:
    """By a full or shortened id, also one that was merged into another. Or NotFound."""
    return find_row(Contact.objects.all(), text)


def shown(rows: Iterable[Contact], names: Iterable[str]) -> list[dict[str, Any]]:
    """Contacts with their emails, phones and tags, as ContactRow or ContactOut has them.

    Three queries for any number; indexes contactemail_unique, contactphone_unique,
    contacttag_unique. `names` are the schema's fields.
    """
    found = list(rows)
    ids = [row.pk for row in found]
    parts: dict[uuid.UUID, dict[str, list[Any]]] = {
        pk: {"emails": [], "phones": [], "tags": []} for pk in ids
    }
    emails = ContactEmail.objects.filter(contact_id__in=ids).order_by("position", "id")
    for pk, email, label in emails.values_list("contact_id", "email", "label"):
        parts[pk]["emails"].append({"email": email, "label": label})
    phones = ContactPhone.objects.filter(contact_id__in=ids).order_by("position", "id")
    for pk, number, label in phones.values_list("contact_id", "number", "label"):
        parts[pk]["phones"].append({"number": number, "label": label})
    tags = ContactTag.objects.filter(contact_id__in=ids).order_by("tag__name")
    for pk, name in tags.values_list("contact_id", "tag__name"):
        parts[pk]["tags"].append(name)
    own = [name for name in names if name not in ("emails", "phones", "tags", "short_id")]
    return [{name: getattr(row, name) for name in own} | parts[row.pk] for row in found]


# --- Tags -------------------------------------------------------------------------------------


class _BoundedCount(Func):
    """How many rows a limited sub-query has."""

    template = "(SELECT count(*) FROM %(expressions)s AS bounded)"
    output_field = IntegerField()


def list_tags() -> QuerySet[Any, dict[str, Any]]:
    """In the order ["name"], with how many contacts have each, up to COUNT_LIMIT.

    Index tag_name_unique; each count reads at most COUNT_LIMIT entries of contacttag_tag.
    """
    having = ContactTag.objects.filter(tag_id=OuterRef("pk")).order_by().values("pk")
    count = _BoundedCount(Subquery(having[:COUNT_LIMIT]))
    return Tag.objects.values("id", "name", "created_at", contact_count=count)


def find_tag(text: str) -> uuid.UUID:
    """A tag's id by its name, or its own id. Index tag_name_unique."""
    try:
        names = normal_tags([text])
    except Invalid:
        raise NotFound("tag", text) from None
    found = Tag.objects.filter(Q(name__in=names)).values_list("id", flat=True).first()
    return found or find_id(Tag, text)
