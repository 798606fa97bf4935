"""Contacts: made, changed and deleted, with their emails, phones and tags as one thing.

The child rows are written with their contact, recorded in its Revision (as `ada@example.com
(work)`) and covered by its version. Not for merging (merges.py) and files (vcards.py, sheets.py).
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import F, QuerySet

from config.lib.actor import Actor
from config.lib.db.bulk import insert_rows
from config.lib.db.models import WorkspaceRow
from config.lib.db.together import read_together
from config.lib.errors import Conflict, Invalid
from config.lib.redact import redact
from config.lib.scope import current_workspace_id
from contacts.models import Contact, ContactEmail, ContactPhone, ContactTag, Tag
from contacts.services import funnel
from contacts.services.addresses import (
    Labelled,
    normal_emails,
    normal_phones,
    normal_tags,
    sort_name,
    workspace_region,
)
from contacts.services.funnel import Part
from contacts.services.unreadable import MAX_DISMISSED, united

PARTS = frozenset({"emails", "phones", "tags"})
EDITABLE = PARTS | {
    "name", "company", "role", "location", "description", "relationship", "notes",
    "last_contact_at", "pinned", "metadata", "unreadable", "dismissed",
}  # fmt: skip
ON_CREATION = EDITABLE | {"source", "external_id"}
# One line each: what is around and between the words says nothing.
_LINES = ("name", "company", "role", "location", "relationship")
_CHILDREN: dict[str, tuple[Any, str]] = {
    "emails": (ContactEmail, "email"),
    "phones": (ContactPhone, "number"),
}
# A merge of a merge of a merge; a circle cannot be made.
MAX_CHAIN = 1000


@dataclass(frozen=True, slots=True)
class NewContact:
    """A contact that is checked and not written yet."""

    row: Contact
    parts: Sequence[Part]


def create_contact(*, actor: Actor, fields: Mapping[str, Any]) -> Contact:
    """A new contact. `fields` are those of ON_CREATION: emails and phones are Labelled, tags
    texts."""
    new = new_contact(fields=fields)
    return funnel.create(new.row, actor=actor, parts=new.parts)


def new_contact(
    *,
    fields: Mapping[str, Any],
    card: Mapping[str, str] | None = None,
    workspace_id: uuid.UUID | None = None,
) -> NewContact:
    """What `create_contact` would write, checked, for `create_contacts`. Raises Invalid.

    `card` is {vcard_uid, vcard} of the card it is read from. Outside a scope with `workspace_id`;
    then its numbers begin with a plus.
    """
    fields = _known(fields, ON_CREATION)
    wanted = {name: fields.pop(name) for name in PARTS & fields.keys()}
    contact = Contact(workspace_id=workspace_id or current_workspace_id(), **fields, **(card or {}))
    contact.sort_name = sort_name(contact.name)
    parts = parts_of(contact, wanted)
    funnel.check(contact)
    return NewContact(contact, parts)


def create_contacts(*, actor: Actor, new: Sequence[NewContact]) -> None:
    """`create_contact` for many at once: some statements for all of them."""
    parts = {one.row.pk: one.parts for one in new}
    funnel.create_many(
        [one.row for one in new],
        actor=actor,
        parts=parts,
        write_parts=lambda: write_new_parts(parts),
    )


def save_contact(*, actor: Actor, fields: Mapping[str, Any]) -> tuple[Contact, bool]:
    """A contact by its caller's own identity; (contact, whether it is new).

    With `external_id` (and `source`) set, a contact of that identity is returned as it is instead
    of made again; where it was merged, the one it was merged into.
    """
    fields = dict(fields)
    if fields.get("external_id"):
        fields["source"] = fields.get("source") or "api"
        found = Contact.objects.filter(
            source=fields["source"], external_id=fields["external_id"]
        ).first()
        if found is not None:
            return live(found), False
    return create_contact(actor=actor, fields=fields), True


def update_contact(
    *,
    actor: Actor,
    contact_id: uuid.UUID,
    changes: Mapping[str, Any],
    expected_version: int | None = None,
    reason: str = "",
    card: Mapping[str, str] | None = None,
) -> Contact:
    """Change a contact. Emails, phones and tags that are sent replace all that there were."""
    changes = _known(changes, EDITABLE)
    contact = funnel.get_row(Contact, contact_id, lock=True)
    refuse_merged(contact)
    wanted = _split(changes)
    return funnel.update(
        contact,
        changes | dict(card or {}),
        actor=actor,
        expected_version=expected_version,
        reason=reason,
        parts=parts_of(contact, wanted),
    )


def dismiss_unreadable(
    *, actor: Actor, contact_id: uuid.UUID, expected_version: int | None = None, reason: str = ""
) -> Contact:
    """Take out of a contact what imports could not read in the place of its emails and numbers: no
    card brings it to this contact again, though it could be read by then."""
    contact = funnel.get_row(Contact, contact_id, lock=True)
    dismissed = united(contact.unreadable, contact.dismissed, MAX_DISMISSED)
    return update_contact(
        actor=actor,
        contact_id=contact_id,
        changes={"unreadable": {}, "dismissed": dismissed},
        expected_version=expected_version,
        reason=reason,
    )


def differs(
    contact: Contact,
    *,
    changes: Mapping[str, Any],
    held: Mapping[str, list[str]],
    card: Mapping[str, str],
) -> bool:
    """Whether `update_contact` would write anything. `held` is part_values(contact). Raises Invalid
    where it would."""
    changes = _known(changes, EDITABLE)
    wanted = _split(changes)
    values = changes | dict(card)
    if any(funnel.plain(getattr(contact, n)) != funnel.plain(v) for n, v in values.items()):
        return True
    return any(part.before != part.after for part in parts_of(contact, wanted, held))


def _split(changes: dict[str, Any]) -> dict[str, Any]:
    """The parts among `changes`, taken out of them; what follows from the rest is added to it."""
    wanted = {name: changes.pop(name) for name in PARTS & changes.keys()}
    if "name" in changes:
        changes["sort_name"] = sort_name(changes["name"])
    return wanted


def delete_contact(
    *, actor: Actor, contact_id: uuid.UUID, expected_version: int | None = None, reason: str = ""
) -> None:
    """Remove a contact, with whatever was merged into it. Their Revisions keep what they said."""
    contact = funnel.get_row(Contact, contact_id, lock=True)
    for row in reversed(_merged_into(contact)):
        funnel.delete(row, actor=actor, reason=reason, note=part_values(row))
    funnel.delete(
        contact,
        actor=actor,
        expected_version=expected_version,
        reason=reason,
        note=part_values(contact),
    )


def live(contact: Contact) -> Contact:
    """The contact itself, or the one it is merged into."""
    for _ in range(MAX_CHAIN):
        if contact.merged_into_id is None:
            break
        contact = funnel.get_row(Contact, contact.merged_into_id)
    return contact


def refuse_merged(contact: Contact) -> None:
    if contact.merged_into_id is not None:
        raise Conflict(
            f"This contact was merged into {contact.merged_into_id}; change that one, or undo the "
            "merge.",
            code="merged",
        )


def _merged_into(contact: Contact) -> list[Contact]:
    """What was merged into a contact, and into that, nearest first. Index contact_merged_into."""
    found: list[Contact] = []
    level = [contact.pk]
    while level:
        rows = list(Contact.objects.filter(merged_into_id__in=level).order_by("id"))
        level = [row.pk for row in rows]
        found += rows
    return found


def _known(fields: Mapping[str, Any], allowed: frozenset[str]) -> dict[str, Any]:
    unknown = fields.keys() - allowed
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "cannot be set on a contact"))
    clean = dict(fields)
    for name in _LINES:
        if isinstance(clean.get(name), str):
            clean[name] = " ".join(clean[name].split())
    if clean.get("name") == "":
        raise Invalid({"name": "must not be empty"})
    return clean


# --- Emails, phones and tags -----------------------------------------------------------------


def part_values(contact: Contact) -> dict[str, list[str]]:
    """{emails, phones, tags} as a Revision keeps them. One statement."""
    return _held(contact, PARTS)


def part_values_of(contact_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, dict[str, list[str]]]:
    """`part_values` of many contacts, by their ids. A statement for each part."""
    ids = list(contact_ids)
    found: dict[uuid.UUID, dict[str, list[str]]] = {
        one: {name: [] for name in sorted(PARTS)} for one in ids
    }
    if not ids:
        return found
    for name, (model, column) in _CHILDREN.items():
        rows = model.objects.filter(contact_id__in=ids).order_by("position", "id")
        for contact_id, value, label in rows.values_list("contact_id", column, "label"):
            found[contact_id][name].append(str(Labelled(value, label)))
    tags = ContactTag.objects.filter(contact_id__in=ids)
    for contact_id, tag in tags.values_list("contact_id", "tag__name"):
        found[contact_id]["tags"].append(tag)
    for held in found.values():
        held["tags"].sort()
    return found


def parts_of(
    contact: Contact, wanted: Mapping[str, Any], held: Mapping[str, list[str]] | None = None
) -> list[Part]:
    """What is to become of the parts named in `wanted`, checked and brought into their one form.
    `held` is part_values(contact), for whoever has read it."""
    parts: list[Part] = []
    errors: dict[str, str] = {}
    before = _held(contact, wanted) if held is None else held
    for name, given in wanted.items():
        try:
            parts.append(_part(contact, name, given, before[name]))
        except Invalid as error:
            errors |= error.errors
    if errors:
        raise Invalid(errors)
    return parts


def _part(contact: Contact, name: str, given: Sequence[Any], before: list[str]) -> Part:
    if name == "tags":
        tags = normal_tags(redact(list(given)))
        return Part(name, before, tags, lambda: _write_tags(contact, tags))
    if name == "emails":
        rows = normal_emails(given)
    else:
        plus = all(one.value.strip().startswith(("+", "tel:+")) for one in given)
        rows = normal_phones(given, None if plus else workspace_region())
    rows = _checked(contact, name, rows)
    return Part(name, before, [str(o) for o in rows], lambda: _write_children(contact, name, rows))


def _held(contact: Contact, names: Collection[str]) -> dict[str, list[str]]:
    """Indexes contactemail_unique, contactphone_unique, contacttag_unique. One statement."""
    if contact._state.adding or not names:
        return {name: [] for name in names}
    asked: dict[str, QuerySet[Any, Any]] = {
        name: model.objects.filter(contact_id=contact.pk)
        .order_by("position", "id")
        .values("label", value=F(column))
        for name, (model, column) in _CHILDREN.items()
        if name in names
    }
    if "tags" in names:
        asked["tags"] = ContactTag.objects.filter(contact_id=contact.pk).values(
            value=F("tag__name")
        )
    found = {
        name: [str(Labelled(row["value"], row.get("label", ""))) for row in rows]
        for name, rows in read_together(asked).items()
    }
    return {name: sorted(one) if name == "tags" else one for name, one in found.items()}


def _checked(contact: Contact, name: str, rows: Sequence[Labelled]) -> list[Labelled]:
    model, column = _CHILDREN[name]
    found = []
    for index, one in enumerate(rows):
        row: Any = model(
            workspace_id=contact.workspace_id,
            contact_id=contact.pk,
            label=one.label,
            **{column: one.value},
        )
        funnel.check(row, prefix=f"{name}[{index}].")
        found.append(Labelled(getattr(row, column), row.label))
    return found


def _write_children(contact: Contact, name: str, wanted: Sequence[Labelled]) -> None:
    """Rows that stay keep their ids."""
    model, column = _CHILDREN[name]
    held = {getattr(row, column): row for row in model.objects.filter(contact_id=contact.pk)}
    gone = held.keys() - {one.value for one in wanted}
    if gone:
        model.objects.filter(contact_id=contact.pk, **{f"{column}__in": sorted(gone)}).delete()
    new: list[WorkspaceRow] = []
    for position, one in enumerate(wanted):
        row = held.get(one.value)
        values = {"label": one.label, "position": position}
        if row is None:
            new.append(model(contact_id=contact.pk, **{column: one.value}, **values))
        elif (row.label, row.position) != (one.label, position):
            model.objects.filter(pk=row.pk).update(**values)
    model.objects.bulk_create(new)


def _write_tags(contact: Contact, wanted: Sequence[str]) -> None:
    ids = _tag_ids(wanted)
    held = set(ContactTag.objects.filter(contact_id=contact.pk).values_list("tag_id", flat=True))
    gone = held - set(ids)
    if gone:
        ContactTag.objects.filter(contact_id=contact.pk, tag_id__in=gone).delete()
    ContactTag.objects.bulk_create(
        ContactTag(contact_id=contact.pk, tag_id=tag_id) for tag_id in ids if tag_id not in held
    )


def write_new_parts(parts: Mapping[uuid.UUID, Sequence[Part]]) -> None:
    """The parts of new contacts, by their ids, in a statement for each kind of them."""
    names: set[str] = set()
    rows: dict[str, list[WorkspaceRow]] = {name: [] for name in _CHILDREN}
    for contact_id, own in parts.items():
        for part in own:
            if part.name == "tags":
                names.update(part.after)
                continue
            model, column = _CHILDREN[part.name]
            rows[part.name] += [
                model(
                    contact_id=contact_id, position=position, label=one.label, **{column: one.value}
                )
                for position, one in enumerate(map(Labelled.read, part.after))
            ]
    for children in rows.values():
        insert_rows(children)
    if not names:
        return
    tags = sorted(names)
    ids = dict(zip(tags, _tag_ids(tags), strict=True))
    insert_rows(
        [
            ContactTag(contact_id=contact_id, tag_id=ids[name])
            for contact_id, own in parts.items()
            for part in own
            if part.name == "tags"
            for name in part.after
        ]
    )


def _tag_ids(names: Sequence[str]) -> list[uuid.UUID]:
    """Tags by name, made where there are none yet; `names` are sorted, so that two writers who
    make the same new tags wait for each other in one order. Index tag_name_unique."""
    known = dict(Tag.objects.filter(name__in=names).values_list("name", "pk"))
    missing = [name for name in names if name not in known]
    if missing:
        Tag.objects.bulk_create((Tag(name=name) for name in missing), ignore_conflicts=True)
        known = dict(Tag.objects.filter(name__in=names).values_list("name", "pk"))
    return [known[name] for name in names]
