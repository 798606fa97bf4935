"""The admin's pages about what happens: sessions, threads, messages, events, projects."""

from sessions.admin import events, missions, projects, sessions, threads, workers

__all__ = ["events", "missions", "projects", "sessions", "threads", "workers"]
