"""What was erased stays away: keyed hashes of it, asked before anything is written.

The funnel asks for every row it makes, and for new text on a statement (a memory, a contact). A
row with an id, an external id or a memory's content that was erased is refused, whoever brings
it. A statement that says an erased term is refused too. Other rows may say it, since people go on
talking; but where an import brings them, the text that says it is struck. Not for erasing
(memory/erasing).

Whoever asks holds a lock of the workspace until the transaction is over, and an erasure that has
set its tombstones waits for those that hold it (erasing.py): they may not have seen them.

Digests are HMAC-SHA-256 under a key made of SECRET_KEY and the workspace's id: they tell nothing to
who has only the database, and match nowhere else. With another SECRET_KEY they match nothing.
"""

import hmac
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from django.conf import settings
from django.db import connection, models

from config.lib.actor import Actor
from config.lib.errors import Erased
from config.lib.scope import current_workspace_id
from config.lib.wording import ERASED, Words, readings, texts_in
from contacts.models import Erasure, Tombstone
from contacts.services.erasing import lock_of

# The lock in a statement of its own: what is read after it sees what was committed before it.
_LOOK = (
    "SELECT pg_advisory_xact_lock_shared(%s); "
    "SELECT digest, words, erasure_id FROM contacts_tombstone "
    "WHERE workspace_id = %s AND (digest = ANY(%s) OR words > 0)"
)
# The same of a workspace that has none, as most: what is asked for need not be made, nor sent.
_ANY = (
    "SELECT pg_advisory_xact_lock_shared(%s); "
    "SELECT EXISTS (SELECT FROM contacts_tombstone WHERE workspace_id = %s)"
)
# Of more rows than this it pays to ask that first.
FEW = 10
# What says something of the world; by label, since memories lie in an app above.
STATEMENTS = frozenset({"memory.memory", "contacts.contact"})
# Names beside external_id that another system knows a row by.
NATIVE = ("claude_session_id", "vcard_uid")


# --- Digests ----------------------------------------------------------------------------------


def _key() -> bytes:
    secret = str(settings.SECRET_KEY).encode()
    return hmac.digest(secret, b"tombstones\n" + current_workspace_id().bytes, "sha256")


def _digest(key: bytes, parts: Iterable[str]) -> bytes:
    return _hashed(key, "".join(map(_piece, parts)))


def _piece(part: str) -> str:
    """With its length: no two lists of parts are written alike."""
    return f"{len(part)}:{part}"


def _hashed(key: bytes, said: str) -> bytes:
    return hmac.digest(key, said.encode("utf-8", "surrogatepass"), "sha256")


def marks_of(row: models.Model) -> list[tuple[str, ...]]:
    """What a row is known by: the parts of its digests."""
    label = row._meta.label_lower
    marks: list[tuple[str, ...]] = [("id", str(row.pk))]
    if getattr(row, "external_id", ""):
        marks.append(("named", label, getattr(row, "source", ""), getattr(row, "external_id", "")))
    marks += [("native", label, name, value) for name in NATIVE if (value := _text(row, name))]
    if label in STATEMENTS and (content := _text(row, "content_hash")):
        marks.append(("content", content))
    return marks


def _text(row: models.Model, name: str) -> str:
    return str(getattr(row, name, "") or "")


# --- Setting and lifting ----------------------------------------------------------------------


def bury(erasure: Erasure, *, marks: Iterable[tuple[str, ...]], terms: Iterable[Words] = ()) -> int:
    """Keep these away from now on; how many tombstones there are for the erasure."""
    key = _key()
    rows = {_digest(key, mark): 0 for mark in marks}
    rows |= {_digest(key, ("term", *term)): len(term) for term in terms}
    Tombstone.objects.bulk_create(
        [Tombstone(erasure=erasure, digest=found, words=words) for found, words in rows.items()],
        batch_size=1000,
        ignore_conflicts=True,
    )
    return len(rows)


def are_buried(marks: Iterable[tuple[str, ...]]) -> bool:
    """Whether any of these was erased. Index tombstone_digest_unique."""
    key = _key()
    return bool(_Found(key, {_digest(key, mark) for mark in marks}).whole)


# --- Asking -----------------------------------------------------------------------------------


def guard(
    rows: Sequence[models.Model],
    *,
    actor: Actor,
    parts: Mapping[uuid.UUID, Iterable[Any]] | None = None,
) -> None:
    """Before rows of one model are made; Erased for the first that may not be. `parts` are further
    values of each, by its id. Indexes tombstone_digest_unique, tombstone_terms."""
    if not rows:
        return
    if len(rows) > FEW and not _any():
        return
    key = _key()
    wanted = {_digest(key, mark) for row in rows for mark in marks_of(row)}
    found = _Found(key, wanted)
    if not found.any:
        return
    what = str(rows[0]._meta.verbose_name)
    if found.whole:
        raise Erased(what, found.whole)
    for row in rows:
        if row._meta.label_lower in STATEMENTS:
            further = (parts or {}).get(row.pk, ())
            if said := found.terms.said_in([*_values(row), *further]):
                raise Erased(what, said)
        elif actor.channel == "import" and (said := _strike(row, found.terms)):
            raise Erased(what, said)


