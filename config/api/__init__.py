"""The REST API: one NinjaAPI and the flat list of its routers. Operations live in the apps."""

from config import __version__, errors
from config.api.body import JsonParser, JsonRenderer
from config.api.document import Api
from config.api.parameters import known_parameters_only
from contacts.api import (
    agents,
    contact_files,
    contact_merges,
    contacts,
    keys,
    me,
    revisions,
    tags,
    workspace,
)
from memory.api import (
    attention,
    briefing,
    consolidations,
    contradictions,
    duplicates,
    erasures,
    executions,
    golden,
    hooks,
    known,
    links,
    memories,
    receipts,
    stats,
    summaries,
    transcripts,
    unlearning,
)
from memory.api.context import router as context
from memory.api.search import router as search
from memory.api.tasks import router as task_search
from sessions.api import (
    conversations,
    events,
    handoffs,
    messages,
    mission_runs,
    missions,
    notifications,
    ping_channels,
    pings,
    priorities,
    projects,
    sessions,
    staged_content,
    tasks,
    thread_tools,
    threads,
    worker_runs,
    workers,
)

api = Api(
    title="Remembrancer",
    version=__version__,
    description=(
        "The system of record for AI agents. Send an API key as `Authorization: Bearer rmb_...`; "
        "it opens one workspace. Errors are problem details (RFC 9457). Lists are read on with "
        "the `next_cursor` of the page before."
    ),
    urls_namespace="api",
    parser=JsonParser(),
    renderer=JsonRenderer(),
)
errors.install(api)

api.add_decorator(known_parameters_only)
for router in (
    # Django tries each path in turn, a microsecond or two each: what agents ask most goes first.
    hooks.router,
    search,
    context,
    briefing.router,
    me.router,
    workspace.router,
    agents.router,
    keys.router,
    contact_files.router,
    contact_merges.router,
    contacts.router,
    tags.router,
    revisions.router,
    projects.router,
    # Before the tasks themselves, whose path would take its name for an id.
    task_search,
    tasks.router,
    priorities.router,
    sessions.router,
    conversations.router,
    summaries.router,
    events.router,
    thread_tools.router,
    threads.router,
    messages.router,
    notifications.router,
    handoffs.router,
    worker_runs.router,
    workers.router,
    missions.router,
    mission_runs.router,
    # Before the memories themselves, whose path would take its name for an id.
    duplicates.router,
    contradictions.router,
    consolidations.router,
    memories.router,
    links.router,
    known.router,
    executions.router,
    receipts.router,
    golden.router,
    erasures.router,
    unlearning.router,
    stats.router,
    transcripts.router,
    pings.router,
    ping_channels.router,
    staged_content.router,
    attention.router,
):
    api.add_router("", router)
