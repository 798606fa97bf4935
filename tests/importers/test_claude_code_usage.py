"""Tokens are counted once per message, however often and in whatever parts they are written."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.importers.claude_code.usage import (
    MessageUsage,
    Usage,
    UsageLedger,
    once,
    parse_usage,
    total,
)
from memory.importers.problems import Code
from tests.importers.transcripts import assistant, read

KEY = ("msg_1", "req_1")


def tokens(output: int) -> Usage:
    return Usage(input_tokens=3, output_tokens=output)


def test_repeats_count_once_and_the_largest_wins() -> None:
    ledger = UsageLedger()
    assert ledger.add(KEY, tokens(8)) == tokens(8)
    assert ledger.add(KEY, tokens(322)) == Usage(output_tokens=314)
    assert ledger.add(KEY, tokens(20)) == Usage()
    assert ledger.total() == tokens(322)
    assert len(ledger) == 1


def test_each_counter_has_its_own_maximum() -> None:
    ledger = UsageLedger()
    ledger.add(KEY, Usage(input_tokens=9, output_tokens=1))
    ledger.add(KEY, Usage(input_tokens=1, output_tokens=9))
    assert ledger.total() == Usage(input_tokens=9, output_tokens=9)


def test_another_request_of_the_same_message_is_another_message() -> None:
    ledger = UsageLedger()
    ledger.add(("msg_1", "req_1"), tokens(1))
    ledger.add(("msg_1", "req_2"), tokens(1))
    ledger.add(("msg_1", None), tokens(1))
    assert ledger.total() == Usage(input_tokens=9, output_tokens=3)


def test_what_was_known_before_is_not_added_again() -> None:
    ledger = UsageLedger({KEY: MessageUsage(tokens(100))})
    assert ledger.add(KEY, tokens(90)) == Usage()
    assert ledger.add(KEY, tokens(150)) == Usage(output_tokens=50)


COUNTS = st.integers(0, 1_000)
LINES = st.lists(st.tuples(st.sampled_from("abc"), st.builds(Usage, COUNTS, COUNTS)), max_size=12)


@given(lines=LINES, cut=st.integers(0, 12))
def test_additions_sum_up_to_the_total_wherever_a_run_was_cut(
    lines: list[tuple[str, Usage]], cut: int
) -> None:
    whole = UsageLedger()
    added = [whole.add((key, None), usage) for key, usage in lines]
    assert total(added) == whole.total()

    first = UsageLedger()
    for key, usage in lines[:cut]:
        first.add((key, None), usage)
    rest = UsageLedger(dict(first))
    later = [rest.add((key, None), usage) for key, usage in lines[cut:]]
    assert total([first.total(), *later]) == whole.total()


def test_a_fork_counts_what_it_added_itself() -> None:
    fork = UsageLedger()
    fork.add(KEY, tokens(10), "claude-a", copied_from="origin")
    fork.add(("msg_2", "req_2"), tokens(5), "claude-b")
    assert fork.total() == Usage(input_tokens=6, output_tokens=15)
    assert fork.own() == tokens(5)
    assert fork.copied() == tokens(10)
    assert fork.by_model() == {"claude-b": tokens(5)}


def test_a_sum_over_sessions_takes_each_message_once() -> None:
    origin, fork, fork_of_fork, stranger = (UsageLedger() for _ in range(4))
    for ledger, copied_from in ((origin, None), (fork, "origin"), (fork_of_fork, "fork")):
        ledger.add(KEY, tokens(10), copied_from=copied_from)
        # Without a request id only the copies are known to be the same.
        ledger.add(("msg_2", None), tokens(1), copied_from=copied_from)
    stranger.add(("msg_2", None), tokens(1))
    ledgers = {"fork2": fork_of_fork, "fork": fork, "origin": origin, "stranger": stranger}
    assert once(ledgers) == total([tokens(10), tokens(1), tokens(1)])
    assert once({}) == Usage()


def test_all_parts_of_a_usage_object_are_read() -> None:
    usage, wrong = parse_usage(
        {
            "input_tokens": 1,
            "output_tokens": 2,
            "cache_creation_input_tokens": 7,
            "cache_read_input_tokens": 4,
            "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 5},
            "server_tool_use": {"web_search_requests": 6},
            "service_tier": "standard",
        }
    )
    assert usage == Usage(1, 2, 7, 4, 2, 5, 6)
    assert wrong == []
    assert Usage(1).as_dict() == {
        "input_tokens": 1,
        "output_tokens": 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    }


@pytest.mark.parametrize("value", [-1, 1.5, "7", True, [], 10**13])
def test_what_is_no_count_is_reported_and_read_as_zero(tmp_path: Path, value: Any) -> None:
    usage = {"input_tokens": value, "output_tokens": 2, "cache_creation": "x"}
    got = read(tmp_path, assistant("a1", message={"usage": usage}))
    assert got.reader.usage.total() == Usage(output_tokens=2)
    assert got.codes == [Code.BAD_USAGE]
    assert "input_tokens" in got.reader.problems.kept[0].reason


def test_rows_carry_what_they_add(tmp_path: Path) -> None:
    """Three lines of one message: the sum over the rows is the message's usage."""

    def line(uuid: str, output: int) -> dict[str, Any]:
        usage = {"input_tokens": 3, "output_tokens": output}
        return assistant(uuid, message={"usage": usage})

    got = read(tmp_path, line("a1", 8), line("a2", 8), line("a3", 322), assistant("a4"))
    rows = [m.usage and (m.usage["input_tokens"], m.usage["output_tokens"]) for m in got.messages]
    assert rows == [(3, 8), (0, 0), (0, 314), None]
    reported = [m.usage_reported and m.usage_reported["output_tokens"] for m in got.messages]
    assert reported == [8, 8, 322, None]
    assert got.reader.usage.own() == tokens(322)


def test_a_message_without_id_is_counted_by_its_line(tmp_path: Path) -> None:
    usage = {"usage": {"output_tokens": 4}, "id": None}
    got = read(tmp_path, assistant("a1", message=usage), assistant("a2", message=usage))
    assert got.reader.usage.total() == Usage(output_tokens=8)
