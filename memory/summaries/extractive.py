"""A summary without a language model: the session's own sentences, chosen by arithmetic.

Method. Salience by LexRank: sentences recommend each other by similarity, and a random walk over
them says how much each is recommended (Erkan and Radev, "LexRank: Graph-based Lexical Centrality
as Salience in Text Summarization", JAIR 22, 2004; the continuous form, damping 0.85). Similarity
is the cosine of the embedder's vectors or, where there is none, of tf-idf word weights over the
session's own sentences. Of thousands of sentences the walk gets the best by centroid weight
(Radev et al., "Centroid-based summarization of multiple documents", IPM 40, 2004). Redundancy by
maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998). Which list a sentence belongs to
follows from the event's type first, and else from cue phrases (Edmundson, "New methods in
automatic extracting", JACM 16, 1969), which are English: of other languages only events are told
apart. The same session gives the same summary.
"""

# numpy is imported inside functions: a web worker that never summarises must not pay for it.
from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from memory.embedding.base import Embedder, EmbeddingError
from memory.summaries.base import MOST_POINTS, Draft, Material, Said
from memory.summaries.sentences import Sentence, sentences_of, shorten

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

log = structlog.get_logger()

# What the walk gets: about two seconds of the local embedder, and a matrix of half a megabyte.
MOST_SENTENCES = 240
SUMMARY_SENTENCES = 5
LEAST_KEY_EVENTS = 6
EMBEDDING_SECONDS = 20.0
DAMPING, WALK_STEPS, WALK_TOLERANCE = 0.85, 100, 1e-8
# Below this two sentences have nothing to do with each other.
LEAST_SIMILARITY = 0.1
# Weight of salience against redundancy; and from where on two sentences say the same.
RELEVANCE, SAME = 0.7, 0.9
# Next steps stand near the end; what was planned before that has been done or dropped.
LATE = 0.6
# Of an event that says itself what it is, against a sentence that only sounds like it.
EVENT_WEIGHT = 3.0

DECISION_TYPES = frozenset({"decision_made", "decision"})
OUTCOME_TYPES = frozenset({"task_completed", "outcome"})
STEP_TYPES = frozenset({"next_step"})
KEY_TYPES = frozenset(
    {"error_encountered", "error", "pattern_identified", "context_shared", "task_updated"}
)
TASK_TYPES = frozenset({"task_created", "task_updated", "task_completed"})

_DECISION = re.compile(
    r"\b(decid(?:e|ed|ing) (?:to|on|that|against|for)|decision|(?:let's|let us|we'll|we will|"
    r"i'll) (?:use|go with|keep|switch|stick)|going with|chose|choose|opted|settled on|agreed|"
    r"instead of|rather than|ruled out)\b",
    re.IGNORECASE,
)
_OUTCOME = re.compile(
    r"\b(fixed|implemented|completed|finished|resolved|added|created|removed|merged|deployed|"
    r"released|shipped|now (?:works|passes|returns|runs)|works now|(?:all )?tests? (?:now )?pass|"
    r"succeeded|root cause|turned out|the result|done)\b",
    re.IGNORECASE,
)
_STEP = re.compile(
    r"\b(next steps?|next up|next,? (?:we|i|you) (?:should|must|need|have|will|can)|todo|to do|"
    r"remaining|still (?:need|needs|have|has|open|missing)|left to do|"
    r"follow[- ]up|needs? to be|should (?:be (?!able)|also|then|next|still)|will need|not yet|"
    r"tomorrow|later we|remains)\b",
    re.IGNORECASE,
)

# Advice and conditions: neither decided nor done.
_HEDGE = re.compile(
    r"\b(if (?:you|we|i|they|it)|you (?:can|could|may|might)|should|would|can be|could|will|"
    r"to ensure|needs? to|still needs?)\b|\?$",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"\?$")
_IF = re.compile(r"\bif (?:you|we|i|they|it)\b|\?$", re.IGNORECASE)


