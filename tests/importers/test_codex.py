"""Codex's rollouts: every count and fact of the manifest, and what their lines become."""

import json
from datetime import datetime

import pytest

from config.lib.scope import workspace_scope
from memory.importers.codex.files import discover
from memory.importers.codex.reader import CodexReader
from memory.importers.problems import Code, SourceError
from sessions.models import Message, RawLine, Session, SessionEvent, Thread
from tests.importers.legacy import Legacy
from tests.importers.sources import Sample, take
from tests.importers.transcripts import encode

PREFIX = "transcripts/codex"
# The manifest shows the first user text up to here.
SHOWN = 160
OWN = "01999999-0000-7000-8000-000000000001"
NAME = f"rollout-2026-01-02T12-00-00-{OWN}.jsonl"


def read(path):
    (session,) = discover(path).sessions
    reader = CodexReader(session)
    return reader, list(reader)


def line(kind, payload, second=0, **fields):
    return {"timestamp": f"2026-01-02T12:00:{second:02}.000Z", "type": kind, "payload": payload,
            **fields}  # fmt: skip


def item(kind, second=0, **fields):
    return line("response_item", {"type": kind, **fields}, second)


def said(role, text, second=0):
    kind = "output_text" if role == "assistant" else "input_text"
    return item("message", second, role=role, content=[{"type": kind, "text": text}])


META = line(
    "session_meta", {"id": OWN, "cwd": "/code", "cli_version": "1.0", "git": {"branch": "b"}}
)


@pytest.fixture
def write(tmp_path):
    def make(*lines, name=NAME):
        path = tmp_path / "sessions" / "2026" / "01" / "02" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(*lines))
        return path

    return make


# --- The real ones ------------------------------------------------------------------------------


def as_facts(reader, expected):
    report, meta = reader.files[0], reader.meta
    found = {
        "lines": report.lines,
        "unparsable_lines": report.unparsable_lines,
        "types": dict(report.types),
        "first_timestamp": report.first_timestamp,
        "last_timestamp": report.last_timestamp,
        "payload_types": dict(reader.payload_types),
        "first_user_text": (report.first_user_text or "")[:SHOWN],
        "codex": {name: meta.get(name) for name in expected["codex"]},
    }
    if "last_total_token_usage" in expected["codex"]:
        found["codex"]["last_total_token_usage"] = reader.tokens
    return {name: found[name] for name in expected}


def parsed(facts):
    times = {name: datetime.fromisoformat(facts[name]) for name in facts if "timestamp" in name}
    return facts | times


def test_each_file_has_the_counts_and_facts_of_the_manifest(legacy: Legacy):
    files = legacy.facts(PREFIX)
    spots = [one for one in legacy.spot_facts("transcripts") if one["file"].startswith(PREFIX)]
    assert {one["file"] for one in spots} == files.keys() != set()
    for name, expected in [*files.items(), *((one["file"], one["expect"]) for one in spots)]:
        reader, _ = read(legacy.root / name)
        assert as_facts(reader, expected) == parsed(expected), name


@pytest.mark.django_db
def test_what_the_manifest_tells_is_here(workspace, legacy: Legacy):
    sample = Sample("codex", PREFIX)
    report = take(workspace, sample, sample.where(legacy))
    assert report.checked.ok, report.checked.differences
    with workspace_scope(workspace.id):
        for facts in legacy.facts(PREFIX).values():
            codex, kinds = facts["codex"], facts["payload_types"]
            session = Session.objects.get(source="codex", external_id=codex["id"])
            assert (session.cwd, session.agent.kind) == (codex["cwd"], "codex")
            assert session.metadata["codex_version"] == codex["cli_version"]
            assert session.metadata["originator"] == codex["originator"]
            tokens = codex["last_total_token_usage"]
            assert session.metadata["total_token_usage"] == tokens
            assert session.input_tokens + session.cache_read_tokens == tokens["input_tokens"]
            assert session.cache_read_tokens == tokens["cached_input_tokens"]
            assert session.output_tokens == tokens["output_tokens"]
            assert session.tool_count == kinds["response_item/function_call"]
            results = session.events.filter(event_type="tool_result").count()
            assert results == kinds["response_item/function_call_output"]
            items = sum(n for kind, n in kinds.items() if kind.startswith("response_item/"))
            assert session.message_count == items
            assert RawLine.objects.filter(session=session).count() == facts["lines"]
            assert session.threads.get().name == "main"
            asked = session.threads.get().messages.filter(role="user")
            assert asked.count() == kinds["event_msg/user_message"]
            # The person's own words, without what the editor put before them.
            assert session.prompt
            assert not session.prompt.startswith("#")


# --- Lines --------------------------------------------------------------------------------------


def test_what_the_program_puts_in_is_no_prompt(write):
    reader, items = read(
        write(
            META,
            said("developer", "be brief"),
            said("user", "<environment_context>\n<cwd>/code</cwd>\n</environment_context>"),
            said("user", "# AGENTS.md instructions for /code"),
            said("user", "why?"),
            line("event_msg", {"type": "user_message", "message": "why?"}),
            said("assistant", "because"),
        )
    )
    messages = [one.message for one in items if one.message]
    assert [one.role for one in messages] == ["system", "system", "system", "user", "assistant"]
    assert [one.content for one in messages[-2:]] == ["why?", "because"]
    assert (reader.facts.title, reader.facts.prompts) == ("why?", 1)


