"""How far a workspace's embedding spaces are, how alike they find, and their indexes. Only reads,
but for the index, which the tables' owner makes.
"""

import uuid
from dataclasses import dataclass

import psycopg
from django.conf import settings
from django.db import connection
from psycopg import sql

from config.lib.scope import current_workspace_id, set_local, workspace_scope
from memory.models import EmbeddingSpace
from memory.models.passage import COLUMNS, EF_CONSTRUCTION, Slot
from memory.search.corpus import corpus
from memory.search.dense import forget_indexes, is_indexed, nearest, place_of
from memory.search.filters import Filter

# What the comparison asks: passages that stand for queries, and how many of the nearest count.
SAMPLED, NEAREST = 100, 10


@dataclass(frozen=True, slots=True)
class Standing:
    """One space: how many of the passages have their vector in it, and whether search has an
    index of it (it compares all, where it has none)."""

    space: EmbeddingSpace
    vectors: int
    passages: int
    indexed: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of `asked` passages taken as queries: the share of the ten nearest by the first space that
    are among the ten nearest by the second."""

    asked: int
    overlap: float


def standings(workspace_id: uuid.UUID) -> list[Standing]:
    """Of every space, the active one first. Opens its own scope; one scan of the passages."""
    with workspace_scope(workspace_id), connection.cursor() as cursor:
        set_local("statement_timeout", "0")
        spaces = list(EmbeddingSpace.objects.order_by("state", "id"))
        counted = ", ".join(f"count({at.vector})" for at in COLUMNS.values())
        cursor.execute(
            f"SELECT count(*), {counted} FROM memory_passage WHERE workspace_id = %s",  # noqa: S608
            [workspace_id],
        )
        passages, *vectors = cursor.fetchone()
        by_slot = dict(zip(COLUMNS, vectors, strict=True))
        return [
            Standing(one, by_slot[Slot(one.slot)], passages, is_indexed(place_of(one.id)))
            for one in spaces
        ]


def compare(workspace_id: uuid.UUID, one: EmbeddingSpace, other: EmbeddingSpace) -> Comparison:
    """How alike two spaces find, by searches as search makes them. Opens its own scopes; one scan
    of the passages."""
    with workspace_scope(workspace_id):
        set_local("statement_timeout", "0")
        ids = _sample(one, other)
    shares = []
    for passage in ids:
        with workspace_scope(workspace_id):
            first, second = (_nearest(space, passage) for space in (one, other))
        if first:
            shares.append(len(first & second) / len(first))
    return Comparison(len(shares), sum(shares) / len(shares) if shares else 0.0)


def _sample(one: EmbeddingSpace, other: EmbeddingSpace) -> list[uuid.UUID]:
    """Passages with both vectors, any of them as likely as another, and the same each time.

    Not by moments between the first and the last: most passages are written in a few bursts.
    """
    both = " AND ".join(f"{COLUMNS[Slot(space.slot)].vector} IS NOT NULL" for space in (one, other))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM memory_passage WHERE workspace_id = %s AND {both} "  # noqa: S608
            "ORDER BY uuid_hash(id), id LIMIT %s",
            [current_workspace_id(), SAMPLED],
        )
        return [row_id for (row_id,) in cursor.fetchall()]


def _nearest(space: EmbeddingSpace, passage: uuid.UUID) -> set[str]:
    vector = COLUMNS[Slot(space.slot)].vector
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {vector}::text FROM memory_passage WHERE workspace_id = %s AND id = %s",  # noqa: S608
            [current_workspace_id(), passage],
        )
        row = cursor.fetchone()
    if row is None or row[0] is None:
        return set()
    found = nearest(
        row[0],
        space_id=space.id,
        figures=corpus(),
        narrowed=Filter(),
        condition="",
        # Itself is the nearest.
        most=NEAREST + 1,
    )
    return set(found) - {str(passage)}


def make_index(space: EmbeddingSpace) -> str:
    """Make the index of vectors of the space's length in its slot, while serving, unless there is
    one; its name, or empty where it was there. Outside any scope.

    Until it is there, searches compare all vectors. Raises psycopg.Error. Without an owner's login
    (settings.OWNER_URL) the caller shows `index_sql` instead.
    """
    name, statement = index_sql(space)
    with psycopg.connect(settings.OWNER_URL, autocommit=True) as owner:
        there = owner.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [name]
        ).fetchone()
        if there is not None and there[0]:
            return ""
        # It waits for every transaction that is open, and reads the whole table.
        owner.execute("SET lock_timeout = 0")
        owner.execute("SET statement_timeout = 0")
        if there is not None:
            # Left by one that was killed.
            drop = sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier(name))
            owner.execute(drop)
        owner.execute(statement)
    forget_indexes()
    return name


def index_sql(space: EmbeddingSpace) -> tuple[str, sql.SQL]:
    """(name, statement)."""
    slot, n = Slot(space.slot), int(space.dimensions)
    vector = COLUMNS[slot].vector
    name = f"passage_vectors_{slot.value}_{n}"
    return name, sql.SQL(
        f"CREATE INDEX CONCURRENTLY {name} ON memory_passage "
        f"USING hnsw (({vector}::halfvec({n})) halfvec_cosine_ops) "
        f"WITH (ef_construction = {EF_CONSTRUCTION}) WHERE vector_dims({vector}) = {n}"
    )