class ExtractiveSummarizer:
    """See the module. Without an embedder, or where it fails, similarity is by words."""

    method = "extractive"

    def __init__(self, embedder: Embedder | None) -> None:
        self._embedder = embedder

    def summarize(self, material: Material) -> Draft:
        sentences = _candidates(material)
        ask = _ask(material)
        if not sentences:
            return Draft(summary=_text(ask, [], material))
        similarity = self._similarity(sentences)
        chooser = _Chooser(sentences, similarity, lexrank(similarity))
        late = _late(material, sentences)
        decisions = chooser.take(_scored(sentences, DECISION_TYPES, _DECISION, but=_IF))
        outcomes = chooser.take(
            _scored(sentences, OUTCOME_TYPES, _OUTCOME, but=_HEDGE, who="assistant")
        )
        open_tasks = _open_tasks(material)
        steps = chooser.take(
            _scored(sentences, STEP_TYPES, _STEP, but=_QUESTION, among=late),
            most=MOST_POINTS - len(open_tasks),
        )
        events = _scored(sentences, KEY_TYPES, None)
        # A session of few events has its key moments in what was said.
        most = min(MOST_POINTS, max(LEAST_KEY_EVENTS, len(events)))
        spoken = {n: 1.0 for n, one in enumerate(sentences) if not one.said.event_type}
        key_events = chooser.take(spoken | events, most=most)
        # The text may say again what a list says: it is read alone as often as not.
        said = chooser.best(SUMMARY_SENTENCES, without=ask)
        return Draft(
            summary=_text(ask, said, material),
            key_events=key_events,
            decisions=decisions,
            outcomes=outcomes,
            next_steps=[*steps, *open_tasks],
        )

    def _similarity(self, sentences: Sequence[Sentence]) -> Matrix:
        """Cosines, 0 to 1, symmetric."""
        import numpy as np

        rows: Any = None
        if self._embedder is not None:
            try:
                rows = _embed(self._embedder, [one.text for one in sentences])
            except EmbeddingError as error:
                log.warning("summary_without_meaning", error=str(error))
        if rows is None:
            rows = word_vectors([one.words for one in sentences])
        # Rounded, so that the last bits of a vector, which follow from how texts were batched,
        # decide nothing.
        return np.round(np.clip(rows @ rows.T, 0.0, 1.0), 5)


def _embed(embedder: Embedder, texts: Sequence[str]) -> Any:
    """A turn at a time: a search that somebody waits for may come in between."""
    import numpy as np

    parts: list[Any] = []
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and size + len(text) > embedder.turn_characters:
            parts.append(embedder.embed(batch, budget=EMBEDDING_SECONDS))
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    parts.append(embedder.embed(batch, budget=EMBEDDING_SECONDS))
    return np.concatenate(parts).astype(np.float64)


# --- Candidates -------------------------------------------------------------------------------


