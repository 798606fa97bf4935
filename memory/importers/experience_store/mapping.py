"""What each row of an experience store becomes. One function for each table, read top to bottom."""

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from config.lib import clock
from memory.importers.problems import Code
from memory.importers.rows import Draft, Entry, Link, Ref
from memory.importers.values import Fields, at_or, short, without_empty
from memory.models import Memory
from memory.models.links import Relation
from memory.models.memory import Kind, MemoryState, Trust
from sessions.models import Session
from sessions.models.session import State

Rows = Sequence[Mapping[str, Any]]

# What the store's own types are called here: the same.
KINDS = {
    str(kind): str(kind)
    for kind in (
        Kind.OCCURRENCE, Kind.OBSERVATION, Kind.INFERENCE, Kind.RECONCILIATION,
        Kind.SELF_DEFINITION, Kind.WEB_OBSERVATION, Kind.DISSONANCE_EVENT, Kind.LEARNING_PATTERN,
        Kind.TASK_EXECUTION,
    )
}  # fmt: skip
EMPTY_TEXT = "(empty)"
# A session that says it goes on ended when it was last active, by the store's own rule.
IDLE = timedelta(minutes=30)
ACTORS = ("user", "agent", "tool")
METHODS = ("capture", "scrape", "model_infer", "reconcile", "scheduled_task", "manual_task")
ROLES = (
    "prompt_semantic", "response_semantic", "temporal_profile", "causal_profile", "affect_profile",
)  # fmt: skip
STATUSES = {one: one for one in ("active", "ended", "consolidated")}
# Task executions name their own run there, which has no row.
TASK_RUN = "task:"
URI = "exp://"


def experience(
    row: Mapping[str, Any],
    *,
    session: str = "",
    signatures: Rows = (),
    affects: Rows = (),
    decay: Rows = (),
) -> Entry:
    """An experience with what belongs to it. `session` is the one that lists it as its own."""
    f = Fields(row)
    key = f.text("id")
    content, quarantine = _content(f)
    structured = content.get("structured")
    data = dict(f.parsed("content.structured", structured, dict, what="kept in metadata"))
    data |= without_empty(media=content.get("media"))
    text = content.get("text")
    if text is not None and not isinstance(text, str):
        f.find(Code.BAD_VALUE, f"content.text is no text: {short(text)}", "kept as JSON")
        text = json.dumps(text, ensure_ascii=False)
    text = text or ""
    if not text.strip():
        f.find(Code.EMPTY, "it has no text", f"became {EMPTY_TEXT}")
        text = EMPTY_TEXT
    provenance = f.json("provenance", dict, what="kept in metadata")
    confidence = _confidence(f)
    affect = f.json("affect", dict)
    recorded_at = f.past("created_at", what="put in quarantine, with an unknown time")
    if f.raw("created_at") is None:
        f.find(Code.MISSING_TIMESTAMP, "created_at is NULL",
               "put in quarantine, with an unknown time")  # fmt: skip
    quarantine = quarantine or recorded_at is None
    f.note_unknown("provenance.actor", provenance.get("actor"), ACTORS)
    f.note_unknown("provenance.method", provenance.get("method"), METHODS)
    f.note_unknown("ownership", f.text("ownership"), ACTORS)
    kind = f.choice("type", KINDS, Kind.OBSERVATION)
    decayed = _decay(f, decay)
    parents, causes = _linked(f, "parents", key), _linked(f, "causes", key)
    known = session or f.text("session_id")
    is_run = kind == Kind.TASK_EXECUTION and known.startswith(TASK_RUN)
    draft = Draft(
        Memory,
        key,
        {
            "kind": kind,
            "text": text,
            "data": data,
            "actor": str(provenance.get("actor") or ""),
            "method": str(provenance.get("method") or ""),
            "confidence": f.parsed_number("confidence.p", confidence.get("p"), 0, 1, default=0.5),
            "confidence_method": str(confidence.get("method") or "default"),
            "affect": _affect(f, affect),
            "ownership": f.text("ownership", 60) or "user",
            "signature": f.text("sign", 2000),
            "consolidated": f.flag("consolidated"),
            "recorded_at": at_or(recorded_at),
            "trust": Trust.EXTERNAL if kind == Kind.WEB_OBSERVATION else Trust.AGENT,
            "state": (
                MemoryState.QUARANTINED
                if quarantine or kind == Kind.WEB_OBSERVATION
                else MemoryState.ACTIVE
            ),
            "salience": decayed.pop("salience", 0.5),
            "access_count": decayed.pop("access_count", 0),
            "last_accessed_at": decayed.pop("last_accessed_at", None),
            "metadata": without_empty(
                type=f.text("type") if kind != f.text("type") else "",
                content=_besides(content),
                created_at=f.text("created_at") if recorded_at is None else "",
                provenance=provenance or _kept(row, "provenance"),
                evidence=f.json("evidence_ptrs", list),
                embeddings=without_empty(**_named(f.json("embeddings", dict))),
                affect_confidence=affect.get("confidence"),
                affect_snapshots=[_affect_snapshot(f, one) for one in affects],
                signatures=[_signature(f, one) for one in signatures],
                decay=decayed,
                session_id=known if is_run else "",
            ),
        },
        once=frozenset({"state", "salience", "access_count", "last_accessed_at"}),
        also=Counter(
            without_zero(
                signature_embedding=len(signatures),
                affect_snapshot=len(affects),
                memory_decay_metrics=len(decay),
            )
        ),
    )
    if known and not is_run:
        draft.refs["session"] = Ref(Session, known)
    draft.links = [
        *(Link(Relation.PARENT, one, "parents") for one in parents),
        *(Link(Relation.CAUSE, one, "causes") for one in causes),
    ]
    return Entry("experience", key, [draft], findings=f.findings, at=recorded_at)


