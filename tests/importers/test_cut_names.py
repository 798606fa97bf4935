"""Names, tags and kinds that are longer than is kept: cut after they were redacted, and said."""

import json
from collections.abc import Callable

import pytest

from memory.importers.amp import mapping as amp
from memory.importers.archon import mapping as archon
from memory.importers.basic_memory import BASIC_MEMORY
from memory.importers.chatgpt import mapping as chatgpt
from memory.importers.chatgpt.tree import Path as Branch
from memory.importers.claude_mem import mapping as claude_mem
from memory.importers.clean import Cleaner
from memory.importers.life_engine import sessions as life_engine
from memory.importers.mem0 import mapping as mem0
from memory.importers.memory_server import mapping as memory_server
from memory.importers.problems import Code
from memory.importers.rows import Entry
from memory.importers.source import Options
from sessions.services.events import NewEvent
from sessions.services.threads import NewMessage

AT = "2026-01-02 03:04:05"
TOKEN = "ghp_" + "A1b2C3d4" * 5


def upto(most: int) -> str:
    """A text that a cut at `most` would end within a secret."""
    return "w" * (most - 10) + f" {TOKEN}"


def cleaned(entry: Entry) -> list[str]:
    """What was cut."""
    Cleaner().clean(entry)
    return [one.reason.split(" has ")[0] for one in entry.findings if one.code is Code.TEXT_CUT]


TAGGED: dict[str, Callable[[str], Entry]] = {
    "archon": lambda tag: archon.source(
        {"source_id": "s", "title": "t", "created_at": AT, "metadata": json.dumps({"tags": [tag]})}
    ),
    "memory-server": lambda tag: memory_server.entity(
        {"type": "entity", "name": "x", "entityType": tag, "observations": []}, "x"
    ),
    "mem0": lambda tag: mem0.memory(
        {"id": "m", "memory": "text", "created_at": AT, "categories": [tag]}, ""
    ),
    "claude-mem": lambda tag: claude_mem.observation(
        {"id": 1, "title": "t", "type": "change", "created_at": AT, "concepts": json.dumps([tag])}
    ),
}  # fmt: skip


@pytest.mark.parametrize("source", TAGGED)
def test_a_long_tag_is_cut_after_it_was_redacted(source):
    entry = TAGGED[source](upto(100))
    assert cleaned(entry) == ["one of tags"]
    assert entry.drafts[0].values["tags"] == ["w" * 90]


def test_a_long_tag_of_a_note_and_of_what_it_says(tmp_path):
    tag = "w" * 101
    (tmp_path / "note.md").write_text(f"---\ntags: [{tag}]\n---\n- [fact] Ferns are old. #{tag}\n")
    with BASIC_MEMORY.open(str(tmp_path), tmp_path, Options()) as reading:
        entries = list(reading.entries())
    cut = [cleaned(entry) for entry in entries]
    assert cut == [["one of tags"], ["one of tags"]]
    assert [entry.drafts[0].values["tags"] for entry in entries] == [["w" * 100]] * 2


def test_two_tags_that_begin_alike_are_one_where_they_are_cut():
    entry = TAGGED["archon"]("x")
    entry.drafts[0].values["tags"] = ["t" * 100 + "one", "t" * 100 + "two", "three"]
    assert cleaned(entry) == ["one of tags"] * 2
    assert entry.drafts[0].values["tags"] == ["t" * 100, "three"]


def test_names_of_a_session_and_what_its_summary_lists():
    context = {"working_on": upto(300), "cwd": upto(1000), "branch": upto(300)}
    summary = {"ai_summary": {"key_events": [upto(10_000)]}}
    row = {"id": "s", "agent": "a", "started_at": AT, "context": json.dumps(context),
           "metadata": json.dumps(summary)}  # fmt: skip
    entry = archon.session(row, {})
    assert cleaned(entry) == ["one of ai_summary.key_events", "name", "cwd", "branch"]
    values = entry.drafts[0].values
    assert (values["name"], values["branch"]) == ("w" * 290, "w" * 290)
    assert values["cwd"] == "w" * 990
    assert values["summary_data"]["key_events"] == ["w" * 9_990 + " "]


def test_the_name_of_a_person():
    name = upto(300)
    entry = memory_server.entity({"name": name, "entityType": "person"}, name)
    assert cleaned(entry) == ["name"]
    assert [one.values["name"] for one in entry.drafts if "name" in one.values] == ["w" * 290]


def test_a_name_that_is_the_beginning_of_a_prompt_is_no_loss():
    entry = claude_mem.session(
        {"id": 1, "session_key": "c", "content_session_id": "c", "platform_source": "claude",
         "user_prompt": upto(200), "started_at": AT, "status": "completed"}, "",
    )  # fmt: skip
    assert cleaned(entry) == []
    assert [one.values["name"].strip() for one in entry.drafts[:2]] == ["w" * 190] * 2
    assert "[REDACTED:github-token" in entry.drafts[0].values["prompt"]
    item = {
        "runId": "r", "id": "1", "itemId": "1", "status": "completed", "prompt": upto(300),
        "batch": "r", "startedAt": AT,
    }  # fmt: skip
    entry = amp.batch_item(item, 1)
    assert cleaned(entry) == []
    assert entry.drafts[0].values["name"].strip() == "w" * 290


def event_of_life(kind: str) -> Entry:
    row = {"id": "e", "timestamp": AT, "event_type": kind, "actor": "a", "data": "{}"}
    return life_engine.event(row, "session", "")


def event_of_amp(kind: str) -> Entry:
    row = {"id": "1", "sessionId": "s", "type": kind, "data": "{}", "timestamp": AT}
    return amp.stream_event(row)


@pytest.mark.parametrize("make", [event_of_life, event_of_amp])
def test_the_whole_of_a_long_kind_of_event_stays_in_its_data(make):
    entry = make("k" * 80)
    assert cleaned(entry) == ["event_type"]
    ((event,),) = (one.rows for one in entry.appended)
    assert isinstance(event, NewEvent)
    assert event.event_type == "k" * 60
    assert event.data["event_type"] == "k" * 80


def test_a_long_name_of_a_model_and_of_a_branch():
    node = {"message": {"author": {"role": "assistant"}, "metadata": {"model_slug": "m" * 200},
            "content": {"content_type": "text", "parts": ["hi"]}}}  # fmt: skip
    entry = chatgpt.message(node, "n", "k", Branch("a"), None)
    assert cleaned(entry) == ["model"]
    ((message,),) = (one.rows for one in entry.appended)
    assert isinstance(message, NewMessage)
    assert (message.model, message.metadata["model"]) == ("m" * 120, "m" * 200)
    row = {"title": "t" * 295, "create_time": 1_700_000_000, "mapping": {}}
    paths = [Branch("a"), Branch("b", parent="a", fork="x")]
    entry = chatgpt.conversation(row, "k", paths, "")
    assert cleaned(entry) == ["the title of branch 1"]
    names = [one.values["name"] for one in entry.drafts[1:]]
    assert names == ["t" * 295, "t" * 289 + " (branch 1)"]
