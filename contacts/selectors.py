"""Reads of people, agents and keys."""

import uuid
from datetime import date
from zoneinfo import ZoneInfo

from django.db.models import QuerySet

from config.lib import clock
from config.lib.db.lookup import find_id, find_row
from config.lib.db.models import WorkspaceRow
from config.lib.errors import NotFound
from config.lib.ids import read_id
from config.lib.scope import current_workspace_id, user_scope
from contacts.models import Agent, ApiKey, Membership, Revision, Workspace


def get_workspace(slug: str) -> Workspace:
    """By slug. Needs no scope: it is what scopes are made of."""
    try:
        return Workspace.objects.get(slug=slug)
    except Workspace.DoesNotExist:
        raise NotFound("workspace", slug, where="") from None


def today() -> date:
    """The day it is in the current workspace's time zone. One row by its key."""
    held = Workspace.objects.values_list("settings", flat=True).get(pk=current_workspace_id())
    return clock.now().astimezone(ZoneInfo(held.get("timezone", "UTC"))).date()


def memberships_of(user_id: int) -> list[Membership]:
    """Every workspace a person may enter, with the role. Index membership_user; outside a scope."""
    with user_scope(user_id):
        rows = Membership.all_workspaces.filter(user_id=user_id).select_related("workspace")
        return list(rows.order_by("workspace__slug"))


def list_agents() -> QuerySet[Agent]:
    """Index agent_name_unique."""
    return Agent.objects.order_by("name")


def list_keys() -> QuerySet[ApiKey]:
    """Index contacts_apikey_pkey: newest first by id."""
    return ApiKey.objects.select_related("agent").order_by("-id")


def find_agent(text: str) -> Agent:
    """By name, or else by a full or shortened id. Indexes agent_name_unique and the primary key."""
    found = Agent.objects.filter(name=text).first()
    return found or find_row(Agent.objects.all(), text)


def history(object_id: uuid.UUID) -> QuerySet[Revision]:
    """An object's changes, newest first. Index revision_object."""
    return Revision.objects.filter(object_id=object_id).order_by("-id")


def history_of(model: type[WorkspaceRow], text: str) -> QuerySet[Revision]:
    """The same by what a caller typed; by its full id also when the row is gone. Or NotFound."""
    wanted = read_id(text)
    row_id = wanted if isinstance(wanted, uuid.UUID) else find_id(model, text)
    changes = history(row_id).filter(model=model._meta.label_lower)
    if not changes.exists():
        # An imported row may have no change of its own; an id of nobody is not found.
        find_id(model, text)
    return changes
