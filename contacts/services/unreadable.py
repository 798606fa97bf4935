"""What stood for a contact's emails and numbers and is none: kept as text, {emails, phones}.

An import leaves it there and takes it out (imports/changing.py); files that are written have it.
What a person dismisses of it is kept likewise, and no import and no file has it from then on.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from contacts.services.addresses import MAX_EMAILS, MAX_UNREADABLE, Labelled, text_of

KINDS = ("emails", "phones")
# Of each kind; as many as there may be addresses.
MAX_TEXTS = MAX_EMAILS
# It grows each time that something is dismissed; what was dismissed first goes first.
MAX_DISMISSED = 10 * MAX_TEXTS


def texts_of(kept: object, name: str) -> list[str]:
    """Those of `name`, whatever a restored or imported row holds."""
    texts = kept.get(name) if isinstance(kept, Mapping) else None
    if not isinstance(texts, list):
        return []
    return [text[:MAX_UNREADABLE] for text in texts[:MAX_DISMISSED] if isinstance(text, str)]


def but(given: Sequence[Labelled], texts: Collection[str]) -> Sequence[Labelled]:
    """Addresses of a card without those whose texts are `texts`."""
    return [one for one in given if text_of(one) not in texts] if texts else given


def united(first: object, second: object, most: int = MAX_TEXTS) -> dict[str, list[str]]:
    """What two have, the first's first."""
    return _each(
        lambda name: list(dict.fromkeys([*texts_of(first, name), *texts_of(second, name)]))[:most]
    )


def without(kept: object, gone: object) -> dict[str, list[str]]:
    """What the one has and the other has not."""
    return _each(lambda name: [t for t in texts_of(kept, name) if t not in texts_of(gone, name)])


def _each(texts: Callable[[str], list[str]]) -> dict[str, list[str]]:
    return {name: found for name in KINDS if (found := texts(name))}