def session(
    row: Mapping[str, Any],
    members: Sequence[str],
    missing: Sequence[str],
    agent: str,
    *,
    shared: Mapping[str, str] | None = None,
) -> Entry:
    """A session. `missing` are those of its experiences, and of what tells of it, that are not
    there; `shared` those of its experiences that another session, which came before, lists too."""
    f = Fields(row)
    key = f.text("id")
    started = f.past("start_time")
    last = f.time("last_activity")
    ended = f.time("end_time")
    status = f.text("status")
    f.choice("status", STATUSES, "")
    f.json("experience_ids", list, what="read as none")
    if ended is not None and started is not None and ended < started:
        f.find(Code.BAD_VALUE, "end_time lies before start_time", "ended when last active")
        ended = last if last is not None and last >= started else started
    reason = "consolidated" if status == "consolidated" else "ended"
    if ended is None:
        seen = at_or(last, started)
        if status != "active" or clock.now() - seen > IDLE:
            ended, reason = seen, "timeout"
    for one in missing:
        column = (
            "consolidated_narrative_id"
            if one == f.text("consolidated_narrative_id")
            else "experience_ids"
        )
        f.find(Code.DANGLING, f"{column} names {one!r:.80}, which is not there",
               "kept as text in metadata")  # fmt: skip
    for one, other in (shared or {}).items():
        f.find(Code.DUPLICATE, f"experience_ids names {one!r:.80}, which {other!r:.80} lists too",
               "it belongs to that one; kept as text in metadata")  # fmt: skip
    began = at_or(started, last, ended)
    if last is not None and last < began:
        f.find(Code.BAD_VALUE, "last_activity lies before start_time", "taken for when it began")
    seen = max(began, at_or(last, ended, began))
    ended = ended and max(ended, began)
    draft = Draft(
        Session,
        key,
        {
            "conversation_id": _conversation(key),
            "name": f"Session of {f.text('user_id') or 'somebody'}",
            "started_at": began,
            "last_seen_at": seen,
            "ended_at": ended,
            "end_reason": reason if ended is not None else "",
            "current_state": State.ENDED if ended is not None else State.IDLE,
            "metadata": without_empty(
                user_id=f.text("user_id"),
                status=status,
                narrative=f.text("consolidated_narrative_id"),
                session_metadata=f.json("session_metadata", dict, what="left out"),
                experience_ids=list(members),
                started_at_unknown=True if started is None else None,
            ),
        },
        agent=agent,
        once=frozenset({"last_seen_at", "current_state"}),
    )
    return Entry("session", key, [draft], findings=f.findings, at=seen)


