"""The history of any object, what it was at a moment, and one change taken back."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Path, Query, Router
from pydantic import Field

from config.lib import clock
from config.lib.cursor import page
from config.lib.db.lookup import find_row
from config.lib.errors import NotFound
from config.lib.ids import read_id
from config.lib.schema import Input, Moment, Output, Text
from contacts.api.auth import KeyAuth, check_scope
from contacts.api.http import Id, Page, PageQuery, actor_of, principal_of, reply, reply_page
from contacts.models import Revision
from contacts.schemas import RevisionOut
from contacts.scopes import SCOPES
from contacts.selectors import history
from contacts.services import undo
from contacts.services.undoable import scope_of

router = Router(tags=["History"])

FullId = Annotated[Text, Path(description="A full id; of which kind of object, its history says.")]


class ChangeOut(RevisionOut):
    model: str = Field(description="`memory.memory`, `contacts.contact`, `agent_sessions.task` …")
    object_id: uuid.UUID


class UndoIn(Input):
    over: bool = Field(
        False, description="Take it back although the field was changed once more since."
    )
    reason: Text = Field("", max_length=500)


class UndoOut(Output):
    """The object as it is then."""

    model: str
    object_id: uuid.UUID
    version: int
    restored: bool = Field(description="Whether it was gone, and is there again.")


class AsOfQuery(Input):
    at: Moment | None = Field(
        None, description="The moment, with its offset from UTC. Without: now."
    )


class AsOfOut(Output):
    model: str
    object_id: uuid.UUID
    at: datetime
    values: dict[str, Any] | None = Field(
        description="The recorded fields that were not empty; null where it was not there. What "
        "agents report by the minute (last seen, counts, states) is in no history."
    )


@router.get(
    "/objects/{object_id}/history",
    auth=KeyAuth(None),
    response=Page[ChangeOut],
    operation_id="list_object_history",
    summary="Read who changed an object, of whatever kind",
)
def list_object_history(request: HttpRequest, object_id: FullId, paging: PageQuery) -> HttpResponse:
    """Newest first, also after it was deleted. The key needs the scope that reads the object: of a
    memory `memories:read`, of a task `work:read`; for what agents do not change, `workspace:write`.
    """
    row_id, model = _object(object_id)
    _may(request, model, "read")
    return reply_page(ChangeOut, page(history(row_id), order=["-id"], **paging.model_dump()))


@router.get(
    "/objects/{object_id}/as-of",
    auth=KeyAuth(None),
    response=AsOfOut,
    operation_id="get_object_as_of",
    summary="Read an object as it was at a moment",
)
def get_object_as_of(
    request: HttpRequest, object_id: FullId, query: Annotated[AsOfQuery, Query()]
) -> HttpResponse:
    """From its history. Scopes as for that."""
    row_id, model = _object(object_id)
    _may(request, model, "read")
    at = query.at or clock.now()
    values = undo.as_of(model, row_id, at)
    return reply(AsOfOut, {"model": model, "object_id": row_id, "at": at, "values": values})


@router.post(
    "/revisions/{revision_id}/undo",
    auth=KeyAuth(None),
    response=UndoOut,
    operation_id="undo_change",
    summary="Take one change back, or restore what it deleted",
)
def undo_change(request: HttpRequest, revision_id: Id, payload: UndoIn) -> HttpResponse:
    """Writes what the change's fields were before it, as a change of its own; what was deleted
    comes back with its id, its parts and what pointed at it. The key needs the scope that writes
    the object. 409 `changed_since` where one of the fields was changed once more (`over` says to go
    on), `cannot_undo` where the change follows from an action of its own (a worker's run, a
    merge, a session's end), `place_taken` where another row has its name by now.
    """
    revision = find_row(Revision.objects.all(), revision_id, what="change")
    _may(request, revision.model, "write")
    row = undo.undo(
        actor=actor_of(request), revision_id=revision.pk, over=payload.over, reason=payload.reason
    )
    found = {"model": revision.model, "object_id": row.pk, "version": row.version}
    return reply(UndoOut, found | {"restored": undo.is_deletion(revision)})


def _object(text: str) -> tuple[uuid.UUID, str]:
    """(its id, its model) of what has a history. Index revision_object."""
    wanted = read_id(text)
    if isinstance(wanted, uuid.UUID):
        model = history(wanted).values_list("model", flat=True).first()
        if model is not None:
            return wanted, model
    raise NotFound("history of an object", text)


def _may(request: HttpRequest, model: str, what: str) -> None:
    named = f"{scope_of(model) or 'workspace'}:{what}"
    if named not in SCOPES:
        named = named.replace(":read", ":write")
    check_scope(principal_of(request).key, named)
