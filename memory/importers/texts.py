"""What the search index makes of an entry's texts, made before the entry is written: the reader has
time for it, while the database works. What is not foreseen here is cut when it is written."""

from config.lib.recalled import without_recalled
from memory.importers.ahead import give_way
from memory.importers.rows import Entry
from memory.services.sources import Cut, cut_text, said_by
from sessions.services.events import NewEvent


def cut_texts(entry: Entry, cut: Cut) -> None:
    """Add the chunks of an entry's clean texts. Touches no database."""
    for draft in entry.drafts:
        # What cannot be stored is refused, or changed, when it is written.
        if draft.made is not None and not draft.made.problems:
            _add(cut, *said_by(draft.made.row))
    for appended in entry.appended:
        for row in appended.rows:
            if not isinstance(row, NewEvent):
                _add(cut, without_recalled(row.content))
            elif not row.data.get("message_uuid"):
                _add(cut, without_recalled(row.text))
    if entry.work is not None:
        for text in entry.work.texts():
            give_way()
            _add(cut, without_recalled(text))


def _add(cut: Cut, text: str, extra_words: str = "") -> None:
    if text and (text, extra_words) not in cut:
        cut[text, extra_words] = cut_text(text, extra_words)
