"""Why a memory waits for review, in words: the rule and its figure. See docs/extraction.md."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from config.lib.admin import show
from contacts.models import Revision
from memory.models import Memory
from memory.models.memory import MODEL_METHOD, UNSURE_BELOW, UNVOUCHED, MemoryState
from memory.selectors_review import Why
from memory.services.lessons import METHOD, is_trusted
from sessions.models.session import Mode

# What was inferred rather than said waits whoever led the session.
INFERRED = {
    "fixed": "A command failed until files were changed and it worked; nobody said that this is "
    "the lesson.",
    "pattern-event": "An agent reported a pattern; patterns are inferred, not said.",
    "error-event": "An agent reported an error with its way out; that is inferred, not said.",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """`figure` is the number that decided, as text; may be empty."""

    why: Why
    title: str
    text: str
    figure: str = ""


def reasons_of(
    memory: Memory, others: Sequence[Memory], changes: Sequence[Revision]
) -> list[Reason]:
    """All that keep it waiting. `others` contradict it, `changes` are its Revisions, newest
    first."""
    found = []
    if memory.state == MemoryState.QUARANTINED:
        found.append(_quarantine(memory, changes))
    if others and memory.state in (MemoryState.ACTIVE, MemoryState.QUARANTINED):
        found.append(Reason(Why.CONTRADICTING, "Contradicts", _against(others), str(len(others))))
    unvouched = memory.trust in UNVOUCHED
    if memory.state == MemoryState.ACTIVE and unvouched and memory.confidence < UNSURE_BELOW:
        found.append(
            Reason(
                Why.UNSURE,
                "Hardly believed",
                f"It is in use, its confidence ({_how(memory)}) is below {UNSURE_BELOW:.0%}, and "
                f"nobody has vouched for it.",
                f"{memory.confidence:.0%}",
            )
        )
    return found


def _against(others: Sequence[Memory]) -> str:
    vouched = sum(one.trust not in UNVOUCHED for one in others)
    if len(others) == 1:
        return "It and a memory in use contradict each other" + (
            ", which a person has vouched for." if vouched else "."
        )
    return f"It and {len(others)} memories in use contradict each other" + (
        f"; a person has vouched for {vouched} of those." if vouched else "."
    )


def _how(memory: Memory) -> str:
    return {"default": "the default", "": "no method given"}.get(
        memory.confidence_method, f"by {memory.confidence_method}"
    )


def _quarantine(memory: Memory, changes: Sequence[Revision]) -> Reason:
    figure = f"{memory.confidence:.0%}"
    put = next((one for one in changes if one.after.get("state") == MemoryState.QUARANTINED), None)
    if put is not None and put.before:
        said = f": “{put.reason}”" if put.reason else "."
        text = f"{put.actor_label} put it there {show.relative(put.created_at)}{said}"
        return Reason(Why.QUARANTINED, "In quarantine", text)
    if memory.method.startswith(MODEL_METHOD):
        text = (
            f"A language model ({memory.method.removeprefix(MODEL_METHOD)}) proposed it from the "
            "session; what a model says always waits."
        )
        return Reason(Why.PROPOSED, "Proposed by a model", text, figure)
    if memory.method.startswith(METHOD):
        return _by_rule(memory, memory.method.removeprefix(METHOD), figure)
    who = put.actor_label if put is not None else memory.actor or "Whoever saved it"
    return Reason(
        Why.QUARANTINED, "In quarantine", f"{who} saved it as something to look at first."
    )


def _by_rule(memory: Memory, rule: str, figure: str) -> Reason:
    title = f"Rule {rule}"
    if rule in INFERRED:
        told = memory.data.get("extraction", {}) if isinstance(memory.data, dict) else {}
        failures = told.get("failures") if isinstance(told, dict) else None
        text = INFERRED[rule]
        return Reason(
            Why.QUARANTINED, title, text, f"failed {failures} times" if failures else figure
        )
    session = memory.session
    if session is not None and session.mode != Mode.INTERACTIVE:
        text = f"Said in a session of mode {session.mode}: nobody knows that a person spoke."
    elif memory.agent is not None and not is_trusted(memory.agent.name):
        trusted = ", ".join(settings.EXTRACT_TRUSTED) or "none"
        text = (
            f"{memory.agent.name} is not trusted to tell who speaks "
            f"(REMEMBRANCER_EXTRACT_TRUSTED: {trusted})."
        )
    else:
        text = "The words are a hint for the task as much as for good."
    return Reason(Why.QUARANTINED, title, text, figure)
