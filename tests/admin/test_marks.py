"""What matched in a snippet is told from the stars that the text has itself."""

import pytest

from memory.admin.marks import pieces_of
from memory.search.snippets import Snippets

LONG = "word " * 80


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("The boiler hums.", ["boiler", "hums"]),
        ("**boiler**", ["boiler"]),
        ("Why **does** the **boiler** hum?", ["boiler", "hum"]),
        ("boiler*hum*", ["boiler", "hum"]),
        ("***boiler** hum*", ["boiler", "hum"]),
        ("a ** b ** boiler", ["boiler"]),
        ("****", []),
        (" ** *** ", []),
        ("x ** boiler\n** y **hum", ["boiler", "hum"]),
        (f"{LONG}**boiler** hum {LONG}", ["boiler", "hum"]),
        ("… boiler …", ["boiler"]),
        ("", []),
    ],
)
def test_only_what_matched_is_marked_and_nothing_is_lost(text, marked):
    snippet = Snippets(["boiler", "hum"]).of(text)
    pieces = pieces_of(snippet, text)
    assert [part for part, is_marked in pieces if is_marked] == marked
    whole = "".join(part for part, _ in pieces)
    assert whole.removeprefix("… ").removesuffix(" …").strip() in text
    assert len(whole) == len(snippet) - 4 * len(marked)
