"""Small sources that tests make themselves, where those of the test data are not there."""

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

_TABLE = """CREATE TABLE experience (id VARCHAR NOT NULL PRIMARY KEY, type VARCHAR NOT NULL,
    created_at DATETIME NOT NULL, content JSON, provenance JSON, evidence_ptrs JSON,
    confidence JSON, embeddings JSON, affect JSON, parents JSON, causes JSON, sign VARCHAR,
    ownership VARCHAR NOT NULL, session_id VARCHAR, consolidated BOOLEAN NOT NULL)"""


def experience_store(path: Path, texts: Sequence[str]) -> Path:
    """An experience store, as its own code makes one, with an observation of each text."""
    database = sqlite3.connect(path)
    database.execute(_TABLE)
    for n, text in enumerate(texts):
        database.execute(
            "INSERT INTO experience VALUES (?, 'observation', '2025-09-15 10:40:48', ?, '{}', "
            "'[]', '{}', '{}', '{}', '[]', '[]', '', 'user', NULL, 0)",
            (f"exp_{n}", json.dumps({"text": text})),
        )
    database.commit()
    database.close()
    return path