def test_calls_are_paired_with_their_results_and_failures_count(write):
    shell = {"command": ["bash", "-lc", "ls"]}
    failed = json.dumps({"output": "no such file", "metadata": {"exit_code": 2}})
    reader, items = read(
        write(
            META,
            line("turn_context", {"model": "gpt-x", "cwd": "/code"}),
            item("function_call", name="shell", arguments=json.dumps(shell), call_id="a"),
            item("function_call_output", call_id="a", output=failed),
            item("custom_tool_call", name="apply_patch", input="*** Begin Patch", call_id="b"),
            item("custom_tool_call_output", call_id="b", output="Exit code: 0\nOutput:\nDone"),
            item("function_call", name="exec_command", arguments="{broken", call_id="c"),
            item("function_call_output", call_id="c", output="Process exited with code 1\nno"),
            item("web_search_call", id="d", action={"type": "search", "query": "why"}),
            item("reasoning", summary=[{"type": "summary_text", "text": "hm"}], content=None),
        )
    )
    events = [event for one in items for event in one.events]
    calls = [event for event in events if event.event_type == "tool_use"]
    assert [event.data["tool"] for event in calls] == [
        "shell", "apply_patch", "exec_command", "web_search",
    ]  # fmt: skip
    assert calls[0].text == "shell: bash -lc ls"
    assert calls[2].data["input"] == {"input": "{broken"}
    results = [event for event in events if event.event_type == "tool_result"]
    assert [event.data["is_error"] for event in results] == [True, False, True]
    assert results[0].text == "no such file"
    messages = [one.message for one in items if one.message]
    assert {one.model for one in messages if one.role == "assistant"} == {"gpt-x"}
    assert items[-1].message.kind == "thinking"
    assert [problem.code for problem in reader.problems] == [Code.USE_WITHOUT_RESULT]


@pytest.mark.parametrize("kind", [None, 5, ["user_message"], {"of": "a kind"}])
def test_what_has_no_kind_is_kept(write, kind):
    _, items = read(
        write(META, line("event_msg", {"type": kind}), item(kind), said("user", "why?"))
    )
    assert [one.line.number for one in items] == [1, 2, 3, 4]
    assert items[-1].message.content == "why?"


def test_rollouts_from_before_there_were_envelopes_are_read(write):
    old = {"id": OWN, "timestamp": "2025-06-01T10:00:00.000Z", "instructions": None}
    bare = [{"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}
            for role, text in (("user", "hello"), ("assistant", "hi"))]  # fmt: skip
    reader, items = read(write(old, {"record_type": "state"}, *bare))
    assert [one.message.content for one in items if one.message] == ["hello", "hi"]
    assert reader.session.session_id == OWN
    assert reader.facts.started_at == datetime.fromisoformat("2025-06-01T10:00:00Z")


@pytest.mark.django_db
def test_compactions_errors_and_forks_are_told(workspace, write):
    origin = "01999999-0000-7000-8000-00000000000f"
    fork = line("session_meta", {"id": OWN, "cwd": "/code", "forked_from_id": origin})
    copied = line("session_meta", {"id": origin, "cwd": "/elsewhere"})
    write(copied, said("user", "first"), name=f"rollout-2026-01-01T12-00-00-{origin}.jsonl")
    path = write(
        fork, copied, said("user", "go on", 1),
        line("compacted", {"message": "what was said"}, 2),
        line("event_msg", {"type": "error", "message": "overloaded"}, 3),
        line("event_msg", {"type": "turn_aborted", "reason": "interrupted"}, 4),
        line("moods", {"type": "sunny"}, 5),
    )  # fmt: skip
    report = take(workspace, Sample("codex", ""), path.parents[4])
    assert report.checked.ok, report.checked.differences
    assert report.problems.by_code[Code.UNKNOWN_TYPE] == 1
    with workspace_scope(workspace.id):
        session = Session.objects.get(external_id=OWN)
        assert session.parent.external_id == origin
        assert (session.cwd, session.metadata["compactions"]) == ("/code", 1)
        told = dict(SessionEvent.objects.filter(session=session).values_list("event_type", "text"))
        assert told == {"api_error": "overloaded", "turn_aborted": "interrupted"}
        summary = Message.objects.get(session=session, content="what was said")
        assert (summary.role, summary.metadata["kind"]) == ("system", "compact_summary")


@pytest.mark.django_db
def test_a_rollout_that_grew_adds_what_is_new(workspace, write):
    count = line("event_msg", {"type": "token_count", "info": {
        "total_token_usage": {"input_tokens": 10, "cached_input_tokens": 4, "output_tokens": 2},
    }})  # fmt: skip
    more = json.loads(json.dumps(count).replace("10,", "30,"))
    path = write(META, said("user", "one"), count)
    take(workspace, Sample("codex", ""), path)
    write(META, said("user", "one"), count, b'{"timestamp": "2026-01-02T12:0')
    assert not take(workspace, Sample("codex", ""), path).changed
    write(META, said("user", "one"), count, said("assistant", "two", 9), more)
    report = take(workspace, Sample("codex", ""), path)
    assert report.checked.ok, report.checked.differences
    assert report.tables["lines"].created == 2
    with workspace_scope(workspace.id):
        thread = Thread.objects.get()
        contents = thread.messages.order_by("idx").values_list("content", flat=True)
        assert list(contents) == ["one", "two"]
        session = thread.session
        tokens = (session.input_tokens, session.cache_read_tokens, session.output_tokens)
        assert tokens == (26, 4, 2)


def test_what_is_no_rollout_is_refused_in_one_line(tmp_path):
    for content, told in (
        (b"", "empty file"),
        (b'{"type": "moods"}\n', "JSON"),
        (b"\x00\x01", "b"),
    ):
        path = tmp_path / NAME
        path.write_bytes(content)
        for where in (path, tmp_path):
            with pytest.raises(SourceError, match=told) as refused:
                discover(where)
            assert "\n" not in str(refused.value)
