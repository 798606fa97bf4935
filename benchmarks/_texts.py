"""Synthetic text of agent work: sessions of prose, commands, traces, paths and decisions.

Each text belongs to a topic, and its words follow a Zipf-like law within it, so that both legs
have something to tell apart. The same seed makes the same texts. Not a quality corpus.
"""

import random
from collections.abc import Iterator
from itertools import islice

AREAS = (
    "billing invoice payment refund ledger tax currency customer receipt balance",
    "parser token grammar syntax lexer node tree visitor precedence recursion",
    "deploy container image registry rollout cluster replica probe ingress secret",
    "database index migration query planner vacuum replication lock transaction schema",
    "frontend component render hook style layout button modal router bundle",
    "search ranking passage vector embedding recall tokenizer lexeme stemmer snippet",
    "auth session cookie token scope permission role login password rotation",
    "network socket timeout retry proxy certificate handshake latency header gateway",
    "test fixture assertion coverage mock snapshot flake runner suite failure",
    "garden seedling greenhouse irrigation compost harvest trellis mulch pruning frost",
    "finance budget forecast margin revenue hiring quarter target board runway",
    "travel flight hotel visa itinerary luggage museum train booking weather",
)
COMMON = (
    "the we it this that a to of and in for with on is was be should can not when after before "
    "because so now then first next again still already also only more less same other new old "
    "user file line code change error value result check run add remove update fix read write "
    "start stop open close call return set get make use find show need want look keep try"
).split()
SYLLABLES = "ba co du fe gi ha ko lu me ni or pa qui re so ta ul ve wa xi yo zen".split()
TOPICS_SEED = 7
VERBS = "get set load parse build render merge fetch store check resolve split".split()


def topics(count: int, seed: int) -> list[list[str]]:
    """Each topic's own words: an area's, and names made for it alone."""
    dice = random.Random(seed)
    made = []
    for number in range(count):
        names = ["".join(dice.choices(SYLLABLES, k=3)) for _ in range(25)]
        made.append(AREAS[number % len(AREAS)].split() + names)
    return made


def topics_in(count: int) -> int:
    """How many topics `count` texts are about."""
    return max(20, count // 50)


def texts(count: int, *, seed: int = 7) -> Iterator[tuple[int, str]]:
    """(topic, text): sentences of 20 to 200 words, some with code, paths and traces.

    The first have a topic each, as far as they reach; `seed` changes the texts, not the topics.
    """
    dice = random.Random(seed)
    themes = topics(topics_in(count), TOPICS_SEED)
    # Old words come up often and new ones rarely, as in any language.
    rare = [f"{''.join(dice.choices(SYLLABLES, k=4))}" for _ in range(20_000)]
    for number in range(count):
        topic = number if number < len(themes) else dice.randrange(len(themes))
        words = themes[topic]
        length = int(min(200, max(12, dice.lognormvariate(3.9, 0.7))))
        out: list[str] = []
        while len(out) < length:
            roll = dice.random()
            if roll < 0.55:
                out.append(COMMON[min(int(dice.expovariate(0.06)), len(COMMON) - 1)])
            elif roll < 0.9:
                out.append(words[min(int(dice.expovariate(0.15)), len(words) - 1)])
            elif roll < 0.97:
                out.append(rare[min(int(dice.paretovariate(0.8)), len(rare)) - 1])
            else:
                out.append(_artefact(dice, words))
            if dice.random() < 0.08:
                out[-1] += "."
        yield topic, " ".join(out)


def queries(
    count: int, *, seed: int = 11, texts_of: int = 10_000, first_texts: int = 2000
) -> list[str]:
    """What an agent asks for one of the first texts of `texts(texts_of)`: a few of its topic's
    words and of the common ones in it, sometimes a name, a path or an error of it.

    So there is a text that has the words, as there is for most of what is asked of a store: the
    model puts a query as near to the nearest text (cosine .60) as the questions of LoCoMo (.54)
    and BEAM (.66) are to theirs.
    """
    dice = random.Random(seed)
    themes = topics(topics_in(texts_of), TOPICS_SEED)
    asked_for = list(islice(texts(texts_of), min(first_texts, texts_of)))
    made = []
    for _ in range(count):
        topic, text = dice.choice(asked_for)
        tokens = {token.rstrip(".") for token in text.split()}
        own, common = sorted(tokens & set(themes[topic])), sorted(tokens & set(COMMON))
        asked = dice.sample(own, min(3, len(own))) + dice.sample(common, min(2, len(common)))
        artefacts = sorted(token for token in tokens if not token.isalpha())
        if artefacts and dice.random() < 0.3:
            asked.append(dice.choice(artefacts))
        dice.shuffle(asked)
        made.append(" ".join(asked))
    return made


def _artefact(dice: random.Random, words: list[str]) -> str:
    one, two = dice.choice(words), dice.choice(words)
    forms = (
        f"{dice.choice(VERBS)}{one.capitalize()}{two.capitalize()}()",
        f"src/{one}/{two}_{dice.choice(VERBS)}.py:{dice.randrange(1, 900)}",
        f"{one}_{two}",
        f"{one.capitalize()}Error: {two} is not defined",
        f"--{one}-{two}",
    )
    return dice.choice(forms)
