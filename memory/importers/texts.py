"""What the search index makes of an entry's texts, made before the entry is written: the reader has
time for it, while the database works. What is not foreseen here is cut when it is written."""

from memory.importers.rows import Entry
from memory.models import Memory
from memory.services.sources import Cut, cut_text
from sessions.services.events import NewEvent


def cut_texts(entry: Entry, cut: Cut) -> None:
    """Add the chunks of an entry's clean texts. Touches no database."""
    for draft in entry.drafts:
        if draft.model is Memory:
            text, tags = draft.values.get("text"), draft.values.get("tags") or []
            # What is neither is refused when it is written.
            if isinstance(text, str) and all(isinstance(tag, str) for tag in tags):
                _add(cut, text, " ".join(tags))
    for appended in entry.appended:
        for row in appended.rows:
            if not isinstance(row, NewEvent):
                _add(cut, row.content)
            elif not row.data.get("message_uuid"):
                _add(cut, row.text)


def _add(cut: Cut, text: str, extra_words: str = "") -> None:
    if text and (text, extra_words) not in cut:
        cut[text, extra_words] = cut_text(text, extra_words)
