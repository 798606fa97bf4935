"""What narrows a search: names become ids once, and then conditions for either leg.

The same conditions stand in the function search_conditions (migration 0012), for search_words and
search_rows cannot be given SQL; tests compare the two. Values are parameters, never SQL text.
"""

import unicodedata
import uuid
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import orjson

from config.lib import clock
from config.lib.db.lookup import find_id
from config.lib.db.models import WorkspaceRow
from config.lib.errors import Invalid, NotFound
from contacts.models import Agent
from memory.models.memory import MemoryState, Trust
from memory.models.passage import EXPIRED
from memory.search.metadata import Condition, read_conditions
from memory.search.schemas import SearchQuery
from sessions.models import Project, Session

# More than one conversation has sessions, or one title projects.
MAX_NAMED = 1000


@dataclass(frozen=True, slots=True)
class Filter:
    """None does not narrow; an empty list lets nothing through."""

    kinds: list[str] | None = None
    memory_kinds: list[str] | None = None
    states: list[str] | None = None
    trusts: list[str] | None = None
    agents: list[uuid.UUID] | None = None
    projects: list[uuid.UUID] | None = None
    sessions: list[uuid.UUID] | None = None
    tags: list[str] | None = None
    after: datetime | None = None
    before: datetime | None = None
    alive_at: datetime | None = None
    known_at: datetime | None = None
    metadata: list[Condition] | None = None

    def within(self, start: datetime, end: datetime) -> "Filter":
        """This, and in the span; whichever bound is the closer one holds."""
        return replace(
            self,
            after=start if self.after is None else max(self.after, start),
            before=end if self.before is None else min(self.before, end),
        )

    @property
    def is_narrow(self) -> bool:
        """Whether it asks for more than what every search asks for: live rows."""
        usual = {"states", "alive_at"}
        return self.states != [MemoryState.ACTIVE.value] or any(
            getattr(self, f.name) is not None for f in fields(self) if f.name not in usual
        )

    def as_json(self) -> str:
        """For search_conditions: only what narrows."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return orjson.dumps({k: v for k, v in given.items() if v is not None}).decode()

    def as_sql(self) -> tuple[str, list[Any]]:
        """(conditions on memory_passage p, each beginning with AND; their parameters)."""
        sql, parameters = "", []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "metadata":
                for one in value or ():
                    condition, given = one.as_sql()
                    sql += f" AND {condition}"
                    parameters += given
            elif value is not None:
                condition = _CONDITIONS[field.name]
                sql += f" AND {condition}"
                parameters += [value] * condition.count("%s")
        return sql, parameters


_CONDITIONS = {
    "kinds": "p.kind = ANY(%s)",
    "memory_kinds": "p.memory_kind = ANY(%s)",
    "states": "p.state = ANY(%s)",
    "trusts": "p.trust = ANY(%s)",
    "agents": "p.agent_id = ANY(%s::uuid[])",
    "projects": "p.project_id = ANY(%s::uuid[])",
    "sessions": "p.session_id = ANY(%s::uuid[])",
    "tags": "p.tags @> %s::varchar[]",
    "after": "p.occurred_at >= %s",
    "before": "p.occurred_at < %s",
    "alive_at": "(p.expires_at IS NULL OR p.expires_at > %s)",
    "known_at": "coalesce(p.recorded_at, p.occurred_at) <= %s "
    "AND (p.valid_from IS NULL OR p.valid_from <= %s) "
    "AND (p.valid_to IS NULL OR p.valid_to > %s) "
    "AND (p.superseded_at IS NULL OR p.superseded_at > %s)",
}


def resolve(query: SearchQuery) -> Filter:
    """The query's filters with names looked up. Raises Invalid for a name that nothing has."""
    states = [state.value for state in query.states]
    in_archive = MemoryState.ARCHIVED in states
    if query.as_of is not None and MemoryState.ACTIVE in states:
        # What has been superseded or has expired since was active then; `known_at` and `alive_at`
        # see to the moment.
        states += [MemoryState.SUPERSEDED.value, EXPIRED]
    elif in_archive:
        states.append(EXPIRED)
    # Who looks into the archive finds what has expired as well.
    alive_at = query.as_of or (None if in_archive else clock.now())
    return Filter(
        kinds=[kind.value for kind in query.kinds] or None,
        memory_kinds=[kind.value for kind in query.memory_kinds] or None,
        states=states,
        trusts=_at_least(query.min_trust),
        agents=_agents(query.agent),
        projects=_projects(query.project),
        sessions=_sessions(query.session, query.conversation),
        tags=_tags(query.tags),
        after=query.after,
        before=query.before,
        alive_at=alive_at,
        known_at=query.as_of,
        metadata=read_conditions(query.metadata) or None,
    )


def _at_least(least: Trust | None) -> list[str] | None:
    if least is None:
        return None
    order = [trust.value for trust in Trust]
    return order[: order.index(least.value) + 1]


def _tags(tags: list[str]) -> list[str] | None:
    """As memories keep them: NFC and NFD look the same to everybody."""
    folded = (unicodedata.normalize("NFC", tag).strip() for tag in tags)
    return [tag for tag in folded if tag] or None


def _agents(named: str | None) -> list[uuid.UUID] | None:
    """By name, else by id. Index agent_name_unique."""
    if named is None:
        return None
    found = list(Agent.objects.filter(name=named).values_list("pk", flat=True))
    return found or [_by_id(Agent, named, field="agent")]


def _projects(named: str | None) -> list[uuid.UUID] | None:
    """By title, which several may have, else by id. Index project_title."""
    if named is None:
        return None
    found = list(Project.objects.filter(title=named).values_list("pk", flat=True)[:MAX_NAMED])
    return found or [_by_id(Project, named, field="project")]


def _sessions(row_id: str | None, conversation: str | None) -> list[uuid.UUID] | None:
    """Index session_conversation."""
    if row_id is None and conversation is None:
        return None
    rows = Session.objects.all()
    if row_id is not None:
        rows = rows.filter(pk=_by_id(Session, row_id, field="session"))
    if conversation is not None:
        rows = rows.filter(conversation_id=conversation)
    return list(rows.values_list("pk", flat=True)[:MAX_NAMED])


def _by_id(model: type[WorkspaceRow], text: str, *, field: str) -> uuid.UUID:
    """A filter that names nothing would find nothing, and nobody would know why."""
    try:
        return find_id(model, text)
    except NotFound as error:
        raise Invalid({field: error.detail}) from None
