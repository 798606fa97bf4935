"""Whether two statements cannot both hold: by their words alone, in four languages.

Sentence is held against sentence. They contradict each other where they say the same but for a
negation, or but for one value in the place where a statement has one: a number, a date, a name
behind "is", "runs on", "is called". What else may differ as well is what keeps this from proposing
every two sentences about ports. English, German, French and Spanish; benchmarks/contradictions.py
measures it. Not for which memories are compared (services/contradictions.py).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

# A report of pages says too much to be one statement.
MOST_CHARACTERS, MOST_SENTENCES, MOST_TOKENS = 1_200, 8, 40
MOST_VALUE = 4


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MONTHS = (
    "jan(?:uary|uar)?|feb(?:ruary|ruar)?|mar(?:ch)?|m[aä]rz|apr(?:il)?|may|mai|june?|juni|july?|"
    "juli|aug(?:ust)?|sep(?:tember)?|oct(?:ober)?|okt(?:ober)?|nov(?:ember)?|de[cz](?:ember)?|"
    "janvier|février|mars|avril|juin|juillet|août|septembre|octobre|novembre|décembre|enero|"
    "febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre"
)
_DAYS = _words(
    "monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays "
    "thursdays fridays saturdays sundays montag dienstag mittwoch donnerstag freitag samstag "
    "sonntag lundi mardi mercredi jeudi vendredi samedi dimanche lunes martes miércoles jueves "
    "viernes sábado domingo"
)
_NUMBERS = _words(
    "one two three four five six seven eight nine ten zwei drei vier fünf sechs deux trois quatre "
    "cinq dos tres cuatro cinco"
)
_TOKEN = re.compile(
    rf"(?P<date>\b\d{{4}}-\d\d-\d\d\b|\b\d{{1,2}}\.\d{{1,2}}\.\d{{4}}\b|"
    rf"\b\d{{1,2}}(?:st|nd|rd|th|\.)? (?:(?:de|of) )?(?:{_MONTHS})\b\.?(?:,? (?:de )?\d{{4}}\b)?|"
    rf"\b(?:{_MONTHS})\.? \d{{1,2}}(?:st|nd|rd|th)?\b(?:,? \d{{4}}\b)?)"
    r"|(?P<number>\b\d{1,2}:\d\d\b|\b\d+(?:[.,]\d+)*%?(?![\w/@-]))"
    r"|(?P<name>`[^`\n]{1,80}`|\"[^\"\n]{1,80}\"|"
    r"[\w.<>-]*(?:://|[/@\\])[^\s,;]*[\w>/]|\w+(?:[-._]\w+)*[._]\w+(?:[-._]\w+)*|\w*\d[\w-]*)"
    r"|(?P<word>[^\W\d_][\w'\u2019-]*)",
    re.IGNORECASE,
)
_SPLIT = re.compile(r"(?<=[.!?…])\s+|\n+|;\s+")

# Said or not, the statement is the same.
_FILLERS = _words(
    "the a an our my your their its this now currently still also just always do does did please "
    "actually meanwhile ever that s today longer every "
    "der die das den dem des ein eine einen einem einer unser unsere jetzt nun aktuell immer auch "
    "le la les l un une des du notre nos maintenant toujours ne n "
    "el los las una unos nuestro nuestra ahora siempre"
)
# Of these alone no statement is made.
_FUNCTION = _words(
    "we i you he she it they be to of in on at for from with by as and or per into than so "
    "wir ich sie er es zu zum zur im in auf am an bei für von mit und oder um "
    "nous je on il elle à au aux en dans pour par avec et ou sous sur "
    "nosotros yo él ella a al en de con para por y o"
)
_BE = _words("is are was were be been am ist sind war est sont était es son está están")
_NEGATIONS = _words(
    "not no never none cannot nobody nothing without nicht kein keine keinen keiner keinem nie "
    "niemals ohne pas jamais aucun aucune sans plus nunca sin ninguno ninguna"
)
_SHORT = re.compile(r"n['\u2019]t$")
# One side of each is the other one denied.
_OPPOSITES = {
    denied: said
    for said, *others in (
        ("enabled", "disabled"),
        ("required", "optional"),
        ("allowed", "forbidden", "prohibited", "disallowed"),
        ("supported", "unsupported"),
        ("available", "unavailable"),
        ("possible", "impossible"),
        ("true", "false"),
        ("public", "private"),
        ("turned-on", "turned-off"),
        ("aktiviert", "deaktiviert"),
        ("erlaubt", "verboten"),
        ("activé", "désactivé"),
        ("activée", "désactivée"),
        ("autorisé", "interdit"),
        ("obligatoire", "facultatif"),
        ("habilitado", "deshabilitado"),
        ("activado", "desactivado"),
        ("permitido", "prohibido"),
        ("obligatorio", "opcional"),
    )
    for denied in others
}
_ALIKE = {"mandatory": "required", "obligatory": "required", "permitted": "allowed"}
_SWITCHED = re.compile(r"\b(?:turned|switched) (on|off)\b", re.IGNORECASE)
# What happened, happened; another time it was another way.
_EVENTS = _words(
    "took fixed failed broke released found asked answered added created removed merged measured "
    "benchmark happened said wrote add write create fix test remove"
)
# One can do so to several things at once.
_SEVERAL = _words(
    "use have support accept like own contain include need require expose show know see "
    "install import read nutzen verwenden benutzen nutzt verwendet enthält utilise utilisons "
    "contient usamos usa contiene"
)
_CALLED = _words(
    "called named heißt llama appelle default prefer prefers bevorzugt préfère prefiere"
)
_PREFERS = _words("prefer bevorzugt préfère prefiere")
_ROLES = _words("owner lead leader maintainer manager contact responsible head ceo cto chair admin")
_GERMAN = _words("der die das den dem ein eine ist sind wir und nicht läuft auf")
_CHANGE = re.compile(
    r"\b(?:moved|switched|migrated|changed|went|passés?|migrés?|cambiamos|migramos|pasamos|"
    r"umgestellt|gewechselt)\b"
)
_FROM_TO = re.compile(
    r"\b(?:from|von|de) (?P<old>[^,;:?!]{1,40}?) (?:to|auf|zu|vers|à|a) (?P<new>[^,;:?!]{1,60})"
)
_REPLACED = re.compile(
    r"\breplaced (?P<old>[^,;:?!]{1,40}?) (?:with|by) (?P<new>[^,;:?!]{1,60})|"
    r"(?P<was>[^,;:?!]{1,40}?) (?:was|has been|is) replaced (?:with|by) (?P<now>[^,;:?!]{1,60})"
)


@dataclass(frozen=True, slots=True)
class Token:
    """`key` is what is compared; `kind` is date, number, name or word."""

    key: str
    kind: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence: what it says of what, and whether it denies it. `ended` says that something is so
    no longer."""

    text: str
    tokens: tuple[Token, ...]
    denied: bool
    ended: bool
    german: bool

    @property
    def content(self) -> frozenset[str]:
        return frozenset(one.key for one in self.tokens if one.key not in _FUNCTION)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """`rule` is negation, changed_value, changed_date or replaced; the words are those in which the
    two differ, or the whole sentences."""

    rule: str
    older: str
    newer: str


