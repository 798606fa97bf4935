"""Pairs that no rule settles are put to a language model: do they contradict each other?

Off unless REMEMBRANCER_EXTRACT_CONTRADICTIONS says otherwise: by this, texts of memories leave the
machine. The job that compares new memories (duplicates.py) notes which of them speak of the same
and are not settled by the rules; another job asks. A pair is read in one transaction, the model
asked in none, and its verdict written in another: a link that waits for a person, as if a rule had
found it. Nothing leaves use by it, and its failure stops nothing: the day's row of ModelUse and
the pair itself say why. Not for what it is asked (memory/learning/judging.py).
"""

import time
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import DatabaseError

from config.lib import clock
from config.lib.errors import DomainError
from config.lib.jobs import Job
from config.lib.redact import redact_text
from config.lib.scope import current_workspace_id, workspace_scope
from contacts.services import funnel
from memory.endpoints.chat import MOST_ANSWER_TOKENS
from memory.learning.contradictions import MOST_CHARACTERS, contradiction, telling_words
from memory.learning.judging import (
    MOST_PAIRS,
    PURPOSE,
    SCHEMA,
    SYSTEM,
    JudgingError,
    MalformedError,
    Pair,
    RefusedError,
    Verdict,
    ask_for,
    read_verdicts,
)
from memory.models import Judgement, Memory
from memory.models.judgements import Answer
from memory.services import contradictions, model_use, queue
from memory.services.chunks import estimate_tokens
from memory.services.model_use import FIRST_WAIT, MOST_FAILURES, pause, server

log = structlog.get_logger()

TASK = "memory.judge_pairs"
PRIORITY = -35
# Of what the rules leave: the pairs of one memory that are asked about, the nearest.
MOST_OF_ONE = 2
# Related sentences of one subject have a cosine from here on (duplicates.py has the measure of it);
# without vectors, this share of the telling words of the shorter one.
SAME_SUBJECT, SAME_WORDS = 0.7, 0.5


@dataclass(frozen=True, slots=True)
class _Asked:
    """A pair as it was read: the row, its texts, and the versions of the two."""

    row: Judgement
    pair: Pair
    versions: tuple[int, int]


def judge_job(workspace_id: uuid.UUID) -> Job:
    return Job(
        task=TASK,
        queue=queue.QUEUE,
        lock=f"judge:{workspace_id}",
        arguments={"workspace_id": str(workspace_id)},
        priority=PRIORITY,
        alone=True,
    )


def is_on() -> bool:
    return settings.EXTRACT_CONTRADICTIONS and model_use.is_set()


# --- Which pairs ------------------------------------------------------------------------------


def note_pairs(
    memory: Memory, near: Sequence[tuple[Memory, float]], same: Collection[uuid.UUID]
) -> int:
    """Have the model asked about a memory and those of `near` (with their cosines, the nearest
    first; without vectors, what shares its words) that speak of the same, where no rule finds a
    contradiction and nobody has linked the two; not about `same`, which say the same. How many.
    In the transaction that compares it."""
    if not is_on() or not _states(memory):
        return 0
    words = set(telling_words(memory.text))
    candidates = near or [(other, 0.0) for other in contradictions.by_words(memory)]
    pairs: list[Judgement] = []
    for other, cosine in candidates:
        if other.pk == memory.pk or other.pk in same or not _states(other):
            continue
        if not _same_subject(words, set(telling_words(other.text)), cosine, bool(near)):
            continue
        older, newer = sorted((memory, other), key=lambda one: (contradictions.since(one), one.pk))
        if not _is_open(older, newer):
            continue
        pairs.append(Judgement(older=older, newer=newer, due_at=clock.now()))
        if len(pairs) == MOST_OF_ONE:
            break
    if pairs:
        Judgement.objects.bulk_create(pairs, ignore_conflicts=True)
        judge_job(current_workspace_id()).defer_on_commit()
    return len(pairs)


def _states(memory: Memory) -> bool:
    return memory.kind in contradictions.STATING and len(memory.text) <= MOST_CHARACTERS


def _same_subject(words: set[str], others: set[str], cosine: float, by_meaning: bool) -> bool:
    shared = len(words & others)
    if by_meaning:
        # Near by how it is said, with no thing in common, is another subject.
        return cosine >= SAME_SUBJECT and shared > 0
    return shared >= 2 and shared >= SAME_WORDS * min(len(words), len(others))


def _is_open(older: Memory, newer: Memory) -> bool:
    return (
        contradictions.may_contradict(newer, older)
        and contradiction(older.text, newer.text) is None
        and not contradictions.know_each_other(older, newer)
    )


# --- Asking -----------------------------------------------------------------------------------


