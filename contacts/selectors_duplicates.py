"""Contacts that look like one: same email, same number, same name, or nearly the same name.

Read in the lists' own order, a window of contacts at a time, so that a page costs the same at a
million contacts; a group is on the page of its first contact.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from django.db import connection

from config.lib.cursor import page, write_cursor
from config.lib.scope import current_workspace_id
from contacts.models import Contact
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
REASONS = ("same_email", "same_phone", "same_name", "similar_name")

# What some contacts share with anybody, each value once for each that has it, and who stands
# around some of them in the alphabet. `earlier` are those before the window. Indexes
# contactemail_unique, contactemail_email, contactphone_unique, contactphone_number, contact_list.
_AROUND = """
    WITH shared AS (
        SELECT 'same_email' AS reason, v.value, h.contact_id AS id
        FROM (SELECT DISTINCT email AS value FROM contacts_contactemail
              WHERE workspace_id = %(workspace)s AND contact_id = ANY(%(ids)s)) v,
        LATERAL (SELECT contact_id FROM contacts_contactemail
                 WHERE workspace_id = %(workspace)s AND email = v.value LIMIT %(most)s) h
        UNION ALL
        SELECT 'same_phone', v.value, h.contact_id
        FROM (SELECT DISTINCT number AS value FROM contacts_contactphone
              WHERE workspace_id = %(workspace)s AND contact_id = ANY(%(ids)s)) v,
        LATERAL (SELECT contact_id FROM contacts_contactphone
                 WHERE workspace_id = %(workspace)s AND number = v.value LIMIT %(most)s) h
        UNION ALL
        SELECT 'same_name', v.value, h.id
        FROM (SELECT DISTINCT sort_name AS value FROM contacts_contact
              WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s)) v,
        LATERAL (SELECT id FROM contacts_contact
                 WHERE workspace_id = %(workspace)s AND sort_name = v.value
                   AND merged_into_id IS NULL LIMIT %(most)s) h
    ), live AS (
        SELECT s.reason, s.value, c.id, c.name, c.sort_name,
               count(*) OVER (PARTITION BY s.reason, s.value) AS holders
        FROM shared s JOIN contacts_contact c
             ON c.workspace_id = %(workspace)s AND c.id = s.id AND c.merged_into_id IS NULL
    ), beside AS (
        SELECT h.* FROM contacts_contact o, LATERAL (
            (SELECT id, name, sort_name FROM contacts_contact
             WHERE workspace_id = %(workspace)s AND sort_name < o.sort_name
               AND merged_into_id IS NULL
             ORDER BY sort_name DESC, id DESC LIMIT %(neighbours)s)
            UNION ALL
            (SELECT id, name, sort_name FROM contacts_contact
             WHERE workspace_id = %(workspace)s AND sort_name > o.sort_name
               AND merged_into_id IS NULL
             ORDER BY sort_name, id LIMIT %(neighbours)s)
        ) h
        WHERE o.workspace_id = %(workspace)s AND o.id = ANY(%(edges)s)
    )
    SELECT reason, value, id, name, sort_name,
           (sort_name, id) < (%(first_name)s, %(first_id)s) AS earlier
    FROM (SELECT reason, value, id, name, sort_name FROM live WHERE holders > 1
          UNION ALL
          SELECT '', '', id, name, sort_name FROM beside) found
"""


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


class _Person(NamedTuple):
    id: uuid.UUID
    name: str
    sort_name: str
    earlier: bool = False


# (reason, value) -> who have it.
_Links = dict[tuple[str, str], set[uuid.UUID]]


def find_duplicates(*, cursor: str | None, limit: int) -> tuple[list[Group], str | None]:
    """A page of groups, at most `limit`, and the cursor of the next; a page may be empty and have
    one. Two statements, and one more for each of ROUNDS; indexes contact_list and _AROUND's."""
    live = Contact.objects.filter(merged_into=None).values("id", "name", "sort_name")
    rows, following = page(live, order=BY_NAME, cursor=cursor, limit=EXAMINED)
    window = [_Person(**row) for row in rows]
    if not window:
        return [], None
    known, links = _linked(window)
    place = {row.id: n for n, row in enumerate(window)}
    found = []
    for ids in _components(links.values()):
        here = [place[pk] for pk in ids if pk in place]
        if len(ids) > 1 and here and not any(known[pk].earlier for pk in ids):
            found.append((min(here), ids))
    found.sort(key=lambda one: one[0])
    if len(found) > limit:
        found = found[:limit]
        last = window[found[-1][0]]
        following = write_cursor([last.sort_name, last.id])
    contacts = _contacts(pk for _, ids in found for pk in ids)
    groups = [
        Group([row for pk, row in contacts.items() if pk in ids], _reasons(links, ids))
        for _, ids in found
    ]
    return groups, following


