"""Summaries by a language model behind an endpoint (endpoints/chat.py).

Not for what is asked and how it is read (prompt.py).
"""

# httpx is imported by the endpoint when it is used: see memory/endpoints/calls.py.
from __future__ import annotations

from typing import Any

from memory.endpoints.chat import AnthropicChat, Chat, OpenAIChat, Purpose
from memory.summaries.base import Draft, MalformedError, Material, RefusedError, SummaryError
from memory.summaries.prompt import SCHEMA, SYSTEM, ask_for, read_draft

# Somebody waits for the answer, so little is tried again here; Retry-After tells them when to.
ATTEMPTS = 2
PURPOSE = Purpose(
    what="summary",
    doing="summarise this session",
    setting="REMEMBRANCER_SUMMARY",
    tool="write_summary",
    tool_about="Keeps the summary.",
    schema=SCHEMA,
    error=SummaryError,
    refused=RefusedError,
    malformed=MalformedError,
)


class _ModelSummarizer:
    """`endpoint` are further arguments of Endpoint, there to be replaced in tests. Raises
    SummaryError for an unusable `url` or `api_key`."""

    chat: type[OpenAIChat] | type[AnthropicChat]

    def __init__(
        self, *, url: str, model: str, api_key: str = "", timeout: float, **endpoint: Any
    ) -> None:
        options = {"attempts": ATTEMPTS, **endpoint}
        self._chat: Chat = self.chat(
            PURPOSE, url=url, model=model, api_key=api_key, timeout=timeout, **options
        )
        self.source = f"The summary endpoint {url}"
        self.method = self._chat.method

    def summarize(self, material: Material) -> Draft:
        return read_draft(self._chat.ask(SYSTEM, ask_for(material)).content, source=self.source)


class OpenAISummarizer(_ModelSummarizer):
    """`model` at the base `url`, such as http://localhost:11434/v1."""

    chat = OpenAIChat


class AnthropicSummarizer(_ModelSummarizer):
    """`model` at the base `url`, such as https://api.anthropic.com/v1."""

    chat = AnthropicChat
