"""task_manage: tasks and priorities."""

from typing import Any, Literal

from pydantic import Field

from config.lib.errors import Invalid
from config.lib.schema import Day, Output, RowId, Text
from config.mcp.brief import fitted, picked
from config.mcp.rest import ANY_VERSION, Call
from config.mcp.schemas import Writing, read
from config.mcp.tool import Tool, is_detailed
from config.mcp.tools.memories import VERSION
from config.mcp.tools.sessions import needed, sent_of
from sessions.api import priorities
from sessions.api import tasks as rest
from sessions.models.priority import Level
from sessions.models.task import TaskStatus, Urgency
from sessions.schemas_priorities import PriorityIn, PriorityOut
from sessions.schemas_tasks import TaskArchive, TaskIn, TaskMove, TaskOut, TaskPatch
from sessions.selectors import find_project

BRIEF = (
    "id", "title", "description", "status", "priority", "assignee", "project_title", "parent_id",
    "feature", "completed_at", "archived_at", "version",
)  # fmt: skip
PRIORITY = ("id", "content", "level", "pool", "date", "carried_from", "completed_at", "version")


class TaskManage(Writing):
    operation: Literal[
        "create", "update", "move", "archive", "unarchive", "delete", "add_priority",
        "complete_priority",
    ]  # fmt: skip
    id: RowId | None = Field(None, description="All but create and add_priority")
    version: int | None = Field(
        None, ge=1, description=f"update, delete: {VERSION[0].lower()}{VERSION[1:]}"
    )
    title: Text | None = Field(
        None, min_length=1, max_length=500, description="create, update; add_priority: its text"
    )
    description: Text | None = Field(None, max_length=100_000)
    status: TaskStatus | None = Field(None, description="create, update, move")
    priority: Urgency | None = None
    assignee: Text | None = Field(None, max_length=120, description="Without: User")
    project: Text | None = Field(None, max_length=300, description="Its title or id")
    parent: RowId | None = Field(None, description="Makes it a subtask")
    feature: Text | None = Field(None, max_length=200)
    session: RowId | None = Field(None, description="Yours; it gets an event of this")
    external_id: Text | None = Field(
        None, max_length=300, description="create: sent again, it returns"
    )
    before: RowId | None = Field(None, description="move: this task")
    after: RowId | None = Field(None, description="move: this task")
    place: Literal["top", "bottom"] | None = Field(None, description="move: in its column")
    level: Level | None = Field(None, description="add_priority")
    date: Day | None = Field(None, description="add_priority; without: today")
    reason: Text | None = Field(None, max_length=500, description="update, archive, delete: why")


class TaskManaged(Output):
    task: TaskOut
    priority: PriorityOut
    deleted: str


def manage(call: Call, given: TaskManage) -> dict[str, Any]:
    name, row = _OPERATIONS[given.operation](call, given)
    if name == "deleted" or is_detailed(given):
        return {name: row}
    fields = PRIORITY if name == "priority" else BRIEF
    return fitted(lambda cut: {name: picked(row, fields, cut)})


def _fields(call: Call, given: TaskManage, *more: str) -> dict[str, Any]:
    sent = sent_of(
        given, title="title", description="description", status="status", priority="priority",
        assignee="assignee", parent_id="parent", feature="feature", session_id="session",
        **{name: name for name in more},
    )  # fmt: skip
    if given.project is not None:
        call.enter()
        sent["project_id"] = str(find_project(given.project))
    return sent


def _create(call: Call, given: TaskManage) -> tuple[str, Any]:
    needed(given, "title")
    sent = _fields(call, given, "external_id")
    return "task", call.ask(rest.create_task, read(TaskIn, sent, _NAMES))


def _update(call: Call, given: TaskManage) -> tuple[str, Any]:
    sent = _fields(call, given, "reason")
    if not sent.keys() - {"reason", "session_id"}:
        raise Invalid({"title": "say what is to change: title, status, assignee, ..."})
    patch = read(TaskPatch, sent, _NAMES)
    row = call.ask(rest.patch_task, needed(given, "id"), patch, version=version_of(given))
    return "task", row


def version_of(given: Any) -> int | str:
    """What If-Match says: the version that was read, or whatever is there where null is sent."""
    if "version" not in given.model_fields_set:
        raise Invalid({"version": f"is needed for {given.operation}: {VERSION}"})
    return ANY_VERSION if given.version is None else int(given.version)


def _move(call: Call, given: TaskManage) -> tuple[str, Any]:
    sent = sent_of(
        given, before="before", after="after", place="place", status="status", session_id="session"
    )
    return "task", call.ask(rest.move_task, needed(given, "id"), read(TaskMove, sent, _NAMES))


def _archive(call: Call, given: TaskManage) -> tuple[str, Any]:
    why = read(TaskArchive, sent_of(given, reason="reason"))
    return "task", call.ask(rest.archive_task, needed(given, "id"), why)


def _unarchive(call: Call, given: TaskManage) -> tuple[str, Any]:
    return "task", call.ask(rest.unarchive_task, needed(given, "id"))


def _delete(call: Call, given: TaskManage) -> tuple[str, Any]:
    task = needed(given, "id")
    call.ask(rest.delete_task, task, reason=given.reason, version=version_of(given))
    return "deleted", task


def _add_priority(call: Call, given: TaskManage) -> tuple[str, Any]:
    needed(given, "title")
    sent = sent_of(given, content="title", level="level", date="date", external_id="external_id")
    made = read(PriorityIn, sent, {"content": "title"})
    return "priority", call.ask(priorities.create_priority, made)


def _complete_priority(call: Call, given: TaskManage) -> tuple[str, Any]:
    return "priority", call.ask(priorities.complete_priority, needed(given, "id"))


_NAMES = {"parent_id": "parent", "project_id": "project", "session_id": "session"}
_OPERATIONS = {
    "create": _create,
    "update": _update,
    "move": _move,
    "archive": _archive,
    "unarchive": _unarchive,
    "delete": _delete,
    "add_priority": _add_priority,
    "complete_priority": _complete_priority,
}

MANAGE = Tool(
    name="task_manage",
    title="Create and change tasks",
    description=(
        "Keep the list of work: create a task or subtask, change its title, status (todo, doing, "
        "review, done), assignee or urgency, move it on the board, archive or delete it; put a "
        "line on the list of today's priorities or tick it off. Use it when the user asks for "
        "something to be done later, when you find work you will not do now, and as you begin and "
        "finish a task. work_find finds tasks, their ids and versions. Tasks are for people and "
        "agents to see; your own steps of the moment do not belong here."
    ),
    takes=TaskManage,
    gives=TaskManaged,
    run=manage,
    destroys=True,
    names={
        "parent_id": "parent",
        "project_id": "project",
        "session_id": "session",
        "content": "title",
    },
)
