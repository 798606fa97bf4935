"""Whose card it is: by its UID, else by an email, else by a number; never by its name alone."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from config.lib.ids import read_id
from contacts.models import Contact, ContactEmail, ContactPhone
from contacts.services.addresses import sort_name
from contacts.services.contacts import live
from contacts.services.imports.cards import New
from contacts.services.vcards import Card, own_uid

# Of those who share an address so many are looked at.
MAX_HOLDERS = 50
_ADDRESSES: dict[str, tuple[Any, str]] = {
    "email": (ContactEmail, "email"),
    "phone": (ContactPhone, "number"),
}


class Present:
    """The contacts that some cards may be of: looked up for all of them at once, as they are now.

    Indexes contact_external_id_unique, contact_vcard_uid_unique, contactemail_email,
    contactphone_number.
    """

    def __init__(self, cards: Sequence[New]) -> None:
        self._rows: dict[uuid.UUID, Contact] = {}
        self._external: dict[tuple[str, str], Contact] = {}
        self._uids: dict[str, Contact] = {}
        outside: dict[str, list[str]] = defaultdict(list)
        for new in cards:
            if (named := external_id_of(new)) is not None:
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

    def candidates(self, new: New) -> set[uuid.UUID]:
        """Everybody whose card it may be, and whom they were merged into."""
        card = new.card
        rows: list[Contact | None] = [
            *(self.by_id(one) for one in _own_ids(new)),
            self.by_external_id(external_id_of(new)),
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


def external_id_of(new: New) -> tuple[str, str] | None:
    if "external_id" not in new.known:
        return None
    return new.known.get("source") or "csv", new.known["external_id"]


def _own_ids(new: New) -> list[uuid.UUID]:
    """Ids of ours that a card or row names: its own, and that of a UID that we made."""
    uid, ours = new.card.uid, own_uid("")
    given = [new.known.get("id", ""), uid.removeprefix(ours) if uid.startswith(ours) else ""]
    return [one for text in given if (one := _read_id(text)) is not None]


def identities(new: New) -> set[Hashable]:
    """What tells whose card it is; cards that share one of these may be of one contact."""
    card = new.card
    own: set[Hashable] = {("id", one) for one in _own_ids(new)}
    own |= {("email", one.value) for one in card.emails}
    own |= {("phone", one.value) for one in card.phones}
    if card.uid:
        own.add(("uid", card.uid))
    if (named := external_id_of(new)) is not None:
        own.add(("external_id", named))
    return own


def find(new: New, present: Present, seen: Mapping[uuid.UUID, str]) -> tuple[Contact | None, str]:
    """(the contact, how it was found), which may be one that was merged."""
    card = new.card
    if (found := present.by_id(_read_id(new.known.get("id", "")))) is not None:
        return found, "id"
    if (found := present.by_external_id(external_id_of(new))) is not None:
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
    earlier card of this file is of, somebody else than a card with another name. Of several it is
    the one that was read from this very card: else an address book in which somebody stands more
    than once would make them anew whenever it is read.
    """
    name = sort_name(card.name)
    able = [
        row
        for row in rows
        if not (card.uid and row.vcard_uid and row.vcard_uid != card.uid)
        and seen.get(row.pk, name) == name
    ]
    if len(able) > 1:
        own = [row for row in able if card.raw and row.vcard == card.raw]
        able = own[:1] or [row for row in able if row.sort_name == name]
    return able[0] if len(able) == 1 else None


def _shares_a_line(contact: Contact, card: Card) -> bool:
    """Another name and emails of their own, none in common: two people of one number, as of an
    office or a household. Index contactemail_unique."""
    if contact.sort_name == sort_name(card.name) or not card.emails:
        return False
    return ContactEmail.objects.filter(contact_id=live(contact).pk).exists()
