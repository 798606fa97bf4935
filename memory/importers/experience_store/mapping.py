"""What each row of an experience store becomes. One function for each table, read top to bottom."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from config.lib import clock
from memory.importers.problems import Code
from memory.importers.rows import Draft, Entry, Link, Ref
from memory.importers.values import Fields, at_or, without_empty
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
    structured = f.parsed("content.structured", content.get("structured"), dict)
    text = content.get("text")
    text = text if isinstance(text, str) else "" if text is None else str(text)
    data = dict(structured)
    data |= without_empty(media=content.get("media"))
    if not text.strip():
        f.find(Code.EMPTY, "it has no text", f"became {EMPTY_TEXT}")
        text = EMPTY_TEXT
    provenance = f.json("provenance", dict, what="kept in metadata")
    confidence = f.json("confidence", dict)
    affect = f.json("affect", dict)
    recorded_at = f.time("created_at", what="put in quarantine, with an unknown time")
    quarantine = quarantine or recorded_at is None
    kind = f.choice("type", KINDS, Kind.OBSERVATION)
    decayed = _decay(decay)
    known = session or f.text("session_id")
    is_run = kind == Kind.TASK_EXECUTION and known.startswith(TASK_RUN)
    draft = Draft(
        Memory,
        key,
        {
            "kind": kind,
            "text": text,
            "data": data,
            "actor": str(provenance.get("actor") or "")[:60],
            "method": str(provenance.get("method") or "")[:60],
            "confidence": f.parsed_number("confidence.p", confidence.get("p"), 0, 1, default=0.5),
            "confidence_method": str(confidence.get("method") or "default")[:60],
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
                created_at=f.text("created_at") if recorded_at is None else "",
                provenance=provenance or _kept(row, "provenance"),
                evidence=f.json("evidence_ptrs", list),
                embeddings=without_empty(**_named(f.json("embeddings", dict))),
                affect_confidence=affect.get("confidence"),
                affect_snapshots=[_affect_snapshot(one) for one in affects],
                signatures=[_signature(one) for one in signatures],
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
        *(Link(Relation.PARENT, one, "parents") for one in _ids(f.json("parents", list))),
        *(Link(Relation.CAUSE, one, "causes") for one in _ids(f.json("causes", list))),
    ]
    return Entry("experience", key, [draft], findings=f.findings, at=recorded_at)


def session(
    row: Mapping[str, Any], members: Sequence[str], missing: Sequence[str], agent: str
) -> Entry:
    """A session. `missing` are those of its experiences that are not there."""
    f = Fields(row)
    key = f.text("id")
    started = f.time("start_time")
    last = f.time("last_activity")
    ended = f.time("end_time")
    status = f.text("status")
    if ended is not None and started is not None and ended < started:
        f.find(Code.BAD_VALUE, "end_time lies before start_time", "ended when last active")
        ended = last if last is not None and last >= started else started
    reason = "consolidated" if status == "consolidated" else "ended"
    if ended is None:
        seen = at_or(last, started)
        if status != "active" or clock.now() - seen > IDLE:
            ended, reason = seen, "timeout"
    for one in missing:
        f.find(Code.DANGLING, f"experience_ids names {one!r:.80}, which is not there",
               "kept as text in metadata")  # fmt: skip
    began = at_or(started, last, ended)
    seen = at_or(last, ended, started)
    draft = Draft(
        Session,
        key,
        {
            "conversation_id": _conversation(key),
            "name": f"Session of {f.text('user_id') or 'somebody'}"[:300],
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
    at = f.time("created_at")
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
                core_score=f.number("core_score"),
                last_reinforced_at=f.text("last_reinforced_at"),
                canonical_hash=f.text("canonical_hash"),
            ),
            "actor": "agent",
            "method": "model_infer",
            "confidence": f.number("core_score", 0, 1, default=0.5),
            "confidence_method": "core_score",
            "recorded_at": at_or(at),
        },
        also=Counter(without_zero(belief_occurrences=len(occurrences))),
        links=[
            Link(
                Relation.DERIVED_FROM,
                str(one["source_experience_id"]),
                "source_experience_id",
                tuple(sorted(_occurrence(one).items())),
            )
            for one in occurrences
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
    if len(f.findings) == before:
        return content, False
    if f.findings[-1].code is Code.LEGACY_SHAPE:
        # Old versions wrote the text alone.
        f.findings.pop()
        f.find(Code.LEGACY_SHAPE, "content is not an object, as old versions wrote it",
               "read as the text")  # fmt: skip
        return {"text": _unwrapped(raw)}, False
    return {"text": str(raw)}, True


def _unwrapped(raw: Any) -> str:
    value = Fields({"v": raw}).parsed("v", raw, str)
    return value if isinstance(value, str) and value else str(raw)


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


def _decay(rows: Rows) -> dict[str, Any]:
    if not rows:
        return {}
    f = Fields(rows[0])
    return without_empty(
        salience=f.number("decay_factor", 0, 1, default=0.5),
        access_count=max(0, int(f.number("access_count", 0, 2**31 - 1, default=0))),
        last_accessed_at=f.time("last_accessed"),
        entropy_score=f.number("entropy_score"),
        emotional_salience=f.number("emotional_salience"),
        decay_factor=f.number("decay_factor"),
        last_calculated=f.text("last_calculated"),
    )


def _affect_snapshot(row: Mapping[str, Any]) -> dict[str, Any]:
    f = Fields(row)
    plain = {
        name: row.get(name)
        for name in (
            "id", "actor", "stage", "primary_emotion", "valence", "arousal", "dominance",
            "confidence", "notes",
        )
    }  # fmt: skip
    return without_empty(**plain, signals=f.json("signals", dict))


def _signature(row: Mapping[str, Any]) -> dict[str, Any]:
    f = Fields(row)
    plain = {
        name: row.get(name)
        for name in ("id", "role", "embedding_model", "label", "hash", "salience")
    }
    return without_empty(**plain, emb_metadata=f.json("emb_metadata", dict))


def _occurrence(row: Mapping[str, Any]) -> dict[str, Any]:
    f = Fields(row)
    plain = {
        name: row.get(name)
        for name in (
            "occurrence_id", "extractor_version", "raw_text", "source_weight", "atom_confidence",
            "epistemic_confidence", "match_confidence", "context_id", "created_at", "deleted_at",
        )
    }  # fmt: skip
    return without_empty(
        **plain,
        raw_span=f.json("raw_span", dict),
        epistemic_frame=f.json("epistemic_frame", dict),
    )


def _ids(values: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys(str(one).removeprefix(URI) for one in values if one))


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
