"""Lines as no honest program writes them: each is read or reported, and none stops the rest."""

import hashlib
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from memory.importers.claude_code import (
    Kept,
    SessionFiles,
    SessionReader,
    TranscriptFile,
)
from memory.importers.claude_code.reader import RawLine, read_lines
from memory.importers.problems import Code, Level, Problem, ProblemLog
from memory.importers.storable import DEPTH_LIMIT, Storable
from tests.importers.transcripts import NOON, SESSION, assistant, call, encode, read, result, user


def raw_lines(content: bytes, **options: Any) -> list[RawLine]:
    return [line for line in read_lines(io.BytesIO(content), **options) if line is not None]


def codes(line: RawLine) -> list[Code]:
    return [finding.code for finding in line.findings]


# Single lines


def test_a_plain_line_has_its_place_its_text_and_its_hash() -> None:
    first, second = raw_lines(b'{"a": 1}\n{"b": 2}\n')
    assert (first.number, first.offset, first.length) == (1, 0, 8)
    assert (second.number, second.offset, second.text) == (2, 9, '{"b": 2}')
    assert second.value == {"b": 2}
    assert second.sha256 == hashlib.sha256(b'{"b": 2}').hexdigest()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_byte_order_mark_and_line_end_are_not_part_of_the_line(end: bytes) -> None:
    (plain,) = raw_lines(b'{"a": 1}\n')
    (line,) = raw_lines(b"\xef\xbb\xbf" + b'{"a": 1}' + end)
    assert (line.text, line.sha256, line.value) == (plain.text, plain.sha256, plain.value)
    assert line.offset == 3
    assert line.complete


def test_blank_lines_are_passed_over_and_still_counted_as_places() -> None:
    lines = list(read_lines(io.BytesIO(b'\n \t\r\n{"a": 1}\n\n')))
    assert [line and line.number for line in lines] == [None, None, 3, None]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{not json at all\n", Code.NOT_JSON),
        (b"plain words\n", Code.NOT_JSON),
        (b'{"a": 1} {"b": 2}\n', Code.NOT_JSON),
        (b'["a", "list"]\n', Code.NOT_AN_OBJECT),
        (b"17\n", Code.NOT_AN_OBJECT),
        (b'"text"\n', Code.NOT_AN_OBJECT),
        (b'{"a": "cut off\n', Code.NOT_JSON),
        (b'{"a": "cut off', Code.INCOMPLETE),
        (b"plain words", Code.NOT_JSON),
        (b"\x00" * 4096, Code.NUL_RUN),
        (b'{"a":' * 20_000 + b"\n", Code.TOO_DEEP),
        (b'{"a": ' + b"9" * 5_000 + b"}\n", Code.NOT_JSON),
    ],
)
def test_a_line_that_is_no_object_says_why(body: bytes, code: Code) -> None:
    (line,) = raw_lines(body)
    assert line.value is None
    assert codes(line) == [code]
    assert code.level is Level.ERROR
    assert line.complete is (code is not Code.INCOMPLETE)


def test_null_is_no_object_either() -> None:
    (line,) = raw_lines(b"null\n")
    assert line.value is None
    assert codes(line) == [Code.NOT_AN_OBJECT]


def test_a_whole_last_line_needs_no_line_end() -> None:
    (line,) = raw_lines(b'{"a": 1}')
    assert (line.value, line.complete, line.findings) == ({"a": 1}, True, ())


def test_numbers_that_json_has_no_word_for_are_read_as_null() -> None:
    (line,) = raw_lines(b'{"a": NaN, "b": [-Infinity], "c": 1}\n')
    assert line.value == {"a": None, "b": [None], "c": 1}
    assert codes(line) == [Code.NON_FINITE, Code.NON_FINITE]


def test_raw_control_characters_are_taken_as_they_stand() -> None:
    (line,) = raw_lines(b'{"a": "tab\there", "b": "nul\x00here"}\n')
    assert line.value == {"a": "tab\there", "b": "nul\x00here"}
    assert codes(line) == [Code.CONTROL_CHARACTER]
    assert line.text == '{"a": "tab\there", "b": "nul\\x00here"}'


