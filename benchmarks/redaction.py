"""What redaction takes out of texts that hold no secret, and what it costs, as JSON.

`python -m benchmarks.redaction [--texts N] [FOLDER ...]` reads ordinary code and prose that is on
this machine: the sources and documents of the installed Python packages, /usr/share/doc, and the
folders named. A text is a piece of about 2,000 characters of a file, cut at a line's end; a million
lines are some 30,000 texts. Everything that is found counts as false but for what is spelt as a
secret by whoever wrote it: `EXAMPLES` says how. So the figure is an upper bound: a real key that
somebody published counts as false too. Exits with 1 where a bar is not met.
"""

import argparse
import json
import random
import re
import statistics
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._bars import at_most
from benchmarks._server import machine

PIECE, COST_PIECE = 2000, 10_000
ENDINGS = {".py", ".pyi", ".md", ".rst", ".txt", ".html", ".json", ".js", ".css", ".c", ".h", ".toml",
           ".yml", ".yaml", ".sh", ".cfg", ".ini", ".jsonl", ".xml", ".sql", ""}  # fmt: skip
LARGEST = 5_000_000
MOST_FALSE, MOST_MS = 1.0, 1.0
SHOWN = 40


def files(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in ENDINGS and path.is_file() and not path.is_symlink():
                if 0 < path.stat().st_size <= LARGEST:
                    yield path


def pieces(text: str, size: int) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = text.find("\n", start + size)
        end = len(text) if end < 0 or end - start > 2 * size else end + 1
        end = min(end, start + 2 * size)
        yield text[start:end]
        start = end
