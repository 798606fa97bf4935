"""What follows in this app from what is written in it, in the same transaction."""

from config.lib.signals import on_changed, on_deleting
from sessions.models import Worker
from sessions.services import mission_runs


def register() -> None:
    """Once per process, when the apps are ready."""
    on_changed(Worker, mission_runs.follow_workers, answers=True)
    on_deleting(Worker, mission_runs.release_missions)
