"""Tasks: made, changed, moved on the board, archived, deleted.

Whoever writes a task holds the lock of its board: the project's row, or the workspace's for tasks
without a project. So places on a board, and parents, which are tasks of the same project, change
one after the other. Not for what workers do about a task.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.db.models import Exists, OuterRef, QuerySet

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, Invalid, NotFound
from contacts.services import funnel
from sessions.models import Project, Task
from sessions.models.task import TaskStatus
from sessions.services.events import NewEvent, append_events
from sessions.services.ordering import (
    lock_workspace_lists,
    place_at_end,
    place_at_top,
    place_beside,
    refuse_stale,
)

EDITABLE = frozenset(
    {
        "title", "description", "status", "assignee", "order", "priority", "feature", "sources",
        "code_examples", "metadata", "project_id", "parent_id",
    }
)  # fmt: skip
ON_CREATION = EDITABLE - {"title"} | {"source", "external_id"}
MAX_BATCH = 500
# Subtasks of subtasks; a person loses the thread long before.
MAX_DEPTH = 20

CREATED, UPDATED, COMPLETED = "task_created", "task_updated", "task_completed"


def create_task(
    *, actor: Actor, title: str, session_id: uuid.UUID | None = None, **fields: Any
) -> tuple[Task, bool]:
    """A new task at the end of its column unless `order` says otherwise; (task, whether it is new).

    With `external_id` (and `source`) set, a task of that identity is returned as it is instead of
    made again. A subtask belongs to its parent's project. `session_id` is the session that makes
    it, which gets an event.
    """
    unknown = fields.keys() - ON_CREATION
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "cannot be set on a task"))
    if fields.get("external_id"):
        fields["source"] = fields.get("source") or "api"
        known = Task.objects.filter(source=fields["source"], external_id=fields["external_id"])
        found = known.first()
        if found is not None:
            return found, False
    parent_id = fields.get("parent_id")
    if parent_id is not None and "project_id" not in fields:
        fields["project_id"] = funnel.get_row(Task, parent_id, what="parent task").project_id
    project_id = fields.get("project_id")
    _lock_boards({project_id})
    task = Task(title=title, **fields)
    if parent_id is not None:
        _check_parent(task, parent_id, depth=1)
    if "order" not in fields:
        task.order = place_at_end(_column(project_id, task.status), "order")
    if task.status == TaskStatus.DONE:
        task.completed_at = clock.now()
    funnel.create(task, actor=actor)
    _tell(actor, session_id, [_Change(task, CREATED, None)])
    return task, True


def update_task(
    *,
    actor: Actor,
    task_id: uuid.UUID,
    changes: Mapping[str, Any],
    expected_version: int | None = None,
    reason: str = "",
    session_id: uuid.UUID | None = None,
) -> Task:
    """Change a task. One whose status or project changes goes to the end of its new column, unless
    `order` says otherwise; its subtasks go to the new project with it.

    `session_id` is the session that changes it, which gets an event.
    """
    changes = dict(changes)
    unknown = changes.keys() - EDITABLE
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "cannot be changed on a task"))
    boards = {changes["project_id"]} if "project_id" in changes else set()
    (task,) = _lock_tasks([task_id], boards)
    status = task.status
    moves = changes.get("project_id", task.project_id) != task.project_id
    subtasks = _place_in_tree(task, changes, moves=moves)
    changes = _with_status(task, changes, moves=moves)
    version = task.version
    funnel.update(task, changes, actor=actor, expected_version=expected_version, reason=reason)
    for subtask in subtasks:
        funnel.update(subtask, {"project_id": task.project_id}, actor=actor, reason=reason)
    if task.version != version:
        _tell(actor, session_id, [_Change(task, UPDATED, status)])
    return task


def _place_in_tree(task: Task, changes: Mapping[str, Any], *, moves: bool) -> list[Task]:
    """Checks a new parent or project; the subtasks that go to a new project too."""
    parent_id = changes.get("parent_id", task.parent_id)
    if not moves and parent_id == task.parent_id:
        return []
    below = _subtasks(task) if moves or parent_id is not None else []
    if parent_id is not None:
        depth = 1 + len(below)
        if parent_id == task.id or any(parent_id == row.id for level in below for row in level):
            raise Invalid({"parent_id": "is this task or one of its own subtasks"})
        target = Task(id=task.id, project_id=changes.get("project_id", task.project_id))
        _check_parent(target, parent_id, depth=depth)
    return [row for level in below for row in level] if moves else []


def _check_parent(task: Task, parent_id: uuid.UUID, *, depth: int) -> None:
    """`depth` is how many levels the task and its subtasks are. The board's lock is held."""
    parent = funnel.get_row(Task, parent_id, what="parent task")
    if parent.project_id != task.project_id:
        raise Invalid(
            {"parent_id": "is a task of another project; a subtask is in its parent's project"}
        )
    above = 1
    while parent.parent_id is not None:
        parent = funnel.get_row(Task, parent.parent_id, what="parent task")
        above += 1
    if above + depth > MAX_DEPTH:
        raise Invalid({"parent_id": f"would make subtasks of more than {MAX_DEPTH} levels"})


