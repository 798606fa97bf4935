"""The summary that no language model makes: salience, redundancy, lists, and what is left out."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from memory.embedding import EmbeddingError
from memory.summaries.base import MOST_POINTS, Material, Said
from memory.summaries.extractive import (
    MOST_SENTENCES,
    ExtractiveSummarizer,
    lexrank,
    word_vectors,
)
from memory.summaries.sentences import MOST_CHARACTERS, sentences_of, shorten, words_of
from tests.search.conftest import HashEmbedder

START = datetime(2026, 3, 10, 9, tzinfo=UTC)


def material(*said, **fields):
    """Of (who, text) or (event type, text, task, to), a minute apart."""
    rows = []
    for n, (who, text, *task) in enumerate(said):
        at = START + timedelta(minutes=n)
        if who in ("user", "assistant"):
            rows.append(Said(at, who, text))
        else:
            rows.append(Said(at, "event", text, who, *task))
    return Material(said=rows, total=len(rows), **fields)


def summarize(*said, embedder=None, **fields):
    return ExtractiveSummarizer(embedder).summarize(material(*said, **fields))


PUMP = (
    ("user", "The irrigation pump restarts every night at two, please find out why."),
    ("assistant", "The pump log shows a restart each night when the humidity sensor reports."),
    ("assistant", "The humidity sensor draws too much current when it reports to the pump."),
    ("assistant", "We decided to power the humidity sensor from its own supply."),
    ("assistant", "I like the weather in general and also cake on Sundays, by the way."),
    ("assistant", "I fixed the wiring of the humidity sensor, and the pump runs through."),
    ("assistant", "The documentation of the pump still needs a drawing of the new supply."),
)


# --- Which list ---------------------------------------------------------------------------------


@pytest.mark.parametrize("embedder", [None, HashEmbedder()], ids=["words", "vectors"])
def test_what_was_said_is_told_apart(embedder):
    draft = summarize(*PUMP, embedder=embedder, outcome="success")
    assert draft.decisions == ["We decided to power the humidity sensor from its own supply."]
    assert draft.outcomes == [
        "I fixed the wiring of the humidity sensor, and the pump runs through."
    ]
    assert draft.next_steps == [
        "The documentation of the pump still needs a drawing of the new supply."
    ]
    first, second, last = draft.summary.split("\n")
    assert first == f"Asked: {PUMP[0][1]}"
    assert "humidity sensor" in second
    assert last == "Outcome: success."


def test_advice_conditions_and_questions_are_neither_decided_nor_done():
    hedged = [
        "If you decide to use a custom domain, the steps above change a little.",
        "Shall we go with the smaller pump instead of the larger one?",
        "You can check that the new column was added to the table of beds.",
        "By now you should be able to resolve the trouble of the pump.",
        "Is there a drawing that still needs the new supply?",
        "These are the next steps that remain:",
    ]
    draft = summarize(*[("assistant", text) for text in hedged], *PUMP)
    assert not set(hedged) & {*draft.decisions, *draft.outcomes, *draft.next_steps}
    assert len(draft.decisions) == len(draft.outcomes) == len(draft.next_steps) == 1


def test_events_say_themselves_what_they_are():
    draft = summarize(
        ("task_created", "Task created: Draw the plan", "t1", "todo"),
        ("task_created", "Task created: Order the supply", "t2", "todo"),
        ("decision_made", "Use a 12 V supply"),
        ("error_encountered", "The sensor did not answer on the bus"),
        ("task_updated", "Task todo → doing: Order the supply", "t2", "doing"),
        ("task_completed", "Task completed: Draw the plan", "t1", "done"),
        ("tool_use", "Read: pump.py"),
    )
    assert draft.decisions == ["Use a 12 V supply"]
    assert draft.outcomes == ["Task completed: Draw the plan"]
    assert draft.next_steps == ["Task todo → doing: Order the supply"]
    assert "The sensor did not answer on the bus" in draft.key_events


def test_no_sentence_is_in_two_lists_and_none_twice():
    draft = summarize(*PUMP, *PUMP, *[(w, t.replace("pump", "pump ")) for w, t in PUMP])
    points = [*draft.key_events, *draft.decisions, *draft.outcomes, *draft.next_steps]
    assert len(points) == len(set(points))
    assert len([point for point in points if "own supply" in point]) == 1


def test_next_steps_are_of_the_end():
    early = ("assistant", "We still need to look at the log of the pump first of all.")
    draft = summarize(early, *PUMP)
    assert early[1] not in draft.next_steps


def test_what_comes_next_is_a_next_step():
    said = "Next, we should water the seedlings behind the shed."
    assert said in summarize(*PUMP, ("assistant", said)).next_steps


def test_lists_are_bounded_and_in_order_of_time():
    decided = [("decision_made", f"Use supply number {n} for bed {'abcdefgh'[n % 8] * 3}{n}")
               for n in range(40)]  # fmt: skip
    draft = summarize(*decided)
    assert len(draft.decisions) == MOST_POINTS
    order = [int(point.split()[3]) for point in draft.decisions]
    assert order == sorted(order)


# --- Salience and redundancy --------------------------------------------------------------------


def test_lexrank_prefers_what_others_recommend():
    vectors = word_vectors(
        [
            words_of("the pump restarts when the sensor reports"),
            words_of("the sensor reports and the pump restarts at night"),
            words_of("restarts of the pump follow the sensor"),
            words_of("cake tastes best on sundays"),
        ]
    )
    rank = lexrank(np.clip(vectors @ vectors.T, 0, 1))
    assert rank.max() == 1
    assert rank.argmin() == 3


def test_what_has_nothing_to_do_with_the_rest_is_left_out():
    filler = [("assistant", f"The humidity sensor of bed {n} reports to the irrigation pump.")
              for n in range(9)]  # fmt: skip
    draft = summarize(*PUMP, *filler)
    assert "cake" not in draft.summary


def test_the_same_session_gives_the_same_summary():
    embedder = HashEmbedder()
    assert summarize(*PUMP, embedder=embedder) == summarize(*PUMP, embedder=embedder)


def test_an_embedder_that_fails_is_done_without():
    class Broken(HashEmbedder):
        def embed(self, texts, *, budget=None):
            raise EmbeddingError("down", retryable=True)

    assert summarize(*PUMP, embedder=Broken()) == summarize(*PUMP)


def test_texts_are_embedded_a_turn_at_a_time():
    embedder = HashEmbedder()
    embedder.turn_characters = 100
    summarize(*PUMP, embedder=embedder)
    assert len(embedder.batches) > 3
    assert all(sum(map(len, batch)) <= 100 or len(batch) == 1 for batch in embedder.batches)


def test_of_a_huge_session_a_bounded_number_is_embedded():
    embedder = HashEmbedder()
    many = [("assistant", f"Sentence {n} of the bed {n * n} says something of its own {n}th kind.")
            for n in range(1000)]  # fmt: skip
    decided = ("decision_made", "Use a 12 V supply")
    draft = summarize(*many, decided, embedder=embedder)
    assert sum(len(batch) for batch in embedder.batches) == MOST_SENTENCES
    assert draft.decisions == ["Use a 12 V supply"]


# --- Odd material -------------------------------------------------------------------------------


def test_a_prompt_alone_is_a_summary():
    draft = ExtractiveSummarizer(None).summarize(Material(prompt="Find out why it drips"))
    assert draft.summary == "Asked: Find out why it drips"
    assert draft.key_events == []


@pytest.mark.parametrize(
    "text", ["", "   ", "ok", "```\ncode = only\n```", "| a | b | 1 | 2 |", "!!!! ???? ....",
             "\u200b", "x" * 100_000, "🙂 " * 500],
)  # fmt: skip
def test_what_has_no_sentences_breaks_nothing(text):
    draft = summarize(("user", text), ("assistant", text), name="Greenhouse")
    assert len(draft.summary) < 1_000


def test_other_languages_are_summarised_too():
    draft = summarize(
        ("user", "ポンプが毎晩二時に再起動する理由を調べてください。"),
        ("assistant", "湿度センサーが報告するたびにポンプが再起動します。"),
        ("user", "Bitte prüfe, warum die Pumpe jede Nacht neu startet."),
    )
    assert "ポンプ" in draft.summary
    assert any("湿度センサー" in point for point in draft.key_events)


def test_sentences_are_cut_out_without_code_lists_and_marks():
    text = (
        "# What happened\n\n- **First** the pump was stopped by hand. Then it ran again at noon!\n"
        "```python\nthe_pump.stop_it_by_hand_now()\n```\n1. Third line without an end\nshort one"
    )
    found = [one.text for one in sentences_of(Said(START, "assistant", text), 0)]
    assert found == [
        "First the pump was stopped by hand.",
        "Then it ran again at noon!",
        "Third line without an end",
    ]


def test_a_long_sentence_is_cut_between_words():
    cut = shorten("word " * 1000)
    assert len(cut) <= MOST_CHARACTERS
    assert cut.endswith("word…")
    assert len(shorten("x" * 10_000)) == MOST_CHARACTERS
