"""The list of sessions with what each said last, and its page put together by project or by
conversation. Not for totals beyond the page: a conversation's are on its own page."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from contacts.admin.listing import WorkspaceChangeList
from sessions.models import Session
from sessions.selectors_conversations import last_responses

GROUP = "group"
GROUPS = {"": "One list", "project": "By project", "conversation": "By conversation"}


@dataclass(slots=True)
class Group:
    """Rows of one page that belong together, and their sums. `cost` is None where none is known."""

    title: str
    url: str
    rows: list[Session] = field(default_factory=list)
    messages: int = 0
    tools: int = 0
    errors: int = 0
    tokens: int = 0
    cost: Decimal | None = None

    def add(self, row: Session) -> None:
        self.rows.append(row)
        self.messages += row.message_count
        self.tools += row.tool_count
        self.errors += row.error_count
        self.tokens += row.output_tokens
        if row.cost_usd is not None:
            self.cost = (self.cost or Decimal(0)) + row.cost_usd


def conversation_url(conversation_id: str) -> str:
    return reverse("admin:agent_sessions_session_of_conversation", args=[conversation_id])


def grouped(rows: Iterable[Session], by: str) -> list[Group]:
    """In the order in which the page's rows first name each group."""
    groups: dict[Any, Group] = {}
    for row in rows:
        key = row.project_id if by == "project" else row.conversation_id
        if key not in groups:
            groups[key] = _of_project(row) if by == "project" else _of_conversation(row)
        groups[key].add(row)
    return list(groups.values())


def _of_project(row: Session) -> Group:
    listed = reverse("admin:agent_sessions_session_changelist")
    if row.project is None:
        return Group("Without a project", f"{listed}?project__isnull=True")
    return Group(row.project.title, f"{listed}?project__id__exact={row.project_id}")


def _of_conversation(row: Session) -> Group:
    return Group(row.conversation_id, conversation_url(row.conversation_id))


class SessionChangeList(WorkspaceChangeList):
    """`?group=` puts the rows of each page under headings; filters, order and pages stay."""

    group = ""
    result_list: Any

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        found: dict[str, Any] = super().get_filters_params(params)
        found.pop(GROUP, None)
        return found

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Any] = list(self.result_list)
        said = last_responses([row.pk for row in rows]) if rows else {}
        for row in rows:
            row.said = said.get(row.pk) or ""
        wanted = request.GET.get(GROUP, "")
        self.group = wanted if wanted in GROUPS else ""
        if self.group:
            groups = grouped(rows, self.group)
            for group in groups:
                group.rows[0].__dict__["group"] = group
            rows = [row for group in groups for row in group.rows]
        self.result_list = rows

    @property
    def groupings(self) -> list[dict[str, Any]]:
        """The switch above the list: each way with its address, the filters kept."""
        found = []
        for name, label in GROUPS.items():
            url = self.get_query_string({GROUP: name} if name else {}, remove=[GROUP])
            found.append({"label": label, "url": url, "active": name == self.group})
        return found
