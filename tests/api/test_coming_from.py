"""What the pages for users of other systems promise is there to be called."""

import re

import pytest

from config.api import api as ninja_api
from tests.factories import ROOT

PAGES = sorted((ROOT / "docs" / "coming-from").glob("*.md"))
CALL = re.compile(r"`(GET|POST|PATCH|PUT|DELETE) (/[^`\s]*)`")


@pytest.fixture(scope="module")
def operations() -> set[tuple[str, str]]:
    paths = ninja_api.get_openapi_schema()["paths"]
    return {
        (method.upper(), path.removeprefix("/api/v1"))
        for path, methods in paths.items()
        for method in methods
    }


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_every_call_in_the_last_column_is_an_operation(page, operations):
    rows = [line.split("|") for line in page.read_text().splitlines() if line.startswith("| ")]
    calls = [call for row in rows for call in CALL.findall(row[3])]
    assert len(calls) > 10
    assert set(calls) - operations == set()


def test_there_is_a_page_for_each_system():
    assert [page.stem for page in PAGES] == ["amp", "archon", "experience-store", "life-engine"]
