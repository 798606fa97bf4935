from sessions.models.attention import (
    Handoff,
    Notification,
    Ping,
    PingChannel,
    PingDelivery,
    StagedContent,
)
from sessions.models.event import RawLine, SessionEvent
from sessions.models.mission import Mission, ScheduledMission
from sessions.models.priority import Priority
from sessions.models.project import Project
from sessions.models.session import Session
from sessions.models.task import Task
from sessions.models.thread import Message, Thread
from sessions.models.worker import Worker, WorkerDependency, WorkerOutput

__all__ = [
    "Handoff",
    "Message",
    "Mission",
    "Notification",
    "Ping",
    "PingChannel",
    "PingDelivery",
    "Priority",
    "Project",
    "RawLine",
    "ScheduledMission",
    "Session",
    "SessionEvent",
    "StagedContent",
    "Task",
    "Thread",
    "Worker",
    "WorkerDependency",
    "WorkerOutput",
]
