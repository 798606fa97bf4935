"""Reads an experience store: which rows there are, and which belong together."""

import contextlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from memory.importers.experience_store import mapping
from memory.importers.keys import Seen
from memory.importers.problems import Problem
from memory.importers.rows import Entry
from memory.importers.source import Options
from memory.importers.sqlite import Database, opened, wrong_kind

BATCH = 500
# Which tables are carried over, with all columns that a version of the store has had.
TABLES: dict[str, tuple[str, ...]] = {
    "experience": (
        "id", "type", "created_at", "content", "provenance", "evidence_ptrs", "confidence",
        "embeddings", "affect", "parents", "causes", "sign", "ownership", "session_id",
        "consolidated",
    ),
    "session": (
        "id", "user_id", "start_time", "end_time", "last_activity", "status", "experience_ids",
        "consolidated_narrative_id", "session_metadata",
    ),
    "signature_embedding": (
        "id", "experience_id", "role", "embedding_model", "label", "hash", "salience",
        "emb_metadata",
    ),
    "affect_snapshot": (
        "id", "experience_id", "actor", "stage", "primary_emotion", "valence", "arousal",
        "dominance", "confidence", "notes", "signals",
    ),
    "memory_decay_metrics": (
        "experience_id", "access_count", "last_accessed", "entropy_score", "emotional_salience",
        "decay_factor", "last_calculated",
    ),
    "belief_nodes": (
        "belief_id", "canonical_text", "canonical_hash", "belief_type", "polarity", "created_at",
        "last_reinforced_at", "activation", "core_score", "status", "embedding",
    ),
    "belief_occurrences": (
        "occurrence_id", "belief_id", "source_experience_id", "extractor_version", "raw_text",
        "raw_span", "source_weight", "atom_confidence", "epistemic_frame", "epistemic_confidence",
        "match_confidence", "context_id", "created_at", "deleted_at",
    ),
}  # fmt: skip
# What has no counterpart here, with why.
IGNORED = {
    "stream_assignments": "streams of beliefs have no counterpart",
    "tentative_links": "links between beliefs that were never confirmed",
    "conflict_edges": "conflicts between beliefs have no counterpart",
}
OCCURRENCES = "belief_occurrences"
# Tables whose rows become part of the experience that they name: (table, its key).
_SIBLINGS = (
    ("signature_embedding", "id"),
    ("affect_snapshot", "id"),
    ("memory_decay_metrics", "experience_id"),
)


class ExperienceStore:
    name = "experience-store"
    title = "Experience store (raw_store.db, core.db)"
    times = "UTC, as the store writes them; a time with a zone keeps it"

    @contextlib.contextmanager
    def open(self, where: str, scratch: Path, options: Options) -> Iterator["Reader"]:
        path = Path(where).expanduser()
        with opened(path, scratch, TABLES) as database:
            if "experience" not in database.tables:
                raise wrong_kind(path, "experience store")
            yield Reader(database, options.agent or self.name)


EXPERIENCE_STORE = ExperienceStore()


