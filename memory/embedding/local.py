"""all-MiniLM-L6-v2 on ONNX Runtime: vectors without a network.

Not for building the graph (graph.py) or keeping it (files.py). Needs no Django, so that the
benchmark and a plain script can use it.
"""

# numpy, onnxruntime and tokenizers are imported inside functions: this class is made where
# embedding is configured, and only processes that embed should pay for loading them.
from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory.embedding.base import EmbeddingError, checked_texts, encodable, unit_rows
from memory.embedding.files import MODEL, graph_file, tokenizer_file
from memory.embedding.forks import watch_forks
from memory.embedding.runtime import (
    at_once,
    batches_by_length,
    never_free,
    open_session,
    usual_threads,
)

if TYPE_CHECKING:
    from memory.embedding.base import Vectors

CLS, SEP, PAD = 101, 102, 0
# The model was trained on 256 (sentence_bert_config.json), of which [CLS] and [SEP] take two.
SEQUENCE_TOKENS = 256
# Rows times the longest of them, in one run: what stays in a core's cache (of 2 MB, where this was
# measured). 128 to 512 are equally fast, 1,024 takes a third longer, 4,096 five times as long.
BATCH_TOKENS = 384
# The tokenizer keeps some 150 bytes for each token, so long texts go through it in slices.
SLICE_CHARACTERS = 16_384


class LocalEmbedder:
    """384 dimensions, 254 tokens of text; what follows them is not represented.

    `cache_dir` keeps the assembled graph (35 MB, built on first use). `threads` is how many cores
    one call may use; by default those this process may run on, at most 4.
    """

    provider = "local"
    model = MODEL
    dimensions = 384
    max_tokens = SEQUENCE_TOKENS - 2
    # 16 passages of full length at 15 ms each on 2 cores.
    turn_characters = 16_000

    def __init__(self, cache_dir: Path, *, threads: int | None = None) -> None:
        self.cache_dir = cache_dir
        self.threads = threads or usual_threads()
        self._session: Any = None
        self._tokenizer: Any = None
        self._make_locks()
        watch_forks(self)

    def _make_locks(self) -> None:
        self._lock = threading.Lock()
        # More runs than cores gain nothing. Held for one run at a time, so a short query does not
        # wait for a long list.
        self._slots = threading.BoundedSemaphore(max(2, self.threads))

    def embed(self, texts: Sequence[str], *, budget: float | None = None) -> Vectors:
        """See `Embedder.embed`. Memory is bounded for any number and length of texts.

        `budget` is not used: nothing here waits for anybody else.
        """
        import numpy as np

        rows = [self._token_ids(text) for text in checked_texts(texts)]
        if not rows:
            return np.empty((0, self.dimensions), dtype=np.float32)
        session = self._loaded_session()
        vectors = np.empty((len(rows), self.dimensions), dtype=np.float32)
        batches = list(batches_by_length([len(row) for row in rows], BATCH_TOKENS))

        def run(batch: list[int]) -> Vectors:
            return self._run(session, [rows[i] for i in batch])

        for batch, found in zip(batches, at_once(run, batches, self.threads), strict=True):
            vectors[batch] = found
        return vectors

    def wait_ready(self, seconds: float) -> bool:
        """Whether the model is loaded, at most so much later; it goes on loading after that."""
        if self._session is not None and self._tokenizer is not None:
            return True
        loading = threading.Thread(target=self._load, name="embedder-loading", daemon=True)
        loading.start()
        loading.join(seconds)
        return not loading.is_alive()

    def _load(self) -> None:
        # Where it fails, whoever embeds next is told why.
        with contextlib.suppress(EmbeddingError, OSError):
            self._loaded_tokenizer()
            self._loaded_session()

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See `Embedder.count_tokens`."""
        return [sum(len(e.ids) for _, e in self._encoded(text)) for text in checked_texts(texts)]

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """See `Embedder.token_offsets`. Tokens are word pieces; a word may be cut into several."""
        return [
            (begin + start, end + start)
            for start, encoding in self._encoded(encodable(text))
            for begin, end in encoding.offsets
        ]

    def close(self) -> None:
        with self._lock:
            self._session = self._tokenizer = None

    def leave_parent(self) -> None:
        """In a forked child: a new session when one is needed, with threads of its own."""
        if self._session is not None:
            never_free(self._session)
            self._session = None
        self._make_locks()

    def _token_ids(self, text: str) -> Any:
        import numpy as np

        ids: list[int] = []
        for _, encoding in self._encoded(text):
            ids += encoding.ids
            if len(ids) >= self.max_tokens:
                break
        # An array of 1 KB, where a list of integers would take 10: there can be many texts.
        return np.array([CLS, *ids[: self.max_tokens], SEP], dtype=np.int32)

    def _encoded(self, text: str) -> Iterator[tuple[int, Any]]:
        """(where a slice of `text` starts, its encoding), slice by slice."""
        tokenizer = self._loaded_tokenizer()
        for start, end in slices(text, SLICE_CHARACTERS):
            yield start, tokenizer.encode(text[start:end], add_special_tokens=False)

    def _run(self, session: Any, rows: list[Any]) -> Vectors:
        import numpy as np

        shape = (len(rows), max(len(row) for row in rows))
        ids = np.full(shape, PAD, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
        try:
            with self._slots:
                (out,) = session.run(["embedding"], {"input_ids": ids, "attention_mask": mask})
        except Exception as error:  # its errors share no base class of their own
            # Most likely memory, which may be there again later.
            raise EmbeddingError(
                f"{MODEL} failed on a batch of {shape[0]} texts: {error}", retryable=True
            ) from error
        return unit_rows(out, count=len(rows), dimensions=self.dimensions, source=MODEL)

    def _loaded_session(self) -> Any:
        with self._lock:
            if self._session is None:
                self._session = open_session(graph_file(self.cache_dir))
            return self._session

    def _loaded_tokenizer(self) -> Any:
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = _open_tokenizer()
            return self._tokenizer


def slices(text: str, size: int) -> Iterator[tuple[int, int]]:
    """(start, end) of pieces of at most `size` characters, cut at blanks where there are any.

    No token spans a blank, so the pieces' tokens are the text's. Only a run of `size` characters
    without a blank is cut anywhere, which may add one token.
    """
    start = 0
    while len(text) - start > size:
        end = start + size
        blank = max(text.rfind(mark, start + 1, end) for mark in " \n\t")
        end = blank if blank > 0 else end
        yield start, end
        start = end
    yield start, len(text)


def _open_tokenizer() -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file()))
    tokenizer.no_truncation()  # the file has both set, to 128
    tokenizer.no_padding()
    # "[SEP]" in a stored text is six characters somebody wrote, not the end of a sequence.
    tokenizer.encode_special_tokens = True
    return tokenizer
