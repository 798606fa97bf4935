"""How many contradictions the rules find, and how many of what they find are some.

    .venv/bin/python -m benchmarks.contradictions [--show]

Over benchmarks/corpora/contradictions.json: pairs made up by hand, in two halves. The rules were
made with the one named dev; the one named test was written before them.
"""

import argparse
import json
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", action="store_true", help="print what was wrong and missed")
    show = parser.parse_args().show
    for part in ("dev", "test"):
        got = measure(part)
        print(
            f"{part}: {got['pairs']} pairs, {got['wanted']} contradict; found {got['found']}, "
            f"right {got['right']}: precision {got['precision']:.3f}, recall {got['recall']:.3f}"
        )
        for name in ("wrong", "missed") if show else ():
            for one in got[name]:
                print(f"  {name}: {one['older']} | {one['newer']}")


if __name__ == "__main__":
    main()
