"""Summaries by a language model behind an endpoint, in the two protocols that are spoken widely.

OpenAI's chat completions (OpenAI, Ollama, vLLM, LM Studio and others):
https://platform.openai.com/docs/api-reference/chat. Anthropic's messages:
https://docs.anthropic.com/en/api/messages. Servers differ in what they accept, so little is asked
for. Not for what is asked and how it is read (prompt.py), or for sending (endpoints/calls.py).
"""

# httpx is imported by the endpoint when it is used: see memory/endpoints/calls.py.
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from memory.endpoints.calls import Endpoint
from memory.summaries.base import Draft, MalformedError, Material, RefusedError, SummaryError
from memory.summaries.prompt import SCHEMA, SYSTEM, ask_for, read_draft

SETTING = "REMEMBRANCER_SUMMARY"
# Somebody waits for the answer, so little is tried again here; Retry-After tells them when to.
ATTEMPTS = 2
ANTHROPIC_VERSION = "2023-06-01"
# A summary has some hundred tokens; a model that thinks aloud needs more.
MOST_ANSWER_TOKENS = 4_096
TOOL = "write_summary"


class OpenAISummarizer:
    """`model` at the base `url`, such as http://localhost:11434/v1.

    `endpoint` are further arguments of Endpoint, there to be replaced in tests. Raises
    SummaryError for an unusable `url` or `api_key`.
    """

    def __init__(
        self, *, url: str, model: str, api_key: str = "", timeout: float, **endpoint: Any
    ) -> None:
        self.method = f"openai {model}"
        self._model, self._timeout = model, timeout
        self._endpoint = Endpoint(
            what="summary",
            url=url,
            path="chat/completions",
            key=api_key,
            setting=SETTING,
            error=SummaryError,
            timeout=timeout,
            **{"attempts": ATTEMPTS, **endpoint},
        )

    def summarize(self, material: Material) -> Draft:
        payload: dict[str, Any] = {
            "model": self._model,
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": ask_for(material)},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": TOOL, "schema": SCHEMA, "strict": True},
            },
        }
        try:
            return self._read(self._post(payload))
        finally:
            self._endpoint.close()

    def _post(self, payload: dict[str, Any]) -> bytes:
        """`timeout` bounds it all. Servers that do not know response_format are asked in words
        alone, which the system's turn does anyway."""
        deadline = self._endpoint.clock() + self._timeout
        try:
            return self._endpoint.post(payload, deadline=deadline)
        except SummaryError as error:
            if error.answer is None or error.answer.status not in (400, 422):
                raise
            plain = {name: value for name, value in payload.items() if name != "response_format"}
            return self._endpoint.post(plain, deadline=deadline)

    def _read(self, body: bytes) -> Draft:
        source = self._endpoint.source
        choices = _object(body, source).get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(choice, dict) or not isinstance(message, dict):
            raise MalformedError(f"{source} did not answer with a message")
        reason = choice.get("finish_reason")
        if message.get("refusal") or reason == "content_filter":
            raise RefusedError(f"{source} refused to summarise this session")
        if reason == "length":
            raise MalformedError(f"{source} was cut off before the summary was whole")
        return read_draft(_text(message.get("content")), source=source)


class AnthropicSummarizer:
    """`model` at the base `url`, such as https://api.anthropic.com/v1.

    The answer is asked for as the input of a tool, whose schema the server holds the model to.
    """

    def __init__(
        self, *, url: str, model: str, api_key: str = "", timeout: float, **endpoint: Any
    ) -> None:
        self.method = f"anthropic {model}"
        self._model, self._timeout = model, timeout
        self._endpoint = Endpoint(
            what="summary",
            url=url,
            path="messages",
            key=api_key,
            key_header="x-api-key",
            key_prefix="",
            headers={"anthropic-version": ANTHROPIC_VERSION},
            setting=SETTING,
            error=SummaryError,
            timeout=timeout,
            **{"attempts": ATTEMPTS, **endpoint},
        )

    def summarize(self, material: Material) -> Draft:
        payload: dict[str, Any] = {
            "model": self._model,
            "max_tokens": MOST_ANSWER_TOKENS,
            "system": SYSTEM,
            "messages": [{"role": "user", "content": ask_for(material)}],
            "tools": [{"name": TOOL, "description": "Keeps the summary.", "input_schema": SCHEMA}],
            "tool_choice": {"type": "tool", "name": TOOL},
        }
        deadline = self._endpoint.clock() + self._timeout
        try:
            return self._read(self._endpoint.post(payload, deadline=deadline))
        finally:
            self._endpoint.close()

    def _read(self, body: bytes) -> Draft:
        source = self._endpoint.source
        answer = _object(body, source)
        reason, content = answer.get("stop_reason"), answer.get("content")
        if reason == "refusal":
            raise RefusedError(f"{source} refused to summarise this session")
        if reason == "max_tokens":
            raise MalformedError(f"{source} was cut off before the summary was whole")
        if not isinstance(content, list):
            raise MalformedError(f"{source} did not answer with a message")
        for block in content:
            if isinstance(block, dict) and block.get("type") == "tool_use":
                return read_draft(block.get("input"), source=source)
        return read_draft(_text(content), source=source)


def _object(body: bytes, source: str) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise MalformedError(f"{source} did not answer with JSON")
    return answer


def _text(content: Any) -> Any:
    """A message's text, given whole or in blocks."""
    if not isinstance(content, list):
        return content
    texts = [block.get("text") for block in content if isinstance(block, dict)]
    return "".join(text for text in texts if isinstance(text, str))
