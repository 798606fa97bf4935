"""Jobs of the sessions app, found here by procrastinate; each noun's are in a module of its own."""

from sessions import tasks_pings

__all__ = ["tasks_pings"]