def _linked(window: Sequence[_Person]) -> tuple[dict[uuid.UUID, _Person], _Links]:
    """Who hangs together with anybody in `window`, and by what."""
    known = {row.id: row for row in window}
    links: _Links = {}
    fresh: Sequence[_Person] = window
    # The window's own names are beside each other; of others nobody knows where they stand.
    edges = [window[0].id, window[-1].id]
    seen: set[uuid.UUID] = set()
    for _ in range(ROUNDS):
        beside = dict.fromkeys(fresh)
        for reason, value, person in _around(fresh, edges, window[0]):
            if reason:
                links.setdefault((reason, value), set()).add(person.id)
                known.setdefault(person.id, person)
            else:
                beside[person] = None
        for one, other in _similar_names(list(beside)):
            links.setdefault(
                ("similar_name", f"{one.name} / {other.name}"), set()
            ).update((one.id, other.id))  # fmt: skip
        people = {row.id: row for row in beside}
        linked = set().union(*links.values())
        known |= {pk: people[pk] for pk in linked if pk not in known}
        seen |= {row.id for row in fresh}
        fresh = [known[pk] for pk in linked - seen][:MAX_FOUND]
        edges = [row.id for row in fresh]
        if not fresh:
            break
    return known, links


def _around(
    people: Sequence[_Person], edges: Sequence[uuid.UUID], first: _Person
) -> Iterator[tuple[str, str, _Person]]:
    """(reason, value, who has it too), and ("", "", who stands beside one of `edges`)."""
    asked: dict[str, Any] = {
        "workspace": current_workspace_id(),
        "ids": [row.id for row in people],
        "edges": list(edges),
        "most": MAX_FOUND,
        "neighbours": NEIGHBOURS,
        "first_name": first.sort_name,
        "first_id": first.id,
    }
    with connection.cursor() as cursor:
        cursor.execute(_AROUND, asked)
        for reason, value, *person in cursor.fetchall():
            yield reason, value, _Person(*person)


def _contacts(ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Contact]:
    """By name."""
    rows = Contact.objects.filter(pk__any_of=list(ids)).defer(*DEFERRED).order_by(*BY_NAME)
    return {row.pk: row for row in rows}


def _similar_names(people: Iterable[_Person]) -> Iterator[tuple[_Person, _Person]]:
    """Each with those around it in the alphabet: a letter more or less leaves most names there."""
    ordered = sorted(people, key=lambda row: (row.sort_name, row.id))
    matcher = SequenceMatcher(None, autojunk=False)
    for index, other in enumerate(ordered):
        # What a matcher works out it works out of its second text.
        prepared = False
        for row in ordered[max(0, index - NEIGHBOURS) : index]:
            if row.sort_name == other.sort_name or not _as_long(row.sort_name, other.sort_name):
                continue
            if not prepared:
                matcher.set_seq2(other.sort_name)
                prepared = True
            matcher.set_seq1(row.sort_name)
            if matcher.quick_ratio() >= SIMILAR <= matcher.ratio():
                yield row, other


def _as_long(one: str, other: str) -> bool:
    """Whether their lengths let them be similar at all."""
    return 2 * min(len(one), len(other)) >= SIMILAR * (len(one) + len(other))


def _components(links: Iterable[set[uuid.UUID]]) -> list[set[uuid.UUID]]:
    """Contacts that hang together by any links, each once."""
    joined: dict[uuid.UUID, set[uuid.UUID]] = {}
    for ids in links:
        group = set(ids)
        for pk in ids:
            group |= joined.get(pk, set())
        for pk in group:
            joined[pk] = group
    return list({id(group): group for group in joined.values()}.values())


def _reasons(links: Mapping[tuple[str, str], set[uuid.UUID]], ids: set[uuid.UUID]) -> list[Reason]:
    """The strongest first: an address says more than a name."""
    found = [
        Reason(kind, value, tuple(sorted(who & ids)))
        for (kind, value), who in links.items()
        if len(who & ids) > 1
    ]
    return sorted(found, key=lambda reason: (REASONS.index(reason.reason), reason.value))
