"""Contacts that look like one: same email, same number, same name, or nearly the same name.

Read in the lists' own order, a window of contacts at a time, so that a page costs the same at a
million contacts; a group is on the page of its first contact.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from config.lib.cursor import page
from contacts.models import Contact, ContactEmail, ContactPhone
from contacts.selectors_contacts import BY_NAME, DEFERRED

# How many contacts one request looks at, whether or not there are duplicates among them.
EXAMINED = 1_000
# Names are compared with so many that follow them in the alphabet.
NEIGHBOURS = 5
# "Jon Smith" and "John Smith" are at 0.95, "Anna Roth" and "Anna Ross" at 0.78.
SIMILAR = 0.9
# An address that hundreds share (info@) makes nobody a duplicate of all of them.
MAX_FOUND = 500
# A is like B, B like C, C like D: further than that it is no group any more.
ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Reason:
    """Why some contacts are in one group: `reason` is same_email, same_phone, same_name or
    similar_name; `value` what they have in common."""

    reason: str
    value: str
    contact_ids: tuple[uuid.UUID, ...]


@dataclass(slots=True)
class Group:
    contacts: list[Contact]
    reasons: list[Reason] = field(default_factory=list)


def find_duplicates(*, cursor: str | None, limit: int) -> tuple[list[Group], str | None]:
    """A page of groups, at most `limit`, and the cursor of the next; a page may be empty and have
    one. Indexes contact_list, contactemail_unique, contactemail_email, contactphone_unique,
    contactphone_number."""
    live = Contact.objects.filter(merged_into=None).defer(*DEFERRED)
    groups: list[Group] = []
    examined = 0
    while True:
        size = min(limit - len(groups), EXAMINED - examined)
        window, cursor = page(live, order=BY_NAME, cursor=cursor, limit=size)
        if window:
            groups += _groups_of(window)
        examined += size
        if cursor is None or len(groups) >= limit or examined >= EXAMINED:
            return groups, cursor


def _groups_of(window: Sequence[Contact]) -> list[Group]:
    """The groups whose first contact is in `window`."""
    found: dict[uuid.UUID, Contact] = {row.pk: row for row in window}
    reasons: dict[tuple[str, str], set[uuid.UUID]] = {}
    fresh: list[Contact] = list(window)
    for _ in range(ROUNDS):
        for kind, value, ids in _links(fresh):
            reasons.setdefault((kind, value), set()).update(ids)
        wanted = set().union(*reasons.values()) - found.keys() if reasons else set()
        fresh = _live(wanted)
        found |= {row.pk: row for row in fresh}
        if not fresh:
            break
    first = {row.pk for row in window}
    groups = []
    for ids in _components(reasons.values(), found):
        rows = sorted((found[pk] for pk in ids), key=lambda row: (row.sort_name, row.pk))
        if len(rows) > 1 and rows[0].pk in first:
            groups.append(Group(rows, _reasons(reasons, ids)))
    return sorted(groups, key=lambda group: (group.contacts[0].sort_name, group.contacts[0].pk))


def _live(ids: Iterable[uuid.UUID]) -> list[Contact]:
    rows = Contact.objects.filter(pk__any_of=list(ids), merged_into=None).defer(*DEFERRED)
    return list(rows.order_by(*BY_NAME)[:MAX_FOUND])


def _links(rows: Sequence[Contact]) -> Iterable[tuple[str, str, set[uuid.UUID]]]:
    """(reason, value, contacts) of what `rows` share with anybody."""
    ids = [row.pk for row in rows]
    for model, column, reason in (
        (ContactEmail, "email", "same_email"),
        (ContactPhone, "number", "same_phone"),
    ):
        own = model.objects.filter(contact_id__in=ids).values_list(column, flat=True)
        values = list(set(own))
        holders = model.objects.filter(**{f"{column}__any_of": values}).order_by(column, "id")
        shared: dict[str, set[uuid.UUID]] = {}
        for value, pk in holders.values_list(column, "contact_id")[:MAX_FOUND]:
            shared.setdefault(value, set()).add(pk)
        yield from ((reason, value, found) for value, found in shared.items() if len(found) > 1)
    yield from _same_names(rows)
    yield from _similar_names(rows)


def _same_names(rows: Sequence[Contact]) -> Iterable[tuple[str, str, set[uuid.UUID]]]:
    names = list({row.sort_name for row in rows})
    holders = Contact.objects.filter(sort_name__any_of=names, merged_into=None)
    named: dict[str, set[uuid.UUID]] = {}
    for name, pk in holders.order_by(*BY_NAME).values_list("sort_name", "pk")[:MAX_FOUND]:
        named.setdefault(name, set()).add(pk)
    yield from (("same_name", name, found) for name, found in named.items() if len(found) > 1)


def _similar_names(rows: Sequence[Contact]) -> Iterable[tuple[str, str, set[uuid.UUID]]]:
    """Each with those around it in the alphabet: a letter more or less leaves most names there."""
    own = sorted(rows, key=lambda row: (row.sort_name, row.pk))
    live: Any = Contact.objects.filter(merged_into=None).defer(*DEFERRED)
    before = live.filter(sort_name__lt=own[0].sort_name).order_by("-sort_name", "-id")
    after = live.filter(sort_name__gt=own[-1].sort_name).order_by(*BY_NAME)
    ordered = [*reversed(before[:NEIGHBOURS]), *own, *after[:NEIGHBOURS]]
    for index, row in enumerate(ordered):
        for other in ordered[index + 1 : index + 1 + NEIGHBOURS]:
            if row.sort_name != other.sort_name and _similar(row.sort_name, other.sort_name):
                yield "similar_name", f"{row.name} / {other.name}", {row.pk, other.pk}


def _similar(one: str, other: str) -> bool:
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return matcher.real_quick_ratio() >= SIMILAR <= matcher.quick_ratio() and (
        matcher.ratio() >= SIMILAR
    )


def _components(
    links: Iterable[set[uuid.UUID]], known: dict[uuid.UUID, Contact]
) -> list[set[uuid.UUID]]:
    """Contacts that hang together by any links, each once."""
    joined: dict[uuid.UUID, set[uuid.UUID]] = {}
    for ids in links:
        group = {pk for pk in ids if pk in known}
        for pk in list(group):
            group |= joined.get(pk, set())
        for pk in group:
            joined[pk] = group
    return list({id(group): group for group in joined.values()}.values())


def _reasons(links: dict[tuple[str, str], set[uuid.UUID]], ids: set[uuid.UUID]) -> list[Reason]:
    """The strongest first: an address says more than a name."""
    order = ["same_email", "same_phone", "same_name", "similar_name"]
    found = [
        Reason(kind, value, tuple(sorted(who & ids)))
        for (kind, value), who in links.items()
        if len(who & ids) > 1
    ]
    return sorted(found, key=lambda reason: (order.index(reason.reason), reason.value))
