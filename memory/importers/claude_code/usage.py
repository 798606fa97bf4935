"""Counts tokens once per message, however often a transcript repeats them.

Claude Code writes one line per content block and repeats the message's usage on each; some
repeats are partial counts from the stream and smaller, and a fork copies lines with their ids
into another file. Summing lines gives two to four times the truth. So: the maximum of each
counter per (message id, request id). Source: ccusage/ccusage issues 888, 797 and 985.

Two caveats to pass on. `output_tokens` of 2.x versions is often the placeholder of the stream's
first event, so totals stay low. Without a request id (gateways, old versions) a message id is
unique within its session only. Not for money: prices live in the database.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

# (message id, request id); a message without an id is its own line's key.
UsageKey = tuple[str, str | None]

# Nothing real comes near it, and sums stay far from the database's 64-bit limit.
COUNTER_LIMIT = 10**12


class Usage(NamedTuple):
    """Token counters of one message or of a sum.

    The two `cache_creation_*_input_tokens` are parts of `cache_creation_input_tokens`, kept
    because they are priced apart; `web_search_requests` are requests.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_5m_input_tokens: int = 0
    cache_creation_1h_input_tokens: int = 0
    web_search_requests: int = 0

    def plus(self, other: "Usage") -> "Usage":
        return Usage(*map(int.__add__, self, other))

    def minus(self, other: "Usage") -> "Usage":
        return Usage(*map(int.__sub__, self, other))

    def maximum(self, other: "Usage") -> "Usage":
        return Usage(*map(max, self, other))

    def as_dict(self) -> dict[str, int]:
        """The four common counters always, the others where they are not zero."""
        pairs = self._asdict().items()
        return {name: value for i, (name, value) in enumerate(pairs) if i < 4 or value}


NOTHING = Usage()


def total(usages: Iterable[Usage]) -> Usage:
    sums = tuple(map(sum, zip(*usages, strict=True)))
    return Usage(*sums) if sums else NOTHING


def parse_usage(raw: Mapping[str, Any]) -> tuple[Usage, list[str]]:
    """The counters in a message's `usage` object, and the names of those that are no count."""
    wrong: list[str] = []

    def count(source: Any, name: str) -> int:
        value = source.get(name) if isinstance(source, dict) else None
        if value is None:
            return 0
        if type(value) is int and 0 <= value <= COUNTER_LIMIT:
            return value
        wrong.append(name)
        return 0

    creation = raw.get("cache_creation")
    usage = Usage(
        count(raw, "input_tokens"),
        count(raw, "output_tokens"),
        count(raw, "cache_creation_input_tokens"),
        count(raw, "cache_read_input_tokens"),
        count(creation, "ephemeral_5m_input_tokens"),
        count(creation, "ephemeral_1h_input_tokens"),
        count(raw.get("server_tool_use"), "web_search_requests"),
    )
    return usage, wrong


@dataclass(frozen=True, slots=True)
class MessageUsage:
    """What is known of one message: its maxima, its model, and whom a fork copied it from."""

    usage: Usage
    model: str | None = None
    copied_from: str | None = None


class UsageLedger:
    """The tokens of one session, message by message; about 300 bytes for each message.

    Reading a file again from its start gives the same totals, so a second import sets totals
    and adds nothing. Where only new lines are at hand, `known` brings the maxima from before
    (per message, the sum of `usage` over its stored rows), and `add` returns what is new.

    A fork's ledger holds the copied messages too, since they are in its file. A sum over
    sessions takes `own()` of each, or `once()` over their ledgers.
    """

    def __init__(self, known: Mapping[UsageKey, MessageUsage] | None = None) -> None:
        self._messages: dict[UsageKey, MessageUsage] = dict(known or {})

    def add(
        self,
        key: UsageKey,
        usage: Usage,
        model: str | None = None,
        copied_from: str | None = None,
    ) -> Usage:
        """Take note of one line's usage; what it adds to the total, no counter below zero."""
        known = self._messages.get(key)
        if known is None:
            self._messages[key] = MessageUsage(usage, model, copied_from)
            return usage
        best = known.usage.maximum(usage)
        if best == known.usage:
            return NOTHING
        self._messages[key] = MessageUsage(best, known.model or model, known.copied_from)
        return best.minus(known.usage)

    def __len__(self) -> int:
        return len(self._messages)

    def __contains__(self, key: UsageKey) -> bool:
        return key in self._messages

    def __iter__(self) -> Iterator[tuple[UsageKey, MessageUsage]]:
        return iter(self._messages.items())

    def copied_from(self, key: UsageKey) -> str | None:
        entry = self._messages.get(key)
        return entry.copied_from if entry else None

    def total(self) -> Usage:
        """Everything in the session's files, copied messages included."""
        return total(entry.usage for entry in self._messages.values())

    def own(self) -> Usage:
        """Without what a fork copied: this is what the session itself consumed."""
        entries = self._messages.values()
        return total(entry.usage for entry in entries if entry.copied_from is None)

    def copied(self) -> Usage:
        return self.total().minus(self.own())

    def by_model(self) -> dict[str, Usage]:
        """`own()` split by model, for prices; messages without a model under ''."""
        sums: dict[str, Usage] = {}
        for entry in self._messages.values():
            if entry.copied_from is None and entry.usage != NOTHING:
                model = entry.model or ""
                sums[model] = sums.get(model, NOTHING).plus(entry.usage)
        return sums


def once(ledgers: Mapping[str, UsageLedger]) -> Usage:
    """The sum over several sessions (session id to ledger), each message counted once.

    Messages with a request id are the same wherever they turn up. Those without are told apart
    by session, because gateways number them anew in each, except where a fork copied them.
    """
    best: dict[tuple[UsageKey, str], Usage] = {}
    for session_id, ledger in ledgers.items():
        for key, entry in ledger:
            scope = "" if key[1] is not None else _origin(key, session_id, ledgers)
            known = best.get((key, scope))
            best[(key, scope)] = entry.usage if known is None else known.maximum(entry.usage)
    return total(best.values())


def _origin(key: UsageKey, session_id: str, ledgers: Mapping[str, UsageLedger]) -> str:
    """The session that first wrote the message, through forks of forks."""
    seen = {session_id}
    while (ledger := ledgers.get(session_id)) is not None:
        copied_from = ledger.copied_from(key)
        if copied_from is None or copied_from in seen:
            break
        seen.add(copied_from)
        session_id = copied_from
    return session_id
