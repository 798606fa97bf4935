"""Contacts from files: each card or row updates the contact it is of, or makes one.

A card is of a contact by its UID, else by an email, else by a number; never by its name alone. A
row of a sheet first by its own id or external id. Each is taken whole or not at all, and what
cannot be taken is reported with its place while the rest goes in.
"""

import contextlib
import hashlib
import uuid
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from django.db import transaction
from django.db.models import F, Window
from django.db.models.functions import RowNumber

from config.lib.actor import Actor
from config.lib.errors import Conflict, DomainError, Erased, Invalid
from config.lib.ids import read_id
from config.lib.scope import current_workspace_id
from contacts.models import Contact, ContactEmail, ContactPhone, Workspace
from contacts.services.addresses import (
    Labelled,
    normal_emails,
    normal_phones,
    normal_tags,
    sort_name,
    workspace_region,
)
from contacts.services.contacts import (
    NewContact,
    create_contacts,
    differs,
    live,
    new_contact,
    part_values_of,
    update_contact,
)
from contacts.services.sheets import read_sheet
from contacts.services.vcards import Card, Piece, own_uid, read_card, split_cards

# What a request has time for.
MAX_CARDS = 1_000
# Of those who share an address so many are looked at.
MAX_HOLDERS = 50
_ADDRESSES: dict[str, tuple[Any, str]] = {
    "email": (ContactEmail, "email"),
    "phone": (ContactPhone, "number"),
}
_FIELDS = ("name", "company", "role", "location", "relationship", "description", "notes")
Action = Literal["created", "updated", "unchanged"]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one card. `matched_by` is id, external_id, uid, email or phone, or empty."""

    place: int
    line: int
    name: str
    action: Action
    contact_id: uuid.UUID
    matched_by: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A card that was not taken, and why, by property or field."""

    place: int
    line: int
    name: str
    errors: Mapping[str, str]


@dataclass(slots=True)
class Report:
    taken: list[Taken] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    ignored_columns: list[str] = field(default_factory=list)

    def count(self, action: Action) -> int:
        return sum(one.action == action for one in self.taken)


@dataclass(slots=True)
class _New:
    """A card with its place, and what a sheet says beside it."""

    place: int
    line: int
    card: Card
    given: dict[str, Any] = field(default_factory=dict)
    known: Mapping[str, str] = field(default_factory=dict)


def import_vcards(*, actor: Actor, text: str, preview: bool = False) -> Report:
    """Of a file of vCards 2.1, 3.0 or 4.0. With `preview` nothing is kept of it."""
    pieces = list(split_cards(text))
    _check_count(len(pieces), "cards")
    report = Report()
    return _take_all(actor, list(_read(pieces, report)), report, preview)


def take_cards(*, actor: Actor, pieces: Sequence[Piece], seen: dict[uuid.UUID, str]) -> Report:
    """Some cards of a file of any size, in the caller's transaction. `seen` begins empty and is
    passed on from call to call: it holds whom the file has named, so that two cards of one file
    stay two people. A card that nothing tells from others is known by its own text."""
    report = Report()
    return _take_all(actor, _known_by_text(_read(pieces, report)), report, False, seen)


def cards_here(pieces: Sequence[Piece]) -> int:
    """Of how many cards the contact is there."""
    region = workspace_region()
    cards = []
    for new in _known_by_text(_read(pieces, Report())):
        with contextlib.suppress(DomainError):
            _normalise(new.card, region)
            cards.append(new)
    present = _Present(cards)
    return sum(_find(new, present, {})[0] is not None for new in cards)


def _known_by_text(cards: Iterable[_New]) -> list[_New]:
    found = []
    for new in cards:
        card = new.card
        if not (card.uid or card.emails or card.phones):
            digest = hashlib.sha256(card.raw.encode("utf-8", "surrogatepass")).hexdigest()
            new.known = {"source": "vcard", "external_id": f"card:{digest}"}
        found.append(new)
    return found


