"""GET memories/contradictions: what a person has to decide. They do so in the admin."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router

from config.lib.cursor import page
from contacts.api.auth import KeyAuth
from contacts.api.http import Page, PageQuery, reply_page
from memory.models import MemoryLink
from memory.schemas_consolidation import ContradictionOut
from memory.services.contradictions import undecided

router = Router(tags=["Memories"])


def told(link: MemoryLink) -> dict[str, Any]:
    return {
        "id": link.pk,
        "newer": link.source,
        "older": link.target,
        "rule": link.metadata.get("rule", ""),
        "words": link.metadata.get("words", []),
        "created_at": link.created_at,
    }


@router.get(
    "/memories/contradictions",
    auth=KeyAuth("memories:read"),
    response=Page[ContradictionOut],
    operation_id="list_contradictions",
    summary="List memories that contradict each other",
)
def list_contradictions(request: HttpRequest, paging: PageQuery) -> HttpResponse:
    """Of two that are in use, undecided, the newest first. A job finds them by rules, or somebody
    linked the two (`contradicts`). A person decides which one holds, in the review queue."""
    rows, following = page(undecided(), order=["-id"], **paging.model_dump())
    return reply_page(ContradictionOut, (map(told, rows), following))
