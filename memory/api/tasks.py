"""GET tasks/search: tasks by words and meaning, narrowed as their list is."""

from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from config.lib.schema import Text
from config.lib.scope import workspace_scope
from contacts.api.auth import KeyAuth
from contacts.api.http import Items, principal_of, reply
from memory.search.funnel import search
from memory.search.parse import parse
from memory.search.schemas import MAX_LIMIT, SearchQuery
from memory.search.vectors import embed_query
from sessions.api.tasks import TaskQuery
from sessions.schemas_tasks import TaskHit
from sessions.selectors_tasks import narrow_tasks, task_rows

router = Router(tags=["Tasks"])


class TaskSearch(TaskQuery):
    # In the longest encoding these are fewer bytes than a search takes.
    q: Text = Field(min_length=1, max_length=2_000, description="As of POST /search")
    limit: int = Field(20, ge=1, le=MAX_LIMIT)


@router.get(
    "/tasks/search",
    auth=KeyAuth("work:read", detached=True),
    response=Items[TaskHit],
    operation_id="search_tasks",
    summary="Search tasks",
)
def search_tasks(request: HttpRequest, wanted: Annotated[TaskSearch, Query()]) -> HttpResponse:
    """By words and by meaning, best first: those of the workspace's (or project's) 100 best that
    the other filters leave. POST /search with kinds `task` says more of each hit."""
    query = SearchQuery.model_validate(
        {"q": wanted.q, "kinds": ["task"], "project": wanted.project, "limit": MAX_LIMIT}
    )
    vector = embed_query(parse(query.q).text, principal_of(request).workspace_id)
    with workspace_scope(principal_of(request).workspace_id):
        narrowing = wanted.wanted()
        hits = search(query=query, query_vector=vector).hits
        rows = task_rows().filter(pk__in=[hit.id for hit in hits])
        narrowed = narrow_tasks(rows, narrowing, archived=wanted.archived)
        tasks = {row["id"]: row for row in narrowed}
    found = [
        {"score": hit.score, "snippet": hit.snippet, "task": tasks[hit.id]}
        for hit in hits
        if hit.id in tasks
    ]
    return reply(Items[TaskHit], {"items": found[: wanted.limit]})