def _read(pieces: Iterable[Piece], report: Report) -> Iterator[_New]:
    """Whole cards; what is none is refused."""
    for piece in pieces:
        if piece.problem:
            report.refused.append(Refused(piece.place, piece.line, "", {"card": piece.problem}))
            continue
        try:
            yield _New(piece.place, piece.line, read_card(piece.text))
        except Invalid as error:
            report.refused.append(Refused(piece.place, piece.line, "", error.errors))


def import_sheet(*, actor: Actor, text: str, preview: bool = False) -> Report:
    """Of a CSV file with a header; see sheets.py for its columns."""
    report = Report()
    report.ignored_columns, rows = read_sheet(text)
    cards: list[_New] = []
    for row in rows:
        _check_count(row.place, "rows")
        if row.problem:
            report.refused.append(Refused(row.place, row.line, row.card.name, row.problem))
        else:
            cards.append(_New(row.place, row.line, row.card, row.given, row.known))
    return _take_all(actor, cards, report, preview)


def _check_count(count: int, what: str) -> None:
    if count > MAX_CARDS:
        raise Invalid({"body": f"more than {MAX_CARDS:,} {what}; send them in several parts"})


def _take_all(
    actor: Actor,
    cards: Iterable[_New],
    report: Report,
    preview: bool,
    seen: dict[uuid.UUID, str] | None = None,
) -> Report:
    """Run by run, in one transaction; a preview takes all of it back.

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
            try:
                _normalise(new.card, region)
            except DomainError as error:
                report.refused.append(_refused(new, error))
            else:
                fit.append(new)
        while fit:
            fit = fit[_take_run(actor, fit, region, seen, report) :]
        if preview:
            transaction.set_rollback(True)
    report.taken.sort(key=lambda one: one.place)
    report.refused.sort(key=lambda one: one.line)
    return report


def _take_run(
    actor: Actor,
    cards: Sequence[_New],
    region: str | None,
    seen: dict[uuid.UUID, str],
    report: Report,
) -> int:
    """Take the first of `cards`, as many as what is here already tells of at once; how many. A card
    that may be of the same contact as one before it begins the next run, and finds what that wrote.
    """
    known: set[Hashable] = set()
    run: list[_New] = []
    for new in cards:
        own = _identities(new)
        if not own.isdisjoint(known):
            break
        known |= own
        run.append(new)
    present = _Present(run)
    touched: set[uuid.UUID] = set()
    found: list[tuple[_New, Contact | None, str]] = []
    for new in run:
        candidates = present.candidates(new)
        if not candidates.isdisjoint(touched):
            break
        holder, how = _find(new, present, seen)
        if holder is not None:
            touched |= candidates
        found.append((new, holder, how))
    lives = {holder.pk: live(holder) for _, holder, _ in found if holder is not None}
    held = part_values_of({contact.pk for contact in lives.values()})
    made: list[tuple[_New, NewContact]] = []
    for new, holder, how in found:
        try:
            if holder is None:
                made.append((new, _made(new)))
                continue
            contact = lives[holder.pk]
            taken = _changed(actor, new, contact, holder, how, region, held[contact.pk], present)
        except DomainError as error:
            report.refused.append(_refused(new, error))
            continue
        seen[taken.contact_id] = sort_name(taken.name)
        report.taken.append(taken)
    for new, one in _created(actor, made, report):
        seen[one.row.pk] = one.row.sort_name
        report.taken.append(Taken(new.place, new.line, one.row.name, "created", one.row.pk))
    return len(found)


def _created(
    actor: Actor, made: Sequence[tuple[_New, NewContact]], report: Report
) -> Sequence[tuple[_New, NewContact]]:
    """Those that could be made: one that was erased here is refused, before anything is written."""
    try:
        create_contacts(actor=actor, new=[one for _, one in made])
    except Erased as error:
        if len(made) == 1:
            report.refused.append(_refused(made[0][0], error))
            return []
        return [kept for pair in made for kept in _created(actor, [pair], report)]
    return made


def _refused(new: _New, error: DomainError) -> Refused:
    errors = error.errors if isinstance(error, Invalid) else {"card": error.detail}
    return Refused(new.place, new.line, new.card.name[:300], errors)


def _made(new: _New) -> NewContact:
    card = new.card
    fields: dict[str, Any] = {name: getattr(card, name) for name in _FIELDS}
    fields |= {"emails": card.emails, "phones": card.phones, "tags": card.tags, **new.given}
    fields |= {name: new.known[name] for name in ("source", "external_id") if name in new.known}
    if fields.get("external_id"):
        fields.setdefault("source", "csv")
    return new_contact(fields=fields, card={"vcard_uid": card.uid, "vcard": card.raw})


def _changed(
    actor: Actor,
    new: _New,
    contact: Contact,
    holder: Contact,
    how: str,
    region: str | None,
    held: Mapping[str, list[str]],
    present: "_Present",
) -> Taken:
    changes, own = _changes(contact, holder, new, how, region, held, present)
    name, action = contact.name, "unchanged"
    if differs(contact, changes=changes, held=held, card=own):
        before = contact.version
        after = update_contact(actor=actor, contact_id=contact.pk, changes=changes, card=own)
        name, action = after.name, "unchanged" if after.version == before else "updated"
    return Taken(new.place, new.line, name, cast(Action, action), contact.pk, how)


def _normalise(card: Card, region: str | None) -> None:
    card.emails, card.phones = normal_emails(card.emails), normal_phones(card.phones, region)
    card.tags = normal_tags(card.tags)
    for name in ("name", "company", "role", "location", "relationship"):
        setattr(card, name, " ".join(getattr(card, name).split()))
    if any(ord(character) < 32 for character in card.uid):
        raise Invalid({"UID": "holds control characters"})


# --- Whose card it is ------------------------------------------------------------------------


class _Present:
    """The contacts that some cards may be of: looked up for all of them at once, as they are now.

    Indexes contact_external_id_unique, contact_vcard_uid_unique, contactemail_email,
    contactphone_number.
    """

    def __init__(self, cards: Sequence[_New]) -> None:
        self._rows: dict[uuid.UUID, Contact] = {}
        self._external: dict[tuple[str, str], Contact] = {}
        self._uids: dict[str, Contact] = {}
        outside: dict[str, list[str]] = defaultdict(list)
        for new in cards:
            if (named := _external_id(new)) is not None:
                outside[named[0]].append(named[1])
        for source, keys in outside.items():
            for row in Contact.objects.filter(source=source, external_id__any_of=keys):
                self._external[row.source, row.external_id] = self._kept(row)
        if uids := [new.card.uid for new in cards if new.card.uid]:
            for row in Contact.objects.filter(vcard_uid__any_of=uids):
                self._uids[row.vcard_uid] = self._kept(row)
        self._holders = {
            how: _holders(how, {one.value for new in cards for one in getattr(new.card, column)})
            for how, column in (("email", "emails"), ("phone", "phones"))
        }
        wanted = {one for new in cards for one in _own_ids(new)}
        for holders in self._holders.values():
            wanted.update(one for ids in holders.values() for one in ids)
        if wanted := wanted - self._rows.keys():
            for row in Contact.objects.filter(pk__any_of=sorted(wanted)):
                self._kept(row)

    def _kept(self, row: Contact) -> Contact:
        return self._rows.setdefault(row.pk, row)

    def by_id(self, contact_id: uuid.UUID | None) -> Contact | None:
        return None if contact_id is None else self._rows.get(contact_id)

    def by_external_id(self, named: tuple[str, str] | None) -> Contact | None:
        return None if named is None else self._external.get(named)

    def by_uid(self, uid: str) -> Contact | None:
        return self._uids.get(uid)

    def holders(self, how: str, values: Iterable[str]) -> list[Contact]:
        """Those who have one of these emails or numbers, in the order of their ids."""
        ids = {one for value in values for one in self._holders[how].get(value, ())}
        return [self._rows[one] for one in sorted(ids)[:MAX_HOLDERS] if one in self._rows]

    def candidates(self, new: _New) -> set[uuid.UUID]:
        """Everybody whose card it may be, and whom they were merged into."""
        card = new.card
        rows: list[Contact | None] = [
            *(self.by_id(one) for one in _own_ids(new)),
            self.by_external_id(_external_id(new)),
            self.by_uid(card.uid),
            *self.holders("email", (one.value for one in card.emails)),
            *self.holders("phone", (one.value for one in card.phones)),
        ]
        found = {row.pk for row in rows if row is not None}
        merged = [row for row in rows if row is not None and row.merged_into_id is not None]
        return found | {live(row).pk for row in merged}


def _holders(how: str, values: Collection[str]) -> dict[str, list[uuid.UUID]]:
    """Whose each of these emails or numbers is, at most MAX_HOLDERS of each."""
    found: dict[str, list[uuid.UUID]] = defaultdict(list)
    if not values:
        return found
    model, column = _ADDRESSES[how]
    place = Window(RowNumber(), partition_by=F(column), order_by="contact_id")
    rows = model.objects.filter(**{f"{column}__any_of": sorted(values)}).annotate(place=place)
    for value, contact_id in rows.filter(place__lte=MAX_HOLDERS).values_list(column, "contact_id"):
        found[value].append(contact_id)
    return found


def _external_id(new: _New) -> tuple[str, str] | None:
    if "external_id" not in new.known:
        return None
    return new.known.get("source") or "csv", new.known["external_id"]


def _own_ids(new: _New) -> list[uuid.UUID]:
    """Ids of ours that a card or row names: its own, and that of a UID that we made."""
    uid, ours = new.card.uid, own_uid("")
    given = [new.known.get("id", ""), uid.removeprefix(ours) if uid.startswith(ours) else ""]
    return [one for text in given if (one := _read_id(text)) is not None]


def _identities(new: _New) -> set[Hashable]:
    """What tells whose card it is; cards that share one of these may be of one contact."""
    card = new.card
    own: set[Hashable] = {("id", one) for one in _own_ids(new)}
    own |= {("email", one.value) for one in card.emails}
    own |= {("phone", one.value) for one in card.phones}
    if card.uid:
        own.add(("uid", card.uid))
    if (named := _external_id(new)) is not None:
        own.add(("external_id", named))
    return own


def _find(
    new: _New, present: _Present, seen: Mapping[uuid.UUID, str]
) -> tuple[Contact | None, str]:
    """(the contact, how it was found), which may be one that was merged."""
    card = new.card
    if (found := present.by_id(_read_id(new.known.get("id", "")))) is not None:
        return found, "id"
    if (found := present.by_external_id(_external_id(new))) is not None:
        return found, "external_id"
    if card.uid:
        ours = own_uid("")
        own = card.uid.removeprefix(ours) if card.uid.startswith(ours) else ""
        found = present.by_uid(card.uid) or present.by_id(_read_id(own))
        if found is not None:
            return found, "uid"
    for how, given in (("email", card.emails), ("phone", card.phones)):
        found = _the_one(present.holders(how, (one.value for one in given)), card, seen)
        if found is not None and how == "phone" and _shares_a_line(found, card):
            found = None
        if found is not None:
            return found, how
    return None, ""


def _read_id(text: str) -> uuid.UUID | None:
    found = read_id(text)
    return found if isinstance(found, uuid.UUID) else None


def _the_one(rows: Iterable[Contact], card: Card, seen: Mapping[uuid.UUID, str]) -> Contact | None:
    """Of those who share an address the one whose card it is, or nobody where that is not sure.

    A contact with a UID of its own is somebody else than a card with another UID; one that an
    earlier card of this file is of, somebody else than a card with another name.
    """
    name = sort_name(card.name)
    able = [
        row
        for row in rows
        if not (card.uid and row.vcard_uid and row.vcard_uid != card.uid)
        and seen.get(row.pk, name) == name
    ]
    if len(able) > 1:
        able = [row for row in able if row.sort_name == name]
    return able[0] if len(able) == 1 else None


def _shares_a_line(contact: Contact, card: Card) -> bool:
    """Another name and emails of their own, none in common: two people of one number, as of an
    office or a household. Index contactemail_unique."""
    if contact.sort_name == sort_name(card.name) or not card.emails:
        return False
    return ContactEmail.objects.filter(contact_id=live(contact).pk).exists()


# --- What it changes --------------------------------------------------------------------------


def _changes(
    contact: Contact,
    holder: Contact,
    new: _New,
    how: str,
    region: str | None,
    held: Mapping[str, list[str]],
    present: _Present,
) -> tuple[dict[str, Any], dict[str, str]]:
    """(changes, of the card's own columns).

    Where the card was read before, what became different in it since: what was edited here stays.
    Only a card with the same UID takes anything away. Otherwise what it says is written, and its
    notes are added to those of a contact that only shares an address.
    """
    card = new.card
    nameless = not card.uid and not holder.vcard_uid
    same_card = bool(card.raw) and (how == "uid" or nameless)
    takes_away = how == "uid"
    old = _before(holder.vcard, region) if same_card else None
    changes: dict[str, Any] = dict(new.given)
    for name in _FIELDS:
        value, here = getattr(card, name), getattr(contact, name)
        if old is not None:
            if value != getattr(old, name) and (value or (takes_away and name != "name")):
                changes[name] = value
        elif name == "notes" and how in ("email", "phone") and here.strip():
            if value.strip() not in here:
                changes[name] = f"{here}\n\n{value}"
        elif value:
            changes[name] = value
    for name in ("emails", "phones"):
        here = [Labelled.read(text) for text in held[name]]
        was = getattr(old, name) if old is not None else None
        changes[name] = _united(here, getattr(card, name), was, takes_away=takes_away)
    was_tags = set(old.tags) if old is not None else set()
    gone = was_tags - set(card.tags) if takes_away else set[str]()
    changes["tags"] = [tag for tag in held["tags"] if tag not in gone]
    changes["tags"] += [tag for tag in card.tags if tag not in was_tags]
    own: dict[str, str] = {}
    if card.raw and (contact.vcard == "" or (same_card and contact.vcard == holder.vcard)):
        own["vcard"] = card.raw
    adopted = card.uid and not contact.vcard_uid and card.uid != own_uid(contact.pk)
    if adopted and present.by_uid(card.uid) is None:
        own["vcard_uid"] = card.uid
    return changes, own


def _before(raw: str, region: str | None) -> Card | None:
    """What the card said when it was read last."""
    if not raw:
        return None
    try:
        old = read_card(raw)
        old.emails, old.phones = normal_emails(old.emails), normal_phones(old.phones, region)
        old.tags = normal_tags(old.tags)
    except (Invalid, Conflict):
        return None
    return old


def _united(
    here: Sequence[Labelled],
    new: Sequence[Labelled],
    old: Sequence[Labelled] | None,
    *,
    takes_away: bool,
) -> list[Labelled]:
    """What is here, without what the card no longer has, with what it has now and had not."""
    was = {one.value: one.label for one in old or ()}
    now = {one.value: one.label for one in new}
    kept = []
    for one in here:
        if takes_away and one.value in was and one.value not in now:
            continue
        label = now.get(one.value, "")
        fresh = label and label != was.get(one.value)
        kept.append(Labelled(one.value, label) if fresh else one)
    held = {one.value for one in here}
    return kept + [one for one in new if one.value not in held and one.value not in was]