def contradiction(older: str, newer: str) -> Contradiction | None:
    """The first one between two texts, or None."""
    if max(len(older), len(newer)) > MOST_CHARACTERS:
        return None
    befores, afters = list(_statements(older)), list(_statements(newer))
    for before in befores:
        for after in afters:
            found = _between(before, after)
            if found is not None:
                return found
    return None


def telling_words(text: str) -> list[str]:
    """The words by which others that speak of the same are found, each once."""
    found = [one.key for said in _statements(text) for one in said.tokens]
    return [word for word in dict.fromkeys(found) if word not in _FUNCTION]


def _statements(text: str) -> Iterator[Statement]:
    for sentence in _SPLIT.split(text)[:MOST_SENTENCES]:
        one = _statement(sentence.strip())
        if one is not None:
            yield one


def _statement(text: str) -> Statement | None:
    if not text or text.endswith("?") or text.startswith("¿"):
        return None
    tokens: list[Token] = []
    denials, german, ended = 0, False, False
    text = _SWITCHED.sub(lambda found: f"turned-{found[1].lower()}", text)
    for found in _TOKEN.finditer(text):
        kind, raw = str(found.lastgroup), found.group()
        low = raw.casefold().strip('`"').replace("\u2019", "'")
        german = german or low in _GERMAN
        if low in _NEGATIONS or _SHORT.search(low):
            denials += 1
            ended = ended or (low == "no" and "no longer" in text.casefold())
        elif low in _OPPOSITES or _stem(low) in _OPPOSITES:
            denials += 1
            tokens.append(Token(_OPPOSITES.get(low) or _OPPOSITES[_stem(low)], "word"))
        elif low not in _FILLERS:
            tokens.append(Token(*_read(low, raw, kind, found.start() == 0)))
    if not 2 <= len(tokens) <= MOST_TOKENS:
        return None
    return Statement(text, tuple(tokens), denials % 2 == 1, ended, german)


def _read(low: str, raw: str, kind: str, first: bool) -> tuple[str, str]:
    if kind == "word":
        if low in _BE:
            return "be", "word"
        if low in _DAYS:
            return low.removesuffix("s") if low.endswith("days") else low, "date"
        if low in _NUMBERS:
            return low, "number"
        named = (not first and raw[:1].isupper()) or any(letter.isupper() for letter in raw[1:])
        return _ALIKE.get(low, _stem(low)), "name" if named else "word"
    return low, kind


