"""The rules of extraction: what is taken for a person's wish, and what never is."""

import json

import pytest

from benchmarks.extraction import judge, read, score
from config.lib.phrases import PhrasesError, read_phrases
from memory.learning.prose import masked, sentences_of
from memory.learning.rules import find
from memory.learning.tools import Call, telling_line, troubles_of
from tests.factories import NOBODYS_ID

SAID = "Always use tabs in Go files."


def texts(text):
    return [one.text for one in find(text)]


@pytest.mark.parametrize(("half", "recall"), [("test", 0.9), ("dev", 0.95)])
def test_the_corpora_are_read_as_well_as_the_docs_say(half, recall):
    found = score([judge(one["want"], find(one["text"])) for one in read(half)])
    assert found["precision"] >= 0.95
    assert found["recall"] >= recall
    assert found["right_kind"] >= 0.95


@pytest.mark.parametrize(
    "text",
    [
        "it's always DNS", "As always, thanks!", "Always a pleasure.", "Never again!",
        "Never mind.", "never-ending loop in sync.py", "I always forget the syntax for that",
        "you never run the tests, please do it now", "Never do that again.",
        "We always had this problem with Docker on Mac.", "This should never happen.",
        "Always show a loading spinner while fetching the orders.",
        "When the user clicks save, always show the toast.",
        "Users must never see other users' orders? Write a policy for that.",
        "never let the retry counter exceed 5 in this loop",
        "Remember me checkbox on the login page is broken", "remember that.",
        "Note that down in the README", "remember when we changed the port? find that commit",
        "Please don't always say sorry", "Should I always use const?",
        "From now on the tests fail on CI.", "rename from_now_on to fromNow",
        "Write a commit message: from now on, we use pnpm", "I prefer the second option.",
        "they decided to rewrite it in Rust", "It was decided by the customer last year.",
        "Immer noch rot.", "Nie im Leben!", "Wie immer: erst bauen, dann testen.", "merk dir das",
        "Ab jetzt läuft es wieder, danke.", "Wir haben noch nichts entschieden.",
        "Toujours pas.", "Rappelle-moi demain de relancer le build.",
        "Désormais ça marche, merci !",
        "Siempre igual.", "Recuérdame mañana que lo revise.",
        "A partir de ahora funciona, gracias.",
        "", " ", "?", "\x00", "\ud800", "¿", "always", "never", "remember:", "from now on",
    ],
)  # fmt: skip
def test_what_is_nobodys_wish_for_good(text):
    assert texts(text) == []


@pytest.mark.parametrize(
    "text",
    [
        f"> {SAID}", f"```\n{SAID}\n```", f"~~~\n{SAID}", f"\n    {SAID}", f'"{SAID}"', f"«{SAID}»",
        f"„{SAID}“", f"`{SAID}`", f"<log>{SAID}</log>", f"<log a='1'>\n{SAID}\n</LOG> fix it",
        f"Here is what he wrote:\n{SAID}", f"From: Tom\n{SAID}", f"The docs say:\n\n{SAID}",
        f"2026-10-02 11:04:12 ERROR {SAID}", f"Traceback (most recent call last):\n{SAID}",
        f"- {SAID}", f"+{SAID}", f"$ {SAID}",
        f"<remembrancer-recall>\n{SAID}\n</remembrancer-recall>",
        f"<remembrancer-recall>\n{SAID}",
    ],
)  # fmt: skip
def test_what_is_cited_or_pasted_is_nobodys_own(text):
    assert texts(text) == []


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"ok, so: {SAID}", SAID),
        (f"<ide_opened_file>x.go</ide_opened_file>{SAID}", SAID),
        (f"```\ncode\n```\n{SAID}", SAID),
        ("Never ever push on Fridays.", "Never ever push on Fridays."),
        ("ALWAYS USE TABS", "ALWAYS USE TABS"),
        ("Remember that “x” means y here and there.", "“x” means y here and there."),
        ("I see. No emojis from now on", "No emojis from now on"),
        ("Merk dir: Prod liegt in Irland.", "Prod liegt in Irland."),
        ("Merk dir, dass Prod in Irland liegt.", "Merk dir, dass Prod in Irland liegt."),
        ("N’oublie pas que la prod est à Dublin.", "La prod est à Dublin."),
        (
            "remember the following:\n- a is one thing\n- b is another\nThanks",
            "- a is one thing\n- b is another",
        ),
        (
            "use tabs,\nand please remember that we keep the long lines of the old parser\n"
            "as they are",
            "We keep the long lines of the old parser as they are",
        ),
    ],
)
def test_what_is_kept_are_their_own_words(text, kept):
    assert texts(text) == [kept]