def test_nul_bytes_of_a_crash_do_not_cost_the_line_after_them() -> None:
    (line,) = raw_lines(b"\x00" * 100 + b'{"a": 1}\n')
    assert line.value == {"a": 1}
    assert codes(line) == [Code.CONTROL_CHARACTER]


def test_broken_utf8_is_read_with_a_mark_and_kept_as_bytes_in_the_raw_line() -> None:
    body = '{"a": "gr\xfc\xdf"}'.encode("latin-1")
    (line,) = raw_lines(body + b"\n")
    assert line.value == {"a": "gr��"}
    assert codes(line) == [Code.INVALID_UTF8]
    assert line.text == '{"a": "gr\\xfc\\xdf"}'
    assert line.sha256 == hashlib.sha256(body).hexdigest()


def test_a_line_beyond_the_limit_is_skipped_unread_and_the_next_one_is_right() -> None:
    long = b'{"a": "' + b"x" * 200 + b'"}'
    content = long + b'\n{"b": 2}\r\n' + long
    first, second, third = raw_lines(content, max_line_bytes=100)
    assert codes(first) == codes(third) == [Code.TOO_LONG]
    assert (first.text, first.length) == ("", len(long))
    assert first.sha256 == third.sha256 == hashlib.sha256(long).hexdigest()
    assert (second.number, second.offset, second.value) == (2, len(long) + 1, {"b": 2})
    assert "209 bytes" in first.findings[0].reason


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_limit_is_for_the_line_alone(mark: bytes, end: bytes) -> None:
    body = b'{"a": "' + b"x" * 91 + b'"}'
    assert len(body) == 100
    (fits,) = raw_lines(mark + body + end, max_line_bytes=100)
    (too_long,) = raw_lines(mark + body + end, max_line_bytes=99)
    assert (fits.length, codes(fits)) == (100, [])
    assert (too_long.length, codes(too_long)) == (100, [Code.TOO_LONG])


def test_a_big_line_of_countless_values_is_kept_raw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memory.importers.claude_code.reader.BIG_LINE_BYTES", 100)
    monkeypatch.setattr("memory.importers.claude_code.reader.MAX_VALUES", 50)
    body = b'{"a": [' + b"[1]," * 60 + b"1]}"
    (line,) = raw_lines(body + b"\n")
    assert codes(line) == [Code.TOO_MANY_VALUES]
    assert line.text == body.decode()


# Whole sessions


def test_bad_lines_are_reported_with_file_and_line_and_the_rest_goes_in(tmp_path: Path) -> None:
    got = read(tmp_path, user("u1"), b"{broken\n", b"[]\n", assistant("a1"), b'{"half": "')
    assert [m.native_uuid for m in got.messages] == ["u1", "a1"]
    problems = {p.code: p for p in got.reader.problems}
    assert {code: p.line for code, p in problems.items()} == {
        Code.NOT_JSON: 2,
        Code.NOT_AN_OBJECT: 3,
        Code.INCOMPLETE: 5,
    }
    assert str(problems[Code.NOT_JSON]).startswith(f"{tmp_path}/{SESSION}.jsonl:2: not JSON")
    assert "it will be read when it is whole" in problems[Code.INCOMPLETE].action
    assert [i.line.raw for i in got.items if i.line.kept is Kept.BROKEN] == ["{broken", "[]"]


def test_a_cut_line_is_read_once_it_is_whole(tmp_path: Path) -> None:
    whole = encode(user("u1"), assistant("a1"))
    before, after = read(tmp_path, whole[:-20]), read(tmp_path, whole)
    assert [m.native_uuid for m in before.messages] == ["u1"]
    assert [m.native_uuid for m in after.messages] == ["u1", "a1"]
    assert after.codes == []


def test_half_surrogates_and_nul_are_replaced_in_text_and_kept_raw(tmp_path: Path) -> None:
    line = encode(user("u1", "a\x00b\ud83dc 🚀"))
    got = read(tmp_path, line)
    (message,) = got.messages
    assert message.content == "a�b�c 🚀"
    assert message.blocks == [{"type": "text", "text": "a�b�c 🚀"}]
    assert got.items[0].line.raw == line.decode().rstrip("\n")
    (problem,) = got.reader.problems
    assert problem.code is Code.TEXT_CHANGED
    assert problem.reason.startswith("2 characters")


