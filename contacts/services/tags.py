"""Tags of contacts: renamed and removed everywhere at once.

A tag is made when a contact is first given it (contacts.py).
"""

import uuid
from collections.abc import Iterator

from django.db.models import F

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, Invalid
from config.lib.signals import changed
from contacts.models import Contact, ContactTag, Tag
from contacts.services import funnel
from contacts.services.addresses import normal_tags

BATCH = 500


def rename_tag(
    *, actor: Actor, tag_id: uuid.UUID, name: str, expected: str | None = None, reason: str = ""
) -> Tag:
    """Call a tag otherwise, on all contacts that have it.

    A tag has no version: `expected` is the name under which the person saw it. Conflict where it
    has another one now, or where there is a tag so named.
    """
    wanted = _one_name(name)
    tag = funnel.get_row(Tag, tag_id, lock=True)
    if expected is not None and expected != tag.name:
        raise Conflict(
            f"Somebody renamed {expected!r} to {tag.name!r} while you were editing, and nothing "
            "was saved. Open the tag again to rename it.",
            code="stale",
        )
    if wanted == tag.name:
        return tag
    if Tag.objects.filter(name=wanted).exists():
        raise Conflict(f"There is a tag {wanted!r} already.", code="name_taken")
    before, tag.name = tag.name, wanted
    funnel.check(tag, only=["name"])
    Tag.objects.filter(pk=tag.pk).update(name=wanted)
    funnel.record(
        tag, "update", actor=actor, before={"name": before}, after={"name": wanted}, reason=reason
    )
    for ids in _batches(tag):
        _announce(
            ids, before, wanted, actor=actor, reason=reason or f"the tag {before} was renamed"
        )
    return tag


def delete_tag(*, actor: Actor, tag_id: uuid.UUID, reason: str = "") -> None:
    """Take a tag from all contacts that have it. Its Revision says from how many; each contact's
    says what its tags were, and can be taken back."""
    tag = funnel.get_row(Tag, tag_id, lock=True)
    count = 0
    for ids in _batches(tag):
        ContactTag.objects.filter(tag_id=tag.pk, contact_id__in=ids).delete()
        _announce(
            ids, tag.name, "", actor=actor, reason=reason or f"the tag {tag.name} was deleted"
        )
        count += len(ids)
    before = funnel.snapshot(tag) | {"contacts": count}
    funnel.record(tag, "delete", actor=actor, before=before, after={}, reason=reason)
    tag.delete()


def _one_name(name: str) -> str:
    try:
        names = normal_tags([name])
    except Invalid as error:
        raise Invalid({"name": next(iter(error.errors.values()))}) from None
    if not names:
        raise Invalid({"name": "must not be empty"})
    return names[0]


def _batches(tag: Tag) -> Iterator[list[uuid.UUID]]:
    """The contacts that have a tag, by their ids. Index contacttag_tag."""
    rows = ContactTag.objects.filter(tag_id=tag.pk).order_by("contact_id")
    ids = list(rows.values_list("contact_id", flat=True)[:BATCH])
    while ids:
        yield ids
        found = rows.filter(contact_id__gt=ids[-1]).values_list("contact_id", flat=True)
        ids = list(found[:BATCH])


def _announce(ids: list[uuid.UUID], was: str, now: str, *, actor: Actor, reason: str) -> None:
    """A contact's tags are part of it: its history says so, who has read it reads it again, and so
    does the index. `now` is empty where the tag is gone."""
    others: dict[uuid.UUID, set[str]] = {pk: set() for pk in ids}
    # By index contacttag_unique, which begins with the contact.
    named = ContactTag.objects.filter(contact_id__in=ids).values_list("contact_id", "tag__name")
    for contact_id, name in named:
        if name != now:
            others[contact_id].add(name)
    rows = Contact.objects.filter(pk__in=ids)
    rows.update(version=F("version") + 1, updated_at=clock.now())
    found = list(rows)
    changes = [
        (row, {"tags": sorted(names | {was})}, {"tags": sorted(names | ({now} if now else set()))})
        for row in found
        for names in (others[row.pk],)
    ]
    funnel.record_changes(changes, "update", actor=actor, reason=reason)
    changed(found, actor)
