"""Projects: made by hand, or when a session first names one."""

from typing import Any

from config.lib.actor import Actor
from contacts.services import funnel
from sessions.models import Project


def create_project(*, actor: Actor, title: str, **fields: Any) -> Project:
    """A new project. `fields` are the model's."""
    return funnel.create(Project(title=title, **fields), actor=actor)


def ensure_project(*, actor: Actor, title: str, repo_url: str = "") -> Project:
    """The oldest project of this title, made if there is none. Index project_title."""
    found = Project.objects.filter(title=title).order_by("id").first()
    return found or create_project(actor=actor, title=title, repo_url=repo_url)
