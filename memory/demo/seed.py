"""Puts the whole story on: a workspace of its own, in one transaction, so that nobody, and no job,
sees half of it."""

import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import User

from config.lib import clock
from config.lib.actor import Actor
from config.lib.db.owner import require_owner
from config.lib.errors import Conflict
from config.lib.scope import workspace_scope
from contacts.models import Workspace
from contacts.models.workspace import Role
from contacts.services.removal import remove_workspace
from contacts.services.workspaces import add_member, create_workspace, update_workspace
from memory.demo import knowledge, people, sessions, work
from memory.demo.stage import ZONE, Stage
from memory.demo.stories import Story, read_stories

DAYS = 30
NAME = "Glasshouse"
# Who looks at the demo tomorrow still finds its agents at work.
ORPHAN_MINUTES = 3 * 24 * 60
PLAYED = {
    "project": work.project,
    "task": work.task,
    "priority": work.priority,
    "worker": work.worker,
    "mission": work.mission,
    "session": sessions.put_on,
    "contact": people.contact,
    "ping": people.ping,
    "staged": people.staged,
    "handoff": people.handoff,
    "memory": knowledge.memory,
    "search": knowledge.search,
}


@dataclass(frozen=True, slots=True)
class Seeded:
    """`told` counts the stories by kind."""

    workspace_id: uuid.UUID
    slug: str
    told: Counter[str]


def seed_demo(
    *,
    actor: Actor,
    slug: str,
    seed: int,
    now: datetime,
    replace: bool = False,
    user: User | None = None,
) -> Seeded:
    """A workspace `slug` with the month that ends at `now`; `user` becomes its owner.

    The same stories, `seed` and `now` make the same rows with the same ids. Conflict where the
    workspace is there already, unless `replace`, which removes it first (and needs the owner's
    login). Opens its own scopes.
    """
    stories = read_stories()
    there = Workspace.objects.filter(slug=slug).first()
    if there is not None:
        if not replace:
            raise Conflict(
                f"There is a workspace {slug!r} already; give --replace to remove it with all "
                "that is in it and make it anew, or another --slug.",
                code="slug_taken",
            )
        require_owner("replace a workspace")
        remove_workspace(there.id)
    stage = Stage(now=now, seed=seed)
    stage.begin(now - timedelta(days=DAYS, hours=6))
    with clock.telling(stage.clock):
        workspace = create_workspace(actor=actor, slug=slug, name=NAME, timezone=ZONE)
        with workspace_scope(workspace.id):
            _play(stage, stories, actor)
            update_workspace(actor=actor, settings={"orphan_minutes": ORPHAN_MINUTES})
            if user is not None:
                add_member(actor=actor, user=user, role=Role.OWNER)
    told = Counter({kind: len(tables) for kind, tables in stories.items() if kind in PLAYED})
    return Seeded(workspace.id, slug, told)


def _play(stage: Stage, stories: dict[str, list[Story]], actor: Actor) -> None:
    for person in stories["person"]:
        stage.add_person(person.need("name"))
        person.done()
    for agent in stories["agent"]:
        stage.add_agent(
            agent.need("name"), agent.need("kind"), agent.pop("capabilities", []), actor
        )
        agent.done()
    for kind, play in PLAYED.items():
        for story in stories[kind]:
            stage.where = story.where
            play(stage, story)
    stage.where = "the nights"
    work.carry_over_each_night(stage, DAYS)
    stage.play()
