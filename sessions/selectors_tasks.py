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

# A column is counted to here. A person reads "1,000 or more" the same way.
COUNTED = 1_000


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

    Each column is read to COUNTED rows. Index task_board, once for each project and status.
    """
    counts: dict[tuple[uuid.UUID, str], tuple[int, bool]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.id, s.status, c.open, c.seen "
            "FROM unnest(%s::uuid[]) AS p (id) CROSS JOIN unnest(%s::text[]) AS s (status) "
            "CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE t.archived_at IS NULL) AS open, "
            "count(*) AS seen FROM (SELECT archived_at FROM agent_sessions_task "
            "WHERE workspace_id = %s AND project_id = p.id AND status = s.status LIMIT %s) t) c",
            [[one["id"] for one in projects], TaskStatus.values, current_workspace_id(), COUNTED],
        )
        for project_id, status, still_open, seen in cursor.fetchall():
            counts[project_id, status] = (still_open, seen == COUNTED)
    return [_counts_of(project, counts) for project in projects]


def _counts_of(
    project: dict[str, Any], counts: dict[tuple[uuid.UUID, str], tuple[int, bool]]
) -> dict[str, Any]:
    found = {status: counts[project["id"], status] for status in TaskStatus.values}
    return {
        "project_id": project["id"],
        "title": project["title"],
        **{status: number for status, (number, _) in found.items()},
        "total": sum(number for number, _ in found.values()),
        "at_least": any(more for _, more in found.values()),
    }
