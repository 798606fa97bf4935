"""What stood for a contact's emails and numbers and is none: kept as text, {emails, phones}.

An import leaves it there and takes it out (imports/changing.py); files that are written have it.
"""

from collections.abc import Collection, Mapping, Sequence

from contacts.services.addresses import MAX_EMAILS, MAX_UNREADABLE, Labelled, text_of

# Of each kind; as many as there may be addresses.
MAX_TEXTS = MAX_EMAILS


def texts_of(unreadable: object, name: str) -> list[str]:
    """Those of `name`, whatever a restored or imported row holds."""
    texts = unreadable.get(name) if isinstance(unreadable, Mapping) else None
    if not isinstance(texts, list):
        return []
    return [text[:MAX_UNREADABLE] for text in texts[:MAX_TEXTS] if isinstance(text, str)]


def but(given: Sequence[Labelled], texts: Collection[str]) -> Sequence[Labelled]:
    """Addresses of a card without those whose texts are `texts`."""
    return [one for one in given if text_of(one) not in texts] if texts else given


def united(first: object, second: object) -> dict[str, list[str]]:
    """Of two contacts that become one."""
    found = {
        name: list(dict.fromkeys([*texts_of(first, name), *texts_of(second, name)]))[:MAX_TEXTS]
        for name in ("emails", "phones")
    }
    return {name: texts for name, texts in found.items() if texts}
