"""What a note of basic-memory becomes, and each of its observations."""

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Any

from config.lib.shorten import before_secret
from contacts.models import Contact
from memory.importers.basic_memory.parse import Observation, Parsed
from memory.importers.keys import digest, row_key
from memory.importers.markdown import Note, as_list, as_text
from memory.importers.memories import PERSON_TYPES, about
from memory.importers.rows import Draft, Entry, Link
from memory.importers.values import at_or, parse_time, without_empty
from memory.models import Memory
from memory.models.links import Relation
from memory.models.memory import Kind

# What a category says of the kind, in lower case; others are observations.
KINDS = {
    **dict.fromkeys(("decision", "decisions"), str(Kind.DECISION)),
    **dict.fromkeys(("preference", "preferences"), str(Kind.PREFERENCE)),
    **dict.fromkeys(
        ("method", "technique", "procedure", "process", "how-to", "howto", "rule", "tip", "step"),
        str(Kind.PROCEDURE),
    ),
    **dict.fromkeys(("fact", "facts", "definition"), str(Kind.FACT)),
    **dict.fromkeys(("insight", "inference", "hypothesis", "idea"), str(Kind.INFERENCE)),
    **dict.fromkeys(("learning", "lesson", "pattern"), str(Kind.LEARNING_PATTERN)),
}
# Turns what a link names into the key of that note; None where there is none.
Resolve = Callable[[str], str | None]


def title_of(note: Note) -> str:
    return as_text(note.front.get("title")) or note.path.stem


def key_of(note: Note, relative: str) -> str:
    """By its permalink; without one, by where it lies."""
    return row_key(as_text(note.front.get("permalink")) or relative)


def note(note: Note, parsed: Parsed, key: str, relative: str, resolve: Resolve) -> Entry:
    """A note: its title and prose, linked to the notes that it names."""
    title = title_of(note)
    prose = "\n".join(parsed.prose).strip()
    kind = as_text(note.front.get("type"))
    # Many repeat the title as the first heading.
    text = prose if prose.startswith(f"# {title}") else f"# {title}\n\n{prose}".strip()
    links = _links(parsed, resolve)
    draft = Draft(
        Memory,
        key,
        {
            "kind": Kind.FACT,
            "text": text,
            "tags": [tag.removeprefix("#") for tag in as_list(note.front.get("tags"))],
            "data": {"type": kind or "note", "title": title, "front_matter": dict(note.front)},
            **_common(note, relative, note.line),
        },
        once=frozenset({"recorded_at"}),
        links=links,
        also=Counter({"relations": len(parsed.relations)} if parsed.relations else {}),
    )
    entry = Entry("notes", key, [draft], findings=list(note.findings), at=_changed(note))
    if is_person(note):
        contact = Draft(Contact, key, {"name": title}, once=frozenset({"name"}))
        entry.drafts += [contact, about(key, "contact", Contact, key)]
    return entry


def observation(note: Note, said: Observation, note_key: str, relative: str) -> Entry:
    """An observation, which has its note as its parent."""
    key = observation_key(said, note_key)
    draft = Draft(
        Memory,
        key,
        {
            "kind": KINDS.get(said.category.casefold(), str(Kind.OBSERVATION)),
            "text": f"{title_of(note)}: {said.text}",
            "tags": list(said.tags),
            "data": without_empty(
                type="observation",
                category=said.category,
                observation=said.text,
                context=said.context,
            ),
            **_common(note, relative, said.line),
        },
        once=frozenset({"recorded_at"}),
        links=[Link(Relation.PARENT, note_key, "note")],
    )
    entry = Entry("observations", key, [draft], at=_changed(note))
    if is_person(note):
        entry.drafts.append(about(key, "contact", Contact, note_key))
    return entry


def observation_key(said: Observation, note_key: str) -> str:
    return row_key(before_secret(note_key, 150), digest(note_key, said.category, said.text))


def is_person(note: Note) -> bool:
    return as_text(note.front.get("type")).casefold() in PERSON_TYPES


def _links(parsed: Parsed, resolve: Resolve) -> list[Link]:
    """One to each note that is named, with all that is said of the relation. A target that is not
    there is named as it was, for the frame to report."""
    told: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in parsed.relations:
        target = resolve(one.target) or one.target
        said = without_empty(type=one.kind, context=one.context)
        if said not in told[target]:
            told[target].append(said)
    return [
        Link(Relation.RELATED, target, "relations", (("relations", said),))
        for target, said in told.items()
    ]


def _changed(note: Note) -> datetime | None:
    """When it last was: by what it says, or its file."""
    said = (parse_time(as_text(note.front.get(name))) for name in ("created", "date", "modified"))
    return max((at for at in (*said, note.modified) if at), default=None)


def _common(note: Note, relative: str, line: int) -> dict[str, Any]:
    dates = (parse_time(as_text(note.front.get(name))) for name in ("created", "date", "modified"))
    return {
        "actor": "agent",
        "method": "basic-memory",
        "recorded_at": at_or(next((at for at in dates if at), None), note.modified),
        "metadata": {"file": relative, "line": line},
    }
