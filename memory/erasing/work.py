"""Looking at what an erasure would do, and doing it, by the owner's login.

In two transactions: its tombstones first, so that nothing more of it is written; then, when those
who were writing before are done, all the rest. A third looks at what was written meanwhile. Outside
any scope; each opens its own. One that died before the end of the second removed nothing, and is
begun again.
"""

import contextlib
import time
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import DatabaseError

from config.lib import clock
from config.lib.actor import Actor
from config.lib.db.models import WorkspaceRow
from config.lib.db.owner import as_owner
from config.lib.errors import Conflict
from config.lib.wording import Phrases
from contacts.models import (
    Contact,
    ContactTag,
    Erasure,
    IdempotencyKey,
    Revision,
    Tag,
)
from contacts.models.erasure import ErasureKind, ErasureState
from contacts.services import erasing, funnel, seals, tombstones
from memory.erasing import sweep
from memory.erasing.found import Found, Progress, what_goes
from memory.erasing.going import Going, in_parts
from memory.erasing.indexes import reindex
from memory.importers import uploads
from memory.models import (
    Backup,
    Evidence,
    GoldenQuery,
    GoldenResult,
    Lesson,
    Memory,
    Receipt,
    SearchFeedback,
)
from memory.services import consolidation, passages
from memory.verify.report import patient_scope
from sessions.models import Mission, Session

# Named in a preview; ids alone.
NAMED = 50
AT_ONCE = 500
WHAT = "erase"
# How long it waits for those who were writing; imports write in batches of seconds.
OUTLAST_SECONDS = 600.0
LOOK_SECONDS, TELL_SECONDS = 0.05, 10.0
# Of the processes that write.
CLOCKS_DIFFER = timedelta(minutes=10)


def look(erasure: Erasure, progress: Progress = lambda text: None) -> dict[str, Any]:
    """What it would do; in a scope, as whoever. Nothing is written."""
    found = Found(what_goes(erasure), progress)
    found.find_changes(progress)
    named = [
        {"model": model._meta.label_lower, "id": str(pk)}
        for model in (Memory, Contact, Session)
        for pk in sorted(found.going.rows.get(model, ()))
    ]
    return {
        **found.told(),
        "revisions": len(found.revisions),
        "named": named[:NAMED],
        "remains": remains(erasure),
    }


def carry_out(
    workspace_id: uuid.UUID,
    erasure_id: uuid.UUID,
    *,
    actor: Actor,
    progress: Progress = lambda text: None,
) -> dict[str, Any]:
    """Do it, in the name of `actor`; the report. How far it is stands on the erasure, and is told
    to `progress`. Outside any scope. Conflict `no_owner_login`, NotFound where it is gone by now.
    """
    with as_owner(WHAT) as runtime:
        tell = _teller(runtime, workspace_id, erasure_id, progress)
        with patient_scope(workspace_id):
            erasure = funnel.get_row(Erasure, erasure_id)
            tell("burying")
            _bury(erasure, what_goes(erasure))
        tell("waiting for writers")
        began = clock.now() - CLOCKS_DIFFER
        _outlast_writers(workspace_id, tell)
        with patient_scope(workspace_id):
            found, report = _carry_out(erasure_id, actor, tell)
        _look_again(workspace_id, found, actor, began)
        return report


def _look_again(workspace_id: uuid.UUID, found: Found, actor: Actor, began: datetime) -> None:
    """Whoever had read what went, and wrote an answer or a change that says it while the rest was
    removed, was not seen. It is done already, whatever comes of this."""
    with contextlib.suppress(Conflict, DatabaseError):
        _outlast_writers(workspace_id, lambda text: None)
        with patient_scope(workspace_id):
            found.find_changes(lambda text: None, but=actor.request_id, since=began)
            _empty(found)


def _outlast_writers(workspace_id: uuid.UUID, tell: Progress) -> None:
    """Until all are done who may not have seen the tombstones, so that what they wrote is found.
    Conflict `writers` when that takes too long."""
    written = [model for model in apps.get_models() if issubclass(model, WorkspaceRow)]
    waiting = erasing.under_way(workspace_id, written)
    until, telling = time.monotonic() + OUTLAST_SECONDS, time.monotonic() + TELL_SECONDS
    while waiting:
        now = time.monotonic()
        if now > until:
            raise Conflict(
                f"What was being written {OUTLAST_SECONDS / 60:.0f} minutes ago is not done yet "
                "(a long import, or a transaction that was forgotten); nothing was removed.",
                code="writers",
            )
        if now > telling:
            telling = now + TELL_SECONDS
            tell("waiting for writers")
        time.sleep(LOOK_SECONDS)
        waiting &= erasing.under_way(workspace_id, written)


