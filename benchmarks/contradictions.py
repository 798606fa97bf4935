"""How many contradictions the rules find, and how many of what they find are some.

    .venv/bin/python -m benchmarks.contradictions [--show]

Over benchmarks/corpora/contradictions.json: pairs made up by hand, in two halves. The rules were
made with the one named dev; the one named test was written before them.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from memory.learning.contradictions import contradiction

CORPUS = Path(__file__).parent / "corpora" / "contradictions.json"


def measure(part: str) -> dict[str, Any]:
    """{pairs, found, right, wanted, precision, recall, wrong, missed} of one half."""
    pairs = json.loads(CORPUS.read_text())["pairs"]
    mine = [one for one in pairs if one["set"] == part]
    found = [one for one in mine if contradiction(one["older"], one["newer"]) is not None]
    wanted = [one for one in mine if one["rule"] != "none"]
    right = [one for one in found if one in wanted]
    return {
        "pairs": len(mine),
        "found": len(found),
        "wanted": len(wanted),
        "right": len(right),
        "precision": len(right) / max(1, len(found)),
        "recall": len(right) / max(1, len(wanted)),
        "wrong": [one for one in found if one not in wanted],
        "missed": [one for one in wanted if one not in right],
    }


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    json.dump({part: measure(part) for part in ("dev", "test")}, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