def guard_changes(changed: Sequence[tuple[models.Model, Mapping[str, Any], Iterable[Any]]]) -> None:
    """Before statements of one model are changed: what they would say, each with (its changes,
    further values). Erased where that may not be."""
    stated = [one for one in changed if one[0]._meta.label_lower in STATEMENTS]
    if not stated or (len(stated) > FEW and not _any()):
        return
    key = _key()
    contents = [content for _, now, _ in stated if (content := now.get("content_hash"))]
    found = _Found(key, {_digest(key, ("content", str(one))) for one in contents})
    if not found.any:
        return
    what = str(stated[0][0]._meta.verbose_name)
    if found.whole:
        raise Erased(what, found.whole)
    for _, now, further in stated:
        said = [value for value in now.values() if isinstance(value, (str, dict, list))]
        if refusing := found.terms.said_in([*said, *further]):
            raise Erased(what, refusing)


def striker(actor: Actor) -> Callable[[models.Model, Iterable[str]], None]:
    """What an import calls before it writes named fields of rows that are there: the texts in them
    that say an erased term are struck. Statements are refused instead (`guard_changes`)."""
    found = _Found(_key(), set()) if actor.channel == "import" else None

    def strike(row: models.Model, names: Iterable[str]) -> None:
        if found is None or not found.any or row._meta.label_lower in STATEMENTS:
            return
        if said := _strike(row, found.terms, names):
            raise Erased(str(row._meta.verbose_name), said)

    return strike


def without_terms(values: Any, *, actor: Actor) -> Any:
    """A JSON value as an import may write it: texts in it that say an erased term struck."""
    if actor.channel != "import":
        return values
    found = _Found(_key(), set())
    return found.terms.strike(values) if found.any else values


def _any() -> bool:
    """Whether the workspace has tombstones at all."""
    with connection.cursor() as cursor:
        workspace_id = current_workspace_id()
        cursor.execute(_ANY, [lock_of(workspace_id), workspace_id])
        cursor.nextset()
        return bool(cursor.fetchall()[0][0])


class _Found:
    """The tombstones that may matter to some rows: those of `wanted`, and of all terms."""

    def __init__(self, key: bytes, wanted: set[bytes]) -> None:
        with connection.cursor() as cursor:
            # Before each write, so not through the ORM, which takes longer than the look-up.
            workspace_id = current_workspace_id()
            cursor.execute(_LOOK, [lock_of(workspace_id), workspace_id, list(wanted)])
            cursor.nextset()
            held = cursor.fetchall()
        self.any = bool(held)
        self.whole = {erasure for found, _, erasure in held if bytes(found) in wanted}
        self.terms = _Terms(
            key,
            [(bytes(found), erasure) for found, words, erasure in held if words],
            sorted({words for _, words, _ in held if words}),
        )


class _Terms:
    """Terms of which only digests are known: every run of as many words is hashed and compared."""

    def __init__(
        self, key: bytes, digests: Iterable[tuple[bytes, uuid.UUID]], lengths: Sequence[int]
    ) -> None:
        self.key = key
        self.digests: dict[bytes, set[uuid.UUID]] = defaultdict(set)
        for digest, erasure in digests:
            self.digests[digest].add(erasure)
        self.lengths = lengths

    def said_in(self, value: Any) -> set[uuid.UUID]:
        """The erasures of the terms that a JSON value says."""
        if not self.digests:
            return set()
        return {one for text in texts_in(value) for one in self._said(text)}

    def _said(self, text: str) -> set[uuid.UUID]:
        head = _piece("term")
        runs = set()
        for words in readings(text):
            pieces = [_piece(word) for word in words]
            runs |= {
                "".join(pieces[i : i + n]) for n in self.lengths for i in range(len(pieces) - n + 1)
            }
        hashed = (_hashed(self.key, head + run) for run in runs)
        return {one for digest in hashed if digest in self.digests for one in self.digests[digest]}

    def strike(self, value: Any) -> Any:
        if isinstance(value, str):
            return ERASED if self._said(value) else value
        if isinstance(value, Mapping):
            return {self.strike(str(key)): self.strike(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.strike(one) for one in value]
        return value


def _says_something(field: Any) -> bool:
    base = getattr(field, "base_field", field)
    says = isinstance(base, (models.CharField, models.TextField, models.JSONField))
    return says and not getattr(base, "choices", None)


def _values(row: models.Model) -> Iterator[Any]:
    for field in row._meta.concrete_fields:
        if _says_something(field):
            yield getattr(row, field.attname)


@cache
def _told_apart_by(model: type[models.Model]) -> frozenset[str]:
    """Fields by which a row is found again: nothing else can stand there."""
    unique = (
        one.fields for one in model._meta.constraints if isinstance(one, models.UniqueConstraint)
    )
    return frozenset({"external_id", "source", *NATIVE, *(n for names in unique for n in names)})


def _strike(row: models.Model, terms: "_Terms", names: Iterable[str] | None = None) -> set[Any]:
    """What an import brings, in place; the erasures of the terms that a name says by which the row
    is told apart: it cannot be without, nor with it."""
    wanted = None if names is None else frozenset(names)
    refusing: set[Any] = set()
    for field in row._meta.concrete_fields:
        if not _says_something(field) or (wanted is not None and field.name not in wanted):
            continue
        value = getattr(row, field.attname)
        if not value or terms.strike(value) == value:
            continue
        if field.name in _told_apart_by(type(row)):
            refusing |= terms.said_in(value)
        else:
            setattr(row, field.attname, terms.strike(value))
    return refusing