def _carry_out(erasure_id: uuid.UUID, actor: Actor, tell: Progress) -> tuple[Found, dict[str, Any]]:
    erasing.take(erasure_id)
    erasure = funnel.get_row(Erasure, erasure_id)
    if erasure.state != ErasureState.RUNNING:
        raise Conflict("Another process has carried it out, or given it up.", code="wrong_state")
    consolidation.hold()
    found = Found(what_goes(erasure, held=True), tell)
    # While the rows are there to say what they are known by.
    buried = _bury(erasure, found.going)
    tell("looking for mentions")
    _forget_mentions(found, actor)
    tell("striking words")
    _strike(found, actor)
    tell("removing")
    _remove(found, actor)
    found.find_changes(tell, but=actor.request_id)
    tell("emptying changes")
    report = {"revisions": _empty(found), "tombstones": buried, **found.told()}
    report["remains"] = remains(erasure)
    now = clock.now()
    funnel.touch(erasure, report=report, progress="", ended_at=now, beat_at=now)
    funnel.update(erasure, {"state": ErasureState.DONE, "wanted": ""}, actor=actor, action="done")
    return found, report


def _teller(
    runtime: Any, workspace_id: uuid.UUID, erasure_id: uuid.UUID, progress: Progress
) -> Progress:
    """Tells how far it is by the runtime role's own connection: others see nothing of the owner's
    transaction before its end, and it holds no lock on the erasure until then."""

    def tell(text: str) -> None:
        progress(text)
        runtime.ensure_connection()
        with runtime.connection.transaction():
            runtime.connection.execute(
                "SELECT set_config('app.workspace', %s, true)", [str(workspace_id)]
            )
            runtime.connection.execute(
                "UPDATE contacts_erasure SET progress = %s, beat_at = %s "
                "WHERE workspace_id = %s AND id = %s",
                [text[:200], clock.now(), workspace_id, erasure_id],
            )

    return tell


def _bury(erasure: Erasure, going: Going) -> int:
    marks = going.marks | set(_marks(going))
    return tombstones.bury(erasure, marks=marks, terms=going.terms)


def _marks(going: Going) -> Iterable[tuple[str, ...]]:
    for model, ids in going.rows.items():
        for some in in_parts(ids):
            for row in model.objects.filter(pk__any_of=some).defer(None):
                yield from tombstones.marks_of(row)
    for model, ids in going.below.items():
        # A transcript's threads; what else goes below is not known by a name of its own.
        if any(field.name == "external_id" for field in model._meta.concrete_fields):
            for some in in_parts(ids):
                for row in model.objects.filter(pk__any_of=some).defer(None):
                    yield from tombstones.marks_of(row)


def _empty(found: Found) -> int:
    """And the answers that were kept."""
    for some in in_parts(found.answers):
        IdempotencyKey.objects.filter(pk__any_of=some).delete()
    changes = (Revision.objects.filter(pk__any_of=some) for some in in_parts(found.revisions))
    return sum(seals.empty(rows.filter(erased_at=None)) for rows in changes)


def _forget_mentions(found: Found, actor: Actor) -> None:
    """What names a row that goes, or was made of its words, without being tied to it."""
    ids = found.going.every_id()
    names = {str(pk) for pk in ids}
    for some in in_parts(ids):
        SearchFeedback.objects.filter(hit_id__any_of=some).delete()
        # By a digest of the words: whoever guesses them could tell that they were there.
        Lesson.objects.filter(memory_id__in=some).delete()
        Lesson.objects.filter(session_id__in=some).delete()
    Receipt.objects.filter(pk__in=found.going.receipts).delete()
    for pk, hits in Receipt.objects.values_list("pk", "hits").iterator(chunk_size=AT_ONCE):
        left = [hit for hit in hits if str(hit.get("id", "")) not in names]
        if len(left) < len(hits):
            Receipt.objects.filter(pk=pk).update(hits=left, hit_count=len(left))
    for query in GoldenQuery.objects.all():
        expected = [one for one in query.expected if one not in names]
        if not expected and query.expected:
            found.going.deleted.add(query.pk)
            funnel.erase([query], actor=actor)
        elif len(expected) < len(query.expected):
            funnel.strike([query], {"expected": expected}, actor=actor)
    for result in GoldenResult.objects.iterator(chunk_size=AT_ONCE):
        lists = {
            "ranks": {key: rank for key, rank in result.ranks.items() if key not in names},
            "missing": [one for one in result.missing if one not in names],
            "lost": [one for one in result.lost if one not in names],
            "regained": [one for one in result.regained if one not in names],
        }
        if any(value != getattr(result, name) for name, value in lists.items()):
            GoldenResult.objects.filter(pk=result.pk).update(**lists)
    found.going.deleted |= consolidation.forget(names, actor=actor)
    Mission.objects.filter(session_id__in=found.going.ids(Session)).update(
        output_summary="", error=""
    )


