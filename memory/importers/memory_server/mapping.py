"""What an entity, one of its observations and a relation become. Read top to bottom."""

from collections.abc import Callable, Mapping
from typing import Any

from config.lib.shorten import before_secret
from contacts.models import Contact
from memory.importers.keys import digest, row_key
from memory.importers.memories import PERSON_TYPES, about
from memory.importers.problems import Code, Finding
from memory.importers.rows import Draft, Entry, Link
from memory.models import Memory
from memory.models.links import Relation
from memory.models.memory import Kind

IsPerson = Callable[[str], bool]


def is_person(entity: Mapping[str, Any]) -> bool:
    return str(entity.get("entityType") or "").strip().casefold() in PERSON_TYPES


def entity_key(name: str) -> str:
    return row_key("entity", name)


def entity(row: Mapping[str, Any], name: str) -> Entry:
    """An entity: a memory that says what it is, and a contact where it is a person."""
    kind = str(row.get("entityType") or "").strip()
    key = entity_key(name)
    findings = _unknown(row, ("type", "name", "entityType", "observations"))
    draft = Draft(
        Memory,
        key,
        {
            "kind": Kind.FACT,
            "text": f"{name} ({kind})" if kind else name,
            "data": {"type": "entity", "name": name, "entityType": kind}
            | _more(row, ("type", "name", "entityType", "observations")),
            "tags": [kind] if kind else [],
            **_PLAIN,
        },
    )
    entry = Entry("entities", key, [draft], findings=findings)
    if is_person(row):
        contact = Draft(Contact, key, {"name": name}, once=frozenset({"name"}))
        entry.drafts += [contact, about(key, "contact", Contact, key)]
    return entry


def observation(text: str, name: str, *, person: bool) -> Entry:
    """One observation of an entity, which it has as its parent."""
    key = row_key("observation", before_secret(name, 80), digest(name, text))
    draft = Draft(
        Memory,
        key,
        {
            "kind": Kind.OBSERVATION,
            "text": text if name.casefold() in text.casefold() else f"{name}: {text}",
            "data": {"type": "observation", "entity": name, "observation": text},
            **_PLAIN,
        },
        links=[Link(Relation.PARENT, entity_key(name), "entity")],
    )
    entry = Entry("observations", key, [draft])
    if person:
        entry.drafts.append(about(key, "contact", Contact, entity_key(name)))
    return entry


def relation(row: Mapping[str, Any], is_known_person: IsPerson) -> Entry:
    """A relation: a memory that says it, linked to both entities."""
    source, target = str(row.get("from") or ""), str(row.get("to") or "")
    kind = str(row.get("relationType") or "").strip()
    key = relation_key(row)
    findings = _unknown(row, ("type", "from", "to", "relationType"))
    draft = Draft(
        Memory,
        key,
        {
            "kind": Kind.FACT,
            "text": f"{source} {kind.replace('_', ' ') or 'relates to'} {target}",
            "data": {"type": "relation", "from": source, "to": target, "relationType": kind}
            | _more(row, ("type", "from", "to", "relationType")),
            **_PLAIN,
        },
        links=[
            Link(Relation.RELATED, entity_key(source), "from", (("role", "from"),)),
            Link(Relation.RELATED, entity_key(target), "to", (("role", "to"),)),
        ],
    )
    entry = Entry("relations", key, [draft], findings=findings)
    for name in dict.fromkeys((source, target)):
        if is_known_person(name):
            entry.drafts.append(about(key, "contact", Contact, entity_key(name)))
    return entry


def relation_key(row: Mapping[str, Any]) -> str:
    parts = [str(row.get(name) or "") for name in ("from", "relationType", "to")]
    return row_key("relation", before_secret(parts[0], 50), digest(*parts))


# The file has no times: when it is first read is when we learn it, the column's own default.
_PLAIN: dict[str, Any] = {"actor": "agent", "method": "memory-server"}


def _unknown(row: Mapping[str, Any], known: tuple[str, ...]) -> list[Finding]:
    new = [str(name) for name in row if name not in known]
    if not new:
        return []
    return [Finding(Code.UNKNOWN_COLUMN, f"unknown fields {', '.join(new)}"[:200], "kept in data")]


def _more(row: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    return {str(name): value for name, value in row.items() if name not in known}