def test_keys_and_deep_values_are_made_storable_too(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"k\x00ey": {"inner\udfff": "x\x00"}}
    got = read(tmp_path, assistant("a1", [call("t1", **arguments)]))
    assert got.messages[0].blocks[0]["input"] == {"k�ey": {"inner�": "x�"}}
    assert got.events[0].data["input"] == {"k�ey": {"inner�": "x�"}}


def test_nesting_is_cut_where_storage_ends() -> None:
    value: Any = "deep"
    for _ in range(DEPTH_LIMIT + 50):
        value = {"a": [value]}
    clean = Storable()
    assert "kept in the raw line" in json.dumps(clean.json(value))
    assert clean.dropped == 1


def test_long_texts_are_cut_with_a_note_and_a_problem(tmp_path: Path) -> None:
    got = read(tmp_path, user("u1", [result("t1", "x" * 1_500_000)]))
    assert len(got.messages[0].content) < 1_000_100
    assert "more characters in the raw line" in got.messages[0].content
    assert Code.TEXT_CUT in got.codes
    assert len(got.items[0].line.raw) > 1_500_000


def test_images_and_signatures_stay_in_the_raw_line(tmp_path: Path) -> None:
    image = {"type": "base64", "media_type": "image/png", "data": "A" * 5_000}
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "S" * 300},
        {"type": "image", "source": image},
    ]
    got = read(tmp_path, assistant("a1", blocks))
    thinking, picture = got.messages[0].blocks
    assert thinking["signature"] == "[300 characters kept in the raw line]"
    assert picture["source"]["data"] == "[5,000 characters kept in the raw line]"
    assert got.messages[0].content == "[image: image/png]"
    assert got.codes == []


@pytest.mark.parametrize(
    ("written", "read_as", "problems"),
    [
        ("2026-01-02T12:00:00.250Z", datetime(2026, 1, 2, 12, 0, 0, 250_000, UTC), []),
        ("2026-01-02T14:00:00+02:00", datetime(2026, 1, 2, 12, tzinfo=UTC), []),
        ("2026-01-02T12:00:00", datetime(2026, 1, 2, 12, tzinfo=UTC), [Code.NO_TIME_ZONE]),
        ("yesterday", None, [Code.BAD_TIMESTAMP]),
        (1767355200, None, [Code.BAD_TIMESTAMP]),
        ({"at": "noon"}, None, [Code.BAD_TIMESTAMP]),
        ("0001-01-01T00:00:00+14:00", None, [Code.BAD_TIMESTAMP]),
        ("0001-01-01T00:00:00Z", None, [Code.BAD_TIMESTAMP]),
        ("9999-12-31T23:59:59Z", None, [Code.BAD_TIMESTAMP]),
        (None, None, [Code.MISSING_TIMESTAMP]),
    ],
)
def test_times_are_utc_or_reported(
    tmp_path: Path, written: Any, read_as: datetime | None, problems: list[Code]
) -> None:
    got = read(tmp_path, user("u0"), user("u1", timestamp=written))
    message = got.message("u1")
    assert got.codes == problems
    assert got.items[1].line.timestamp == read_as
    # A message needs a time to be shown at: without its own, that of the line before.
    assert message.occurred_at == (read_as or datetime.fromisoformat(NOON))
    assert message.occurred_at_inferred is (read_as is None)


def test_fields_of_the_wrong_kind_never_cost_the_line(tmp_path: Path) -> None:
    got = read(
        tmp_path,
        user("u1"),
        user("u2", cwd=["not", "text"], gitBranch=5, agentId={}, requestId="r" * 300),
        {"type": "user", "uuid": 7, "message": {"content": "no ids"}, "timestamp": NOON},
    )
    assert [m.content for m in got.messages] == ["hello", "hello", "no ids"]
    assert got.codes == [Code.BAD_FIELD] * 5
    assert got.items[2].line.session_id == SESSION
    assert got.items[2].line.key.startswith("line:main:")


