"""The REST API: one NinjaAPI and the flat list of its routers. Operations live in the apps."""

from config import __version__, errors
from config.api.body import JsonParser, JsonRenderer
from config.api.document import Api
from config.api.parameters import known_parameters_only
from contacts.api import agents, keys, me, workspace
from memory.api import attention, links, memories, stats
from memory.api.search import router as search
from sessions.api import (
    events,
    messages,
    ping_channels,
    pings,
    projects,
    sessions,
    staged_content,
    threads,
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
    me.router,
    workspace.router,
    agents.router,
    keys.router,
    projects.router,
    sessions.router,
    events.router,
    threads.router,
    messages.router,
    memories.router,
    links.router,
    search,
    stats.router,
    pings.router,
    ping_channels.router,
    staged_content.router,
    attention.router,
):
    api.add_router("", router)
