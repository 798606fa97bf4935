"""Looking at what an erasure would do, and doing it: one transaction, by the owner's login.

Outside any scope; each opens its own. One that died left nothing done, and is begun again.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings

from config.lib import clock
from config.lib.actor import Actor
from config.lib.db.owner import as_owner
from config.lib.errors import NotFound
from config.lib.wording import Phrases, number_in, words_of
from contacts.models import (
    Contact,
    ContactEmail,
    ContactPhone,
    ContactTag,
    Erasure,
    IdempotencyKey,
    Revision,
    Tag,
)
from contacts.models.erasure import ErasureKind, ErasureState
from contacts.services import funnel, seals, tombstones
from memory.erasing import sweep
from memory.erasing.going import (
    Going,
    Model,
    add_contacts,
    add_deleted,
    add_memories,
    add_session,
    follow,
    in_parts,
    name_contacts,
)
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
Progress = Callable[[str], None]


class Found:
    """What an erasure comes to: rows that go, and those in which its words are struck."""

    def __init__(self, erasure: Erasure, progress: Progress) -> None:
        self.going = Going()
        self.hits: dict[Model, list[uuid.UUID]] = {}
        self.revisions: list[uuid.UUID] = []
        self.answers: list[uuid.UUID] = []
        self.removed_too: dict[Model, set[uuid.UUID]] = {}
        self._find(erasure, progress)

    def _find(self, erasure: Erasure, progress: Progress) -> None:
        going, target = self.going, erasure.target_id or uuid.UUID(int=0)
        match ErasureKind(erasure.kind):
            case ErasureKind.MEMORY:
                _there(Memory, target)
                add_memories(going, [target])
            case ErasureKind.SESSION:
                _there(Session, target)
                add_session(going, target)
            case ErasureKind.CONTACT:
                _there(Contact, target)
                add_contacts(going, [target])
                name_contacts(going)
            case ErasureKind.TERM:
                said = words_of(erasure.wanted)
                going.terms |= {said, words_of(number_in(said))}
                going.terms.discard(())
                going.phrases |= going.terms
        before = -1
        while before != len(going.rows[Memory]):
            before = len(going.rows[Memory])
            self._statements(erasure)
            follow(going)
        add_deleted(going)
        phrases = Phrases(going.phrases)
        for model in sweep.swept(going.copies_only) if phrases else ():
            progress(f"looking through {model._meta.verbose_name_plural}")
            mine = going.ids(model)
            found = [row.pk for row in sweep.rows_saying(model, phrases) if row.pk not in mine]
            if not found:
                continue
            if model in (ContactEmail, ContactPhone):
                self.removed_too[model] = set(found)
            else:
                self.hits[model] = found
        progress("looking through changes")
        if phrases:
            self.revisions = list(sweep.revisions_saying(phrases))
        self.answers = list(sweep.answers_saying(phrases, going.every_id()))

    def _statements(self, erasure: Erasure) -> None:
        """Memories that say it go, and of a term whoever is called so."""
        going = self.going
        if going.copies_only:
            return
        phrases = Phrases(going.phrases)
        saying = {row.pk for row in sweep.rows_saying(Memory, phrases)}
        if erasure.kind == ErasureKind.TERM:
            name = [Contact._meta.get_field("name")]
            people = {row.pk for row in sweep.rows_saying(Contact, phrases, name)}
            for model in (ContactEmail, ContactPhone):
                people |= {row.contact_id for row in sweep.rows_saying(model, phrases)}
            add_contacts(going, people)
            saying |= {row.memory_id for row in sweep.rows_saying(Evidence, phrases)}
        add_memories(going, saying)

    def told(self) -> dict[str, Any]:
        """Counts by table, as a report has them."""
        counts: Counter[str] = Counter(self.going.counts())
        for model, ids in self.removed_too.items():
            counts[str(model._meta.verbose_name)] += len(ids)
        counts["evidence"] += len(self.going.evidence)
        counts["kept answer"] += len(self.answers)
        return {
            "removed": dict(sorted((+counts).items())),
            "struck": {str(model._meta.verbose_name): len(ids) for model, ids in self.hits.items()},
            "losing": len(self.going.losing),
        }


def _there(model: Model, pk: uuid.UUID) -> None:
    if not model.objects.filter(pk=pk).exists():
        raise NotFound(str(model._meta.verbose_name), pk)


def look(erasure: Erasure, progress: Progress = lambda text: None) -> dict[str, Any]:
    """What it would do; in a scope, as whoever. Nothing is written."""
    found = Found(erasure, progress)
    touched = set(found.revisions)
    for some in in_parts(found.going.every_id()):
        rows = Revision.objects.filter(object_id__any_of=some, erased_at=None)
        touched |= set(rows.values_list("pk", flat=True))
    named = [
        {"model": model._meta.label_lower, "id": str(pk)}
        for model in (Memory, Contact, Session)
        for pk in sorted(found.going.rows.get(model, ()))
    ]
    return {
        **found.told(),
        "revisions": len(touched),
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
    with as_owner(WHAT) as runtime, patient_scope(workspace_id):
        tell = _teller(runtime, workspace_id, erasure_id, progress)
        erasure = funnel.get_row(Erasure, erasure_id)
        consolidation.hold()
        found = Found(erasure, tell)
        report = found.told()
        # While the rows are there to say what they are known by.
        marks = found.going.marks | set(_marks(found.going))
        tell("emptying changes")
        report["revisions"] = _empty(found)
        tell("looking for mentions")
        _forget_mentions(found, actor)
        tell("striking words")
        _strike(found, actor)
        tell("removing")
        _remove(found, actor)
        tell("burying")
        report["tombstones"] = tombstones.bury(erasure, marks=marks, terms=found.going.terms)
        report["remains"] = remains(erasure)
        now = clock.now()
        funnel.touch(erasure, report=report, progress="", ended_at=now, beat_at=now)
        funnel.update(
            erasure, {"state": ErasureState.DONE, "wanted": ""}, actor=actor, action="done"
        )
    return report


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
    emptied = seals.erase_bodies(sorted(found.going.every_id()))
    for some in in_parts(found.revisions):
        emptied += seals.empty(Revision.objects.filter(pk__any_of=some, erased_at=None))
    return emptied


def _forget_mentions(found: Found, actor: Actor) -> None:
    """What names a row that goes, or was made of its words, without being tied to it."""
    ids = found.going.every_id()
    names = {str(pk) for pk in ids}
    for some in in_parts(ids):
        SearchFeedback.objects.filter(hit_id__any_of=some).delete()
        # By a digest of the words: whoever guesses them could tell that they were there.
        Lesson.objects.filter(memory_id__in=some).delete()
        Lesson.objects.filter(session_id__in=some).delete()
    for some in in_parts(found.answers):
        IdempotencyKey.objects.filter(pk__any_of=some).delete()
    Receipt.objects.filter(pk__in=found.going.receipts).delete()
    for pk, hits in Receipt.objects.values_list("pk", "hits").iterator(chunk_size=AT_ONCE):
        left = [hit for hit in hits if str(hit.get("id", "")) not in names]
        if len(left) < len(hits):
            Receipt.objects.filter(pk=pk).update(hits=left, hit_count=len(left))
    for query in GoldenQuery.objects.all():
        expected = [one for one in query.expected if one not in names]
        if not expected and query.expected:
            seals.erase_bodies([query.pk])
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
    consolidation.forget(names, actor=actor)
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
    said = f"{count:,} backups in {settings.BACKUP_DIR} were made before, the last on "
    said += f"{newest.started_at:%Y-%m-%d %H:%M} UTC"
    if settings.BACKUP_KEEP and settings.BACKUP_HOURS:
        days = timedelta(hours=settings.BACKUP_HOURS * settings.BACKUP_KEEP)
        return f"{said}; by rotation they are gone about {clock.now() + days:%Y-%m-%d}."
    return f"{said}; none goes by itself, delete them. Copies elsewhere are yours to delete too."
