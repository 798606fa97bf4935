"""Reads of tasks. Lists are values() rows; each says which index serves it."""

import uuid
from collections.abc import Sequence
from typing import Any, TypedDict

from django.db import connection
from django.db.models import F, QuerySet

from config.lib.db.lookup import find_row
from config.lib.errors import Invalid
from config.lib.scope import current_workspace_id
from sessions.models import Task
from sessions.models.task import TaskStatus
from sessions.schemas_tasks import TaskRow
from sessions.selectors import columns

Rows = QuerySet[Any, dict[str, Any]]

# A project is counted to here. A person reads "2,000 or more" the same way.
COUNTED = 2_000


class TaskFilter(TypedDict, total=False):
    """What a list of tasks can be narrowed by; None and absent ask for nothing."""

    project_id: uuid.UUID | None
    parent_id: uuid.UUID | None
    status: str | None
    assignee: str | None
    priority: str | None
    feature: str | None


def task_rows() -> Rows:
    return Task.objects.values(*columns(Task, TaskRow), project_title=F("project__title"))


def narrow_tasks(rows: Rows, wanted: TaskFilter, *, archived: bool) -> Rows:
    """`rows` under the filter. With no index of their own: priority and feature."""
    conditions = {name: value for name, value in wanted.items() if value is not None}
    return rows.filter(archived_at__isnull=not archived, **conditions)


def list_tasks(
    wanted: TaskFilter, *, archived: bool = False, board: bool = False
) -> tuple[Rows, list[str]]:
    """(rows, their order). Indexes task_list, or task_project, task_status, task_assignee under
    that filter; task_archived for the archive; task_board and task_parent for a board's order.

    Raises Invalid where a board's order is asked for without a column or a parent.
    """
    rows = narrow_tasks(task_rows(), wanted, archived=archived)
    if board:
        if not (wanted.get("parent_id") or (wanted.get("project_id") and wanted.get("status"))):
            raise Invalid({"sort": "a board's order is that of a project and status, or a parent"})
        return rows, ["order", "id"]
    return rows, ["-archived_at", "-id"] if archived else ["-created_at", "-id"]


def get_task(text: str) -> Task:
    """By a full or shortened id, with its project. Or NotFound."""
    return find_row(Task.objects.select_related("project"), text)


def count_tasks(projects: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """As schemas_tasks.TaskCounts, for projects of a page ({id, title}), in their order.

    Of each project the newest COUNTED tasks that are not archived. Index task_project, once for
    each project: what was archived over the years costs nothing.
    """
    counts: dict[uuid.UUID, dict[str, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.id, t.status, count(*) FROM unnest(%s::uuid[]) AS p (id) "
            "CROSS JOIN LATERAL (SELECT status FROM agent_sessions_task WHERE workspace_id = %s "
            "AND project_id = p.id AND archived_at IS NULL ORDER BY created_at DESC, id DESC "
            "LIMIT %s) t GROUP BY p.id, t.status",
            [[one["id"] for one in projects], current_workspace_id(), COUNTED],
        )
        for project_id, status, number in cursor.fetchall():
            counts.setdefault(project_id, {})[status] = number
    return [_counts_of(project, counts.get(project["id"], {})) for project in projects]


def _counts_of(project: dict[str, Any], counts: dict[str, int]) -> dict[str, Any]:
    total = sum(counts.values())
    return {
        "project_id": project["id"],
        "title": project["title"],
        **{status: counts.get(status, 0) for status in TaskStatus.values},
        "total": total,
        "at_least": total == COUNTED,
    }