class Reader:
    """An open store. Sessions come before what happened in them."""

    def __init__(self, database: Database, agent: str) -> None:
        self.database = database
        self.agent = agent
        self.totals: Mapping[str, int] = {
            table: database.count(table) for table in TABLES if table in database.tables
        }
        self.problems: Sequence[Problem] = database.unknown(TABLES, IGNORED)
        self._members()

    def entries(self) -> Iterator[Entry]:
        self.seen = Seen()
        yield from self._sessions()
        yield from self._experiences()
        yield from self._orphans()
        yield from self._beliefs()

    # --- Sessions -------------------------------------------------------------------------

    def _members(self) -> None:
        """Which session lists an experience as its own: chats say it nowhere else."""
        run = self.database.run
        run("CREATE TEMP TABLE member (experience TEXT PRIMARY KEY, session TEXT)")
        for row in self.database.table("session"):
            for experience in _listed(row):
                member = (experience, str(row.get("id") or ""))
                run("INSERT OR IGNORE INTO member VALUES (?, ?)", member)

    def _sessions(self) -> Iterator[Entry]:
        for row in self.database.table("session"):
            members = _listed(row)
            told = str(row.get("consolidated_narrative_id") or "")
            named = [*members, told] if told else members
            there = self._there(named)
            missing = [one for one in dict.fromkeys(named) if one not in there]
            mine = str(row.get("id") or "")
            owners = self._owners(members)
            shared = {one: other for one, other in owners.items() if other != mine}
            yield mapping.session(row, members, missing, self.agent, shared=shared)

    def _there(self, keys: Sequence[str]) -> set[str]:
        sql = "SELECT id FROM experience WHERE id IN (KEYS)"
        return {str(row["id"]) for row in self.database.among(sql, keys)}

    def _owners(self, keys: Sequence[str]) -> dict[str, str]:
        """Which session experiences belong to, in the order of `keys`."""
        sql = "SELECT experience, session FROM member WHERE experience IN (KEYS)"
        rows = self.database.among(sql, keys)
        found = {row["experience"]: row["session"] for row in rows}
        return {key: found[key] for key in keys if key in found}

    # --- Experiences ----------------------------------------------------------------------

    def _experiences(self) -> Iterator[Entry]:
        batch: list[dict[str, Any]] = []
        for row in self.database.table("experience"):
            batch.append(row)
            if len(batch) == BATCH:
                yield from self._with_siblings(batch)
                batch = []
        yield from self._with_siblings(batch)

    def _with_siblings(self, batch: Sequence[dict[str, Any]]) -> Iterator[Entry]:
        ids = [str(row["id"]) for row in batch if row.get("id") is not None]
        siblings = {name: self._by_experience(name, ids) for name, _ in _SIBLINGS}
        sessions = self._owners(ids)
        # Of several rows with one id the first one stands, and has what belongs to it.
        for row in batch:
            key = str(row["id"])
            if self.seen.again(key):
                yield mapping.experience(row)
                continue
            yield mapping.experience(
                row,
                session=sessions.get(key, ""),
                signatures=siblings["signature_embedding"][key],
                affects=siblings["affect_snapshot"][key],
                decay=siblings["memory_decay_metrics"][key],
            )

    def _by_experience(self, table: str, keys: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        if table in self.database.tables:
            # A name of TABLES.
            sql = f"SELECT * FROM {table} WHERE experience_id IN (KEYS) ORDER BY rowid"  # noqa: S608
            for row in self.database.among(sql, keys):
                found[str(row["experience_id"])].append(row)
        return found

    def _orphans(self) -> Iterator[Entry]:
        for table, key in _SIBLINGS:
            if table in self.database.tables:
                sql = (
                    f"SELECT {key} AS key, experience_id FROM {table} s WHERE NOT EXISTS "  # noqa: S608
                    "(SELECT 1 FROM experience e WHERE e.id = s.experience_id) ORDER BY s.rowid"
                )
                for row in self.database.rows(sql):
                    yield mapping.orphan(
                        table, str(row["key"]), "experience_id", str(row["experience_id"])
                    )

    # --- Beliefs --------------------------------------------------------------------------

    def _beliefs(self) -> Iterator[Entry]:
        nodes, said = (name in self.database.tables for name in ("belief_nodes", OCCURRENCES))
        sql = f"SELECT * FROM {OCCURRENCES} WHERE belief_id = ? ORDER BY rowid"  # noqa: S608
        for row in self.database.table("belief_nodes"):
            key = row.get("belief_id")
            again = self.seen.again("belief", str(key))
            yield mapping.belief(row, list(self.database.rows(sql, (key,))) if said and not again
                                 else [])  # fmt: skip
        if not said:
            return
        there = "SELECT 1 FROM belief_nodes n WHERE n.belief_id = o.belief_id"
        lost = (
            f"SELECT occurrence_id, belief_id FROM {OCCURRENCES} o "  # noqa: S608
            f"WHERE NOT EXISTS ({there if nodes else 'SELECT 1 WHERE 0'}) ORDER BY o.rowid"
        )
        for row in self.database.rows(lost):
            key, target = str(row["occurrence_id"]), str(row["belief_id"])
            yield mapping.orphan(OCCURRENCES, key, "belief_id", target)


def _listed(row: Mapping[str, Any]) -> list[str]:
    """The experiences a session names; none where that is no list."""
    try:
        value = json.loads(row.get("experience_ids") or "[]")
    except (ValueError, RecursionError, TypeError):
        return []
    if not isinstance(value, list):
        return []
    plain = (one for one in value if one and not isinstance(one, (dict, list, bool)))
    return list(dict.fromkeys(str(one) for one in plain))
