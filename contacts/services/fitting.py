"""Texts no longer than is kept of them: no secret is cut in two, which nobody would know again."""

from dataclasses import dataclass

from config.lib.redact import BEGINNING, MARK, redact_text

# Of a text of which less is kept than there was, what is said.
_SAID = 500
# In which a text loses what looks like a secret.
_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Shortened:
    """Of what less is kept than there was: `field` is its place (company, phones[0].label, tags),
    `text` how it begins, without secrets, `why` how much it is, and how much is kept."""

    field: str
    text: str
    why: str


def fitted(
    field: str,
    text: str,
    most: int,
    cut: list[Shortened],
    *,
    end: str = "",
    personal: bool = False,
) -> str:
    """`text` and `end`, together no longer than `most`, for which `text` is shortened: `cut` is
    told then. What is near to that is without secrets, whose marks may be longer than they are;
    `personal` as `redact_text` has it."""
    room = most - len(end)
    if len(text) <= room // 2:
        return text + end
    clean = _clean(text, personal)
    if len(clean) <= room:
        return clean + end
    why = f"has {len(clean) + len(end):,} characters; at most {most:,} are kept"
    cut.append(Shortened(field, _beginning(clean, _SAID, personal), why))
    return (_beginning(clean, room, personal) + end).strip()


def _clean(text: str, personal: bool) -> str:
    """Without secrets, and without what looks like one only beside the mark of another: it is
    redacted once more when it is stored, and must be no longer then."""
    for _ in range(_ROUNDS):
        clean = redact_text(text, personal=personal)
        if clean == text:
            break
        text = clean
    return text


def _beginning(clean: str, most: int, personal: bool) -> str:
    """Of a text without secrets: without a part of a mark, and without what looks like the
    beginning of a secret now that its end is gone."""
    kept = _whole_marks(clean[:most])
    for _ in range(_ROUNDS):
        again = redact_text(kept, personal=personal)
        if again == kept:
            break
        pairs = zip(kept, again, strict=False)
        same = next((at for at, (one, other) in enumerate(pairs) if one != other), len(kept))
        kept = _whole_marks(kept[: min(same, len(kept) - 1)])
    return kept


def _whole_marks(kept: str) -> str:
    """Without the beginning of a mark at the end."""
    at = kept.rfind(BEGINNING[0])
    if at >= 0:
        partly = kept.startswith(BEGINNING, at) and not MARK.match(kept, at)
        if partly or BEGINNING.startswith(kept[at:]):
            kept = kept[:at]
    return kept.rstrip()
