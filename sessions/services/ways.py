"""How changes of sessions and work are taken back.

A deleted session, thread or worker is not brought back: its messages, events and runs are their
own history, and went with it.
"""

from typing import Any

from contacts.services.undoable import Way, no_parts, undoable
from sessions.models import (
    PingChannel,
    Priority,
    Project,
    ScheduledMission,
    Session,
    StagedContent,
    Task,
    Thread,
    Worker,
)
from sessions.services import (
    missions,
    ping_channels,
    priorities,
    projects,
    sessions,
    staged_content,
    tasks,
    threads,
    workers,
)


def register() -> None:
    undoable(Session, Way(sessions.update_session, "session_id", sessions.EDITABLE, "sessions"))
    undoable(Thread, Way(threads.update_thread, "thread_id", threads.EDITABLE, "sessions"))
    undoable(Worker, Way(workers.update_worker, "worker_id", workers.EDITABLE, "work"))
    # What a channel's secret was, no Revision knows.
    channel = ping_channels.EDITABLE - {"secret"}
    undoable(PingChannel, Way(ping_channels.update_channel, "channel_id", channel, "channels"))
    task = Way(
        tasks.update_task, "task_id", tasks.EDITABLE, "work",
        parts=no_parts, follows=frozenset({"completed_at"}),
    )  # fmt: skip
    undoable(Task, task)
    lines, board = priorities.EDITABLE, staged_content.EDITABLE
    rows: dict[Any, Any] = {
        Project: (projects.update_project, "project_id", projects.EDITABLE, "work"),
        Priority: (priorities.update_priority, "priority_id", lines, "work"),
        ScheduledMission: (missions.update_mission, "scheduled_id", missions.EDITABLE, "work"),
        StagedContent: (staged_content.update_staged, "staged_id", board, "attention"),
    }
    for model, (update, row_id, editable, scope) in rows.items():
        undoable(model, Way(update, row_id, editable, scope, parts=no_parts))
