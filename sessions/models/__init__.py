from sessions.models.event import RawLine, SessionEvent
from sessions.models.project import Project
from sessions.models.session import Session
from sessions.models.thread import Message, Thread

__all__ = ["Message", "Project", "RawLine", "Session", "SessionEvent", "Thread"]
