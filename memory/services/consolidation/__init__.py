"""Episodes become a narrative: a closed session's memories, or those of a day without a session.

A run is one unit. It is planned in one transaction, thought about in none (each draft is kept as it
comes, so that a run that died goes on), and written in one: the narratives with their links
`derived_from`, and `consolidated` on what they tell of. It is taken back in one as well. Nothing is
lost by it: sources stay in use, unless the workspace has them archived; then a run that would
archive more than its share waits for a person.

A narrative is trusted as its least trusted source, and in one project, as they are. What waits in
quarantine or came from outside is never told. Which sentences are taken: memory/summaries.
"""

from memory.services.consolidation.planning import plan
from memory.services.consolidation.runs import (
    LOST,
    TASK,
    begin,
    consolidate_job,
    dismiss,
    release,
)
from memory.services.consolidation.undoing import forget, hold, revert
from memory.services.consolidation.working import work

__all__ = [
    "LOST", "TASK", "begin", "consolidate_job", "dismiss", "forget", "hold", "plan", "release",
    "revert", "work",
]  # fmt: skip
