"""Two contacts become one, and two again.

The target wins: its blanks are filled from the source, notes are appended, tags, emails and phones
united, the later last contact kept, and what points at the source (memories about it) follows. The
source keeps its row, names the target in `merged_into` and leaves the lists. The source's Revision
(action `merge`) is what an undo reads: what the source had, which Revision of the target came of
it, and which references were moved.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from config.lib.actor import Actor
from config.lib.errors import Conflict, Invalid, Stale
from config.lib.signals import count_references, merging, unmerging
from contacts.models import Contact, Revision
from contacts.services import funnel
from contacts.services.addresses import Labelled
from contacts.services.contacts import PARTS, part_values, parts_of, refuse_merged
from contacts.services.unreadable import MAX_DISMISSED, MAX_TEXTS, united, without

# A raw card goes along, so that what the product has no column for survives in exports.
FILLED = ("company", "role", "location", "description", "relationship", "vcard")
# Texts by kind, which are united, and how many of each kind.
_TEXTS = {"unreadable": MAX_TEXTS, "dismissed": MAX_DISMISSED}


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge does, or would do: the target's changed values, and how many rows follow."""

    target: Contact
    source: Contact
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    references: dict[str, int] = field(default_factory=dict)


def preview_merge(*, target_id: uuid.UUID, source_id: uuid.UUID) -> Merged:
    """What merge_contacts would do. Raises what it would raise; writes nothing."""
    target, source = _both(target_id, source_id, lock=False)
    held = part_values(target)
    fields, parts = _changes(target, source, held)
    values = {part.name: part.after for part in parts_of(target, parts, held)}
    before = {name: getattr(target, name) for name in fields}
    for name, value in fields.items():
        setattr(target, name, value)
    funnel.check(target, only=fields)
    changed = [name for name in parts if values[name] != held[name]]
    return Merged(
        target,
        source,
        before | {name: held[name] for name in changed},
        fields | {name: values[name] for name in changed},
        count_references(source),
    )


def merge_contacts(
    *,
    actor: Actor,
    target_id: uuid.UUID,
    source_id: uuid.UUID,
    expected_version: int | None = None,
    source_version: int | None = None,
    reason: str = "",
) -> Merged:
    """Merge `source` into `target`. The versions are those of a preview, if one was looked at."""
    target, source = _both(target_id, source_id, lock=True)
    for row, expected in ((target, expected_version), (source, source_version)):
        if expected is not None and expected != row.version:
            raise Stale("contact", expected=expected, actual=row.version)
    held = part_values(target)
    fields, parts = _changes(target, source, held)
    references = count_references(source)
    version = target.version
    funnel.update(
        target,
        fields,
        actor=actor,
        action="merge",
        reason=reason,
        parts=parts_of(target, parts, held),
    )
    change = _last_change(target, "merge") if target.version != version else None
    moved = merging(source, target)
    note = {"references": moved, "target_revision": str(change.pk) if change else None}
    funnel.update(
        source,
        {"merged_into_id": target.pk},
        actor=actor,
        action="merge",
        reason=reason,
        parts=parts_of(source, {name: [] for name in PARTS}),
        note=note,
    )
    before, after = (change.before, change.after) if change else ({}, {})
    return Merged(target, source, before, after, references)


def unmerge_contact(*, actor: Actor, source_id: uuid.UUID, reason: str = "") -> Merged:
    """Undo the merge of `source` into another: both are again as they were before it.

    What was added to the target since stays there. Conflict where the target was merged itself
    since, or where somebody changed what the merge had changed; it says what.
    """
    target_id = funnel.get_row(Contact, source_id).merged_into_id
    if target_id is None:
        raise Conflict("This contact is not merged into another.", code="not_merged")
    target, source = _locked(target_id, source_id)
    merge = _last_change(source, "merge")
    if source.merged_into_id != target_id or merge is None:
        raise Conflict("The record of this merge is gone.", code="merge_unknown")
    if target.merged_into_id is not None:
        raise Conflict(
            f"{target.name} was itself merged into {target.merged_into_id} since; undo that first.",
            code="merged_since",
        )
    wanted = merge.after.get("target_revision")
    change = Revision.objects.filter(pk=wanted, object_id=target_id).first() if wanted else None
    if wanted and change is None:
        raise Conflict("The record of this merge is gone.", code="merge_unknown")
    if change is not None:
        now = funnel.snapshot(target) | part_values(target)
        _refuse_changed(target, change, now)
        added = _with_added(change, now) | _texts_left(change, now)
        fields, parts = _from_json(change.before | added)
        held = parts_of(target, parts)
        funnel.update(target, fields, actor=actor, action="unmerge", reason=reason, parts=held)
    _, parts = _from_json(merge.before)
    funnel.update(
        source,
        {"merged_into_id": None},
        actor=actor,
        action="unmerge",
        reason=reason,
        parts=parts_of(source, parts),
    )
    unmerging(source, target, merge.after.get("references") or {})
    return Merged(target, source)