@pytest.mark.parametrize("message", [None, "text", {}, {"content": None}, {"content": 3}])
def test_a_message_line_without_content_is_kept_raw(tmp_path: Path, message: Any) -> None:
    got = read(tmp_path, user("u0"), user("u1", message=message))
    assert [m.native_uuid for m in got.messages] == ["u0"]
    assert got.codes == [Code.NO_CONTENT]
    assert got.items[1].line.kept is Kept.RAW


def test_strange_blocks_are_kept_as_they_are(tmp_path: Path) -> None:
    got = read(
        tmp_path, assistant("a1", ["bare", 5, {"type": "new_thing", "x": 1}, {"no": "type"}])
    )
    assert got.messages[0].blocks == [
        {"type": "text", "text": "bare"},
        {"type": "unknown", "value": 5},
        {"type": "new_thing", "x": 1},
        {"no": "type"},
    ]
    assert got.messages[0].content == "bare\n\n[unknown]\n\n[new_thing]\n\n[unknown block]"


def test_a_line_that_comes_twice_goes_in_once(tmp_path: Path) -> None:
    got = read(tmp_path, user("u1"), assistant("a1"), user("u1"))
    assert [m.native_uuid for m in got.messages] == ["u1", "a1"]
    assert got.codes == [Code.REPEATED_LINE]
    assert got.reader.files[0].repeated_uuids == 1


def test_another_line_under_a_used_uuid_is_kept_raw(tmp_path: Path) -> None:
    got = read(tmp_path, user("u1", "one"), user("u1", "two"))
    assert [m.content for m in got.messages] == ["one"]
    assert got.codes == [Code.UUID_REUSED]
    assert got.items[1].line.kept is Kept.RAW
    assert '"two"' in got.items[1].line.raw
    assert got.items[1].line.key != got.items[0].line.key


def test_equal_lines_without_uuid_are_told_apart_by_order(tmp_path: Path) -> None:
    mode = {"type": "mode", "mode": "plan", "sessionId": SESSION}
    got = read(tmp_path, user("u1"), mode, {**mode, "mode": "normal"}, mode)
    keys = [item.line.key for item in got.items[1:]]
    assert len(set(keys)) == 3
    assert keys[0].endswith(":1")
    assert keys[2].endswith(":2")
    assert [e.text for e in got.events] == ["plan", "normal", "plan"]


def test_unknown_types_are_reported_once_each_and_counted(tmp_path: Path) -> None:
    new = {"type": "from-the-future", "sessionId": SESSION}
    got = read(tmp_path, user("u1"), {**new, "n": 1}, {**new, "n": 2}, {"sessionId": SESSION})
    assert got.codes == [Code.UNKNOWN_TYPE, Code.UNKNOWN_TYPE]
    assert got.reader.files[0].unknown_types == {"from-the-future": 2, "(none)": 1}
    assert [item.line.kept for item in got.items[1:]] == [Kept.RAW] * 3


def test_a_file_that_vanishes_is_reported_and_the_others_are_read(tmp_path: Path) -> None:
    there = tmp_path / f"{SESSION}.jsonl"
    there.write_bytes(encode(user("u1")))
    gone = TranscriptFile(tmp_path / "gone.jsonl", SESSION)
    files = SessionFiles(SESSION, "p", (gone, TranscriptFile(there, SESSION)), ())
    reader = SessionReader(files)
    assert [item.line.uuid for item in reader] == ["u1"]
    assert [p.code for p in reader.problems] == [Code.UNREADABLE]


def test_a_reader_is_read_once(tmp_path: Path) -> None:
    got = read(tmp_path, user("u1"))
    with pytest.raises(RuntimeError, match="once"):
        list(got.reader)


def test_the_problem_log_counts_all_and_keeps_the_first() -> None:
    log = ProblemLog(limit=2)
    for n in range(5):
        log.add(Problem("f", n, "why", "what", Code.NOT_JSON))
    assert (log.total, len(log.kept), log.omitted) == (5, 2, 3)
    assert (log.count(Level.ERROR), log.count(Level.NOTICE)) == (5, 0)
