"""Reading the demo's stories."""

from datetime import timedelta

import pytest

from memory.demo.stories import Story, read_stories
from memory.demo.transcript import StoryError, read_span, read_transcript

TALK = """
@user
Is it dry?
@tool Bash Look #look
gwctl readings --since 1h
@error
no answer
@wait 1h30m
@tool Read src/app.py
@agent #dry
Yes. Mail me at
@home, if not.
"""


def test_a_transcript_says_who_says_what():
    said = read_transcript(TALK, where="a story")
    assert [(one.kind, one.name) for one in said] == [
        ("user", ""), ("tool", "look"), ("error", ""), ("wait", ""), ("tool", ""), ("agent", "dry"),
    ]  # fmt: skip
    assert said[1].call() == (
        "Bash", {"description": "Look", "command": "gwctl readings --since 1h"},
    )  # fmt: skip
    assert said[3].about == "1h30m"
    assert said[4].call() == ("Read", {"file_path": "src/app.py"})
    assert said[5].text == "Yes. Mail me at\n@home, if not."


def test_what_nobody_says_is_refused():
    with pytest.raises(StoryError, match="a story, line 1"):
        read_transcript("Hello?\n@user\nYes", where="a story")


def test_spans():
    assert read_span("1d2h3m4s") == timedelta(days=1, hours=2, minutes=3, seconds=4)
    for wrong in ("", "soon", "3", "2w"):
        with pytest.raises(StoryError):
            read_span(wrong)


def test_a_misspelt_field_is_named():
    story = Story("task", {"key": "a", "titel": "b"}, "x.toml")
    assert story.need("key") == "a"
    with pytest.raises(StoryError, match=r"x\.toml: task a: nobody reads titel"):
        story.done()
    with pytest.raises(StoryError, match="has no title"):
        story.need("title")


def test_there_are_sixty_sessions_and_something_of_every_kind():
    stories = read_stories()
    assert len(stories["session"]) == 60
    assert all(stories.values())
