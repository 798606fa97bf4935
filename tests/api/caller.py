"""Calls the API as a program would: a key, JSON bodies, answers read as JSON."""

from typing import Any

import orjson
from django.http import HttpResponse
from django.test import Client

from contacts.models import Workspace
from contacts.scopes import SCOPES
from tests.factories import make_key

ROOT = "/api/v1"


class Caller:
    """One key. `answer = api.post("/sessions", {...})`; headers by keyword (if_match="*")."""

    def __init__(self, token: str | None) -> None:
        self.token = token
        self.client = Client(raise_request_exception=False)

    def call(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str
    ) -> HttpResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token is not None:
            named["authorization"] = f"Bearer {self.token}"
        data = raw if raw is not None else b"" if body is None else orjson.dumps(body)
        return self.client.generic(
            method, ROOT + path, data, content_type="application/json", headers=named
        )

    def get(self, path: str, **query: Any) -> HttpResponse:
        named = {"authorization": f"Bearer {self.token}"} if self.token else {}
        return self.client.get(ROOT + path, query, headers=named)

    def post(self, path: str, body: Any = None, **options: Any) -> HttpResponse:
        return self.call("POST", path, body, **options)

    def patch(self, path: str, body: Any = None, **options: Any) -> HttpResponse:
        return self.call("PATCH", path, body, **options)

    def delete(self, path: str, **options: Any) -> HttpResponse:
        return self.call("DELETE", path, **options)


def caller(workspace: Workspace, agent: str = "claude-code", scopes: Any = None) -> Caller:
    """A key with all scopes, or with `scopes`."""
    _, token = make_key(workspace, agent=agent, scopes=list(SCOPES) if scopes is None else scopes)
    return Caller(token)


def made(answer: HttpResponse) -> dict[str, Any]:
    """The body of an answer that must be a success."""
    assert answer.status_code in (200, 201), answer.content
    return answer.json()


def problem(answer: HttpResponse, status: int) -> dict[str, Any]:
    """The body of an answer that must be this problem."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["title"]
    assert body["request_id"] == answer["X-Request-ID"]
    return body


def wrong_fields(answer: HttpResponse) -> dict[str, str]:
    """What a 422 says of each field."""
    return {one["field"]: one["message"] for one in problem(answer, 422)["errors"]}


def all_items(api: Caller, path: str, **query: Any) -> list[dict[str, Any]]:
    """A list read page by page to its end."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = made(api.get(path, **query, **({"cursor": cursor} if cursor else {})))
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items
