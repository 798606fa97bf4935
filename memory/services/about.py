"""What memories are about: contacts, projects and tasks. Part of the memory, as its tags are.

Also how that follows when two contacts become one (config/lib/signals.py, on_merging).
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from config.lib.errors import Invalid
from config.lib.signals import References
from contacts.models import Contact
from contacts.services import funnel
from contacts.services.contacts import live
from memory.models import Memory, MemoryAbout
from sessions.models import Project, Task

MAX_ABOUT = 50
_TARGETS: dict[str, Any] = {"contact_id": Contact, "project_id": Project, "task_id": Task}


@dataclass(frozen=True, slots=True)
class About:
    """Exactly one of the three."""

    contact_id: uuid.UUID | None = None
    project_id: uuid.UUID | None = None
    task_id: uuid.UUID | None = None

    def __str__(self) -> str:
        """As a Revision keeps it: `contact 0199...`."""
        name, value = next((n, v) for n in _TARGETS if (v := getattr(self, n)) is not None)
        return f"{name.removesuffix('_id')} {value}"

    @classmethod
    def read(cls, text: str) -> "About":
        """The reverse."""
        name, _, value = text.partition(" ")
        return cls(**{f"{name}_id": uuid.UUID(value)})


def about_part(memory: Memory, wanted: Sequence[About]) -> funnel.Part:
    """What a memory is to be about from now on, for the funnel. Invalid, or NotFound.

    Who speaks of a contact that was merged speaks of the one it was merged into.
    """
    if len(wanted) > MAX_ABOUT:
        raise Invalid({"about": f"{len(wanted)} of them; at most {MAX_ABOUT}"})
    new = list(dict.fromkeys(_checked(index, one) for index, one in enumerate(wanted)))
    held = [] if memory._state.adding else [_about(row) for row in about_of(memory.pk)]
    before, after = (sorted(str(one) for one in many) for many in (held, new))
    return funnel.Part("about", before, after, lambda: _write(memory, held, new))


def held_about(memory_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, dict[str, list[str]]]:
    """As Revisions keep it, by the memories' ids; empty where one is about nothing."""
    found: dict[uuid.UUID, dict[str, list[str]]] = {one: {} for one in memory_ids}
    for row in _rows_of(memory_ids):
        found[row.memory_id].setdefault("about", []).append(str(_about(row)))
    for held in found.values():
        held.get("about", []).sort()
    return found


def still_there(wanted: Sequence[About]) -> list[About]:
    """Without what has been deleted."""
    return [
        one
        for one in wanted
        if all(_TARGETS[name].objects.filter(pk=key).exists() for name, key in _target(one).items())
    ]


def _checked(index: int, one: About) -> About:
    given = [name for name in _TARGETS if getattr(one, name) is not None]
    if len(given) != 1:
        raise Invalid({f"about[{index}]": "give one of contact, project and task"})
    name = given[0]
    row = funnel.get_row(_TARGETS[name], getattr(one, name))
    return About(contact_id=live(row).pk) if name == "contact_id" else one


def _about(row: MemoryAbout) -> About:
    return About(row.contact_id, row.project_id, row.task_id)


def about_of(memory_id: uuid.UUID) -> list[MemoryAbout]:
    """In the order they were added."""
    return sorted(_rows_of([memory_id]), key=lambda row: row.pk)


def _rows_of(memory_ids: Collection[uuid.UUID]) -> QuerySet[MemoryAbout]:
    """Indexes memoryabout_contact_unique, memoryabout_project_unique and memoryabout_task_unique,
    which are partial: one question for each."""
    rows = MemoryAbout.objects.filter(memory_id__in=list(memory_ids))
    contacts, projects, tasks = (rows.filter(**{f"{name}__isnull": False}) for name in _TARGETS)
    return contacts.union(projects, tasks, all=True)


def _write(memory: Memory, held: Sequence[About], new: Sequence[About]) -> None:
    for one in held:
        if one not in new:
            MemoryAbout.objects.filter(memory_id=memory.pk, **_target(one)).delete()
    MemoryAbout.objects.bulk_create(
        MemoryAbout(memory_id=memory.pk, **_target(one)) for one in new if one not in held
    )


def _target(one: About) -> dict[str, uuid.UUID]:
    return {name: value for name in _TARGETS if (value := getattr(one, name)) is not None}


# --- When contacts are merged -----------------------------------------------------------------


def _count(contact: Contact) -> int:
    """Index memoryabout_contact."""
    return MemoryAbout.objects.filter(contact_id=contact.pk).count()


def _move(source: Contact, target: Contact) -> dict[str, list[str]]:
    """{moved: ids of rows, dropped: memories that were about both}. Index memoryabout_contact."""
    rows = MemoryAbout.objects.filter(contact_id=source.pk)
    known = MemoryAbout.objects.filter(contact_id=target.pk).values("memory_id")
    double = rows.filter(memory_id__in=known)
    dropped = sorted(str(pk) for pk in double.values_list("memory_id", flat=True))
    double.delete()
    moved = sorted(str(pk) for pk in rows.values_list("pk", flat=True))
    rows.update(contact_id=target.pk)
    return {"moved": moved, "dropped": dropped}


def _restore(source: Contact, target: Contact, moved: Mapping[str, Any]) -> None:
    """What is gone since stays gone."""
    ids = [uuid.UUID(pk) for pk in moved["moved"]]
    MemoryAbout.objects.filter(pk__any_of=ids, contact_id=target.pk).update(contact_id=source.pk)
    memories = [uuid.UUID(pk) for pk in moved["dropped"]]
    there = Memory.objects.filter(pk__any_of=memories).values_list("pk", flat=True)
    MemoryAbout.objects.bulk_create(
        (MemoryAbout(memory_id=pk, contact_id=source.pk) for pk in there), ignore_conflicts=True
    )


OF_CONTACTS = References("memories", _count, _move, _restore)
