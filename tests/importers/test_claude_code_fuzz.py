"""Anything at all: no bytes and no JSON make the reader raise, and all it gives can be stored."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from config.lib.text import json_problem, text_problem
from memory.importers.claude_code import (
    Item,
    SessionFiles,
    SessionReader,
    TranscriptFile,
    discover,
)
from memory.importers.claude_code.events import KNOWN_TYPES
from memory.importers.problems import SourceError
from tests.importers.transcripts import NOON, SESSION

pytestmark = pytest.mark.slow


def assert_storable(items: list[Item]) -> None:
    """The write funnel takes every text and every JSON, and the columns every length."""
    for item in items:
        texts = [item.line.raw, item.line.key, item.line.thread_key, item.line.session_id]
        values: list[Any] = []
        if item.message:
            assert len(item.message.identity) <= 120
            texts += [item.message.content, item.message.identity]
            values += [item.message.blocks, item.message.usage]
        for event in item.events:
            assert len(event.event_type) <= 60
            assert len(event.dedupe_key) <= 200
            texts += [event.text, event.dedupe_key, event.event_type]
            values.append(event.data)
        assert [text_problem(text) for text in texts] == [None] * len(texts)
        assert [json_problem(value) for value in values] == [None] * len(values)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
BLOCK_TYPES = ["text", "thinking", "tool_use", "tool_result", "image"]
BLOCK_FIELDS = ["text", "id", "name", "input", "tool_use_id", "content", "source", "is_error"]
BLOCK = st.fixed_dictionaries(
    {"type": st.sampled_from(BLOCK_TYPES) | ANY_JSON},
    optional=dict.fromkeys(BLOCK_FIELDS, ANY_JSON),
)
MESSAGE = st.fixed_dictionaries(
    {"content": st.lists(BLOCK | ANY_JSON, max_size=3) | ANY_JSON},
    optional=dict.fromkeys(["id", "model", "usage", "stop_reason"], ANY_JSON),
)
FREE_FIELDS = ["sessionId", "cwd", "agentId", "forkedFrom", "subtype", "content", "data", "error"]
FREE_FIELDS += ["snapshot", "summary", "leafUuid", "attachment", "compactMetadata", "hookCount"]
FREE_FIELDS += ["toolUseResult", "durationMs", "customTitle", "isMeta", "isCompactSummary"]
LINE = st.fixed_dictionaries(
    {"type": st.sampled_from(sorted(KNOWN_TYPES)) | ANY_JSON},
    optional={
        **dict.fromkeys(FREE_FIELDS, ANY_JSON),
        "uuid": st.sampled_from(["u1", "u2", "u3"]) | ANY_JSON,
        "parentUuid": st.sampled_from(["u1", "u2"]) | ANY_JSON,
        "isSidechain": st.booleans(),
        "timestamp": st.just(NOON) | ANY_JSON,
        "message": MESSAGE | ANY_JSON,
    },
)
MANY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def read_bytes(folder: Path, content: bytes) -> list[Item]:
    """The items, by whatever name; and the way there by `discover`, which may only refuse."""
    path = folder / "any.jsonl"
    path.write_bytes(content)
    with contextlib.suppress(SourceError):
        discover(path)
    files = SessionFiles(SESSION, "p", (TranscriptFile(path, SESSION),), ())
    return list(SessionReader(files))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any")


@MANY
@given(content=st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode()))
@example(content=b"\xef\xbb\xbf\x00{\n\r\n\x00\x00\n{}\n{")
@example(content=b"\xff\xfe{\x00}\x00\n\x00")
def test_no_bytes_make_it_raise(folder: Path, content: bytes) -> None:
    assert_storable(read_bytes(folder, content))


@MANY
@given(lines=st.lists(LINE, max_size=5))
def test_no_json_makes_it_raise(folder: Path, lines: list[dict[str, Any]]) -> None:
    content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    items = read_bytes(folder, content)
    assert_storable(items)
    assert items == read_bytes(folder, content)
    keys = [item.line.key for item in items]
    assert len(keys) == len(set(keys))
    events = [event.dedupe_key for item in items for event in item.events]
    assert len(events) == len(set(events))


BIG = [
    {"x" * 3_000: {"y": "z" * 2_000_000}},
    {str(n): "x" * 5_000 for n in range(1_000)},
    [["é" * 1_000] * 100] * 20,
    [[1, 2]] * 80_000,
    "\x00" * 1_500_000,
]


@pytest.mark.parametrize("value", BIG, ids=range(len(BIG)))
def test_big_values_are_made_to_fit(folder: Path, value: Any) -> None:
    use = {"type": "tool_use", "id": "t" * 500, "name": "n" * 5_000, "input": {"v": value}}
    answer = {"type": "tool_result", "tool_use_id": "t" * 500, "content": value}
    lines = [
        {"type": "assistant", "uuid": "a1", "message": {"content": [use]}},
        {"type": "user", "uuid": "u1", "message": {"content": [answer]}, "toolUseResult": value},
        {"type": "system", "uuid": "s1", "content": value, "x": value},
        {"type": "attachment", "uuid": "x1", "attachment": {"type": "file", "x": value}},
        {"type": "tag", "uuid": "x2", "tag": value},
    ]
    items = read_bytes(folder, b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    assert [item.line.uuid for item in items] == ["a1", "u1", "s1", "x1", "x2"]
    # Whatever had to go, the calls stay paired.
    assert [e.event_type for i in items[:2] for e in i.events] == ["tool_use", "tool_result"]
    assert items[0].message
    assert items[0].message.blocks[0]["type"] == "tool_use"
    assert_storable(items)
