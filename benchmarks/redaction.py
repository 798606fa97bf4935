"""What redaction takes out of texts that hold no secret, and what it costs, as JSON.

`python -m benchmarks.redaction [FOLDER ...]` reads ordinary code and prose that is on this machine:
the sources and documents of the installed Python packages, /usr/share/doc, and the folders named. A
text is a piece of 2,000 characters or a little more, to a line's end. Whatever is taken out of it
counts as false, but for what is a credential by its very syntax, in a manual too: an address with a
password in it, a JWT, a PEM block (`BY_SYNTAX`), and what a header, a query, a setting or a flag of
plain text gives as one (`examples`; `Authorization: Bearer h480djs93hd8`). All are counted as
`found`. So the figure is an upper bound: example keys of providers and in JSON count as false. The
cost is that of `redact_text` on pieces of 10 kB of the same files. Exits with 1 where a bar is not
met.
"""

import argparse
import json
import os
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

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")

from config.lib import redact as redaction
from config.lib.redact_named import is_secret_name

PIECE, COST_PIECE = 2000, 10_000
ENDINGS = {".py", ".pyi", ".md", ".rst", ".txt", ".html", ".json", ".js", ".css", ".c", ".h",
           ".toml", ".yml", ".yaml", ".sh", ".cfg", ".ini", ".jsonl", ".xml", ""}  # fmt: skip
LARGEST = 5_000_000
MOST_FALSE, MOST_MS = 1.0, 1.0
SHOWN = 40
IN_PLAIN = re.compile(r"(?:=|:|=>|\s)\s*[\"'`]?(?:(?i:basic|bearer|token)\s+)?$")
IN_JSON = re.compile(r"\"\s*:\s*\[?\s*\"$")
BY_SYNTAX = frozenset({"jwt", "private-key"})


def files(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            plain = path.suffix.lower() in ENDINGS and path.is_file() and not path.is_symlink()
            if plain and 0 < path.stat().st_size <= LARGEST:
                yield path


def pieces(text: str, size: int) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = text.find("\n", start + size)
        end = len(text) if end < 0 or end - start > 2 * size else end + 1
        end = min(end, start + 2 * size)
        yield text[start:end]
        start = end


def read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    return "" if "\x00" in text else text


def is_by_syntax(text: str, start: int, kind: str) -> bool:
    """Whether what was found is a credential wherever it stands."""
    if is_example(text, start, kind):
        return True
    return kind in BY_SYNTAX or (kind == "password" and "://" in text[max(0, start - 210) : start])


def is_example(text: str, start: int, kind: str) -> bool:
    """Whether a name in plain text gives it, not a key of JSON."""
    named = is_secret_name(kind) or kind in ("authorization", "cookie")
    before = text[max(0, start - 200) : start]
    return named and IN_PLAIN.search(before) is not None and not IN_JSON.search(before)


def taken_out(text: str) -> list[tuple[str, bool, bool]]:
    """(kind, whether it counts as false, whether it is an example) of all that goes from a text."""
    clean = redaction.redact_text(text)
    if clean == text:
        return []
    # One that stands in the text is what a manual of ours says.
    marks = [found for found in redaction.MARK.finditer(clean) if found[0] not in text]
    return [
        (kind, not is_by_syntax(clean, found.start(), kind), is_example(clean, found.start(), kind))
        for found in marks
        for kind in [found[0].removeprefix("[REDACTED:").rstrip("]")]
    ]


def measure(folders: list[Path], *, costs: int, seed: int = 1) -> dict[str, Any]:
    """The corpus from one end to the other; the cost of `costs` of its files' pieces of 10 kB."""
    texts = lines = characters = touched = wrong = examples = 0
    found: Counter[str] = Counter()
    false: Counter[str] = Counter()
    samples: list[str] = []
    large: list[str] = []
    for path in files(folders):
        text = read(path)
        for piece in pieces(text, PIECE):
            texts, characters = texts + 1, characters + len(piece)
            lines += piece.count("\n") + (not piece.endswith("\n"))
            gone = taken_out(piece)
            found.update(kind for kind, _, _ in gone)
            bad = [kind for kind, is_false, _ in gone if is_false]
            examples += any(is_one for _, _, is_one in gone)
            false.update(bad)
            touched, wrong = touched + bool(gone), wrong + bool(bad)
            if bad and len(samples) < SHOWN:
                samples.append(f"{'/'.join(path.parts[-3:])}: {', '.join(bad)}")
        if len(text) >= COST_PIECE:
            large.append(next(pieces(text, COST_PIECE)))
    random.Random(seed).shuffle(large)
    took = sorted(cost(piece) for piece in large[:costs])
    return {
        "texts": texts,
        "lines": lines,
        "characters": characters,
        "texts_with_any": touched,
        "texts_with_examples": examples,
        "texts_with_false": wrong,
        "false_per_10000_texts": round(10_000 * wrong / max(1, texts), 3),
        "false_per_10000_lines": round(10_000 * sum(false.values()) / max(1, lines), 4),
        "found": dict(found.most_common()),
        "false": dict(false.most_common()),
        "false_in": samples,
        "pieces_of_10_kb": len(took),
        "ms_per_10_kb": {
            "median": round(statistics.median(took), 3),
            "p95": round(took[int(0.95 * (len(took) - 1))], 3),
            "most": round(took[-1], 3),
        },
    }


def cost(piece: str) -> float:
    """Milliseconds for 10,000 characters, the best of three."""
    best = float("inf")
    for _ in range(3):
        begun = time.perf_counter()
        redaction.redact_text(piece)
        best = min(best, time.perf_counter() - begun)
    return best * 1000 * COST_PIECE / len(piece)


def main() -> None:
    parser = argparse.ArgumentParser(description="What redaction takes out, and what it costs.")
    parser.add_argument("folders", nargs="*", type=Path, help="further folders of ordinary texts")
    parser.add_argument("--costs", type=int, default=2000, help="pieces of 10 kB that are timed")
    asked = parser.parse_args()
    corpus = [Path(sysconfig.get_path("purelib")), Path("/usr/share/doc"), *asked.folders]
    result = measure([folder for folder in corpus if folder.is_dir()], costs=asked.costs)
    bars = [
        at_most("false per 10,000 texts", result["false_per_10000_texts"], MOST_FALSE),
        at_most("ms per 10 kB, median", result["ms_per_10_kb"]["median"], MOST_MS),
    ]
    told = {"machine": machine(), **result, "bars": bars}
    json.dump(told, sys.stdout, indent=2)
    sys.stdout.write("\n")
    sys.exit(0 if all(bar["met"] for bar in bars) else 1)


if __name__ == "__main__":
    main()
