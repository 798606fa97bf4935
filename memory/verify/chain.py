"""The chain of changes: every Revision is as it was written, and none is missing from its seal.

What seals cover is proof against whoever can write the database. What is not sealed yet proves
only that a row was not changed in place, and the last seals could be cut off together: compare
the end of the chain, which is told, with one noted elsewhere. Read batch by batch; nothing here
can be mended.
"""

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime

from contacts.models import Revision, RevisionSeal
from contacts.services.digests import FIRST, revision_digest, seal_digest
from memory.verify.report import Check, Options, patient_scope

CATEGORY = "changes"
# Seals, of at most a thousand members each, and unsealed Revisions read by one transaction; rows
# held in memory at once.
SEALS, REVISIONS, PIECE = 10, 500, 200


def check(workspace_id: uuid.UUID, options: Options) -> Iterator[Check]:
    """Outside any scope: each batch opens its own."""
    revisions, seals = Check(CATEGORY, "revisions"), Check(CATEGORY, "seals")
    _sealed(workspace_id, revisions, seals)
    _unsealed(workspace_id, revisions)
    yield revisions
    yield seals


def _sealed(workspace_id: uuid.UUID, revisions: Check, seals: Check) -> None:
    last: RevisionSeal | None = None
    while True:
        with patient_scope(workspace_id):
            after = last.position if last else -1
            batch = RevisionSeal.objects.filter(position__gt=after).order_by("position")[:SEALS]
            found = list(batch)
            for seal in found:
                _seal(seal, last, revisions, seals)
                last = seal
        if len(found) < SEALS:
            break
    if last is not None:
        digest = bytes(last.digest).hex()
        seals.notes.append(
            f"the chain ends with seal {last.position:,} of {last.sealed_at:%Y-%m-%d %H:%M} UTC, "
            f"{digest}"
        )


def _seal(seal: RevisionSeal, last: RevisionSeal | None, revisions: Check, seals: Check) -> None:
    """Indexes revisionseal_position_unique and revision_seal."""
    due = last.position + 1 if last else 1
    for position in range(due, min(seal.position, due + 3)):
        seals.saw(False, f"seal {position:,} is missing")
    if seal.position > due + 3:
        seals.wrong_in_all([], seal.position - due - 3)
    # Read as they come: a thousand bodies may be large.
    digests: list[bytes] = []
    times: list[datetime] = []
    for member in Revision.objects.filter(seal=seal).order_by("id").iterator(PIECE):
        _look_at(member, revisions)
        digests.append(bytes(member.digest or b""))
        times.append(member.created_at)
    lost = seal.count - len(digests)
    name = f"seal {seal.position:,} of {seal.sealed_at:%Y-%m-%d %H:%M} UTC"
    if lost > 0:
        revisions.expected += lost
        revisions.wrong(
            f"{lost:,} of the {seal.count:,} under {name} {'is' if lost == 1 else 'are'} missing"
            f"{_between(times)}"
        )
    previous = bytes(last.digest) if last else FIRST
    made = seal_digest(seal, digests)
    if bytes(seal.previous) != previous and seal.position == due:
        seals.saw(False, f"{name} does not follow from the one before")
    elif lost < 0:
        seals.saw(False, f"{name} has {-lost:,} more members than it was made of")
    elif bytes(seal.digest) != made:
        seals.saw(False, f"{name} is not what its members make it")
    else:
        seals.saw(True, "")


def _between(times: Sequence[datetime]) -> str:
    """When a batch's other members were written, as a hint."""
    if not times:
        return ""
    first, last = (f"{time:%Y-%m-%d %H:%M}" for time in (times[0], times[-1]))
    return f"; the others are of {first}" + (f" to {last}" if last != first else "")


def _unsealed(workspace_id: uuid.UUID, revisions: Check) -> None:
    """Index revision_unsealed."""
    last: uuid.UUID | None = None
    count = 0
    while True:
        with patient_scope(workspace_id):
            rows = Revision.objects.filter(seal=None).order_by("id")
            found = list((rows.filter(id__gt=last) if last else rows)[:REVISIONS])
            for row in found:
                _look_at(row, revisions)
        count += len(found)
        if len(found) < REVISIONS:
            break
        last = found[-1].id
    if count:
        revisions.notes.append(f"{count:,} not sealed yet; the job does it within minutes")


def _look_at(row: Revision, revisions: Check) -> None:
    problem = _problem(row)
    what = f"{row.action} {row.model} {row.object_id}, {row.created_at:%Y-%m-%d %H:%M:%S} UTC"
    revisions.saw(not problem, f"revision {row.id} ({what}) {problem}")


def _problem(row: Revision) -> str:
    """What is wrong with a Revision by itself; empty where nothing is."""
    if row.digest is None:
        # Of a release that knew no digests; it gets one with its seal.
        return "is sealed without a digest" if row.seal_id else ""
    if row.erased_at is not None:
        says = row.before or row.after or row.reason or row.actor_label or row.salt
        return "is marked as erased and says something" if says else ""
    if row.salt is None:
        return "has lost its salt: it cannot be checked any more"
    if revision_digest(row, bytes(row.salt)) != bytes(row.digest):
        return "was changed after it was written"
    return ""
