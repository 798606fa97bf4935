"""The admin's pages about what happens: sessions, threads, messages, events, projects, and what
conversations are told."""

from sessions.admin import events, handoffs, notifications, projects, sessions, threads

__all__ = ["events", "handoffs", "notifications", "projects", "sessions", "threads"]
