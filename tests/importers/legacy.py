"""Where the import test data is: real and derived files with a manifest of what is in them.

LEGACY_DATA names a folder that holds `manifest.json` or `legacy.tar.gz`. Without it, a folder
`legacy` in a neighbour of the repository is looked for; without that, tests are skipped.
"""

import json
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ARCHIVE = "legacy.tar.gz"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Legacy:
    """The unpacked data and its manifest."""

    root: Path
    manifest: dict[str, Any]
    # For sources that the data has none of, which tests make.
    made: Path

    def facts(self, prefix: str) -> dict[str, dict[str, Any]]:
        """What the manifest expects of each transcript whose path begins with `prefix`."""
        return {
            entry["file"]: entry["facts"]
            for entry in self.manifest["transcripts"]
            if entry["file"].startswith(prefix)
        }

    def spot_facts(self, system: str) -> list[dict[str, Any]]:
        return list(self.manifest["systems"][system]["spot_facts"])

    def bad_rows(self, system: str) -> list[dict[str, Any]]:
        return list(self.manifest["systems"][system]["bad_rows"])


def find_folder() -> Path | None:
    if named := os.environ.get("LEGACY_DATA"):
        return Path(named)
    neighbours = sorted(REPOSITORY.parent.glob("*/legacy"))
    return next((f for f in neighbours if (f / MANIFEST).exists() or (f / ARCHIVE).exists()), None)


def load(scratch: Path) -> Legacy:
    """The data, unpacked into `scratch` where it comes as an archive; skips where there is none."""
    folder = find_folder()
    if folder is None:
        pytest.skip("no import test data: set LEGACY_DATA to the folder of legacy.tar.gz")
    manifest = folder / MANIFEST
    if not manifest.exists():
        archive = folder / ARCHIVE
        if not archive.exists():
            pytest.fail(f"LEGACY_DATA={folder} holds neither {MANIFEST} nor {ARCHIVE}")
        with tarfile.open(archive) as packed:
            packed.extractall(scratch, filter="data")
        manifest = next(scratch.rglob(MANIFEST))
    made = scratch / "made"
    made.mkdir()
    return Legacy(manifest.parent, json.loads(manifest.read_text(encoding="utf-8")), made)
