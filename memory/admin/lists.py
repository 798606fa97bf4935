"""The search boxes of lists: rows are found as a search by words finds them.

By words alone, since a list is read inside its request's transaction, where no query may be
embedded; the search page has the meaning too. Of the models that the index knows: their pages are
other apps', which know nothing of it.
"""

import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

from config.lib.ids import read_id
from contacts.admin.base import WorkspaceAdmin
from contacts.admin.contacts import ContactAdmin
from memory.admin.index import PassageAdmin
from memory.admin.memories import MemoryAdmin
from memory.models.passage import PassageKind
from memory.search.filters import Filter
from memory.search.funnel import find_passages, find_rows, find_sessions
from sessions.admin.events import SessionEventAdmin
from sessions.admin.projects import ProjectAdmin
from sessions.admin.sessions import SessionAdmin
from sessions.admin.tasks import TaskAdmin
from sessions.admin.threads import MessageAdmin

MOST = 500
# Filters of a list that the search knows: then it finds the best of those, not of all.
KNOWN = {
    "agent__id__exact": "agents",
    "project__id__exact": "projects",
    "session__id__exact": "sessions",
}


def find(kind: PassageKind, term: str, chosen: Mapping[str, str]) -> list[uuid.UUID]:
    """Ids of rows of `kind`, best first, at most MOST; in whatever state they are."""
    return find_rows(term, _narrowed(kind, chosen), most=MOST)


def sessions_with(term: str, chosen: Mapping[str, str]) -> list[uuid.UUID]:
    """Sessions by their names and summaries first, then by what was said in them."""
    each = [_narrowed(kind, chosen) for kind in (PassageKind.SUMMARY, PassageKind.MESSAGE)]
    return find_sessions(term, each, most=MOST)


def _narrowed(kind: PassageKind, chosen: Mapping[str, str]) -> Filter:
    narrowed: dict[str, Any] = {"kinds": [kind.value]}
    for name, field in KNOWN.items():
        row_id = read_id(chosen.get(name, ""))
        if isinstance(row_id, uuid.UUID):
            narrowed[field] = [row_id]
    return Filter(**narrowed)


def _let_find(page: type[WorkspaceAdmin], kind: PassageKind, names: tuple[str, ...] = ()) -> None:
    page.find_rows = partial(find, kind)
    page.search_names = names


_let_find(MessageAdmin, PassageKind.MESSAGE)
_let_find(SessionEventAdmin, PassageKind.EVENT)
_let_find(MemoryAdmin, PassageKind.MEMORY)
_let_find(TaskAdmin, PassageKind.TASK, ("title", "feature"))
_let_find(ProjectAdmin, PassageKind.PROJECT, ("title", "repo_url"))
_let_find(ContactAdmin, PassageKind.CONTACT, ("name", "company", "emails__email", "phones__number"))


def passages_with(term: str, chosen: Mapping[str, str]) -> list[uuid.UUID]:
    """Passages, of the kind that the list is narrowed to."""
    kind = chosen.get("kind__exact", "")
    kinds = [kind] if kind in PassageKind.values else None
    return find_passages(term, Filter(kinds=kinds), most=MOST)


PassageAdmin.find_rows = staticmethod(passages_with)
SessionAdmin.find_rows = staticmethod(sessions_with)
SessionAdmin.search_names = ("name", "status_text")
