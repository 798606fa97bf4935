"""What is done with threads beside keeping them: find by what was asked, migrate, export."""

from typing import Annotated

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Query, Router

from config.lib.cursor import page
from config.lib.db.lookup import find_row_id
from contacts.api.auth import KeyAuth
from contacts.api.http import Id, Page, PageQuery, actor_of, principal_of, reply, reply_page
from sessions import selectors
from sessions.export import CONTENT_TYPES, SUFFIXES, Format, export_thread, find_exported
from sessions.models import Session
from sessions.schemas_threads import LegacyMigration, ThreadOut, ThreadSearch
from sessions.services.legacy_threads import migrate_all

EXPORTED = {
    "type": "object",
    "required": ["thread", "messages"],
    "properties": {
        "thread": {"type": "object"},
        "messages": {"type": "array", "items": {"type": "object"}},
    },
}

router = Router(tags=["Threads"])
KINDS = [kind.partition(";")[0] for kind in CONTENT_TYPES.values()]


@router.post(
    "/threads/find",
    auth=KeyAuth("sessions:read"),
    response=Page[ThreadOut],
    operation_id="find_threads",
    summary="Find threads by their first user message",
)
def find_threads(request: HttpRequest, paging: PageQuery, payload: ThreadSearch) -> HttpResponse:
    """The whole message, exactly; newest thread first. Search finds parts of it."""
    session_id = find_row_id(Session, payload.session_id)
    rows = selectors.find_threads(payload.text, session_id=session_id)
    order = ["-created_at", "-id"]
    return reply_page(ThreadOut, page(rows, order=order, **paging.model_dump()))


@router.post(
    "/threads/migrate-legacy",
    auth=KeyAuth("sessions:write", detached=True),
    response=LegacyMigration,
    operation_id="migrate_legacy_threads",
    summary="Turn legacy thread ids into threads",
)
def migrate_legacy(request: HttpRequest) -> HttpResponse:
    """A thread for each session that only names one (legacy_thread_id), with a system message that
    says so. Idempotent: what is migrated is skipped the next time."""
    done = migrate_all(actor=actor_of(request), workspace_id=principal_of(request).workspace_id)
    return reply(LegacyMigration, done)


@router.get(
    "/threads/{thread_id}/export",
    auth=KeyAuth("sessions:read", detached=True),
    operation_id="export_thread",
    summary="Export a thread as a file",
    openapi_extra={
        "responses": {
            200: {
                "description": "The file. JSON: {thread, messages}. NDJSON: {thread} on the first "
                "line, then {message} on each. Markdown: a heading for each message.",
                "content": {
                    kind: {"schema": EXPORTED if kind == "application/json" else {"type": "string"}}
                    for kind in KINDS
                },
            }
        }
    },
)
def export(
    request: HttpRequest,
    thread_id: Id,
    format: Annotated[Format, Query(description="json, ndjson or markdown")] = "json",
) -> StreamingHttpResponse:
    """The thread with its messages as they are now, streamed."""
    workspace_id = principal_of(request).workspace_id
    thread = find_exported(workspace_id, thread_id)
    name = f"thread-{thread.short_id}.{SUFFIXES[format]}"
    return StreamingHttpResponse(
        export_thread(workspace_id, thread, format),
        content_type=CONTENT_TYPES[format],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
