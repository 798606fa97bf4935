"""Fixtures for importer tests; none of them needs a database."""

import pytest

from tests.importers.legacy import Legacy, load


@pytest.fixture(scope="session")
def legacy(tmp_path_factory: pytest.TempPathFactory) -> Legacy:
    return load(tmp_path_factory.mktemp("legacy"))
