"""The admin's pages about what happens: sessions, threads, messages, events, projects, tasks,
priorities.
"""

from sessions.admin import events, priorities, projects, sessions, tasks, threads

__all__ = ["events", "priorities", "projects", "sessions", "tasks", "threads"]