def belief(row: Mapping[str, Any], occurrences: Rows) -> Entry:
    """A belief, derived from the experiences it was read from."""
    f = Fields(row)
    key = f.text("belief_id")
    said = f.text("canonical_text")
    if not said.strip():
        f.find(Code.EMPTY, "canonical_text is empty", f"became {EMPTY_TEXT}")
    at = f.time("created_at")
    core_score = f.number("core_score", 0, 1, default=0.5)
    draft = Draft(
        Memory,
        f"belief:{key}",
        {
            "kind": Kind.SELF_DEFINITION,
            "text": said if said.strip() else EMPTY_TEXT,
            "data": without_empty(
                type="belief",
                belief_type=f.text("belief_type"),
                polarity=f.text("polarity"),
                status=f.text("status"),
                activation=f.number("activation"),
                core_score=core_score,
                last_reinforced_at=f.text("last_reinforced_at"),
                canonical_hash=f.text("canonical_hash"),
            ),
            "actor": "agent",
            "method": "model_infer",
            "confidence": core_score,
            "confidence_method": "core_score",
            "recorded_at": at_or(at),
        },
        also=Counter(without_zero(belief_occurrences=len(occurrences))),
        links=[
            Link(
                Relation.DERIVED_FROM,
                source,
                "source_experience_id",
                tuple(sorted(_occurrence(f, one).items())),
            )
            for one in occurrences
            if (source := _source(f, one))
        ],
    )
    return Entry("belief_nodes", key, [draft], findings=f.findings, at=at)


def orphan(table: str, key: str, column: str, target: str) -> Entry:
    """A row of a sibling table whose experience is not there."""
    f = Fields({})
    f.find(Code.ORPHAN, f"{column} {target!r:.80} is not there", "skipped")
    return Entry(table, key, findings=f.findings)


# --- Parts --------------------------------------------------------------------------------------


def _content(f: Fields) -> tuple[dict[str, Any], bool]:
    """{text, media, structured}, and whether the row is to be looked at by a person first."""
    raw = f.raw("content")
    before = len(f.findings)
    content = f.json("content", dict, what="its raw text is kept, in quarantine")
    if content or len(f.findings) == before:
        return content, False
    if f.findings[-1].code is Code.LEGACY_SHAPE:
        # Old versions wrote the text alone.
        f.findings.pop()
        f.find(Code.LEGACY_SHAPE, "content is not an object, as old versions wrote it",
               "read as the text")  # fmt: skip
        return {"text": _unwrapped(raw)}, False
    return {"text": str(raw)}, True


def _besides(content: Mapping[str, Any]) -> dict[str, Any]:
    """What of a content has no place of its own here, or another shape than it should have."""
    kept = {n: v for n, v in content.items() if n not in ("text", "media", "structured")}
    structured = content.get("structured")
    if structured not in (None, "") and not isinstance(structured, dict):
        kept["structured"] = structured
    return kept


def _confidence(f: Fields) -> dict[str, Any]:
    """{p, method}; a number alone is p."""
    value = f.loaded("confidence")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        f.find(Code.LEGACY_SHAPE, "confidence is a number, not an object", "read as its p")
        return {"p": value}
    found: dict[str, Any] = f.json("confidence", dict)
    return found


def _linked(f: Fields, name: str, mine: str) -> list[str]:
    """The experiences that a column names. One that is named alone stands for a list of it."""
    value = f.loaded(name)
    if isinstance(value, str) and value.strip() and not value.lstrip().startswith(("[", "{")):
        f.find(Code.LEGACY_SHAPE, f"{name} is a text, not a list", "read as a list of it")
        value = [value]
    else:
        value = f.json(name, list)
    found = _ids(f, name, value)
    if mine in found:
        f.find(Code.BAD_VALUE, f"{name} names the experience itself", "left out")
        found.remove(mine)
    return found


def _unwrapped(raw: Any) -> str:
    """The text that old versions wrote; of other JSON, as it stands."""
    try:
        value = json.loads(raw) if isinstance(raw, str) else raw
    except (ValueError, RecursionError):
        value = raw
    return value if isinstance(value, str) else str(raw)


def _affect(f: Fields, affect: Mapping[str, Any]) -> dict[str, Any]:
    vad = f.parsed("affect.vad", affect.get("vad"), dict)
    labels = f.parsed("affect.labels", affect.get("labels"), list)
    return without_empty(
        valence=f.parsed_number("affect.vad.v", vad.get("v"), -1, 1),
        arousal=f.parsed_number("affect.vad.a", vad.get("a"), 0, 1),
        dominance=f.parsed_number("affect.vad.d", vad.get("d"), -1, 1),
        labels=[str(one) for one in labels],
        intensity=f.parsed_number("affect.intensity", affect.get("intensity"), 0, 1),
    )


