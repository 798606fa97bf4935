"""The admin's pages about what happens: sessions, threads, messages, events, projects, workers,
missions, and what conversations are told."""

from sessions.admin import (
    events,
    handoffs,
    missions,
    notifications,
    projects,
    sessions,
    threads,
    workers,
)

__all__ = [
    "events",
    "handoffs",
    "missions",
    "notifications",
    "projects",
    "sessions",
    "threads",
    "workers",
]
