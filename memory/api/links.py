"""Links between memories: list, create, delete."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from config.lib.cursor import page
from config.lib.db.lookup import find_id
from contacts.api.auth import KeyAuth
from contacts.api.http import Id, Page, PageQuery, actor_of, no_content, reply, reply_page
from memory.models import Memory, MemoryLink
from memory.schemas import LinkIn, LinkOut
from memory.selectors import links_of
from memory.services.memories import link_memories, unlink_memories

router = Router(tags=["Memories"])


@router.get(
    "/memories/{memory_id}/links",
    auth=KeyAuth("memories:read"),
    response=Page[LinkOut],
    operation_id="list_memory_links",
    summary="List a memory's links",
)
def list_links(request: HttpRequest, memory_id: Id, paging: PageQuery) -> HttpResponse:
    """In both directions, oldest first."""
    rows = links_of(find_id(Memory, memory_id))
    return reply_page(LinkOut, page(rows, order=["id"], **paging.model_dump()))


@router.post(
    "/memories/{memory_id}/links",
    auth=KeyAuth("memories:write"),
    response={201: LinkOut, 200: LinkOut},
    operation_id="create_memory_link",
    summary="Link a memory to another",
)
def create_link(request: HttpRequest, memory_id: Id, payload: LinkIn) -> HttpResponse:
    """This memory has `target_id` as its `relation`. 200 where it has so already."""
    row, new = link_memories(
        actor=actor_of(request),
        source_id=find_id(Memory, memory_id, check=False),
        target_id=find_id(Memory, payload.target_id, check=False),
        relation=payload.relation,
        metadata=payload.metadata,
    )
    place = f"/memories/{row.source_id}/links"
    return reply(LinkOut, row, status=201 if new else 200, location=place)


@router.delete(
    "/memories/{memory_id}/links/{link_id}",
    auth=KeyAuth("memories:write"),
    response={204: None},
    operation_id="delete_memory_link",
    summary="Remove a link",
)
def delete_link(request: HttpRequest, memory_id: Id, link_id: Id) -> HttpResponse:
    """From either of its ends. A link has no versions, so this needs no If-Match."""
    unlink_memories(
        actor=actor_of(request),
        memory_id=find_id(Memory, memory_id),
        link_id=find_id(MemoryLink, link_id, what="link", check=False),
    )
    return no_content()
