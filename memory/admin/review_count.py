"""How many memories wait for a reviewer, for the sidebar of every page."""

from django.http import HttpRequest

from config.lib.scope import current_workspace_id
from memory.search.corpus import Kept
from memory.selectors_review import BADGE, waiting_count

# No page counts them anew for its sidebar.
COUNTED_SECONDS = 15.0
_counted: Kept[int] = Kept(1000)


def badge(request: HttpRequest) -> str:
    """For the sidebar: how many wait, `99+` at most, nothing where none does. Some seconds old,
    unless somebody has decided in this process."""
    workspace_id = current_workspace_id()
    count = _counted.get(workspace_id)
    if count is None:
        count = waiting_count()
        _counted.keep(workspace_id, count, COUNTED_SECONDS)
    if not count:
        return ""
    return f"{BADGE}+" if count > BADGE else str(count)


def note_count(count: int) -> None:
    """A page has counted them anyway."""
    _counted.keep(current_workspace_id(), count, COUNTED_SECONDS)


def forget_count() -> None:
    """Somebody decides."""
    _counted.keep(current_workspace_id(), 0, 0.0)