def _strike(found: Found, actor: Actor) -> None:
    phrases = Phrases(found.going.phrases)
    # Whose passages say what is not in their own rows: a tag, an address.
    around = _contacts_around(found)
    for model, ids in found.hits.items():
        for some in in_parts(ids):
            # Most become the same word: a statement for all of them.
            alike: dict[str, tuple[dict[str, Any], list[Any]]] = {}
            for row in model.objects.filter(pk__any_of=some).defer(None).order_by("pk"):
                changes = sweep.struck(row, phrases)
                if changes:
                    alike.setdefault(repr(sorted(changes.items())), (changes, []))[1].append(row)
            for changes, rows in alike.values():
                funnel.strike(rows, changes, actor=actor)
            reindex(model, some, actor)
    for model, addresses in found.removed_too.items():
        model.objects.filter(pk__in=addresses).delete()
    for some in in_parts(around - found.going.rows.get(Contact, set())):
        rows = Contact.objects.filter(pk__any_of=some).order_by("pk")
        passages.index_contacts(list(rows), actor)


def _contacts_around(found: Found) -> set[uuid.UUID]:
    around: set[uuid.UUID] = set()
    for some in in_parts(found.hits.get(Tag, ())):
        tagged = ContactTag.objects.filter(tag_id__in=some)
        around |= set(tagged.values_list("contact_id", flat=True))
    for model, addresses in found.removed_too.items():
        for some in in_parts(addresses):
            rows = model.objects.filter(pk__any_of=some)
            around |= set(rows.values_list("contact_id", flat=True))
    return around


def _remove(found: Found, actor: Actor) -> None:
    going = found.going
    Evidence.objects.filter(pk__in=going.evidence).delete()
    # Memories before the sessions they name; what else there is in any order.
    models = sorted(going.rows, key=lambda model: (model is Session, model._meta.label_lower))
    for model in models:
        for some in in_parts(going.rows[model]):
            rows = list(model.objects.filter(pk__any_of=some).defer(None))
            funnel.erase(rows, actor=actor)
    for some in in_parts(going.losing):
        passages.index_memories(list(Memory.objects.filter(pk__any_of=some)), actor)


# --- What remains -----------------------------------------------------------------------------


def remains(erasure: Erasure) -> list[str]:
    """Where what was erased may still be, and until when; sentences without a word of it."""
    said = [backups_kept()]
    waiting = uploads.root() / str(erasure.workspace_id)
    folders = len(list(waiting.iterdir())) if waiting.is_dir() else 0
    if folders:
        said.append(
            f"{folders} uploads that wait to be imported were not opened; each is deleted after "
            "its import or within a day, and its import leaves out what was erased."
        )
    if erasure.kind == ErasureKind.CONTACT:
        said.append(
            "Texts in which only one word of the name stands were left; erase that as a term."
        )
    said += [
        "Revisions keep who changed which row when; their seals hold salted digests of what was "
        "emptied, and the salts are gone.",
        "Other workspaces were not looked at.",
        "Files that were exported, logs, and what agents keep on their own machines (transcripts, "
        "what waits there to be sent) are out of reach; sent again, it is left out.",
        "Until the database has vacuumed its tables and reused its log, its files hold remnants.",
    ]
    return said


def backups_kept() -> str:
    """How many there are and until when; they have what was stored then."""
    kept = Backup.objects.filter(kept=True).order_by("-started_at")
    count = kept.count()
    if not count:
        return "There are no backups that this installation knows of."
    newest = kept.first()
    assert newest is not None
    said = f"Backups in {settings.BACKUP_DIR} made before: {count:,}, the last on "
    said += f"{newest.started_at:%Y-%m-%d %H:%M} UTC"
    if settings.BACKUP_KEEP and settings.BACKUP_HOURS:
        days = timedelta(hours=settings.BACKUP_HOURS * settings.BACKUP_KEEP)
        return f"{said}; by rotation they are gone about {clock.now() + days:%Y-%m-%d}."
    return f"{said}; none goes by itself, delete them. Copies elsewhere are yours to delete too."
