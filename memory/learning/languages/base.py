"""What a language says about its own words, for the rules."""

import re
from dataclasses import dataclass


def words(pattern: str) -> re.Pattern[str]:
    """A pattern over a masked sentence, which is in small letters."""
    return re.compile(pattern)


NEVER = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class Language:
    """Patterns over masked sentences (prose.py).

    `opener` is what may stand before anything ("ok, ", "please "). `clause` ends a part of a
    sentence behind which another begins. These match where a part begins: `remember` up to what is
    to be kept (`keeps`: what is kept with those words in front, because grammar wants it),
    `instruct` (always, never), `prefer`, `decide`. `standing` (from now on) is found anywhere:
    at a part's beginning, or in one that tells the agent what to do, which one whose first word
    is among `subjects` does not. `hedge`: what is not meant; `reported`: what somebody else says;
    both spoil what comes behind them. `vague`: what cannot be understood without what stood
    before; `local`: what is said of the piece of work at hand; `chore`: something to be done once.
    `weak` marks what is a hint for the task as often as one for good: a person decides on it.
    Behind `therefore` an order may follow what somebody says of themselves.
    """

    name: str
    opener: re.Pattern[str]
    clause: re.Pattern[str]
    remember: re.Pattern[str]
    instruct: re.Pattern[str]
    prefer: re.Pattern[str]
    decide: re.Pattern[str]
    standing: re.Pattern[str]
    subjects: frozenset[str]
    hedge: re.Pattern[str]
    reported: re.Pattern[str]
    vague: re.Pattern[str]
    local: re.Pattern[str]
    weak: re.Pattern[str]
    chore: re.Pattern[str]
    wants: re.Pattern[str]
    therefore: re.Pattern[str]
    keeps: re.Pattern[str] = NEVER
