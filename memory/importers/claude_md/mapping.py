"""What a bullet or a section of a CLAUDE.md becomes, and a note of an auto memory."""

import re
from dataclasses import dataclass

from memory.importers.keys import digest, row_key
from memory.importers.markdown import Note, Unit, as_text
from memory.importers.memories import evidence
from memory.importers.rows import Draft, Entry, Ref
from memory.importers.storable import shown
from memory.importers.values import at_or, parse_time, without_empty
from memory.models import Memory
from memory.models.memory import Kind
from sessions.models import Project

# What an auto memory's `type` is here.
TYPES = {
    "user": str(Kind.PREFERENCE),
    "feedback": str(Kind.PROCEDURE),
    "project": str(Kind.FACT),
    "reference": str(Kind.FACT),
}
# By words of the innermost heading that has one, else by how it begins; else it is a fact.
HEADINGS = (
    (re.compile(r"\b(decision|decisions|adr|adrs)\b", re.I), str(Kind.DECISION)),
    (re.compile(r"\b(preferences?|style|tone|conventions?|naming|formatting)\b", re.I),
     str(Kind.PREFERENCE)),
    (re.compile(r"\b(commands?|workflows?|rules?|instructions?|guidelines?|process|how to|"
                r"build|test|testing|tests|deploy|deployment|setup|release|git|commits?|"
                r"do|don'?t|always|never|important)\b", re.I),
     str(Kind.PROCEDURE)),
)  # fmt: skip
BEGINNINGS = (
    (re.compile(r"^\W*(prefer|i like|i prefer|we prefer)\b", re.I), str(Kind.PREFERENCE)),
    (re.compile(r"^\W*(we decided|decided|decision)\b", re.I), str(Kind.DECISION)),
    (re.compile(r"^\W*(always|never|do not|don'?t|must|you must|use|run|avoid|make sure|ensure|"
                r"before|after|when|keep|write|add|check)\b", re.I),
     str(Kind.PROCEDURE)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where a note lies: `scope` is user, project, local, rules or auto, `project` its name."""

    scope: str
    project: str = ""


def unit(note: Note, unit: Unit, place: Place) -> Entry:
    """A bullet, or the text of a section."""
    section = [heading for heading in unit.headings[1:] if heading] or list(unit.headings[1:])
    text = f"{' > '.join(section)}: {unit.text}" if section else unit.text
    kind = TYPES.get(note_type(note)) or kind_of(unit)
    return _memory(note, text, kind, place, unit.line, unit.text, list(unit.headings))


def whole(note: Note, place: Place) -> Entry:
    """A note of an auto memory: what it is about stands in its front matter."""
    body = "\n".join(note.body).strip()
    name = as_text(note.front.get("description")) or as_text(note.front.get("name"))
    text = f"{name}\n\n{body}" if name and name not in body else body
    kind = TYPES.get(note_type(note), str(Kind.FACT))
    return _memory(note, text, kind, place, note.line, body, [])


def note_type(note: Note) -> str:
    """Older notes have it in their front matter, newer ones under `metadata` of it."""
    nested = note.front.get("metadata")
    inner = nested.get("type") if isinstance(nested, dict) else ""
    return (as_text(note.front.get("type")) or as_text(inner)).casefold()


def kind_of(unit: Unit) -> str:
    for heading in reversed(unit.headings[1:] or unit.headings):
        for words, kind in HEADINGS:
            if words.search(heading):
                return kind
    for words, kind in BEGINNINGS:
        if words.search(unit.text[:200]):
            return kind
    return str(Kind.FACT)


def key_of(note: Note, text: str) -> str:
    """By file and text: a line that moves stays the same memory, one that is changed is another."""
    return row_key(note.path.name[:80], digest(str(note.path)), digest(text))


def _memory(
    note: Note, text: str, kind: str, place: Place, line: int, quote: str, headings: list[str]
) -> Entry:
    key = key_of(note, text)
    nested = note.front.get("metadata")
    told = [note.front.get("modified"), nested.get("modified") if isinstance(nested, dict) else ""]
    modified = next((at for one in told if (at := parse_time(as_text(one)))), None)
    at = at_or(modified, note.modified)
    draft = Draft(
        Memory,
        key,
        {
            "kind": kind,
            "text": text,
            "actor": "agent" if place.scope == "auto" else "user",
            "method": "claude-md",
            "recorded_at": at,
            "data": without_empty(headings=headings, front_matter=dict(note.front)),
            "metadata": {"file": shown(note.path), "line": line, "scope": place.scope},
        },
        once=frozenset({"recorded_at"}),
    )
    drafts = [draft]
    if place.project:
        project = row_key("project", place.project)
        draft.refs["project"] = Ref(Project, project)
        title = {"title": place.project}
        drafts.append(Draft(Project, project, title, once=frozenset({"title"})))
    uri = f"file://{shown(note.path)}#L{line}"
    drafts.append(evidence(key, uri[-2000:], quote))
    findings = list(note.findings)
    note.findings.clear()
    return Entry("notes", key, drafts, findings=findings, at=at)