def _both(target_id: uuid.UUID, source_id: uuid.UUID, *, lock: bool) -> tuple[Contact, Contact]:
    if target_id == source_id:
        funnel.get_row(Contact, target_id)
        raise Invalid({"source_id": "a contact cannot be merged into itself"})
    if lock:
        target, source = _locked(target_id, source_id)
    else:
        target, source = (funnel.get_row(Contact, pk) for pk in (target_id, source_id))
    for row in (target, source):
        refuse_merged(row)
    return target, source


def _locked(target_id: uuid.UUID, source_id: uuid.UUID) -> tuple[Contact, Contact]:
    """Both rows, locked in one order whichever way they are merged."""
    rows = {
        pk: funnel.get_row(Contact, pk, lock=True) for pk in sorted((target_id, source_id), key=str)
    }
    return rows[target_id], rows[source_id]


def _changes(
    target: Contact, source: Contact, own: Mapping[str, list[str]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(fields, parts) that the target, which has the parts `own`, gets: only those that become
    different."""
    fields: dict[str, Any] = {
        name: getattr(source, name)
        for name in FILLED
        if not getattr(target, name).strip() and getattr(source, name).strip()
    }
    if source.notes.strip() and source.notes.strip() not in target.notes:
        fields["notes"] = f"{target.notes}\n\n{source.notes}" if target.notes else source.notes
    times = [t for t in (target.last_contact_at, source.last_contact_at) if t is not None]
    if times and max(times) != target.last_contact_at:
        fields["last_contact_at"] = max(times)
    metadata = source.metadata | target.metadata
    if metadata != target.metadata:
        fields["metadata"] = metadata
    for name, most in _TEXTS.items():
        texts = united(getattr(target, name), getattr(source, name), most)
        if texts != getattr(target, name):
            fields[name] = texts
    other = part_values(source)
    parts: dict[str, Any] = {"tags": [*own["tags"], *other["tags"]]}
    for name in ("emails", "phones"):
        parts[name] = read_parts([*own[name], *other[name]])
    return fields, parts


def read_parts(texts: Sequence[str]) -> list[Labelled]:
    """Emails or phones as a Revision keeps them."""
    return [Labelled.read(text) for text in texts]


def _last_change(row: Contact, action: str) -> Revision | None:
    """Index revision_object."""
    return Revision.objects.filter(object_id=row.pk, action=action).order_by("-id").first()


def _with_added(change: Revision, now: Mapping[str, Any]) -> dict[str, list[str]]:
    """Emails, phones and tags as they were before the merge, with those that came since."""
    return {
        name: [*change.before[name], *(one for one in now[name] if one not in change.after[name])]
        for name in PARTS & change.before.keys()
    }


def _texts_left(change: Revision, now: Mapping[str, Any]) -> dict[str, dict[str, list[str]]]:
    """What could not be read, and what was dismissed of it: as before the merge, without what went
    and with what came since."""
    left = {}
    for name, most in _TEXTS.items():
        if name in change.before:
            came = without(now.get(name), change.after.get(name))
            went = without(change.after.get(name), now.get(name))
            left[name] = united(without(change.before[name], went), came, most)
    return left


def _refuse_changed(target: Contact, change: Revision, now: Mapping[str, Any]) -> None:
    """Conflict naming what is no longer as the merge left it. An email, phone or tag that was added
    since is no such change; one that is gone is. What could not be read may come and go."""

    def differs(name: str) -> bool:
        left = change.after.get(name)
        if name in PARTS:
            return not set(left or ()) <= set(now[name])
        # A snapshot leaves out what is empty.
        return bool((now.get(name) or None) != (left or None))

    differing = [name for name in change.before if name not in _TEXTS and differs(name)]
    if differing:
        raise Conflict(
            f"Changed in {target.name} since the merge: {', '.join(sorted(differing))}. Undo those "
            "changes (a later merge first), then this one.",
            code="changed_since",
        )


def _from_json(recorded: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(fields, parts) from a Revision's values, as they were before."""
    fields: dict[str, Any] = {}
    parts: dict[str, Any] = {}
    for name, value in recorded.items():
        if name == "tags":
            parts[name] = value
        elif name in PARTS:
            parts[name] = read_parts(value)
        elif name != "merged_into_id":
            column: Any = Contact._meta.get_field(name)
            fields[name] = column.to_python(value)
    return fields, parts
