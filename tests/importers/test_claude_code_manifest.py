"""The real transcripts: every count, fact and fault of the manifest, none of them repeated here."""

import hashlib
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from config.lib.redact import redact_text
from memory.importers.claude_code import (
    FileReport,
    Kept,
    SessionReader,
    Usage,
    UsageLedger,
    discover,
    once,
)
from memory.importers.problems import Code
from tests.importers.legacy import Legacy
from tests.importers.transcripts import Read, read_path

PREFIX = "transcripts/claude"
# The manifest shows the first user text up to here.
SHOWN = 160


def _claude_files(legacy: Legacy) -> dict[str, dict[str, Any]]:
    files = legacy.facts(PREFIX)
    assert files, "the manifest names no Claude Code transcript"
    return files


def _usage(usage: Usage, like: dict[str, int]) -> dict[str, int]:
    return {name: getattr(usage, name) for name in like}


def _report_as_facts(report: FileReport, expected: dict[str, Any]) -> dict[str, Any]:
    return {
        "lines": report.lines,
        "unparsable_lines": report.unparsable_lines,
        "types": dict(report.types),
        "first_timestamp": report.first_timestamp,
        "last_timestamp": report.last_timestamp,
        "session_ids": report.session_ids,
        "sidechain_lines": report.sidechain_lines,
        "compact_summary_lines": report.compact_summary_lines,
        "agent_ids": report.agent_ids,
        "tool_use_blocks": report.tool_use_blocks,
        "tool_result_blocks": report.tool_result_blocks,
        "distinct_messages": report.distinct_messages,
        "usage_summed_per_line": _usage(
            report.usage_summed_per_line, expected["usage_summed_per_line"]
        ),
        "usage_once_per_message": _usage(report.usage, expected["usage_once_per_message"]),
        "repeated_uuids": report.repeated_uuids,
        "first_user_text": (report.first_user_text or "")[:SHOWN],
    }


def _parsed(facts: dict[str, Any]) -> dict[str, Any]:
    times = {name: datetime.fromisoformat(facts[name]) for name in facts if "timestamp" in name}
    return facts | times


def test_each_file_has_the_counts_and_facts_of_the_manifest(legacy: Legacy) -> None:
    for name, expected in _claude_files(legacy).items():
        read = read_path(legacy.root / name)
        (report,) = read.reader.files
        assert _report_as_facts(report, expected) == _parsed(expected), name


def test_the_spot_facts_say_the_same_and_none_is_left_out(legacy: Legacy) -> None:
    files = _claude_files(legacy)
    spots = [s for s in legacy.spot_facts("transcripts") if s["file"].startswith(PREFIX)]
    assert {s["file"] for s in spots} == files.keys()
    for spot in spots:
        (report,) = read_path(legacy.root / spot["file"]).reader.files
        found = _report_as_facts(report, spot["expect"])
        assert found == _parsed(spot["expect"]), spot["file"]


def test_every_good_line_is_kept_raw_as_it_was_but_for_secrets(legacy: Legacy) -> None:
    for name, expected in _claude_files(legacy).items():
        path = legacy.root / name
        content = path.read_bytes()
        read = read_path(path)
        (report,) = read.reader.files
        assert len(read.items) == (
            expected["lines"] - report.incomplete_lines - expected["repeated_uuids"]
        )
        for item in read.items:
            line = item.line
            stood = content[line.offset : line.offset + line.length].decode()
            assert redact_text(stood) == line.raw
            assert hashlib.sha256(stood.encode()).hexdigest() == line.sha256


def test_tool_calls_and_results_become_events(legacy: Legacy) -> None:
    for name, expected in _claude_files(legacy).items():
        read = read_path(legacy.root / name)
        (report,) = read.reader.files
        assert report.events["tool_use"] == expected["tool_use_blocks"], name
        # A line that comes twice is counted as blocks twice and imported once.
        results = expected["tool_result_blocks"] - expected["repeated_uuids"]
        assert report.events["tool_result"] == results, name