def _decay(f: Fields, rows: Rows) -> dict[str, Any]:
    if not rows:
        return {}
    with _part(f, rows[0], "memory_decay_metrics", "experience_id") as part:
        if rows[1:]:
            part.find(Code.DUPLICATE, f"{len(rows)} rows of one experience", "the first one stands")
        factor = part.number("decay_factor", 0, 1)
        return without_empty(
            salience=0.5 if factor is None else factor,
            access_count=int(part.number("access_count", 0, 2**31 - 1, default=0)),
            last_accessed_at=part.time("last_accessed"),
            entropy_score=part.number("entropy_score"),
            emotional_salience=part.number("emotional_salience"),
            decay_factor=factor,
            last_calculated=part.text("last_calculated"),
        )


def _affect_snapshot(f: Fields, row: Mapping[str, Any]) -> dict[str, Any]:
    with _part(f, row, "affect_snapshot", "id") as part:
        return without_empty(
            **_as_they_are(row, "id", "actor", "stage", "primary_emotion", "notes"),
            valence=part.number("valence", -1, 1),
            arousal=part.number("arousal", 0, 1),
            dominance=part.number("dominance", -1, 1),
            confidence=part.number("confidence", 0, 1),
            signals=part.json("signals", dict),
        )


def _signature(f: Fields, row: Mapping[str, Any]) -> dict[str, Any]:
    with _part(f, row, "signature_embedding", "id") as part:
        part.note_unknown("role", part.text("role"), ROLES)
        return without_empty(
            **_as_they_are(row, "id", "role", "embedding_model", "label", "hash"),
            salience=part.number("salience"),
            emb_metadata=part.json("emb_metadata", dict),
        )


def _occurrence(f: Fields, row: Mapping[str, Any]) -> dict[str, Any]:
    with _part(f, row, "belief_occurrences", "occurrence_id") as part:
        return without_empty(
            **_as_they_are(
                row, "occurrence_id", "extractor_version", "raw_text", "source_weight",
                "atom_confidence", "epistemic_confidence", "match_confidence", "context_id",
                "created_at", "deleted_at",
            ),
            raw_span=part.json("raw_span", dict),
            epistemic_frame=part.json("epistemic_frame", dict),
        )  # fmt: skip


def _source(f: Fields, row: Mapping[str, Any]) -> str:
    """The experience that an occurrence was read from; empty where it names none."""
    with _part(f, row, "belief_occurrences", "occurrence_id") as part:
        source = part.text("source_experience_id").removeprefix(URI)
        if not source:
            part.find(Code.EMPTY, "source_experience_id is empty", "left out")
        return source


@contextlib.contextmanager
def _part(f: Fields, row: Mapping[str, Any], table: str, key: str) -> Iterator[Fields]:
    """A row that becomes part of an experience: what is found of it is told of its own table."""
    part = Fields(row)
    yield part
    place = (table, part.text(key))
    f.findings += [replace(finding, place=place) for finding in part.findings]


def _as_they_are(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: row.get(name) for name in names}


def _ids(f: Fields, name: str, values: Sequence[Any]) -> list[str]:
    """The keys in a list; what cannot be one is left out."""
    given = [one for one in values if one not in (None, "")]
    wrong = [one for one in given if isinstance(one, (dict, list, bool))]
    if wrong:
        f.find(Code.BAD_VALUE, f"{name} holds what is no id: {short(wrong[0])}", "left out")
    keys = [str(one).removeprefix(URI) for one in given if not isinstance(one, (dict, list, bool))]
    return list(dict.fromkeys(key for key in keys if key))


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in values.items()}


def _kept(row: Mapping[str, Any], name: str) -> Any:
    """A column as it was, where it could not be read as what it should be."""
    value = row.get(name)
    return value if isinstance(value, str) and value not in ("{}", "null") else None


def _conversation(key: str) -> str:
    return key.replace("/", "-")[:120]


def without_zero(**values: int) -> dict[str, int]:
    return {name: value for name, value in values.items() if value}