def _stem(word: str) -> str:
    """So far that "retries" is "retry", and "supports" "support"."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _between(older: Statement, newer: Statement) -> Contradiction | None:
    if older.text.casefold() == newer.text.casefold():
        return None
    return (
        _negation(older, newer)
        or _replaced(older, newer)
        or _replaced(newer, older, swapped=True)
        or _value(older, newer)
    )


def _negation(older: Statement, newer: Statement) -> Contradiction | None:
    """The same content, once denied; of what ended, more may have been said before."""
    if older.denied == newer.denied:
        return None
    before, after = older.content, newer.content
    # "With h", "without h": names are spelt, lists are headed so.
    telling = sum(len(word) > 2 for word in after) >= 2
    same = telling and before == after
    over = newer.ended and telling and after < before
    return Contradiction("negation", older.text, newer.text) if same or over else None


def _replaced(told: Statement, change: Statement, *, swapped: bool = False) -> Contradiction | None:
    """One says that something gave way to another, the other that it is in use."""
    low = change.text.casefold()
    found = (_FROM_TO.search(low) if _CHANGE.search(low) else None) or _REPLACED.search(low)
    if found is None or told.denied or _CHANGE.search(told.text.casefold()):
        return None
    groups = found.groupdict()
    gone = _keys(groups.get("old") or groups.get("was") or "")
    come = _keys(groups.get("new") or groups.get("now") or "")
    rest = told.content - gone
    if not gone or not gone <= told.content or not rest & (change.content - gone):
        return None
    if come and come <= told.content:
        return None
    texts = (change.text, told.text) if swapped else (told.text, change.text)
    return Contradiction("replaced", *texts)


def _keys(text: str) -> frozenset[str]:
    one = _statement(f"{text} .") or _statement(f"x {text}")
    return frozenset() if one is None else one.content - {"x"}


def _value(older: Statement, newer: Statement) -> Contradiction | None:
    """The same but for one value, in a place that holds one."""
    # That two things are not so is no contradiction.
    if older.denied or newer.denied:
        return None
    before, after = ([one.key for one in said.tokens] for said in (older, newer))
    if _turned_round(before, after):
        return Contradiction("changed_value", older.text, newer.text)
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    steps = [one for one in matcher.get_opcodes() if one[0] != "equal"]
    if len(steps) != 1 or steps[0][0] != "replace":
        return None
    _, start, end, other_start, other_end = steps[0]
    one, other = older.tokens[start:end], newer.tokens[other_start:other_end]
    if max(len(one), len(other)) > MOST_VALUE:
        return None
    ahead, behind = older.tokens[:start], older.tokens[end:]
    rule = _rule(ahead, one, other, behind, german=older.german or newer.german)
    if rule is None:
        return None
    return Contradiction(rule, *(" ".join(t.key for t in span) for span in (one, other)))


def _turned_round(before: Sequence[str], after: Sequence[str]) -> bool:
    """ "Tabs over spaces", "spaces over tabs"."""
    if sorted(before) != sorted(after) or "over" not in before[1:-1]:
        return False
    place, other = before.index("over"), after.index("over")
    if not 0 < other < len(after) - 1:
        return False
    pair = before[place - 1], before[place + 1]
    return pair == (after[other + 1], after[other - 1])


def _rule(
    ahead: Sequence[Token],
    one: Sequence[Token],
    other: Sequence[Token],
    behind: Sequence[Token],
    *,
    german: bool,
) -> str | None:
    around = [token.key for token in (*ahead, *behind)]
    content = [key for key in around if key not in _FUNCTION]
    previous = ahead[-1].key if ahead else ""
    if not content or _EVENTS & set(around):
        return None
    if len(content) < 2 and not (previous == "be" or "be" in around or _CALLED & set(around)):
        return None
    # Another relation, not another value of the same one.
    if any(token.key in _FUNCTION for token in (*one, *other)):
        return None
    if len(ahead) < 2 and not _is_order(ahead):
        return "changed_value" if not ahead and _holds_a_role(one, other, behind) else None
    kinds = [{token.kind for token in span} for span in (one, other)]
    if kinds == [{"date"}, {"date"}]:
        return "changed_date"
    if kinds == [{"number"}, {"number"}]:
        return "changed_value"
    tail = [token.key for token in behind]
    if previous in _SEVERAL:
        # For one purpose one thing is used.
        named = all("word" not in kind or len(tail) > 2 for kind in kinds)
        purpose = tail[:1] and tail[0] in _FUNCTION and len(set(tail) - _FUNCTION) > 0
        return "changed_value" if purpose and named else None
    if previous in _PREFERS:
        return "changed_value" if set(tail) - _FUNCTION else None
    if previous in _CALLED:
        return "changed_value"
    named = all("name" in kind and not kind & {"number", "date"} for kind in kinds)
    if previous == "be" and not behind and len(one) == len(other) == 1:
        named = named or any("name" in kind for kind in kinds)
    if german:
        named = named and not behind and ("be" in around or previous in _FUNCTION)
    return "changed_value" if named else None


def _is_order(ahead: Sequence[Token]) -> bool:
    """ "Use", "prefer": an order, and what it names follows at once."""
    return bool(ahead) and ahead[-1].key in _CALLED | _SEVERAL


def _holds_a_role(one: Sequence[Token], other: Sequence[Token], behind: Sequence[Token]) -> bool:
    """ "Dana is the owner of", and then Luis. The first word is large whoever is meant."""
    keys = [token.key for token in behind]
    return len(one) == len(other) <= 2 and keys[:1] == ["be"] and bool(set(keys[1:3]) & _ROLES)
