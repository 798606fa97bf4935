"""The admin's pages about what happens: sessions, threads, messages, events, projects, workers,
missions, tasks, priorities, and what conversations are told."""

from sessions.admin import (
    events,
    handoffs,
    missions,
    notifications,
    priorities,
    projects,
    sessions,
    tasks,
    threads,
    workers,
)

__all__ = [
    "events",
    "handoffs",
    "missions",
    "notifications",
    "priorities",
    "projects",
    "sessions",
    "tasks",
    "threads",
    "workers",
]
