"""Pairs tool calls with their results by id, over all files of a session.

Not for what calls and results hold: `events.py` reads that.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from memory.importers.problems import Code, Finding, Problem


@dataclass(slots=True)
class _Use:
    tool: str
    file: str
    line: int
    times: int = 1
    results: int = 0


class ToolPairs:
    """The calls of a session by id, and how often each was made and answered.

    Ids are unique as the model's maker issues them; gateways have been seen to count them anew,
    so a second use of an id gets a name of its own, by order in the file.
    """

    def __init__(self) -> None:
        self._uses: dict[str, _Use] = {}
        self._early_results: dict[str, tuple[str, int]] = {}

    def call(self, tool_use_id: str, tool: str, file: str, line: int) -> str:
        """Note a call; the key of its event."""
        use = self._uses.get(tool_use_id)
        if use is None:
            self._uses[tool_use_id] = use = _Use(tool, file, line)
            if self._early_results.pop(tool_use_id, None):
                use.results = 1
        else:
            use.times += 1
        return _key("tool_use", tool_use_id, use.times)

    def result(self, tool_use_id: str, file: str, line: int) -> tuple[str, str | None]:
        """Note a result; the key of its event, and the tool if the call is known."""
        use = self._uses.get(tool_use_id)
        if use is None:
            self._early_results.setdefault(tool_use_id, (file, line))
            return _key("tool_result", tool_use_id, 1), None
        use.results += 1
        return _key("tool_result", tool_use_id, use.results), use.tool

    def unpaired(self) -> Iterator[Problem]:
        """Calls without a result, and results without a call."""
        for tool_use_id, use in self._uses.items():
            if not use.results:
                yield Finding(
                    Code.USE_WITHOUT_RESULT,
                    f"call {tool_use_id} ({use.tool}) has no result",
                    "imported; interrupted, or its result comes with a later import",
                ).at(use.file, use.line)
        for tool_use_id, (file, line) in self._early_results.items():
            yield Finding(
                Code.RESULT_WITHOUT_USE,
                f"result for call {tool_use_id}, which is not in the session",
                "imported without the tool's name",
            ).at(file, line)


def _key(kind: str, tool_use_id: str, n: int) -> str:
    return f"{kind}:{tool_use_id}" if n == 1 else f"{kind}:{tool_use_id}#{n}"
