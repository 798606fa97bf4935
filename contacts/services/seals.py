"""Sealing Revisions in batches, and emptying the bodies of sealed ones.

Writers never wait here: a Revision is written with its own digest, and a job (contacts/tasks.py)
chains what has settled. Not for how digests are made (digests.py) or checked (memory/verify).
"""

import uuid
from collections.abc import Sequence
from datetime import timedelta

from django.db import connection
from django.db.models import QuerySet

from config.lib import clock
from config.lib.actor import Actor
from config.lib.scope import current_workspace_id, workspace_scope
from contacts.models import Revision, RevisionSeal
from contacts.services import funnel
from contacts.services.digests import FIRST, new_salt, revision_digest, seal_digest

# So that a seal has more than one member, and chronology is mostly kept. Correctness needs no
# delay: a Revision whose transaction commits late is unsealed until the next seal takes it.
SETTLED = timedelta(minutes=1)
MOST_MEMBERS = 1000
JOB = Actor(kind="job", id="seal_revisions", label="seal revisions", channel="job")


def seal_settled(workspace_id: uuid.UUID, *, most_seals: int = 100) -> int:
    """Seal what has settled in a workspace, a transaction for each seal; how many Revisions.

    Opens its own scopes. With two at once, one makes each seal and the other stops.
    """
    total = 0
    for _ in range(most_seals):
        with workspace_scope(workspace_id):
            sealed = _seal_batch()
        total += sealed
        if sealed < MOST_MEMBERS:
            break
    return total


def _seal_batch() -> int:
    """The next seal, or 0. Indexes revisionseal_position_unique and revision_unsealed.

    The last seal is read before the members. Should another job make the next seal meanwhile, its
    position is taken, whatever members were read here, and nothing is written.
    """
    now = clock.now()
    last = RevisionSeal.objects.order_by("-position").first()
    unsealed = Revision.objects.filter(seal=None, created_at__lt=now - SETTLED)
    members = list(unsealed.order_by("id")[:MOST_MEMBERS])
    if not members:
        return 0
    for member in members:
        if member.digest is None:
            member.salt = new_salt()
            member.digest = revision_digest(member, member.salt)
    seal = RevisionSeal(
        position=last.position + 1 if last else 1,
        previous=bytes(last.digest) if last else FIRST,
        count=len(members),
        sealed_at=now,
    )
    seal.digest = seal_digest(seal, [bytes(member.digest or b"") for member in members])
    if not funnel.append_once(seal, actor=JOB):
        return 0
    _mark(seal, members)
    return len(members)


def _mark(seal: RevisionSeal, members: Sequence[Revision]) -> None:
    """One statement, or the workspace's policy refuses it: a sealed row cannot be sealed again."""
    with connection.cursor() as cursor:
        cursor.execute(
            # Should it be emptied at this very moment, its salt does not come back.
            "UPDATE contacts_revision r SET seal_id = %s, digest = m.digest, "
            "salt = CASE WHEN r.erased_at IS NULL THEN m.salt END "
            "FROM unnest(%s::uuid[], %s::bytea[], %s::bytea[]) AS m (id, salt, digest) "
            "WHERE r.workspace_id = %s AND r.id = m.id AND r.seal_id IS NULL",
            [
                seal.id,
                [member.id for member in members],
                [bytes(member.salt or b"") for member in members],
                [bytes(member.digest or b"") for member in members],
                current_workspace_id(),
            ],
        )
        if cursor.rowcount != len(members):
            raise RuntimeError(
                f"{cursor.rowcount} of {len(members)} Revisions took seal {seal.position}"
            )


def erase_bodies(object_ids: Sequence[uuid.UUID]) -> int:
    """Empty what the Revisions of these objects say; how many there were. See `empty`."""
    total = 0
    for start in range(0, len(object_ids), MOST_MEMBERS):
        some = object_ids[start : start + MOST_MEMBERS]
        total += empty(Revision.objects.filter(object_id__any_of=some, erased_at=None))
    return total


def empty(rows: QuerySet[Revision]) -> int:
    """Empty what Revisions say, and their salts; how many there were.

    For the owner's login, inside a scope: the runtime role may not. Who did what to which row and
    when stays, without the label. Digests stay, so the chain verifies as before; one of a release
    that knew none gets it first. What is not sealed yet is sealed later by its digest.
    """
    for row in rows.filter(digest=None):
        salt = new_salt()
        Revision.objects.filter(pk=row.pk).update(digest=revision_digest(row, salt))
    return rows.update(
        before={}, after={}, reason="", actor_label="", salt=None, erased_at=clock.now()
    )
