"""The admin's pages about what happens: sessions, threads, messages, events, projects."""

from sessions.admin import (
    events,
    ping_channels,
    pings,
    projects,
    sessions,
    staged_content,
    threads,
)

__all__ = [
    "events",
    "ping_channels",
    "pings",
    "projects",
    "sessions",
    "staged_content",
    "threads",
]
