"""Duplicates of contacts: found, merged, and parted again."""

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from config.lib.db.lookup import find_id
from contacts.api.auth import KeyAuth
from contacts.api.http import Id, Page, PageQuery, actor_of, reply, reply_page
from contacts.models import Contact
from contacts.schemas_contacts import ContactOut, ContactRow
from contacts.schemas_merges import DuplicatesOut, MergeIn, MergeOut, UnmergeIn, UnmergeOut
from contacts.selectors_contacts import shown
from contacts.selectors_duplicates import find_duplicates
from contacts.services import merges

router = Router(tags=["Contacts"])


@router.get(
    "/contacts/duplicates",
    auth=KeyAuth("contacts:read"),
    response=Page[DuplicatesOut],
    operation_id="list_duplicate_contacts",
    summary="Find contacts that may be one",
)
def list_duplicates(request: HttpRequest, paging: PageQuery) -> HttpResponse:
    """Groups of contacts with the same email, number or name, or nearly the same name.

    By the name of their first contact. A page looks at no more than 1,000 contacts: it may be
    empty and still have a `next_cursor`.
    """
    groups, next_cursor = find_duplicates(cursor=paging.cursor, limit=paging.limit)
    rows = {row.pk: row for group in groups for row in group.contacts}
    found = {one["id"]: one for one in shown(rows.values(), ContactRow.model_fields)}
    items = [
        {"contacts": [found[row.pk] for row in group.contacts], "reasons": group.reasons}
        for group in groups
    ]
    return reply_page(DuplicatesOut, (items, next_cursor))


@router.post(
    "/contacts/{contact_id}/merge",
    auth=KeyAuth("contacts:write"),
    response=MergeOut,
    operation_id="merge_contacts",
    summary="Merge another contact into this one",
)
def merge_contacts(
    request: HttpRequest,
    contact_id: Id,
    payload: MergeIn,
    preview: Annotated[bool, Query(description="Say what would happen; write nothing")] = False,
) -> HttpResponse:
    """This contact wins: its blanks are filled, notes appended, tags, emails and phones united, the
    later `last_contact_at` kept, and memories about the other are about this one. The other keeps
    its row for an undo, with `merged_into_id`, and leaves the lists. 409 `merged` where one of them
    was merged already.
    """
    target_id = find_id(Contact, contact_id, check=False)
    source_id = find_id(Contact, payload.source_id, check=False)
    if preview:
        merged = merges.preview_merge(target_id=target_id, source_id=source_id)
    else:
        merged = merges.merge_contacts(
            actor=actor_of(request),
            target_id=target_id,
            source_id=source_id,
            expected_version=payload.version,
            source_version=payload.source_version,
            reason=payload.reason,
        )
    target, source = shown([merged.target, merged.source], ContactOut.model_fields)
    if preview:
        target |= _parts(merged.after)
    changes = [
        {"field": name, "before": merged.before.get(name), "after": value}
        for name, value in merged.after.items()
        if name != "vcard"  # the raw card: long, and only for exports
    ]
    answer = {
        "preview": preview,
        "target": target,
        "source": source,
        "changes": changes,
        "references": merged.references,
    }
    return reply(MergeOut, answer, etag=None if preview else merged.target.etag)


def _parts(after: dict[str, Any]) -> dict[str, Any]:
    """Emails, phones and tags as a contact shows them, from what a merge would write."""
    columns = {"emails": "email", "phones": "number"}
    found: dict[str, Any] = {
        name: [{column: one.value, "label": one.label} for one in merges.read_parts(after[name])]
        for name, column in columns.items()
        if name in after
    }
    return found | ({"tags": after["tags"]} if "tags" in after else {})


@router.post(
    "/contacts/{contact_id}/unmerge",
    auth=KeyAuth("contacts:write"),
    response=UnmergeOut,
    operation_id="unmerge_contact",
    summary="Undo a contact's merge",
)
def unmerge_contact(
    request: HttpRequest, contact_id: Id, payload: UnmergeIn | None = None
) -> HttpResponse:
    """Of the contact that was merged into another: both are as they were before. 409
    `changed_since`, naming the fields, where somebody changed in the target what the merge had
    changed; `merged_since` where the target was merged itself; `not_merged` where it was not.
    """
    merged = merges.unmerge_contact(
        actor=actor_of(request),
        source_id=find_id(Contact, contact_id, check=False),
        reason=payload.reason if payload else "",
    )
    target, source = shown([merged.target, merged.source], ContactOut.model_fields)
    return reply(UnmergeOut, {"target": target, "source": source})
