"""Benchmarks reach into the product, so they are started as their users do, as small as they get.

Not those of which the smallest takes minutes, or that need data from elsewhere.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SMALLEST = {
    "search": ["--passages", "400", "--fill", "copy", "--times", "2", "--clients", "2",
               "--recall-queries", "2", "--real-vectors", "40"],
    "drain": ["--import-rows", "40", "--seconds", "4"],
    "hooks": ["--rate", "20", "--seconds", "2"],
    "mcp": ["--times", "2"],
    "writes": ["--singles", "3", "--batches", "1"],
    "redaction": [],
    "contradictions": [],
}  # fmt: skip


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SMALLEST)
def test_a_benchmark_runs_and_tells_its_figures(name: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{name}", *SMALLEST[name]]
    done = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout)
    assert told
    assert all(value is not None for value in told.values())
