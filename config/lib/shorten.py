"""Texts made shorter: no secret, and no mark of one, is cut in two; nobody would know it again."""

from config.lib.redact import BEGINNING, MARK, redact_text

# In which a text loses what looks like a secret.
_ROUNDS = 8


def without_secrets(text: str, *, personal: bool = False) -> str:
    """As `redact_text`, and without what looks like a secret only beside the mark of another: what
    is stored is redacted once more, and must be no longer then."""
    for _ in range(_ROUNDS):
        clean = redact_text(text, personal=personal)
        if clean == text:
            break
        text = clean
    return text


def beginning(clean: str, most: int, *, personal: bool = False) -> str:
    """Of a text without secrets, at most `most` characters: without a part of a mark, and without
    what looks like a secret now that its end is gone."""
    if len(clean) <= most:
        return clean
    kept = _without_part(clean[:most]).rstrip()
    for _ in range(_ROUNDS):
        again = redact_text(kept, personal=personal)
        if again == kept:
            break
        kept = _without_part(kept[: min(_alike(kept, again), len(kept) - 1)]).rstrip()
    return kept


def before_secret(text: str, most: int) -> str:
    """At most `most` characters of a text that is redacted afterwards: the secrets before stay for
    who counts them, but one that would be cut in two is left out, and so is a mark."""
    if len(text) <= most:
        return text
    kept = text[:most]
    part = redact_text(kept, personal=True)
    same = _alike(redact_text(text, personal=True), part)
    if not any(found.end() > same for found in MARK.finditer(part)):
        kept = kept[: max(0, len(kept) - (len(part) - same))]
    # Else what is left of it is known still.
    return _without_part(kept)


def _alike(one: str, other: str) -> int:
    """How many characters two texts begin alike with."""
    pairs = zip(one, other, strict=False)
    least = min(len(one), len(other))
    return next((at for at, (mine, its) in enumerate(pairs) if mine != its), least)


def _without_part(kept: str) -> str:
    """Without the beginning of a mark at the end."""
    at = kept.rfind(BEGINNING[0])
    if at >= 0:
        partly = kept.startswith(BEGINNING, at) and not MARK.match(kept, at)
        if partly or BEGINNING.startswith(kept[at:]):
            return kept[:at]
    return kept
