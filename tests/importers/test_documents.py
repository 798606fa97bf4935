"""Big JSON documents, object by object."""

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.importers import documents
from memory.importers.documents import elements
from memory.importers.problems import Code


def read(data: bytes, **options) -> list:
    return list(elements(io.BytesIO(data), **options))


@pytest.mark.parametrize("block", [1, 2, 3, 7, 1 << 20])
def test_objects_come_as_they_are_whatever_the_blocks(monkeypatch, block):
    monkeypatch.setattr(documents, "BLOCK", block)
    rows = [{"a": 'quote " brace } \\'}, {"b": [{"c": "[{"}, 1.5, None]}, {}]
    assert [one.value for one in read(json.dumps(rows).encode())] == rows
    wrapped = read(json.dumps({"n": {"x": [1]}, "results": rows, "more": "}"}).encode())
    assert [(one.array, one.value) for one in wrapped] == [("results", row) for row in rows]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.dictionaries(st.text(), st.text() | st.lists(st.text()))),
    st.integers(1, 40),
)
def test_any_objects(rows, block):
    before, documents.BLOCK = documents.BLOCK, block
    try:
        found = [one.value for one in read(json.dumps(rows, ensure_ascii=False).encode())]
    finally:
        documents.BLOCK = before
    assert found == rows


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_stop_it(data):
    for one in read(b'[{"a": ' + data):
        assert one.value is not None or one.problem is not None


def test_a_broken_object_costs_itself_alone():
    data = b'[{"a": 1}, {"a": oops}, {"a": NaN}, {"a": "\xff\\ud83d"}, {"a": [}, {"a": 2}]'
    found = read(data)
    assert [one.place for one in found] == [1, 2, 3, 4, 5, 6]
    assert [one.problem and one.problem.code for one in found] == [
        None, Code.NOT_JSON, None, None, Code.NOT_JSON, None,
    ]  # fmt: skip
    assert found[3].value == {"a": "\udcff\ud83d"}
    assert found[5].value == {"a": 2}


def test_what_is_cut_off_or_too_long_is_said():
    cut = read(b'[{"a": 1}, {"a": "never en')
    assert [one.problem and one.problem.code for one in cut] == [None, Code.INCOMPLETE]
    ended = read(b'[{"a": 1},')
    assert ended[-1].problem.code is Code.INCOMPLETE
    long = read(b'[{"a": "' + b"x" * 100 + b'"}, {"b": 1}]', limit=50)
    assert [one.problem and one.problem.code for one in long] == [Code.TOO_LONG, None]
    assert long[1].value == {"b": 1}
    deep = read(b'[{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}]")
    assert deep[0].problem.code is Code.NOT_JSON
