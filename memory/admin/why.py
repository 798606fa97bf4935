"""Why a hit stands where it stands, as a page shows it: what each leg says, and the ranking's parts
as bars."""

from collections.abc import Sequence
from dataclasses import dataclass

from memory.search.schemas import Explanation

LABELS = {
    "words": "Words of the query",
    "meaning": "Meaning",
    "opening_meaning": "Meaning of its opening",
    "keyword_meaning": "Meaning of the keywords",
    "chunks": "Is one of many parts",
    "coverage": "Share of the words it has",
    "pairs": "Words that stand together",
    "thread": "Its thread is about it",
    "speaker": "Who speaks",
    "time": "Tells a time that is asked for",
    "question": "Is a question itself",
    "short_question": "Is a short question",
    "answers": "Follows a question",
    "before_words": "The message before has the words",
    "second_before_words": "The one before that has them",
    "after_keywords": "The message after means it",
    "beside_keywords": "A message beside it means it",
    "around_words": "It or one beside it has the words",
    "short": "Is short",
    "length": "Has some length",
    "alone": "Stands in no thread",
    "period": "Is of the time that is spoken of",
}
# Less than this moves nothing that anybody could see.
LEAST = 0.005


@dataclass(frozen=True, slots=True)
class Leg:
    """What one leg says of a hit; `found` is whether it reached it. `share` is in percent."""

    name: str
    figure: str
    value: float | None
    share: int
    rank: int | None

    @property
    def found(self) -> bool:
        return self.value is not None


@dataclass(frozen=True, slots=True)
class Bar:
    """What one part of the ranking added; `width` in percent of the largest."""

    label: str
    value: float
    width: int


def legs_of(explained: Explanation, ran: Sequence[str]) -> list[Leg]:
    """Of the legs that ran."""
    words = ("By words", "BM25", explained.bm25, explained.bm25_share, explained.bm25_rank)
    meaning = (
        "By meaning", "cosine", explained.cosine, explained.cosine_share, explained.cosine_rank,
    )  # fmt: skip
    return [
        Leg(name, figure, value, round(100 * (share or 0)), rank)
        for leg, (name, figure, value, share, rank) in (("lexical", words), ("semantic", meaning))
        if leg in ran
    ]


def bars_of(explained: Explanation) -> list[Bar]:
    """The largest first; empty where one leg alone decided."""
    parts = {name: value for name, value in (explained.parts or {}).items() if abs(value) >= LEAST}
    largest = max(map(abs, parts.values()), default=1.0)
    return [
        Bar(LABELS.get(name, name), value, round(100 * abs(value) / largest))
        for name, value in sorted(parts.items(), key=lambda part: -abs(part[1]))
    ]
