"""A tool: what it is called, takes and gives, and how a call of it runs and fails."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import mcp_types as types
import orjson
import structlog
from django.http import HttpRequest
from pydantic import BaseModel

from config import errors
from config.lib.errors import Invalid
from config.lib.recalled import as_recalled, as_recalled_object
from config.mcp.brief import as_json
from config.mcp.rest import Call
from config.mcp.schemas import Arguments, Writing, input_schema, output_schema, read

log = structlog.get_logger()

# By the code or status of a problem: what an agent does next.
NEXT = {
    "scope_missing": "Ask the operator for a key with this scope (admin, API keys), or go on "
    "without.",
    "stale": "Read the row again (memory_get), decide anew, and send the version it has now.",
    "ambiguous_id": "Give the full id, or more of its end.",
    "404": "Look for it first: memory_search, session_search, work_find or contact_find.",
    "409": "Read the row (memory_get) to see its state before you try again.",
    "422": "Correct this and call again.",
    "429": "Call again later.",
    "507": "Nothing can be written until there is room; reading goes on. Tell the operator.",
    "503": "Call again in a moment.",
    "500": "Not your fault. Try once more; then tell the operator the request_id.",
}


@dataclass(frozen=True)
class Result:
    """What a tool gives: JSON, and where that is better read as text, the text."""

    data: dict[str, Any]
    text: str | None = None


@dataclass(frozen=True)
class Tool:
    """One tool. `run` is called with the call and its arguments, of the type `takes`."""

    name: str
    title: str
    description: str
    takes: type[BaseModel]
    gives: type[BaseModel]
    run: Callable[[Call, Any], dict[str, Any] | Result]
    reads: bool = False
    destroys: bool = False
    repeatable: bool = False
    # Whether something outside this server may come of it.
    open_world: bool = False
    # REST's name of what an error speaks of -> the tool's argument.
    names: Mapping[str, str] = field(default_factory=dict)
    # By whom it is committed: a tool that waits for something commits before.
    whole: bool = field(default=True)
    # Whether its answers carry the mark of recalled text; not where others say which fields they
    # have.
    marked: bool = field(default=True)

    @cached_property
    def described(self) -> types.Tool:
        """As tools/list says it."""
        return types.Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=input_schema(self.takes),
            output_schema=output_schema(self.gives),
            annotations=types.ToolAnnotations(
                title=self.title,
                read_only_hint=self.reads,
                destructive_hint=self.destroys,
                idempotent_hint=self.repeatable,
                open_world_hint=self.open_world,
            ),
        )

    def answer(self, call: Call, sent: dict[str, Any]) -> types.CallToolResult:
        """Run it. What goes wrong is told to the agent, with what to do next."""
        try:
            answer = self._said(self._run(call, sent))
        except Exception as error:
            call.roll_back()
            answer = _failed(call.request, self._named(error))
        log.info("tool", tool=self.name, failed=answer.is_error)
        return answer

    def _named(self, error: Exception) -> Exception:
        if not isinstance(error, Invalid):
            return error
        return Invalid(
            {
                ".".join([self.names.get(first, first), *rest]): text
                for name, text in error.errors.items()
                for first, *rest in [name.split(".")]
            }
        )

    def _run(self, call: Call, sent: dict[str, Any]) -> Result:
        given = read(self.takes, sent)
        key = given.idempotency_key if isinstance(given, Writing) else None
        if self.whole:
            digest = digest_of(self.name, sent)
            found = call.unit(lambda: self.run(call, given), key=key, digest=digest)
        else:
            found = self.run(call, given)
        return found if isinstance(found, Result) else Result(found)

    def _said(self, result: Result) -> types.CallToolResult:
        data = as_recalled_object(result.data) if self.marked else result.data
        if result.text is None:
            text = as_json(data)
        else:
            text = as_recalled(result.text) if self.marked else result.text
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=text)], structured_content=data
        )


def digest_of(name: str, sent: dict[str, Any]) -> bytes:
    """What an idempotency key stands for: the tool and its arguments, in any order."""
    told = json.dumps([name, sent], sort_keys=True)
    return hashlib.sha256(b"mcp\n" + told.encode()).digest()


def is_detailed(given: Arguments) -> bool:
    return given.response_format == "detailed"


def _failed(request: HttpRequest, error: Exception) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=told(request, error))], is_error=True
    )


def told(request: HttpRequest, error: Exception) -> str:
    """What an agent reads of an error: what is wrong, and what to do next."""
    response = errors.answer_to(request, error)
    problem = orjson.loads(response.content)
    code, status = problem.get("code", ""), str(problem["status"])
    lines = [f"{problem['title']}: {problem['detail']}"]
    if wait := response.headers.get("Retry-After"):
        lines.append(f"Call again in {wait} s.")
    elif following := NEXT.get(code) or NEXT.get(status):
        lines.append(following)
    if status == "500":
        lines.append(f"request_id: {problem['request_id']}")
    return "\n".join(lines)
