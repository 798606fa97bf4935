"""A hit's snippet in pieces, so that a page can mark what matched and escape all of it."""

from memory.search.snippets import MARK

BEFORE, AFTER = "… ", " …"
Piece = tuple[str, bool]


def pieces_of(snippet: str, text: str) -> list[Piece]:
    """(part, whether it matched) in order; together the snippet without its marks.

    A text may have stars of its own, as Markdown does. `text` is the hit's passage: what the
    snippet is without its marks stands in it, which tells the ones from the others.
    """
    body = snippet.removeprefix(BEFORE).removesuffix(AFTER)
    if MARK[0] in text:
        for start in range(len(text)):
            found = _read(body, text, start)
            if found is not None:
                break
        else:
            found = _split(body)
    else:
        found = _split(body)
    if snippet.startswith(BEFORE):
        found.insert(0, (BEFORE, False))
    if snippet.endswith(AFTER):
        found.append((AFTER, False))
    return [piece for piece in found if piece[0]]


def _split(body: str) -> list[Piece]:
    """Where every pair of stars is a mark."""
    return [(part, bool(number % 2)) for number, part in enumerate(body.split(MARK))]


def _read(body: str, text: str, start: int) -> list[Piece] | None:
    """The pieces, if the body is what the text has from `start` on. What matches has neither a star
    nor a blank."""
    found: list[Piece] = []
    place, at, begun, marked = 0, start, 0, False
    while place < len(body):
        if body.startswith(MARK, place):
            own = 0 if marked else _stars(text, at)
            extra = len(MARK) if marked else _stars(body, place) - own
            if extra not in (0, len(MARK)):
                return None
            place, at = place + own, at + own
            if extra:
                piece = body[begun:place]
                if marked and (not piece or any(map(str.isspace, piece))):
                    return None
                found.append((piece, marked))
                place += len(MARK)
                begun, marked = place, not marked
        elif at < len(text) and body[place] == text[at]:
            place, at = place + 1, at + 1
        else:
            return None
    return None if marked else [*found, (body[begun:], False)]


def _stars(text: str, place: int) -> int:
    return len(text[place:]) - len(text[place:].lstrip("*"))
