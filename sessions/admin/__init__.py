"""The admin's pages about what happens: sessions, threads, messages, events, projects, workers,
missions, tasks, priorities, and what conversations are told."""

from sessions.admin import (
    events,
    handoffs,
    missions,
    notifications,
    ping_channels,
    pings,
    priorities,
    projects,
    sessions,
    staged_content,
    tasks,
    threads,
    workers,
)

__all__ = [
    "events",
    "handoffs",
    "missions",
    "notifications",
    "ping_channels",
    "pings",
    "priorities",
    "projects",
    "sessions",
    "staged_content",
    "tasks",
    "threads",
    "workers",
]