def _with_status(task: Task, changes: dict[str, Any], *, moves: bool) -> dict[str, Any]:
    """`changes` with what follows from a new status or project."""
    status = changes.get("status", task.status)
    if status == task.status and not moves:
        return changes
    if "order" not in changes:
        column = _column(changes.get("project_id", task.project_id), status)
        changes["order"] = place_at_end(column.exclude(pk=task.pk), "order")
    if status != task.status:
        changes["completed_at"] = clock.now() if status == TaskStatus.DONE else None
    return changes


# --- The board --------------------------------------------------------------------------------


def move_task(
    *,
    actor: Actor,
    task_id: uuid.UUID,
    status: str | None = None,
    before: uuid.UUID | None = None,
    after: uuid.UUID | None = None,
    place: Literal["top", "bottom"] | None = None,
    expected_version: int | None = None,
    session_id: uuid.UUID | None = None,
) -> Task:
    """Move a task on its project's board: right before or after another task, or to the top or
    bottom of a column. Stale where `expected_version` is given and is not the task's.

    Beside another task it takes that one's status; `status` alone means the column's bottom.
    Raises Invalid for a neighbour on another board or in another column than `status`.
    """
    given = [name for name, v in {"before": before, "after": after, "place": place}.items() if v]
    if len(given) > 1:
        raise Invalid(dict.fromkeys(given, "give one of before, after and place"))
    if not given and status is None:
        raise Invalid({"place": "say where: before, after, place or status"})
    (task,) = _lock_tasks([task_id])
    refuse_stale(task, expected_version)
    beside, name = before or after, "before" if before else "after"
    if beside is not None:
        neighbour = funnel.get_row(Task, beside)
        if neighbour.pk == task.pk:
            raise Invalid({name: "is the task itself"})
        if neighbour.project_id != task.project_id:
            raise Invalid({name: "is a task of another project"})
        if status is not None and status != neighbour.status:
            raise Invalid({name: f"is in the column {neighbour.status}, not {status}"})
        status = neighbour.status
    status = status or task.status
    column = _column(task.project_id, status).exclude(pk=task.pk)
    if beside is not None:
        order = place_beside(column, "order", neighbour, before=before is not None)
    elif place == "top":
        order = place_at_top(column, "order")
    else:
        order = place_at_end(column, "order")
    was = task.status
    changes = _with_status(task, {"status": status, "order": order}, moves=False)
    funnel.update(task, changes, actor=actor, action="move")
    if was != task.status:
        _tell(actor, session_id, [_Change(task, UPDATED, was)])
    return task


def set_status(
    *,
    actor: Actor,
    task_ids: Sequence[uuid.UUID],
    status: str,
    session_id: uuid.UUID | None = None,
) -> list[Task]:
    """Give up to 500 tasks a status, all or none; the tasks in the order given."""
    tasks = _lock_tasks(task_ids)
    told = []
    for task in tasks:
        was = task.status
        changes = _with_status(task, {"status": status}, moves=False)
        funnel.update(task, changes, actor=actor)
        if was != task.status:
            told.append(_Change(task, UPDATED, was))
    _tell(actor, session_id, told)
    return tasks


# --- The archive ------------------------------------------------------------------------------


def archive_tasks(
    *, actor: Actor, task_ids: Sequence[uuid.UUID], archived_by: str = "", reason: str = ""
) -> list[Task]:
    """Put up to 500 tasks away, each with its subtasks; the tasks in the order given.

    What is archived already stays as it is. `archived_by` is a name; without it the actor's.
    """
    tasks = _lock_tasks(task_ids)
    known = {task.id: task for task in tasks}
    for task in tasks:
        if task.archived_at is None:
            for row in (row for level in _subtasks(task) for row in level):
                known.setdefault(row.id, row)
    changes = {"archived_at": clock.now(), "archived_by": archived_by or actor.label[:120]}
    for task in known.values():
        if task.archived_at is None:
            funnel.update(task, changes, actor=actor, action="archive", reason=reason)
    return tasks


