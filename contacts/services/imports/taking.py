"""Cards taken run by run: as many at once as what is here already tells of."""

import contextlib
import uuid
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from django.db import transaction

from config.lib.actor import Actor
from config.lib.errors import DomainError, Erased, Invalid
from config.lib.scope import current_workspace_id
from contacts.models import Contact, Workspace
from contacts.services.addresses import sort_name, workspace_region
from contacts.services.contacts import (
    NewContact,
    create_contacts,
    differs,
    live,
    new_contact,
    part_values_of,
    update_contact,
)
from contacts.services.imports.cards import New, normalise
from contacts.services.imports.changing import changes_of, unreadable_of
from contacts.services.imports.matching import Present, find, identities
from contacts.services.imports.report import Action, Refused, Report, Taken
from contacts.services.vcards import FIELDS


def take_all(
    actor: Actor,
    cards: Iterable[New],
    report: Report,
    preview: bool,
    seen: dict[uuid.UUID, str] | None = None,
    *,
    ready: bool = False,
) -> Report:
    """Run by run, in one transaction; a preview takes all of it back. `ready`: `make_ready` has
    been here, for the workspace's region.

    Services check everything before they write, so what is refused has left nothing behind. Not a
    savepoint for each: a thousand of them that refer to one tag make PostgreSQL keep a list of
    a thousand lockers on it, again for each.
    """
    actor = replace(actor, channel="import")
    region = workspace_region()
    # Two cards of one file are two people, unless they have one UID or one name.
    seen = {} if seen is None else seen
    with transaction.atomic():
        # One import at a time: two of one file would not see the contacts that each other makes.
        Workspace.objects.select_for_update(no_key=True).get(pk=current_workspace_id())
        fit = []
        for new in cards:
            if not ready:
                _normalise(new, region)
            if new.problem is not None:
                report.refused.append(_refused(new, new.problem))
            else:
                fit.append(new)
        while fit:
            fit = fit[_take_run(actor, fit, region, seen, report) :]
        if preview:
            transaction.set_rollback(True)
    report.taken.sort(key=lambda one: one.place)
    report.refused.sort(key=lambda one: one.line)
    return report


def make_ready(cards: Iterable[New], region: str | None, workspace_id: uuid.UUID) -> None:
    """What `take_all` does with each by itself, as though all of them were new. Touches no
    database."""
    for new in cards:
        _normalise(new, region)
        if new.problem is None:
            # Whose contact is here already need not be one that could be made.
            with contextlib.suppress(DomainError):
                new.made = _made(new, workspace_id)


def _normalise(new: New, region: str | None) -> None:
    try:
        normalise(new, region)
    except DomainError as error:
        new.problem = error


def _take_run(
    actor: Actor,
    cards: Sequence[New],
    region: str | None,
    seen: dict[uuid.UUID, str],
    report: Report,
) -> int:
    """Take the first of `cards`, as many as what is here already tells of at once; how many. A card
    that may be of the same contact as one before it begins the next run, and finds what that wrote.
    """
    present, found = _known_at_once(cards, seen)
    lives = {holder.pk: live(holder) for _, holder, _ in found if holder is not None}
    held = part_values_of({contact.pk for contact in lives.values()})
    made: list[tuple[New, NewContact]] = []
    for new, holder, how in found:
        try:
            if holder is None:
                made.append((new, new.made or _made(new)))
                continue
            contact = lives[holder.pk]
            first = contact.pk not in seen
            taken = _changed(
                actor, new, contact, holder, how, region, held[contact.pk], present, first=first
            )
        except DomainError as error:
            report.refused.append(_refused(new, error))
            continue
        seen[taken.contact_id] = sort_name(taken.name)
        report.taken.append(taken)
    for new, one in _created(actor, made, report):
        seen[one.row.pk] = one.row.sort_name
        taken = _taken(new, one.row.name, "created", one.row.pk)
        report.taken.append(taken)
    return len(found)


def _known_at_once(
    cards: Sequence[New], seen: Mapping[uuid.UUID, str]
) -> tuple[Present, list[tuple[New, Contact | None, str]]]:
    """The first cards, no two of which may be of one contact: (what is here of them, each with the
    contact and how it was found)."""
    known: set[Hashable] = set()
    run: list[New] = []
    for new in cards:
        own = identities(new)
        if not own.isdisjoint(known):
            break
        known |= own
        run.append(new)
    present = Present(run)
    touched: set[uuid.UUID] = set()
    found: list[tuple[New, Contact | None, str]] = []
    for new in run:
        candidates = present.candidates(new)
        if not candidates.isdisjoint(touched):
            break
        holder, how = find(new, present, seen)
        if holder is not None:
            touched |= candidates
        found.append((new, holder, how))
    return present, found


def _changed(
    actor: Actor,
    new: New,
    contact: Contact,
    holder: Contact,
    how: str,
    region: str | None,
    held: Mapping[str, list[str]],
    present: Present,
    *,
    first: bool,
) -> Taken:
    changes, own = changes_of(contact, holder, new, how, region, held, present, first=first)
    name, action = contact.name, "unchanged"
    if differs(contact, changes=changes, held=held, card=own):
        before = contact.version
        after = update_contact(actor=actor, contact_id=contact.pk, changes=changes, card=own)
        name, action = after.name, "unchanged" if after.version == before else "updated"
    return _taken(new, name, cast(Action, action), contact.pk, how)


def _taken(new: New, name: str, action: Action, contact_id: uuid.UUID, how: str = "") -> Taken:
    return Taken(new.place, new.line, name, action, contact_id, how, new.left_out, new.shortened)


def _made(new: New, workspace_id: uuid.UUID | None = None) -> NewContact:
    card = new.card
    fields: dict[str, Any] = {name: getattr(card, name) for name in FIELDS}
    fields |= {"emails": card.emails, "phones": card.phones, "tags": card.tags, **new.given}
    fields["unreadable"] = unreadable_of({}, new, None)
    fields |= {name: new.known[name] for name in ("source", "external_id") if name in new.known}
    if fields.get("external_id"):
        fields.setdefault("source", "csv")
    own = {"vcard_uid": card.uid, "vcard": card.raw}
    return new_contact(fields=fields, card=own, workspace_id=workspace_id)


def _created(
    actor: Actor, made: Sequence[tuple[New, NewContact]], report: Report
) -> Sequence[tuple[New, NewContact]]:
    """Those that could be made: one that was erased here is refused, before anything is written."""
    try:
        create_contacts(actor=actor, new=[one for _, one in made])
    except Erased as error:
        if len(made) == 1:
            report.refused.append(_refused(made[0][0], error))
            return []
        return [kept for pair in made for kept in _created(actor, [pair], report)]
    return made


def _refused(new: New, error: DomainError) -> Refused:
    errors = error.errors if isinstance(error, Invalid) else {"card": error.detail}
    return Refused(new.place, new.line, new.card.name[:300], errors)
