"""What a card changes of the contact that it is of."""

from collections.abc import Mapping, Sequence
from typing import Any

from config.lib.errors import Conflict, Invalid
from contacts.models import Contact
from contacts.services.addresses import (
    MAX_EMAILS,
    MAX_PHONES,
    MAX_TAGS,
    Labelled,
    too_many,
)
from contacts.services.fitting import Shortened, fitted
from contacts.services.imports.cards import (
    Addresses,
    New,
    name_of,
    pass_over,
    read_addresses,
    said,
)
from contacts.services.imports.matching import Present
from contacts.services.unreadable import KINDS, MAX_DISMISSED, MAX_TEXTS, texts_of, united
from contacts.services.vcards import FIELDS, LONGEST, Card, fit, own_uid, read_card

MOST = {"emails": MAX_EMAILS, "phones": MAX_PHONES, "tags": MAX_TAGS}


def changes_of(
    contact: Contact,
    holder: Contact,
    new: New,
    how: str,
    region: str | None,
    held: Mapping[str, list[str]],
    present: Present,
    *,
    first: bool,
) -> tuple[dict[str, Any], dict[str, str]]:
    """(changes, of the card's own columns).

    Where the card was read before, what became different in it since: what was edited here stays.
    Only a card with the same UID takes anything away. Otherwise what it says is written, and its
    notes are added to those of a contact that only shares an address.

    Of two cards of one contact in a file it keeps the `first`, and the other adds to it: else each
    would take back what the other said, whenever the file is read.

    What is more than a contact keeps of both together is left out, the card's first, and `new` has
    it. What was dismissed in the contact is passed over, and `new` says nothing of it.
    """
    pass_over(new, region, contact.dismissed)
    card = new.card
    nameless = not card.uid and not holder.vcard_uid
    first = first or card.raw == holder.vcard
    same_card = first and bool(card.raw) and (how == "uid" or nameless)
    takes_away = first and how == "uid"
    old, stood = _before(holder, contact, region) if same_card else (None, None)
    changes: dict[str, Any] = dict(new.given)
    cut: list[Shortened] = []
    for name in FIELDS:
        value, here = getattr(card, name), getattr(contact, name)
        if old is not None:
            if value != getattr(old, name) and (value or (takes_away and name != "name")):
                changes[name] = value
        elif name == "notes" and how in ("email", "phone") and here.strip():
            if value.strip() not in here:
                both = f"{here}\n\n{value}"
                changes[name] = fitted(name, both, LONGEST[name][0], cut, personal=True)
        elif value:
            changes[name] = value
    for name in KINDS:
        here = [Labelled.read(text) for text in held[name]]
        was = getattr(old, name) if old is not None else None
        changes[name] = _united(here, getattr(card, name), was, takes_away=takes_away)
    changes["unreadable"] = unreadable_of(contact.unreadable, new, stood, takes_away=takes_away)
    was_tags = set(old.tags) if old is not None else set()
    gone = was_tags - set(card.tags) if takes_away else set[str]()
    changes["tags"] = [tag for tag in held["tags"] if tag not in gone]
    changes["tags"] += [
        tag for tag in card.tags if tag not in was_tags and tag not in changes["tags"]
    ]
    for name, most in MOST.items():
        changes[name], over = changes[name][:most], changes[name][most:]
        if over:
            cut.append(too_many(name, over, most))
    new.shortened = [*new.shortened, *said(cut)]
    own: dict[str, str] = {}
    if card.raw and (contact.vcard == "" or (same_card and contact.vcard == holder.vcard)):
        own["vcard"] = card.raw
    adopted = card.uid and not contact.vcard_uid and card.uid != own_uid(contact.pk)
    if adopted and present.by_uid(card.uid) is None:
        own["vcard_uid"] = card.uid
    return changes, own


def unreadable_of(
    here: object, new: New, old: Addresses | None, *, takes_away: bool = False
) -> dict[str, list[str]]:
    """What is unreadable of a contact from now on; `here` is what was. Out of it goes what can be
    read by now, and what the card no longer has. What it had before and is not there was taken out
    changed here, or read in another way, and stays out."""
    found: dict[str, list[str]] = {}
    for name in KINDS:
        texts, held = new.addresses.texts(name), texts_of(here, name)
        if not (texts or held):
            continue
        now = new.addresses.stood(name)
        was = old.stood(name) if old is not None else set[str]()
        kept = [
            text
            for text in held
            if (text in texts or text not in now)
            and not (takes_away and text in was and text not in now)
        ]
        kept += [text for text in texts if text not in held and text not in was]
        if kept:
            found[name] = kept[:MAX_TEXTS]
    return found


def _before(
    holder: Contact, contact: Contact, region: str | None
) -> tuple[Card, Addresses] | tuple[None, None]:
    """What the card said when it was read last. What could not be read then is not of it, though
    it can be now; nor is what was dismissed since."""
    if not holder.vcard:
        return None, None
    try:
        old = read_card(holder.vcard)
        passed = united(holder.unreadable, contact.dismissed, MAX_TEXTS + MAX_DISMISSED)
        found = read_addresses(old, region, passed)
        old.emails, old.phones = found.read["emails"], found.read["phones"]
        old.name = name_of(old)
        fit(old)
    except (Invalid, Conflict):
        return None, None
    return old, found


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
