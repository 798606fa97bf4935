"""Drafts made fit to be stored: without secrets, NUL, lone surrogates, NaN, and not too long.

Each change is found once for a row, so that whoever reads the report knows what is not as it was.
"""

from dataclasses import replace
from typing import Any

import orjson
from django.contrib.postgres.fields import ArrayField
from django.db.models import CharField

from config.lib.redact import may_hold_secrets, redact, redact_text, taken_out
from config.lib.shorten import beginning
from contacts.services.addresses import MAX_TAG
from memory.importers.flags import instructions_in
from memory.importers.problems import Code, Finding
from memory.importers.rows import Draft, Entry, Link
from memory.importers.storable import Storable
from sessions.models import Message, SessionEvent
from sessions.services.events import NewEvent
from sessions.services.threads import NewMessage

# Of JSON; below it, it can be stored however it is written.
LARGE = 500_000
_SHORTEST_ORDER = 15

_APPENDED: dict[type, tuple[str, ...]] = {
    NewEvent: ("text", "data"),
    NewMessage: ("content", "blocks", "metadata"),
}


def _most(model: Any, name: str) -> int:
    most: int = model._meta.get_field(name).max_length
    return most


# What a source names as it likes, how long that may be, and where the whole of a longer one is.
_NAMED: dict[type, tuple[str, int, str]] = {
    NewEvent: ("event_type", _most(SessionEvent, "event_type"), "data"),
    NewMessage: ("model", _most(Message, "model"), "metadata"),
}


class Cleaner:
    """Counts the secrets it took out."""

    def __init__(self) -> None:
        self.redacted = 0

    def clean(self, entry: Entry) -> None:
        """Make everything of an entry storable, in place; what changed is added to its findings."""
        storable = Storable(raw_line=False)
        before = self.redacted
        for draft in entry.drafts:
            self._draft(draft, storable, entry)
            if tags := draft.parts.get("tags"):
                # Emails and numbers were read, and are of plain letters.
                clean = dict.fromkeys(
                    _fitted("a tag", storable.text(tag), MAX_TAG, entry, personal=False)
                    for tag in tags
                )
                draft.parts = {**draft.parts, "tags": sorted(clean)}
            if any(link.metadata for link in draft.links):
                draft.links = [self._link(link, storable) for link in draft.links]
        entry.appended = [
            replace(one, rows=tuple(self._row(row, storable, entry) for row in one.rows))
            for one in entry.appended
        ]
        self._look_for_orders(entry)
        if self.redacted > before:
            entry.findings.append(
                Finding(Code.REDACTED, _count(self.redacted - before, "secret"), "redacted")
            )
        if storable.replaced:
            what = _count(storable.replaced, "character")
            entry.findings.append(
                Finding(Code.TEXT_CHANGED, f"{what} that cannot be stored", "replaced by U+FFFD")
            )
        if storable.dropped:
            what = _count(storable.dropped, "value")
            entry.findings.append(
                Finding(Code.NON_FINITE, f"{what} (NaN, Infinity, too deep)", "became null")
            )

    def _look_for_orders(self, entry: Entry) -> None:
        """Whether a text of it gives orders to a model; it is kept whatever it says."""
        if any(finding.code is Code.INSTRUCTIONS for finding in entry.findings):
            return
        texts = [
            (name, value)
            for draft in entry.drafts
            for name, value in draft.values.items()
            if isinstance(value, str)
        ]
        for one in entry.appended:
            texts += [
                ("text", row.text) if isinstance(row, NewEvent) else ("content", row.content)
                for row in one.rows
            ]
        for name, text in texts:
            if len(text) >= _SHORTEST_ORDER and (flag := instructions_in(name, text)):
                entry.findings.append(flag)
                return

    def value(self, value: Any, storable: Storable, *, personal: bool = True) -> Any:
        """A text or JSON value without secrets, storable."""
        if isinstance(value, str):
            text = storable.text(value)
            return self._counted(text, redact_text(text, personal=personal))
        if value and isinstance(value, (dict, list)):
            clean = storable.json(value)
            # Nearly every value has none, and one look at its text is cheaper than at each part.
            encoded = orjson.dumps(clean)
            if may_hold_secrets(encoded.decode()):
                clean = self._counted(clean, redact(clean, personal=True))
            if isinstance(clean, dict) and len(encoded) > LARGE:
                return storable.fitted_object(clean)
            return clean
        return value

    def _row(
        self, row: NewEvent | NewMessage, storable: Storable, entry: Entry
    ) -> NewEvent | NewMessage:
        names = _APPENDED[type(row)]
        clean = replace(row, **{n: self.value(getattr(row, n), storable) for n in names})
        if isinstance(clean, NewEvent) and not clean.event_type.isprintable():
            clean = replace(clean, event_type=storable.text(clean.event_type))
        name, most, rest = _NAMED[type(row)]
        if len(named := getattr(clean, name)) > most:
            named = self.value(named, storable, personal=False)
            fit = _fitted(name, named, most, entry, personal=False)
            fits: dict[str, Any] = {name: fit, rest: {**(getattr(clean, rest) or {}), name: named}}
            clean = replace(clean, **fits)
        return clean

    def _link(self, link: Link, storable: Storable) -> Link:
        clean = self.value(dict(link.metadata), storable)
        return replace(link, metadata=tuple(sorted(clean.items())))

    def _draft(self, draft: Draft, storable: Storable, entry: Entry) -> None:
        for name, value in draft.values.items():
            if not isinstance(value, (str, dict, list)):
                continue
            if not value:
                continue
            cut = storable.cut
            field: Any = draft.model._meta.get_field(name)
            # As the funnel does: what names something is looked up by it.
            personal = not isinstance(field, CharField)
            clean = self.value(value, storable, personal=personal)
            if storable.cut > cut:
                reason = f"{name} is larger than can be stored"
                entry.findings.append(Finding(Code.TEXT_CUT, reason, "its texts were cut"))
            if isinstance(clean, str):
                if field.max_length:
                    clean = _fitted(name, clean, field.max_length, entry, personal=personal)
            elif isinstance(field, ArrayField) and all(isinstance(one, str) for one in clean):
                clean = self._items(name, clean, field.base_field.max_length, entry)
            draft.values[name] = clean

    def _items(self, name: str, clean: list[str], most: int | None, entry: Entry) -> list[str]:
        """Each once: two that begin alike may be one where they are cut."""
        if most is None or all(len(one) <= most for one in clean):
            return clean
        of = f"one of {name}"
        return list(dict.fromkeys(_fitted(of, o, most, entry, personal=False) for o in clean))

    def _counted(self, before: Any, after: Any) -> Any:
        self.redacted += taken_out(before, after)
        return after


def _fitted(name: str, clean: str, most: int, entry: Entry, *, personal: bool) -> str:
    """A text without secrets, no longer than is kept, which is found."""
    if len(clean) <= most:
        return clean
    reason = f"{name} has {len(clean):,} characters"
    entry.findings.append(Finding(Code.TEXT_CUT, reason, f"cut at {most:,}"))
    return beginning(clean, most, personal=personal)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
