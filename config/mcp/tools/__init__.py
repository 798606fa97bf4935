"""The tools of /mcp/, in the order in which they are listed. At most twelve; reads first."""

from config.mcp.tool import Tool
from config.mcp.tools import contacts, context, memories, people, reading, sessions, tasks, work

TOOLS: tuple[Tool, ...] = (
    memories.SEARCH,
    reading.GET,
    context.CONTEXT,
    sessions.SEARCH,
    work.FIND,
    contacts.FIND,
    memories.SAVE,
    memories.UPDATE,
    sessions.LOG,
    tasks.MANAGE,
    work.MANAGE,
    people.NOTIFY,
)
