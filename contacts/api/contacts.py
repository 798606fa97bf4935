"""Contacts: list, create, read, change, delete. Merging and files have modules of their own."""

from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from config.lib.cursor import page
from config.lib.db.lookup import find_id
from config.lib.schema import Input, Moment, Text
from contacts.api.auth import KeyAuth
from contacts.api.http import (
    IF_MATCH,
    Id,
    Page,
    PageQuery,
    Reason,
    actor_of,
    if_match,
    no_content,
    reply,
    reply_page,
)
from contacts.models import Contact
from contacts.schemas import RevisionOut
from contacts.schemas_contacts import ContactIn, ContactOut, ContactPatch, ContactRow
from contacts.selectors import history_of
from contacts.selectors_contacts import ContactFilter, get_contact, list_contacts, shown
from contacts.services import contacts

router = Router(tags=["Contacts"])


class ContactQuery(Input):
    """How a list of contacts is narrowed."""

    q: Text | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="What its name, company, email or number begins with; the first 500 of each. "
        "Words anywhere, notes too, are found by POST /search with kinds contact.",
    )
    tag: list[Text] = Field(default_factory=list, max_length=10, description="Each of them")
    company: Text | None = Field(None, max_length=300, description="As it is written")
    pinned: bool | None = None
    email: Text | None = Field(None, max_length=320, description="Who has this address")
    phone: Text | None = Field(None, max_length=60, description="Who has this number")
    spoken_since: Moment | None = Field(
        None, description="Spoken to then or later; the list is then by that, newest first"
    )

    def wanted(self) -> ContactFilter:
        return {
            "q": self.q,
            "tags": self.tag or None,
            "company": self.company,
            "pinned": self.pinned,
            "email": self.email,
            "phone": self.phone,
            "spoken_since": self.spoken_since,
        }


def reply_contact(row: Contact, *, status: int = 200, location: str | None = None) -> HttpResponse:
    """A contact with its emails, phones and tags, and its ETag."""
    (found,) = shown([row], ContactOut.model_fields)
    return reply(ContactOut, found, status=status, location=location, etag=row.etag)


@router.get(
    "/contacts",
    auth=KeyAuth("contacts:read"),
    response=Page[ContactRow],
    operation_id="list_contacts",
    summary="List contacts",
)
def list_all_contacts(
    request: HttpRequest, paging: PageQuery, filters: Annotated[ContactQuery, Query()]
) -> HttpResponse:
    """By name; without those that were merged into another."""
    rows, order = list_contacts(filters.wanted())
    found, next_cursor = page(rows, order=order, **paging.model_dump())
    return reply_page(ContactRow, (shown(found, ContactRow.model_fields), next_cursor))


@router.post(
    "/contacts",
    auth=KeyAuth("contacts:write"),
    response={201: ContactOut, 200: ContactOut},
    operation_id="create_contact",
    summary="Create a contact",
)
def create_contact(request: HttpRequest, payload: ContactIn) -> HttpResponse:
    """With its emails, phones and tags. 200 with the row as it is where its external_id was there
    already; that of a contact which was merged is answered with the one it was merged into.
    """
    row, new = contacts.save_contact(actor=actor_of(request), fields=payload.fields())
    return reply_contact(row, status=201 if new else 200, location=f"/contacts/{row.id}")


@router.get(
    "/contacts/{contact_id}",
    auth=KeyAuth("contacts:read"),
    response=ContactOut,
    operation_id="get_contact",
    summary="Read a contact",
)
def read_contact(request: HttpRequest, contact_id: Id) -> HttpResponse:
    """Also one that was merged: `merged_into_id` then names the contact that has its addresses."""
    return reply_contact(get_contact(contact_id))


@router.patch(
    "/contacts/{contact_id}",
    auth=KeyAuth("contacts:write"),
    response=ContactOut,
    operation_id="update_contact",
    summary="Change a contact",
    openapi_extra=IF_MATCH,
)
def patch_contact(request: HttpRequest, contact_id: Id, payload: ContactPatch) -> HttpResponse:
    """Fields that are not sent stay; emails, phones and tags that are sent replace all of them.
    409 `merged` where it was merged into another.
    """
    changes = payload.fields()
    row = contacts.update_contact(
        actor=actor_of(request),
        contact_id=find_id(Contact, contact_id, check=False),
        reason=changes.pop("reason", ""),
        changes=changes,
        expected_version=if_match(request),
    )
    return reply_contact(row)


@router.delete(
    "/contacts/{contact_id}",
    auth=KeyAuth("contacts:write"),
    response={204: None},
    operation_id="delete_contact",
    summary="Delete a contact",
    openapi_extra=IF_MATCH,
)
def delete_contact(request: HttpRequest, contact_id: Id, reason: Reason = None) -> HttpResponse:
    """With whatever was merged into it. What is known of it stays, no longer about anybody."""
    contacts.delete_contact(
        actor=actor_of(request),
        contact_id=find_id(Contact, contact_id, check=False),
        expected_version=if_match(request),
        reason=reason or "",
    )
    return no_content()


@router.delete(
    "/contacts/{contact_id}/unreadable",
    auth=KeyAuth("contacts:write"),
    response={204: None},
    operation_id="dismiss_unreadable",
    summary="Take out what imports could not read",
    openapi_extra=IF_MATCH,
)
def dismiss_unreadable(request: HttpRequest, contact_id: Id, reason: Reason = None) -> HttpResponse:
    """What stood for emails and numbers of the contact, and was none: when it is of no use, or said
    rightly by now. No card and no row brings it to this contact again, though it could be read by
    then, and exports leave it out. 409 `merged` where the contact was merged into another.
    """
    contacts.dismiss_unreadable(
        actor=actor_of(request),
        contact_id=find_id(Contact, contact_id, check=False),
        expected_version=if_match(request),
        reason=reason or "",
    )
    return no_content()


@router.get(
    "/contacts/{contact_id}/history",
    auth=KeyAuth("contacts:read"),
    response=Page[RevisionOut],
    operation_id="list_contact_history",
    summary="Read who changed a contact",
)
def list_contact_history(request: HttpRequest, contact_id: Id, paging: PageQuery) -> HttpResponse:
    """Newest first; by its full id also after the contact was deleted."""
    rows = history_of(Contact, contact_id)
    return reply_page(RevisionOut, page(rows, order=["-id"], **paging.model_dump()))
