"""Projects: made by hand or when a session first names one, changed, archived, deleted."""

import uuid
from collections.abc import Mapping
from typing import Any

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Invalid, Stale
from config.lib.scope import current_workspace_id
from contacts.models import Workspace
from contacts.services import funnel
from sessions.models import Project
from sessions.services.tasks import delete_tasks_of

EDITABLE = frozenset(
    {
        "title", "description", "repo_url", "pinned", "docs", "features", "data", "metadata",
    }
)  # fmt: skip


def create_project(*, actor: Actor, title: str, **fields: Any) -> Project:
    """A new project. `fields` are the model's."""
    return funnel.create(Project(title=title, **fields), actor=actor)


def save_project(*, actor: Actor, title: str, **fields: Any) -> tuple[Project, bool]:
    """A project by its caller's own identity; (project, whether it is new).

    With `external_id` (and `source`) set, a project of that identity is returned as it is instead
    of made again.
    """
    if fields.get("external_id"):
        fields["source"] = fields.get("source") or "api"
        found = Project.objects.filter(
            source=fields["source"], external_id=fields["external_id"]
        ).first()
        if found is not None:
            return found, False
    return create_project(actor=actor, title=title, **fields), True


def update_project(
    *,
    actor: Actor,
    project_id: uuid.UUID,
    changes: Mapping[str, Any],
    expected_version: int | None = None,
    reason: str = "",
) -> Project:
    """Change a project's own fields."""
    unknown = changes.keys() - EDITABLE
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "cannot be changed on a project"))
    project = funnel.get_row(Project, project_id, lock=True)
    return funnel.update(
        project, changes, actor=actor, expected_version=expected_version, reason=reason
    )


def archive_project(*, actor: Actor, project_id: uuid.UUID, reason: str = "") -> Project:
    """Put a project away, out of the list. Archiving twice changes nothing."""
    project = funnel.get_row(Project, project_id, lock=True)
    if project.archived_at is not None:
        return project
    changes = {"archived_at": clock.now()}
    return funnel.update(project, changes, actor=actor, action="archive", reason=reason)


def unarchive_project(*, actor: Actor, project_id: uuid.UUID, reason: str = "") -> Project:
    """Take a project out of the archive."""
    project = funnel.get_row(Project, project_id, lock=True)
    changes = {"archived_at": None}
    return funnel.update(project, changes, actor=actor, action="unarchive", reason=reason)


def delete_project(
    *, actor: Actor, project_id: uuid.UUID, expected_version: int | None = None, reason: str = ""
) -> int:
    """Remove a project with its tasks; how many there were. Sessions, memories and missions stay,
    without the link."""
    project = funnel.get_row(Project, project_id, lock=True)
    if expected_version is not None and expected_version != project.version:
        raise Stale("project", expected=expected_version, actual=project.version)
    count = delete_tasks_of(actor=actor, project=project, reason=reason)
    funnel.delete(project, actor=actor, reason=reason, note={"task_count": count})
    return count


def ensure_project(*, actor: Actor, title: str, repo_url: str = "") -> Project:
    """The oldest project of this title, made if there is none. Index project_title."""
    named = Project.objects.filter(title=title).order_by("id")
    found = named.first()
    if found is None:
        # Titles need not be unique, so no key stops two sessions that name a new one at once.
        Workspace.objects.select_for_update(no_key=True).get(pk=current_workspace_id())
        found = named.first()
    return found or create_project(actor=actor, title=title, repo_url=repo_url)
