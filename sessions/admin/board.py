"""Tasks as a board: a project's columns by status, in their order, moved on the page.

Not for the list of tasks and their forms (tasks.py).
"""

import uuid
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from config.lib.admin import show
from config.lib.errors import NotFound
from contacts.admin.access import actor_of, allows, page_of
from contacts.admin.listing import counts_by
from contacts.models.workspace import Role
from sessions.admin.moves import Move, answer, changed_meanwhile, read_move
from sessions.models import Project, Task
from sessions.models.task import TaskStatus
from sessions.services.tasks import move_task

# A column longer than this is read in the list.
PER_COLUMN = 50
COUNTED = 1000
# Boards to choose from; any other is a link on its project's page.
MAX_PROJECTS = 12
NO_PROJECT = "none"
TONES = {"todo": "grey", "doing": "blue", "review": "amber", "done": "green"}
URGENCY = {"critical": "red", "high": "amber"}
_CARD = (
    "id", "title", "status", "assignee", "feature", "priority", "order", "version", "parent_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """`count` may end at a limit; `more` is how many of it are not shown, with the list of all."""

    key: str
    label: str
    tone: str
    cards: list[dict[str, Any]]
    count: int
    more: int
    url: str


def board_urls(admin: Any) -> list[URLPattern]:
    return [
        path("board/", page_of(admin, board_view), name="agent_sessions_task_board"),
        path("board/move/", page_of(admin, move_view), name="agent_sessions_task_board_move"),
    ]


def board_url(project_id: uuid.UUID | None) -> str:
    query = urlencode({"project": project_id or NO_PROJECT})
    return f"{reverse('admin:agent_sessions_task_board')}?{query}"


def board_view(admin: Any, request: HttpRequest) -> HttpResponse:
    """`?project=` an id or `none`; without it the first project there is."""
    projects = list(
        Project.objects.filter(archived_at=None)
        .order_by("-pinned", "-created_at", "-id")
        .values("id", "title")[: MAX_PROJECTS + 1]
    )
    wanted = request.GET.get("project", "")
    project = _project(wanted) if wanted else projects[0] if projects else None
    chosen = project["id"] if project else None
    if project and all(one["id"] != chosen for one in projects):
        projects.insert(0, project)
    context = {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "title": "Board",
        "projects": [{**one, "url": board_url(one["id"])} for one in projects[:MAX_PROJECTS]],
        "more_projects": len(projects) > MAX_PROJECTS,
        "no_project_url": board_url(None),
        "project": project,
        "add_url": _add_url(chosen),
        "list_url": _list_url(chosen),
        **board(request, chosen),
    }
    return TemplateResponse(request, "admin/agent_sessions/board.html", context)


def _project(wanted: str) -> dict[str, Any] | None:
    if wanted == NO_PROJECT:
        return None
    try:
        found = Project.objects.filter(pk=uuid.UUID(wanted)).values("id", "title").first()
    except ValueError:
        found = None
    if found is None:
        raise Http404
    return found


def _list_url(project_id: uuid.UUID | None, **more: str) -> str:
    where = {"project__id__exact": project_id} if project_id else {"project__isnull": "True"}
    query = urlencode({**where, "archived": "no", **more})
    return show.changelist_url("agent_sessions.task", query)


def _add_url(project_id: uuid.UUID | None) -> str:
    query = f"?{urlencode({'project': project_id})}" if project_id else ""
    return f"{reverse('admin:agent_sessions_task_add')}{query}"


def board(request: HttpRequest, project_id: uuid.UUID | None) -> dict[str, Any]:
    """Context of board_part.html. Three queries: cards and counts by index task_board, subtasks by
    index task_parent."""
    rows = Task.objects.filter(project_id=project_id, archived_at=None)
    ordered = rows.order_by("order", "id").values(*_CARD)
    parts = [ordered.filter(status=status)[:PER_COLUMN] for status in TaskStatus]
    cards = list(parts[0].union(*parts[1:], all=True))
    _add_subtasks(cards)
    by_status: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for card in sorted(cards, key=lambda card: (card["order"], card["id"])):
        by_status[card["status"]].append(card)
    counts = counts_by(rows, "status", list(TaskStatus), limit=COUNTED)
    columns = [
        Column(
            key=status.value,
            label=status.label,
            tone=TONES[status],
            cards=by_status[status],
            count=counts[status],
            more=type(counts[status])(counts[status] - len(by_status[status])),
            url=_list_url(project_id, status__in=status.value),
        )
        for status in TaskStatus
    ]
    return {
        "columns": columns,
        "may_move": allows(request, Role.OPERATOR),
        "project_value": project_id or NO_PROJECT,
    }


def _add_subtasks(cards: list[dict[str, Any]]) -> None:
    below = (
        Task.objects.filter(parent__in=[card["id"] for card in cards], archived_at=None)
        .order_by()
        .values("parent")
        .annotate(count=Count("pk"), done=Count("pk", filter=Q(status=TaskStatus.DONE)))
    )
    found = {row["parent"]: row for row in below} if cards else {}
    for card in cards:
        card["subtasks"] = found.get(card["id"])
        card["tone"] = URGENCY.get(card["priority"], "")


# --- Moving -----------------------------------------------------------------------------------


def move_view(admin: Any, request: HttpRequest) -> HttpResponse:
    """POST a move and `project`, whose board is answered."""
    project = _project(request.POST.get("project", NO_PROJECT))
    project_id = project["id"] if project else None

    def do() -> str:
        move = read_move(request)
        if move is None:
            return ""
        task = _moved(request, move)
        return f"“{task.title}” is in {task.get_status_display()} now, {_place(task)}."

    return answer(
        request,
        do,
        part="admin/agent_sessions/includes/board_part.html",
        context=partial(board, request, project_id),
        back=board_url(project_id),
        explain=lambda error: changed_meanwhile(error, "task", "the board"),
    )


def _moved(request: HttpRequest, move: Move) -> Task:
    where: dict[str, Any]
    if move.direction is not None:
        where = _towards(move)
    elif move.before or move.after:
        where = {"before": move.before, "after": move.after}
    else:
        where = {"place": move.place or "bottom"}
    if move.column:
        where["status"] = move.column
    return move_task(
        actor=actor_of(request), task_id=move.row_id, expected_version=move.version, **where
    )


def _towards(move: Move) -> dict[str, Any]:
    """Where a button leads from where the task is now."""
    task = Task.objects.filter(pk=move.row_id).first()
    if task is None:
        raise NotFound("task", move.row_id)
    if move.direction in ("left", "right"):
        statuses = list(TaskStatus)
        index = statuses.index(TaskStatus(task.status)) + (1 if move.direction == "right" else -1)
        status = statuses[min(max(index, 0), len(statuses) - 1)]
        return {"status": status.value, "place": "top"}
    column = Task.objects.filter(project_id=task.project_id, status=task.status, archived_at=None)
    here = Q(order=task.order)
    if move.direction == "up":
        above = column.filter(Q(order__lt=task.order) | here & Q(id__lt=task.pk))
        neighbour = above.order_by("-order", "-id").first()
        return {"before": neighbour.pk} if neighbour else {"place": "top"}
    below = column.filter(Q(order__gt=task.order) | here & Q(id__gt=task.pk))
    neighbour = below.order_by("order", "id").first()
    return {"after": neighbour.pk} if neighbour else {"place": "bottom"}


def _place(task: Task) -> str:
    column = Task.objects.filter(project_id=task.project_id, status=task.status, archived_at=None)
    above = Q(order__lt=task.order) | Q(order=task.order, id__lt=task.pk)
    before = column.filter(above).order_by().values("pk")[:COUNTED].count()
    return f"place {before + 1}"