def _candidates(material: Material) -> list[Sentence]:
    """Up to MOST_SENTENCES, in order: the best by the words they share with the whole session,
    each text once. Events that say what they are come first."""
    seen: set[str] = set()
    found: list[Sentence] = []
    for place, said in enumerate(material.said):
        for sentence in sentences_of(said, place):
            key = sentence.text.casefold()
            if key not in seen:
                seen.add(key)
                found.append(sentence)
    if len(found) <= MOST_SENTENCES:
        return found
    weights = _centroid([one.words for one in found])
    telling = DECISION_TYPES | OUTCOME_TYPES | STEP_TYPES | KEY_TYPES
    order = sorted(
        range(len(found)),
        key=lambda n: (found[n].said.event_type not in telling, -round(weights[n], 9), n),
    )
    # Half of the places are for what was said, however many events there are.
    told = [n for n in order if found[n].said.event_type][: MOST_SENTENCES // 2]
    spoken = [n for n in order if not found[n].said.event_type][: MOST_SENTENCES - len(told)]
    return [found[n] for n in sorted([*told, *spoken])]


def _idf(documents: Sequence[Sequence[str]]) -> dict[str, float]:
    holding = Counter(word for words in documents for word in set(words))
    return {word: math.log(1 + len(documents) / n) for word, n in holding.items()}


def _centroid(documents: Sequence[Sequence[str]]) -> list[float]:
    """How much each holds of the words that weigh most in all of them together."""
    idf = _idf(documents)
    often = Counter(word for words in documents for word in words)
    # A word that occurs once is nobody's subject.
    weight = {word: often[word] * idf[word] for word in often if often[word] > 1}
    return [
        sum(weight.get(word, 0.0) for word in set(words)) / math.sqrt(len(words) + 1)
        for words in documents
    ]


def word_vectors(documents: Sequence[Sequence[str]]) -> Matrix:
    """tf-idf rows of length 1; a text without words has a row of zeros."""
    import numpy as np

    idf = _idf(documents)
    columns = {word: n for n, word in enumerate(sorted(idf))}
    rows = np.zeros((len(documents), max(1, len(columns))))
    for row, words in zip(rows, documents, strict=True):
        for word, often in Counter(words).items():
            row[columns[word]] = often * idf[word]
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    lengths[lengths == 0] = 1.0
    return rows / lengths


# --- Choosing ---------------------------------------------------------------------------------


def lexrank(similarity: Matrix) -> Matrix:
    """Continuous LexRank of each sentence, the highest 1. A sentence does not recommend itself:
    one that has nothing to do with the others would otherwise keep its share for ever."""
    import numpy as np

    count = len(similarity)
    edges = np.where(similarity >= LEAST_SIMILARITY, similarity, 0.0)
    np.fill_diagonal(edges, 0.0)
    sums = edges.sum(axis=1, keepdims=True)
    # From one that recommends nobody the walk goes on anywhere.
    steps = np.where(sums > 0, edges / np.where(sums > 0, sums, 1.0), 1.0 / count)
    rank = np.full(count, 1.0 / count)
    for _ in range(WALK_STEPS):
        after = (1 - DAMPING) / count + DAMPING * (rank @ steps)
        moved = float(np.abs(after - rank).sum())
        rank = after
        if moved < WALK_TOLERANCE:
            break
    ranked: Matrix = np.round(rank / rank.max(), 6)
    return ranked


Scores = dict[int, float]


def _scored(
    sentences: Sequence[Sentence],
    types: frozenset[str],
    cue: re.Pattern[str] | None,
    *,
    but: re.Pattern[str] | None = None,
    who: str = "",
    among: Sequence[int] | None = None,
) -> Scores:
    """The sentences of a list, by their weight beside salience."""
    scores: Scores = {}
    places = range(len(sentences)) if among is None else among
    for n, one in enumerate(sentences):
        if one.said.event_type:
            if one.said.event_type in types:
                scores[n] = EVENT_WEIGHT
        elif cue is None or n not in places or (who and one.said.who != who):
            continue
        elif cue.search(one.text) and not (but and but.search(one.text)):
            scores[n] = 1.0
    return scores


def _late(material: Material, sentences: Sequence[Sentence]) -> list[int]:
    """The sentences of the last messages."""
    messages = [place for place, said in enumerate(material.said) if not said.event_type]
    if not messages:
        return []
    start = messages[int(LATE * len(messages))]
    return [n for n, one in enumerate(sentences) if one.place >= start]


@dataclass(slots=True)
class _Chooser:
    """Takes sentences out of the candidates, so that no two lists hold the same one."""

    sentences: Sequence[Sentence]
    similarity: Matrix
    salience: Matrix
    taken: frozenset[int] = frozenset()

    def take(self, scores: Scores, *, most: int = MOST_POINTS) -> list[str]:
        """Up to `most` of the scored ones, in order of time."""
        free = {n: weight for n, weight in scores.items() if n not in self.taken}
        chosen = self._marginal(free, most)
        same = [n for n in range(len(self.sentences)) for m in chosen if self._same(n, m)]
        self.taken |= frozenset(chosen) | frozenset(same)
        return [self.sentences[n].text for n in sorted(chosen)]

    def best(self, most: int, *, without: str) -> list[str]:
        """The most salient of all that was said, in order of time."""
        others = {n: 1.0 for n, one in enumerate(self.sentences) if one.text != without}
        return [self.sentences[n].text for n in sorted(self._marginal(others, most))]

    def _same(self, one: int, other: int) -> bool:
        return bool(self.similarity[one, other] >= SAME)

    def _marginal(self, scores: Scores, most: int) -> list[int]:
        """Maximal marginal relevance; the earlier of equals."""
        chosen: list[int] = []
        left = sorted(scores)
        highest = max((self._worth(n, scores) for n in left), default=1.0)
        worth: Callable[[int], float] = lambda n: self._worth(n, scores) / highest  # noqa: E731
        while left and len(chosen) < most:
            nearest = {n: max((self.similarity[n, m] for m in chosen), default=0.0) for n in left}
            left = [n for n in left if nearest[n] < SAME]
            if not left:
                break
            best = max(
                left, key=lambda n: (RELEVANCE * worth(n) - (1 - RELEVANCE) * nearest[n], -n)
            )
            chosen.append(best)
            left.remove(best)
        return chosen

    def _worth(self, n: int, scores: Scores) -> float:
        return float(self.salience[n]) * scores[n]


# --- Texts ------------------------------------------------------------------------------------


def _ask(material: Material) -> str:
    """What the session was asked: the first words of its person, else its prompt."""
    first = next((said for said in material.said if said.who == "user"), None)
    asked = first or (Said(material.said[0].at, "user", material.prompt) if material.said else None)
    if asked is not None:
        sentence = next(sentences_of(asked, 0), None)
        if sentence is not None:
            return sentence.text
    return shorten(" ".join((first.text if first else material.prompt).split()))


def _open_tasks(material: Material) -> list[str]:
    """Tasks that the session touched and did not bring to an end, by its last word on each."""
    last: dict[str, Said] = {}
    for said in material.said:
        if said.event_type in TASK_TYPES and said.task_id:
            last.pop(said.task_id, None)
            last[said.task_id] = said
    still_open = [said for said in last.values() if said.to not in ("", "done")]
    return [shorten(" ".join(said.text.split())) for said in still_open[-MOST_POINTS:]]


def _text(ask: str, said: Sequence[str], material: Material) -> str:
    parts = [f"Asked: {ask}" if ask else "", " ".join(said)]
    parts.append(f"Outcome: {material.outcome}." if material.outcome else "")
    return "\n".join(part for part in parts if part) or material.name
