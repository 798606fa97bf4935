"""Any cross-encoder in ONNX, from a folder: scores without a network.

The folder is what optimum and sentence-transformers export: the graph, tokenizer.json and, where
they are there, config.json and tokenizer_config.json. Not for downloading one. Needs no Django.
"""

# numpy, onnxruntime and tokenizers are imported inside functions: only processes that rerank pay
# for loading them.
from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.lib.reranker_files import NEEDED, TOKENIZER, graph_of
from memory.embedding.base import EmbeddingError, encodable
from memory.embedding.forks import watch_forks
from memory.embedding.runtime import (
    at_once,
    batches_by_length,
    never_free,
    open_session,
    usual_threads,
)
from memory.reranking.base import RerankError, checked_scores

# Of a query and a text together. Passages have half of it; models that could read thousands would
# only take longer.
MOST_TOKENS = 512
# As of embedding/local.py: pairs times the longest of them, in one run.
BATCH_TOKENS = 384
# No word of so many characters says anything, so what lies behind them would be cut anyway.
CHARACTERS_PER_TOKEN = 32
# What graphs may ask for; each is int64 or int32, (pairs, tokens).
INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})
_INTEGERS = {"tensor(int64)": "int64", "tensor(int32)": "int32"}


@dataclass(frozen=True, slots=True)
class _Model:
    """`inputs` are the graph's, with their types; `most` is how many tokens of a pair it reads."""

    session: Any
    tokenizer: Any
    inputs: dict[str, str]
    output: str
    padding: int
    most: int


