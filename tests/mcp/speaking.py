"""Speaks MCP as an agent does that has a key: one JSON-RPC message in one POST, of either era."""

import json
from typing import Any

from django.http import HttpResponse
from django.test import Client

from contacts.models import Workspace
from contacts.scopes import SCOPES
from tests.factories import make_key

MODERN, LEGACY = "2026-07-28", "2025-11-25"
META = "io.modelcontextprotocol/"
ACCEPT = "application/json, text/event-stream"


class Agent:
    """One key. `agent.call("memory_save", text="...")` gives the structured result."""

    def __init__(self, token: str | None, *, era: str = MODERN, path: str = "/mcp/") -> None:
        self.token, self.era, self.path = token, era, path
        self.client = Client(raise_request_exception=False)

    def post(self, body: Any, *, raw: bytes | None = None, **headers: str) -> HttpResponse:
        named = {"accept": ACCEPT, "mcp-protocol-version": self.era}
        if self.token is not None:
            named["authorization"] = f"Bearer {self.token}"
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = raw if raw is not None else json.dumps(body).encode()
        return self.client.generic(
            "POST", self.path, data, content_type="application/json", headers=named
        )

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The whole JSON-RPC answer."""
        headers = {}
        if self.era == MODERN:
            params["_meta"] = {
                f"{META}protocolVersion": MODERN,
                f"{META}clientCapabilities": {},
                f"{META}clientInfo": {"name": "tests", "version": "1"},
            }
            headers["mcp_method"] = method
            if name := params.get("name") or params.get("uri"):
                headers["mcp_name"] = name
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        answer = self.post(body, **headers)
        said: dict[str, Any] = answer.json()
        assert said["id"] == 7, said
        return said

    def result(self, method: str, **params: Any) -> dict[str, Any]:
        said = self.ask(method, **params)
        assert "result" in said, said
        result: dict[str, Any] = said["result"]
        return result

    def call(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """What a tool gives; it must not fail."""
        result = self.result("tools/call", name=tool, arguments=arguments)
        assert not result.get("isError"), result["content"]
        given: dict[str, Any] = result["structuredContent"]
        return given

    def fails(self, tool: str, /, **arguments: Any) -> str:
        """What the agent reads of a tool's error."""
        result = self.result("tools/call", name=tool, arguments=arguments)
        assert result.get("isError"), result
        assert "structuredContent" not in result
        text: str = result["content"][0]["text"]
        return text


def agent_of(
    workspace: Workspace, name: str = "claude-code", scopes: Any = None, **options: Any
) -> Agent:
    """A key with all scopes, or with `scopes`."""
    _, token = make_key(workspace, agent=name, scopes=list(SCOPES) if scopes is None else scopes)
    return Agent(token, **options)