def test_a_hint_for_the_task_is_told_from_a_wish():
    assert [one.weak for one in find("Note that Priya owns billing.")] == [True]
    assert [one.weak for one in find("I decided to keep the old endpoint.")] == [True]
    assert [one.weak for one in find("We decided to keep the old endpoint.")] == [False]


@pytest.mark.parametrize(
    "text",
    [
        "always " * 5000, "<a " * 9000, "<b>" * 5000 + "x" + "</b>" * 5000,
        "immer " + "laufen " * 90,
        "'a" * 8000, "(" * 16000, "- remember this:\n" * 3000, "in the " * 80 + ", we decided x",
        "and " * 5000, "a, so " * 3000, "«" * 16000, "x-" * 9000, "é" * 16000, "İ" * 9000,
        "ne " * 9000, "\n" * 20000, "`" * 16000,
    ],
)  # fmt: skip
def test_hostile_texts_are_read_to_their_end(text):
    assert len(find(text)) <= 10
    for sentence in sentences_of(text):
        assert len(sentence.masked) == len(sentence.text)


def test_a_mask_is_as_long_as_its_text():
    text = "İstanbul “says” 'no'"
    assert len(masked(text)) == len(text)
    assert "says" not in masked(text)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("{", "is no JSON"),
        ("[]", "must be an object"),
        ('{"forget": []}', "has no rule 'forget'"),
        ('{"remember": "x"}', "must be a list"),
        ('{"remember": [1]}', "each phrase is a text"),
        ('{"remember": [" "]}', "each phrase is a text"),
        (json.dumps({"remember": ["xx"] * 501}), "must be a list of at most 500"),
    ],
)
def test_a_wrong_file_of_phrases_is_refused_in_one_line(tmp_path, given, why):
    path = tmp_path / "phrases.json"
    path.write_text(given)
    with pytest.raises(PhrasesError, match=why):
        read_phrases(path)


def test_a_file_of_phrases_that_is_not_there(tmp_path):
    with pytest.raises(PhrasesError, match="cannot be read"):
        read_phrases(tmp_path / "none.json")


def test_phrases_are_no_patterns(tmp_path):
    path = tmp_path / "phrases.json"
    path.write_text('{"always-never": ["(a+)+$", "zawsze"]}')
    phrases = read_phrases(path)
    assert find("a" * 500 + "!", phrases) == []
    assert [one.text for one in find("ok, zawsze pytaj przed zmianą", phrases)] == [
        "Zawsze pytaj przed zmianą"
    ]


# --- Tools ----------------------------------------------------------------------------------------


def run(command="", *, failed=False, file="", result=""):
    return Call(NOBODYS_ID, "Bash" if command else "Edit", command, file, failed, result)


def test_what_failed_and_worked_later_is_one_trouble():
    first, second = troubles_of([
        run("make", failed=True, result="a.c:1: error: no x\n"),
        run("ls"),
        run(file="a.c"),
        run("make", failed=True, result="a.c:2: error: no y\nmake: exit"),
        run(file="a.c"),
        run("make"),
        run("make", failed=True),
    ])  # fmt: skip
    assert (first.failures, first.changed, first.line) == (2, ["a.c"], "a.c:2: error: no y")
    assert first.teaches
    assert second.fixed_by is None
    assert second.told() == "Open: `make` failed"


def test_a_call_without_a_result_is_no_failure():
    assert troubles_of([Call(NOBODYS_ID, "Bash", "make")]) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("\n\n", ""),
        ("fine", "fine"),
        ("Traceback (most recent call last):\n  File \"a\"\nKeyError: 'x'", "KeyError: 'x'"),
        ("\x1b[31merror: red\x1b[0m\nat x.js", "error: red"),
    ],
)
def test_the_line_that_tells(text, line):
    assert telling_line(text) == line