def test_reading_again_gives_the_same_records_with_the_same_keys(legacy: Legacy) -> None:
    for name in _claude_files(legacy):
        first, second = (read_path(legacy.root / name) for _ in range(2))
        assert first.items == second.items
        keys = [item.line.key for item in first.items]
        assert len(keys) == len(set(keys))
        events = [event.dedupe_key for event in first.events]
        assert len(events) == len(set(events))


def test_subagents_are_threads_named_after_their_task(legacy: Legacy) -> None:
    """Both layouts of the same conversation give the same threads."""
    layouts = []
    for session in discover(legacy.root / "transcripts/claude/projects").sessions:
        reader = SessionReader(session)
        items = list(reader)
        main, *subagents = reader.threads.records()
        if subagents:
            layouts.append([(t.name, t.agent_type, t.parent_key) for t in subagents])
            inside = {item.message.thread_key for item in items if item.message}
            assert inside == {main.key, *(t.key for t in subagents)}
    assert len(layouts) == 2
    assert layouts[0] == layouts[1]
    assert all(agent_type and parent == "main" for _, agent_type, parent in layouts[0])


# What ought to happen with each deliberate fault, by the manifest's own words.


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    assert found, f"the manifest no longer says {pattern!r}: {text!r}"
    return int(found[1])


def _check_fork(legacy: Legacy, row: dict[str, Any]) -> None:
    fork_path = legacy.root / row["key"]["file"]
    lines = _number(r"(\d+) lines", row["problem"])
    messages = _number(r"(\d+) assistant messages", row["problem"])
    origin_id = re.search(r"session ([0-9a-f-]{36})", row["problem"])
    assert origin_id

    sessions = discover(fork_path.parent).sessions
    order = [session.session_id for session in sessions]
    assert order.index(origin_id[1]) < order.index(fork_path.stem)
    readers = {session.session_id: SessionReader(session) for session in sessions}
    items = {session_id: list(reader) for session_id, reader in readers.items()}

    fork, origin = readers[fork_path.stem], readers[origin_id[1]]
    assert fork.session.forked_from == fork.facts.forked_from == origin_id[1]
    assert (fork.facts.forked_lines, fork.facts.forked_messages) == (lines, messages)
    problem = next(p for p in fork.problems if p.code is Code.FORK)
    for said in (f"{lines} lines", f"{messages} assistant messages", origin_id[1]):
        assert said in problem.reason

    # The shared messages count once over both files: by ledger, by the sessions' own totals, and
    # by the rows' usage.
    both = {s: readers[s].usage for s in (fork_path.stem, origin_id[1])}
    shared = _naive_union(fork_path, fork_path.with_name(f"{origin_id[1]}.jsonl"))
    assert _usage(once(both), shared) == shared
    assert fork.usage.own().plus(origin.usage.own()) == once(both)
    rows = [i.message for s in both for i in items[s] if i.message and i.message.usage]
    assert {name: sum(row.usage[name] for row in rows if row.usage) for name in shared} == shared


def _naive_union(*paths: Path) -> dict[str, int]:
    """The tokens of all messages in the files, each once; written without our code."""
    names = Usage._fields[:4]
    best: dict[tuple[str, str | None], dict[str, int]] = {}
    for path in paths:
        for text in path.read_text(encoding="utf-8-sig").splitlines():
            line = json.loads(text)
            usage = line.get("message", {}).get("usage")
            if line["type"] == "assistant" and usage:
                seen = best.setdefault((line["message"]["id"], line.get("requestId")), {})
                for name in names:
                    seen[name] = max(seen.get(name, 0), usage[name])
    return {name: sum(seen[name] for seen in best.values()) for name in names}