class LocalReranker:
    """The cross-encoder in `folder`. Loaded by the first `score`, not here.

    `threads` is how many cores one call may use; by default those this process may run on, at most
    4. A model of one output scores by its sigmoid, one of two by the second's share (softmax).
    """

    def __init__(self, folder: Path, *, threads: int | None = None) -> None:
        self.folder = folder
        self.name = f"The reranker in {folder}"
        self.threads = threads or usual_threads()
        self._model: _Model | None = None
        self._make_locks()
        watch_forks(self)

    def _make_locks(self) -> None:
        self._lock = threading.Lock()
        # As of LocalEmbedder: more runs at once than cores gain nothing.
        self._slots = threading.BoundedSemaphore(max(2, self.threads))

    def score(
        self, query: str, texts: Sequence[str], *, budget: float | None = None
    ) -> list[float]:
        """See `Reranker.score`. Loading the model, once in a process, is not in the budget."""
        if not texts:
            return []
        model = self._loaded()
        deadline = None if budget is None else time.monotonic() + budget
        most = model.most * CHARACTERS_PER_TOKEN
        asked = encodable(query)[:most]
        # One by one: encode_batch starts threads, which a process that forks must not have.
        pairs = [model.tokenizer.encode(asked, encodable(text)[:most]) for text in texts]
        scores = [0.0] * len(pairs)
        batches = list(batches_by_length([len(pair.ids) for pair in pairs], BATCH_TOKENS))

        def run(batch: list[int]) -> list[float]:
            return self._run(model, [pairs[i] for i in batch], deadline)

        for batch, found in zip(batches, at_once(run, batches, self.threads), strict=True):
            for position, one in zip(batch, found, strict=True):
                scores[position] = one
        return scores

    def close(self) -> None:
        with self._lock:
            self._model = None

    def leave_parent(self) -> None:
        """In a forked child: a new session when one is needed, with threads of its own."""
        if self._model is not None:
            never_free(self._model.session)
            self._model = None
        self._make_locks()

    def _run(self, model: _Model, pairs: list[Any], deadline: float | None) -> list[float]:
        import numpy as np

        shape = (len(pairs), max(len(pair.ids) for pair in pairs))
        fed: dict[str, Any] = {
            name: np.full(shape, model.padding if name == "input_ids" else 0, dtype=type_)
            for name, type_ in model.inputs.items()
        }
        for i, pair in enumerate(pairs):
            given = {
                "input_ids": pair.ids,
                "attention_mask": pair.attention_mask,
                "token_type_ids": pair.type_ids,
            }
            for name, rows in fed.items():
                rows[i, : len(pair.ids)] = given[name]
        self._take_slot(deadline)
        try:
            (out,) = model.session.run([model.output], fed)
        except Exception as error:  # its errors share no base class of their own
            raise RerankError(
                f"{self.name} failed on {shape[0]} texts: {error}", retryable=True
            ) from error
        finally:
            self._slots.release()
        return self._read(out, len(pairs))

    def _take_slot(self, deadline: float | None) -> None:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if left == 0 or not self._slots.acquire(timeout=left):
            raise RerankError(
                f"{self.name} was too slow; a lower REMEMBRANCER_RERANKER_DEPTH takes less time",
                retryable=True,
                timed_out=True,
            )

    def _read(self, out: Any, count: int) -> list[float]:
        """Scores from 0 to 1 by the model's logits: (count, 1), (count, 2) or (count,)."""
        import numpy as np

        logits = np.asarray(out)
        if logits.dtype.kind != "f" or logits.shape not in ((count,), (count, 1), (count, 2)):
            raise RerankError(
                f"{self.name} answered {logits.dtype} of shape {logits.shape} for {count} texts; "
                "a cross-encoder answers one or two numbers for each"
            )
        wide = logits.astype(np.float64).reshape(count, -1)
        with np.errstate(all="ignore"):
            one = wide[:, 0] if wide.shape[1] == 1 else wide[:, 1] - wide[:, 0]
            shares = 1 / (1 + np.exp(-one))
            # An infinite logit would make a share of 0 or 1 as if the model were sure.
            shares[~np.isfinite(one)] = np.nan
        return checked_scores(shares.tolist(), count=count, source=self.name)

    def _loaded(self) -> _Model:
        with self._lock:
            if self._model is None:
                self._model = self._load()
            return self._model

    def _load(self) -> _Model:
        graph = graph_of(self.folder)
        if graph is None:
            raise RerankError(f"{self.folder} is not {NEEDED}")
        config = _json(self.folder / "config.json")
        most = min(
            MOST_TOKENS,
            _whole(config.get("max_position_embeddings")) or MOST_TOKENS,
            _whole(_json(self.folder / "tokenizer_config.json").get("model_max_length"))
            or MOST_TOKENS,
        )
        tokenizer, padding = _open_tokenizer(self.folder / TOKENIZER, most)
        # Some models (RoBERTa's kin) number positions by what is not padding.
        padding = _whole(config.get("pad_token_id")) or padding
        try:
            session = open_session(graph)
        except EmbeddingError as error:
            raise RerankError(str(error)) from error
        outputs = [output.name for output in session.get_outputs()]
        return _Model(
            session,
            tokenizer,
            self._inputs(session),
            "logits" if "logits" in outputs else outputs[0],
            padding,
            most,
        )

    def _inputs(self, session: Any) -> dict[str, str]:
        """The graph's inputs and their types. Raises for what nobody here can feed."""
        inputs = {one.name: one for one in session.get_inputs()}
        unknown = inputs.keys() - INPUTS
        if unknown or "input_ids" not in inputs:
            raise RerankError(
                f"{self.name} is no cross-encoder that is known here: its graph asks for "
                + ", ".join(sorted(inputs))
            )
        for name, one in inputs.items():
            if one.type not in _INTEGERS:
                raise RerankError(f"{self.name} asks for {name} as {one.type}, not for integers")
            if len(one.shape) != 2 or any(isinstance(size, int) for size in one.shape):
                raise RerankError(
                    f"{self.name} takes {name} of the shape {one.shape} alone; export it with "
                    "dynamic axes"
                )
        return {name: _INTEGERS[one.type] for name, one in inputs.items()}


def _open_tokenizer(path: Path, most: int) -> tuple[Any, int]:
    """The tokenizer, and what it pads with."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # a bare Exception is what it raises
        raise RerankError(f"cannot read {path}: {error}") from error
    padding = int((tokenizer.padding or {}).get("pad_id", 0))
    tokenizer.no_padding()
    # Both give way, the longer first, so that a query of pages leaves room for the text.
    tokenizer.enable_truncation(most, strategy="longest_first")
    # "[SEP]" in a stored text is six characters somebody wrote, not the end of a sequence.
    tokenizer.encode_special_tokens = True
    return tokenizer, padding


def _json(path: Path) -> dict[str, Any]:
    """The object in a file that may be missing."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise RerankError(f"cannot read {path}: {error}") from error
    return found if isinstance(found, dict) else {}


def _whole(value: Any) -> int | None:
    """A number of tokens, or an id; some files say 1e30 for "no limit"."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 1:
        return None
    return int(min(value, 1 << 31))