def judge_due(workspace_id: uuid.UUID, *, seconds: float) -> bool:
    """Ask about pairs that are due, until so long has passed; whether some still are. Outside any
    scope. Index judgement_due."""
    if not is_on():
        return False
    end = time.monotonic() + seconds
    while not pause.problem(server()):
        if not _judge(workspace_id):
            return False
        if time.monotonic() > end:
            return True
    # The sweep goes on when the server is worth a try again.
    return False


def _judge(workspace_id: uuid.UUID) -> bool:
    """Ask about the next pairs; whether there were some."""
    with workspace_scope(workspace_id):
        asked, any_due = _read()
    if not asked:
        return any_due
    question = ask_for([one.pair for one in asked])
    estimate = sum(map(estimate_tokens, (SYSTEM, question, str(SCHEMA)))) + MOST_ANSWER_TOKENS
    with workspace_scope(workspace_id):
        day = model_use.reserve(estimate)
        if day is None:
            Judgement.objects.filter(due_at__lte=clock.now()).update(due_at=model_use.tomorrow())
            log.warning("judging_budget_used", workspace=str(workspace_id))
            return False
    used: int | None = None
    try:
        chat = model_use.get_chat(PURPOSE)
        reply = chat.ask(SYSTEM, question)
        used = reply.tokens or estimate - MOST_ANSWER_TOKENS + estimate_tokens(str(reply.content))
        verdicts = read_verdicts(reply.content, [one.pair for one in asked])
    except JudgingError as error:
        with workspace_scope(workspace_id):
            model_use.settle(day, estimate, used if used is not None else 0, error)
            _failed(asked, error)
        return True
    try:
        with workspace_scope(workspace_id):
            model_use.settle(day, estimate, used)
            _write(asked, verdicts, chat.method)
    except (DomainError, DatabaseError) as error:
        log.warning("verdicts_not_written", workspace=str(workspace_id), error=repr(error))
        with workspace_scope(workspace_id):
            _put_off(asked)
    return True


def _read() -> tuple[list[_Asked], bool]:
    """The next pairs and whether any were due. One that failed before is asked about alone, so that
    it spoils no other's answer; what has settled itself is let go."""
    due = Judgement.objects.filter(due_at__lte=clock.now()).order_by("due_at", "id")
    rows = list(due[:MOST_PAIRS])
    alone = bool(rows) and rows[0].failures > 0
    rows = rows[:1] if alone else [row for row in rows if not row.failures]
    held = Memory.objects.in_bulk({pk for row in rows for pk in (row.older_id, row.newer_id)})
    asked = []
    for row in rows:
        older, newer = held[row.older_id], held[row.newer_id]
        in_use = newer.state == contradictions.IN_USE and _states(older) and _states(newer)
        if not in_use or not _is_open(older, newer):
            row.delete()
            continue
        pair = Pair(redact_text(older.text), redact_text(newer.text))
        asked.append(_Asked(row, pair, (older.version, newer.version)))
    return asked, bool(rows)


# --- Writing ----------------------------------------------------------------------------------


def _write(asked: Sequence[_Asked], verdicts: Sequence[Verdict], method: str) -> None:
    found = {verdict.pair: verdict for verdict in verdicts}
    for place, one in enumerate(asked):
        older, newer = (
            Memory.objects.filter(pk=pk).first() for pk in (one.row.older_id, one.row.newer_id)
        )
        if older is None or newer is None:
            continue  # The row went with it.
        if (older.version, newer.version) != one.versions:
            # It was said of other words.
            funnel.touch(one.row, due_at=clock.now() + FIRST_WAIT)
            continue
        verdict = found.get(place)
        if verdict is not None:
            words = [verdict.older, verdict.newer]
            contradictions.link_found(newer, older, "model", words=words, model=method)
        answer = Answer.COMPATIBLE if verdict is None else Answer.CONTRADICTS
        funnel.touch(one.row, answer=answer, due_at=None, method=method[:60], problem="")


def _put_off(asked: Sequence[_Asked]) -> None:
    Judgement.objects.filter(pk__in=[one.row.pk for one in asked]).update(
        due_at=clock.now() + FIRST_WAIT
    )


def _failed(asked: Sequence[_Asked], error: JudgingError) -> None:
    log.warning("judging_failed", pairs=len(asked), error=str(error))
    useless = isinstance(error, (MalformedError, RefusedError))
    if not useless:
        pause.begin(server(), error)
    for one in asked:
        failures = one.row.failures + 1
        changes = {"failures": failures, "problem": str(error)[:300]}
        if useless and failures >= MOST_FAILURES:
            funnel.touch(one.row, answer=Answer.GIVEN_UP, due_at=None, **changes)
        else:
            wait = model_use.wait_after(failures, error)
            funnel.touch(one.row, due_at=clock.now() + wait, **changes)
