"""Tags of contacts: list, rename, delete. A tag is made when a contact is given it."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from config.lib.cursor import page
from contacts.api.auth import KeyAuth
from contacts.api.http import (
    Id,
    Page,
    PageQuery,
    Reason,
    actor_of,
    no_content,
    reply,
    reply_page,
)
from contacts.schemas_contacts import TagOut, TagPatch
from contacts.selectors_contacts import find_tag, list_tags
from contacts.services import tags

router = Router(tags=["Contacts"])


@router.get(
    "/tags",
    auth=KeyAuth("contacts:read"),
    response=Page[TagOut],
    operation_id="list_tags",
    summary="List tags",
)
def list_all_tags(request: HttpRequest, paging: PageQuery) -> HttpResponse:
    """By name, with how many contacts have each."""
    return reply_page(TagOut, page(list_tags(), order=["name"], **paging.model_dump()))


@router.patch(
    "/tags/{tag}",
    auth=KeyAuth("contacts:write"),
    response=TagOut,
    operation_id="rename_tag",
    summary="Rename a tag",
)
def rename_tag(request: HttpRequest, tag: Id, payload: TagPatch) -> HttpResponse:
    """On all contacts that have it; by its name or its id. A tag is no more than its name, so it
    has no version. 409 `name_taken` where there is one so named.
    """
    row = tags.rename_tag(
        actor=actor_of(request), tag_id=find_tag(tag), name=payload.name, reason=payload.reason
    )
    return reply(TagOut, list_tags().get(id=row.pk))


@router.delete(
    "/tags/{tag}",
    auth=KeyAuth("contacts:write"),
    response={204: None},
    operation_id="delete_tag",
    summary="Delete a tag",
)
def delete_tag(request: HttpRequest, tag: Id, reason: Reason = None) -> HttpResponse:
    """From all contacts that have it; by its name or its id."""
    tags.delete_tag(actor=actor_of(request), tag_id=find_tag(tag), reason=reason or "")
    return no_content()