def _check_damaged(legacy: Legacy, row: dict[str, Any]) -> None:
    read = read_path(legacy.root / row["key"]["file"])
    should = row["importer_should"]
    bad = _number(r"(\d+) bad lines", should)
    counts = read.reader.problems.by_code
    for kind, code in (
        ("non-JSON", Code.NOT_JSON),
        ("array", Code.NOT_AN_OBJECT),
        ("truncated", Code.INCOMPLETE),
    ):
        assert kind in should
        assert counts[code] == 1
    assert read.reader.files[0].unparsable_lines == bad
    assert counts[Code.UNKNOWN_TYPE] == _number(r"(\d+) unknown type kept raw", should)
    assert counts[Code.REPEATED_LINE] == _number(r"(\d+) duplicate uuid ignored", should)
    assert "lossy characters" in should
    assert counts[Code.TEXT_CHANGED] == 1
    assert all(problem.line for problem in read.reader.problems)

    unknown = [i for i in read.items if i.line.kept is Kept.RAW]
    assert [i.line.type for i in unknown] == list(read.reader.files[0].unknown_types)
    # Every good line goes in: what is not unknown and not bad is a message.
    types = legacy.facts(PREFIX)[row["key"]["file"]]["types"]
    repeated = read.reader.files[0].repeated_uuids
    assert len(read.messages) == types["user"] + types["assistant"] - repeated
    nameless = [m for m in read.messages if m.native_uuid is None]
    assert [m.occurred_at_inferred for m in nameless] == [True]


def _check_growing(legacy: Legacy, row: dict[str, Any]) -> None:
    """The second import of the file in its later state brings only the new lines."""
    (session_id,) = row["key"]["session"]
    states = sorted(legacy.root.glob(f"transcripts/claude_growing/*/{session_id}.jsonl"))
    earlier, later = (read_path(path) for path in states)
    known = {item.line.key for item in earlier.items}
    again = [item for item in later.items if item.line.key in known]
    new = [item for item in later.items if item.line.key not in known]
    assert {item.line.key for item in again} == known
    facts = [legacy.facts(PREFIX)[str(path.relative_to(legacy.root))] for path in states]
    assert len(new) == facts[1]["lines"] - facts[0]["lines"]
    assert new == later.items[-len(new) :]

    # What the new rows add to the tokens makes the earlier total the later one.
    before = earlier.reader.usage.own().as_dict()
    added = [item.message.usage for item in new if item.message and item.message.usage]
    total = {name: n + sum(usage.get(name, 0) for usage in added) for name, n in before.items()}
    assert total == later.reader.usage.own().as_dict()
    seeded = UsageLedger(dict(earlier.reader.usage))
    for item in new:
        message = item.message
        if message and message.message_id and message.usage_reported:
            seeded.add((message.message_id, message.request_id), Usage(**message.usage_reported))
    assert seeded.own() == later.reader.usage.own()

    # Both states in one folder are one session.
    (both,) = discover(legacy.root / "transcripts/claude_growing").sessions
    reader = SessionReader(both)
    read = Read(reader, list(reader))
    assert [item.line.key for item in read.items] == [item.line.key for item in later.items]
    assert reader.files[1].lines_seen_before == len(earlier.items)
    assert reader.usage.total() == later.reader.usage.total()


def _check_usage(legacy: Legacy, row: dict[str, Any]) -> None:
    assert "taking the maximum" in row["importer_should"]
    for name in row["key"]["file"]:
        expected = legacy.facts(PREFIX)[name]
        total = read_path(legacy.root / name).reader.usage.total()
        once_each = expected["usage_once_per_message"]
        assert _usage(total, once_each) == once_each
        assert once_each != expected["usage_summed_per_line"]


CHECKS = {
    "fork": _check_fork,
    "damaged": _check_damaged,
    "growing": _check_growing,
    "usage": _check_usage,
}


@pytest.mark.parametrize("fault", CHECKS)
def test_each_fault_is_met_as_the_manifest_says(legacy: Legacy, fault: str) -> None:
    (row,) = [r for r in legacy.bad_rows("transcripts") if r["table"] == fault]
    CHECKS[fault](legacy, row)


def test_no_fault_of_the_manifest_is_without_a_check(legacy: Legacy) -> None:
    files = json.dumps([row for row in legacy.bad_rows("transcripts") if "codex" in row["table"]])
    assert files == "[]", "a Codex fault belongs to that importer's test"
    assert {row["table"] for row in legacy.bad_rows("transcripts")} == CHECKS.keys()
