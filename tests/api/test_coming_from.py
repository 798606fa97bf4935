"""What the pages for users of other systems promise is there to be called, by the names given."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from config.api import api as ninja_api
from tests.factories import ROOT

ALL = sorted((ROOT / "docs" / "moving-in").glob("*.md"))
PAGES = [page for page in ALL if "| The call |" in page.read_text(encoding="utf-8")]
NAME = r"`[a-z_]+`"
CALL = re.compile(
    r"`(GET|POST|PATCH|PUT|DELETE) (/[^`\s]*)`"
    rf"(?: with ({NAME}(?:(?:, (?!`[A-Z])| and ){NAME})*))?"
)
Operations = dict[tuple[str, str], set[str]]


@pytest.fixture(scope="module")
def operations() -> Operations:
    """What each takes, by query or in its body."""
    schema = ninja_api.get_openapi_schema()
    return {
        (method.upper(), path.removeprefix("/api/v1")): set(names(operation, schema))
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }


def names(operation: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    yield from (one["name"] for one in operation.get("parameters", []) if one["in"] == "query")
    for content in operation.get("requestBody", {}).get("content", {}).values():
        yield from properties(content["schema"], schema)


def properties(kind: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    """Of an object, or of each that it may be."""
    if "$ref" in kind:
        kind = schema["components"]["schemas"][kind["$ref"].rpartition("/")[2]]
    yield from kind.get("properties", ())
    for choice in (*kind.get("anyOf", ()), *kind.get("oneOf", ()), *kind.get("allOf", ())):
        yield from properties(choice, schema)


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_every_call_in_the_last_column_is_an_operation(page, operations):
    rows = [line.split("|") for line in page.read_text().splitlines() if line.startswith("| ")]
    calls = [call for row in rows for call in CALL.findall(row[3])]
    assert len(calls) > 10
    assert {(method, path) for method, path, _ in calls} - operations.keys() == set()
    # Whatever is said behind a call is read as the names it is called with.
    assert sum(bool(words) for *_, words in calls) == sum(row[3].count(" with ") for row in rows)
    wrong = {
        f"{method} {path} with {name}"
        for method, path, words in calls
        for name in re.findall("[a-z_]+(?=`)", words)
        if name not in operations[method, path]
    }
    assert wrong == set()


def test_there_is_a_page_for_each_system():
    assert [page.stem for page in PAGES] == ["amp", "archon", "experience-store", "life-engine"]
