"""What a memory and a relation of mem0 become. Read top to bottom."""

from collections.abc import Mapping
from typing import Any

from memory.importers.keys import digest, row_key
from memory.importers.problems import Code, Finding
from memory.importers.rows import Draft, Entry
from memory.importers.values import Fields, without_empty
from memory.models import Memory
from memory.models.memory import Kind, MemoryState

# Categories of its own that say what kind of memory it is; others are tags alone.
KINDS = {
    "preferences": str(Kind.PREFERENCE),
    "user_preferences": str(Kind.PREFERENCE),
    "personal_preferences": str(Kind.PREFERENCE),
    "likes": str(Kind.PREFERENCE),
    "decisions": str(Kind.DECISION),
    "procedures": str(Kind.PROCEDURE),
    "procedural_memory": str(Kind.PROCEDURE),
}
# Where exports with a schema of their own have the text.
TEXTS = ("memory", "text", "data", "content")
_TAKEN = frozenset(
    {
        "id", "memory", "text", "data", "content", "hash", "metadata", "categories", "created_at",
        "updated_at", "user_id", "agent_id", "app_id", "run_id", "actor_id", "role", "score",
        "expiration_date", "immutable", "memory_type", "owner",
    }
)  # fmt: skip


def memory(row: Mapping[str, Any], agent: str) -> Entry:
    f = Fields(row)
    text = text_of(row)
    key = key_of(row)
    metadata = f.json("metadata", dict, what="left out")
    categories = _categories(row.get("categories"), metadata.get("category"))
    created, updated = f.time("created_at"), f.time("updated_at")
    expires = f.time("expiration_date")
    at = created or updated
    role = f.text("role", 60)
    kind = f.text("memory_type") or next((one for one in categories if one in KINDS), "")
    more = {str(name): value for name, value in row.items() if name not in _TAKEN}
    if more:
        listed = ", ".join(sorted(more))[:200]
        f.find(Code.UNKNOWN_COLUMN, f"unknown fields {listed}", "kept in data")
    draft = Draft(
        Memory,
        key,
        {
            "kind": KINDS.get(kind.casefold(), str(Kind.FACT)),
            "text": text,
            "tags": list(categories),
            "data": without_empty(metadata=metadata, **{n: v for n, v in more.items() if v != ""}),
            "actor": role if role in ("user", "assistant") else "agent",
            "method": "mem0",
            "state": MemoryState.ACTIVE,
            "expires_at": expires,
            "metadata": without_empty(
                user_id=f.text("user_id") or f.text("owner"),
                agent_id=f.text("agent_id"),
                app_id=f.text("app_id"),
                run_id=f.text("run_id"),
                actor_id=f.text("actor_id"),
                hash=f.text("hash"),
                updated_at=updated.isoformat() if updated is not None else "",
                immutable=row.get("immutable") or None,
                memory_type=f.text("memory_type"),
            ),
        },
        once=frozenset({"state"}),
        agent=agent or f.text("agent_id", 120),
    )
    # Without a time, it is when it is first read that we learn it.
    if at is not None:
        draft.values["recorded_at"] = at
    changed = max((one for one in (created, updated) if one), default=None)
    return Entry("memories", key, [draft], findings=f.findings, at=changed)


def relation(row: Mapping[str, Any]) -> Entry:
    """A relation of its graph: a memory that says it. The entities are names, and nothing more."""
    source, kind, target = relation_parts(row)
    key = relation_key(row)
    draft = Draft(
        Memory,
        key,
        {
            "kind": Kind.FACT,
            "text": f"{source} {kind.replace('_', ' ')} {target}",
            "data": {"type": "relation", "from": source, "relationType": kind, "to": target},
            "actor": "agent",
            "method": "mem0",
        },
    )
    return Entry("relations", key, [draft])


def text_of(row: Mapping[str, Any]) -> str:
    for name in TEXTS:
        value = row.get(name)
        if isinstance(value, str) and value.strip():
            return value
    return ""


def key_of(row: Mapping[str, Any]) -> str:
    """Its id; exports of an own schema may have none: then what it says, and of whom."""
    given = row.get("id")
    if isinstance(given, (str, int)) and str(given).strip():
        return row_key(str(given))
    owners = (str(row.get(name) or "") for name in ("user_id", "agent_id", "run_id"))
    return row_key("text", digest(text_of(row), *owners))


def relation_parts(row: Mapping[str, Any]) -> tuple[str, str, str]:
    kind = str(row.get("relationship") or row.get("relation") or "relates_to")
    target = str(row.get("target") or row.get("destination") or "")
    return str(row.get("source") or ""), kind, target


def relation_key(row: Mapping[str, Any]) -> str:
    return row_key("relation", digest(*relation_parts(row)))


def nothing(table: str, place: int, finding: Finding) -> Entry:
    return Entry(table, f"#{place}", findings=[finding])


def _categories(*given: Any) -> list[str]:
    found: list[str] = []
    for one in given:
        values = one if isinstance(one, list) else [one]
        found += [
            str(value).strip() for value in values if isinstance(value, str) and value.strip()
        ]
    return list(dict.fromkeys(found))
