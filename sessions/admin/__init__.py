"""The admin's pages about what happens: sessions, threads, messages, events, projects, workers, and
what conversations are told."""

from sessions.admin import events, handoffs, notifications, projects, sessions, threads, workers

__all__ = ["events", "handoffs", "notifications", "projects", "sessions", "threads", "workers"]
