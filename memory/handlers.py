"""What the search index and learning do when rows are written, and what memories let go when rows
leave."""

from collections.abc import Sequence

from config.lib.actor import Actor
from config.lib.signals import on_changed, on_deleting, on_merging
from contacts.models import Contact
from memory.models import Evidence, Memory
from memory.services import about, executions, learning_marks, passages
from sessions.models import (
    Message,
    Project,
    ScheduledMission,
    Session,
    SessionEvent,
    Task,
    Thread,
    Worker,
)


def register() -> None:
    """Once per process, when the apps are ready."""
    on_changed(Memory, passages.index_memories)
    on_changed(Message, passages.index_messages)
    on_changed(SessionEvent, passages.index_events)
    on_changed(Session, passages.index_sessions)
    on_changed(Project, passages.index_projects)
    on_changed(Task, passages.index_tasks)
    on_changed(Contact, passages.index_contacts)
    on_changed(Message, learning_marks.messages_written)
    on_changed(SessionEvent, learning_marks.events_written)
    on_changed(Session, learning_marks.sessions_written)
    on_merging(Contact, about.OF_CONTACTS)
    # After the sessions app's own: a mission has followed its worker by then.
    on_changed(Worker, executions.remember_executions, answers=True)
    on_deleting(Session, release_evidence_of_sessions)
    on_deleting(Thread, release_evidence_of_threads)
    on_deleting(ScheduledMission, release_evidence_of_missions)


def release_evidence_of_sessions(rows: Sequence[Session], actor: Actor) -> None:
    """Evidence keeps its quote when the message or event it was taken from goes with a session.

    Nulled here, because messages and events go by the database's own cascade, which Django's
    SET_NULL does not see, and the keys would refuse it.
    """
    sessions = [row.id for row in rows]
    Evidence.objects.filter(message__session_id__in=sessions).update(message=None)
    Evidence.objects.filter(event__session_id__in=sessions).update(event=None)


def release_evidence_of_threads(rows: Sequence[Thread], actor: Actor) -> None:
    """The same for the messages of a thread."""
    Evidence.objects.filter(message__thread_id__in=[row.id for row in rows]).update(message=None)


def release_evidence_of_missions(rows: Sequence[ScheduledMission], actor: Actor) -> None:
    """The same for the runs of a scheduled mission."""
    missions = [row.id for row in rows]
    Evidence.objects.filter(mission__scheduled_mission_id__in=missions).update(mission=None)
