"""What is known of a contact: the memories about it."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from config.lib.cursor import page
from contacts.api.auth import KeyAuth
from contacts.api.http import Id, Page, PageQuery, reply_page
from contacts.selectors_contacts import get_contact
from contacts.services.contacts import live
from memory import selectors
from memory.schemas import KnownOut

router = Router(tags=["Contacts"])


@router.get(
    "/contacts/{contact_id}/known",
    auth=KeyAuth("contacts:read"),
    response=Page[KnownOut],
    operation_id="list_known_of_contact",
    summary="Read what is known of a contact",
)
def list_known(request: HttpRequest, contact_id: Id, paging: PageQuery) -> HttpResponse:
    """The memories in use that are about it, the last one said first, with when and in which
    session it was spoken of. Of a contact that was merged: what is known of the one it is now.
    """
    contact = live(get_contact(contact_id))
    rows, next_cursor = page(selectors.list_known(contact.pk), order=["-id"], **paging.model_dump())
    return reply_page(KnownOut, (selectors.known_rows(rows), next_cursor))