def unarchive_tasks(*, actor: Actor, task_ids: Sequence[uuid.UUID], reason: str = "") -> list[Task]:
    """Take up to 500 tasks out of the archive, each with the subtasks that went in with it."""
    tasks = _lock_tasks(task_ids)
    known = {task.id: task for task in tasks}
    for task in tasks:
        if task.archived_at is not None:
            for row in (row for level in _subtasks(task) for row in level):
                if row.archived_at == task.archived_at:
                    known.setdefault(row.id, row)
    changes = {"archived_at": None, "archived_by": ""}
    for task in known.values():
        funnel.update(task, changes, actor=actor, action="unarchive", reason=reason)
    return tasks


# --- Deleting ---------------------------------------------------------------------------------


def delete_task(
    *, actor: Actor, task_id: uuid.UUID, expected_version: int | None = None, reason: str = ""
) -> int:
    """Remove a task with its subtasks; how many went. Workers and evidence stay, without the link.

    Subtasks go first: keys that are nulled, not cascaded, are seen on the rows of one call only.
    """
    (task,) = _lock_tasks([task_id])
    below = _subtasks(task)
    for level in reversed(below):
        funnel.delete_many(level, actor=actor, reason=reason)
    count = sum(len(level) for level in below)
    funnel.delete(
        task,
        actor=actor,
        expected_version=expected_version,
        reason=reason,
        note={"subtask_count": count} if count else None,
    )
    return count + 1


def delete_tasks_of(*, actor: Actor, project: Project, reason: str = "") -> int:
    """Remove a locked project's tasks, those without subtasks first; how many there were."""
    count = 0
    while True:
        rows = Task.objects.filter(project=project)
        leaves = rows.filter(~Exists(Task.objects.filter(parent=OuterRef("pk"))))
        batch = list(leaves.select_for_update(no_key=True, of=("self",))[:MAX_BATCH])
        if not batch:
            return count
        funnel.delete_many(batch, actor=actor, reason=reason)
        count += len(batch)


# --- Locks and trees --------------------------------------------------------------------------


def _lock_boards(projects: Collection[uuid.UUID | None]) -> None:
    """In one order, so that two who need several never wait for each other."""
    if None in projects:
        lock_workspace_lists()
    for project_id in sorted(one for one in projects if one is not None):
        funnel.get_row(Project, project_id, lock=True)


def _lock_tasks(
    task_ids: Sequence[uuid.UUID], boards: Iterable[uuid.UUID | None] = ()
) -> list[Task]:
    """The tasks, locked behind their boards and `boards`, in the order given. Or NotFound."""
    if len(task_ids) > MAX_BATCH:
        raise Invalid({"task_ids": f"{len(task_ids):,} tasks; at most {MAX_BATCH:,} at once"})
    rows = Task.objects.filter(pk__any_of=list(task_ids))
    places = dict(rows.values_list("pk", "project_id"))
    for task_id in task_ids:
        if task_id not in places:
            raise NotFound("task", task_id)
    _lock_boards({*places.values(), *boards})
    found = {row.pk: row for row in rows.order_by("pk").select_for_update(no_key=True)}
    for task_id in task_ids:
        if task_id not in found:
            raise NotFound("task", task_id)
        if found[task_id].project_id != places[task_id]:
            raise Conflict(
                "This task was moved to another project meanwhile; read it again.",
                code="concurrent_change",
            )
    return [found[task_id] for task_id in dict.fromkeys(task_ids)]


def _subtasks(task: Task) -> list[list[Task]]:
    """Level by level, locked. Index task_parent."""
    levels: list[list[Task]] = []
    above = [task.pk]
    while above:
        rows = Task.objects.filter(parent__in=above).order_by("pk")
        level = list(rows.select_for_update(no_key=True))
        if level:
            levels.append(level)
        above = [row.pk for row in level]
    return levels


def _column(project_id: uuid.UUID | None, status: str) -> QuerySet[Task]:
    """A board's column. Index task_board."""
    return Task.objects.filter(project_id=project_id, status=status)


# --- Events -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Change:
    task: Task
    event_type: str
    was: str | None


def _tell(actor: Actor, session_id: uuid.UUID | None, changes: Sequence[_Change]) -> None:
    """Events in the session that did it: data {task_id, title, from, to}, statuses both."""
    if session_id is None or not changes:
        return
    append_events(actor=actor, session_id=session_id, events=[_event(one) for one in changes])


def _event(change: _Change) -> NewEvent:
    task = change.task
    kind, step = change.event_type, f"{change.was} → {task.status}"
    if kind == CREATED:
        text = f"Task created: {task.title}"
    elif change.was == task.status:
        text = f"Task updated: {task.title}"
    elif task.status == TaskStatus.DONE:
        kind, text = COMPLETED, f"Task completed: {task.title}"
    else:
        text = f"Task {step}: {task.title}"
    data = {"task_id": str(task.pk), "title": task.title, "from": change.was, "to": task.status}
    return NewEvent(event_type=kind, text=text, data=data)
