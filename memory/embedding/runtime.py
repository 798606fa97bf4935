"""ONNX Runtime as every model in this program runs on it: sessions, threads and batches.

Not for any one model (local.py here, reranking/local.py).
"""

# onnxruntime is imported inside functions: only processes that run a model pay for loading it.
from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from memory.embedding.base import EmbeddingError

B = TypeVar("B")
R = TypeVar("R")
# Others need the machine too.
MOST_THREADS = 4


def open_session(path: Path) -> Any:
    """An inference session of a graph. Raises EmbeddingError where it cannot be loaded.

    A run takes one core, the caller's; who has much to do makes several runs at once (`at_once`).
    On 2 cores two runs of one core each embed twice as many texts as one run of two, which waits
    for the slower half of every operation.
    """
    # Since 1.29 the runtime reports to its maker on Linux and macOS too: on import it starts an
    # uploader and writes a device id into the home folder, unless it finds this (its Privacy.md).
    # The call below stops the rest, where somebody has imported it before.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    onnxruntime.set_default_logger_severity(3)  # errors; what it warns of is for its developers
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no base class of their own
        raise EmbeddingError(f"ONNX Runtime cannot load {path}: {error}") from error


def never_free(session: Any) -> None:
    """In a forked child: lets go of the parent's session without freeing it.

    Freeing waits for ever for the parent's threads, which a child does not have, even when the
    child ends. So one reference is leaked; the memory is the parent's, shared until somebody
    writes to it.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))


def batches_by_length(lengths: Sequence[int], most_tokens: int) -> Iterator[list[int]]:
    """Positions of `lengths`, longest first, in batches whose padded size fits `most_tokens`.

    Neighbours in length share a batch, so little is padding; longest first, so that the largest
    allocation is the first and later ones fit into it.
    """
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        if batch and (len(batch) + 1) * lengths[batch[0]] > most_tokens:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


def at_once(run: Callable[[B], R], batches: Sequence[B], threads: int) -> list[R]:
    """What `run` makes of each batch, in their order, `threads` of them at a time. A lone one runs
    in the caller's thread. Raises what the first that fails raises, when those begun are done."""
    if min(threads, len(batches)) < 2:
        return [run(batch) for batch in batches]
    # Of this call alone: a process that forks must have no threads that it does not know of.
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, batches))


def usual_threads() -> int:
    """Runs that one call may make at once: cores this process may run on, at most 4."""
    return min(MOST_THREADS, _usable_cores())


def _usable_cores() -> int:
    """Cores this process may run on, which in a container can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS
