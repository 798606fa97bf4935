"""The local model: its vectors are the published ones, and its cached graph looks after itself."""

import errno
import hashlib
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from memory.embedding import files
from memory.embedding.base import EmbeddingError, encodable
from memory.embedding.graph import assemble
from memory.embedding.local import LocalEmbedder, slices
from memory.embedding.runtime import at_once, batches_by_length, open_session
from tests.unit.numpy_bert import NumpyBert

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]

MIXED_TEXTS = [
    "hello world",
    "",
    "   \n\t ",
    "Ping.",
    "Die Straße war naß; der Zug fuhr trotzdem pünktlich ab.",
    "東京は日本の首都です。",
    "emoji 😀👩‍👩‍👧 and a flag 🇪🇺",
    "null \x00 byte, bell \x07, and a lone surrogate \ud800 here",
    "def snake_case(camelCase: int) -> None: pass  # [SEP] [CLS] [MASK] [PAD]",
    "supercalifragilisticexpialidocious " * 20,
    "The deployment was rolled back because the migration locked the table. " * 40,
    "x" * 5000,
]


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def embedder(model_dir: Path) -> Iterator[LocalEmbedder]:
    made = LocalEmbedder(model_dir)
    yield made
    made.close()


# --- The vectors are right --------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference() -> NumpyBert:
    return NumpyBert()


class Exact(LocalEmbedder):
    """Runs the model as it was published, in 32 bits throughout."""

    def __init__(self, cache_dir: Path) -> None:
        super().__init__(cache_dir)
        path = cache_dir / "exact.onnx"
        graph = assemble(load_file(files.package_folder() / "model.safetensors"), exact=True)
        path.write_bytes(graph.SerializeToString())
        self._session = open_session(path)


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEmbedder]:
    made = Exact(tmp_path_factory.mktemp("exact"))
    yield made
    made.close()


def test_the_exact_graph_is_an_independent_bert(exact: LocalEmbedder, reference: NumpyBert) -> None:
    # In one batch, so that padding and its mask take part.
    vectors = exact.embed(MIXED_TEXTS)
    for text, vector in zip(MIXED_TEXTS, vectors, strict=True):
        expected = reference.embed(list(exact._token_ids(encodable(text))))
        # Tight enough to tell the exact Gelu from its tanh approximation.
        np.testing.assert_allclose(vector, expected, atol=2e-6, err_msg=text)
        assert float(vector @ expected) > 0.99999, text


def test_rounded_to_integers_the_vectors_stay_where_they_were(
    embedder: LocalEmbedder, exact: LocalEmbedder
) -> None:
    near = (embedder.embed(MIXED_TEXTS) * exact.embed(MIXED_TEXTS)).sum(axis=1)
    assert near.min() > 0.97
    # Blank texts and one letter five thousand times among them; ordinary ones have .996.
    assert near.mean() > 0.99


def test_vectors_are_those_the_model_authors_publish(
    embedder: LocalEmbedder, exact: LocalEmbedder
) -> None:
    """The figures of https://sbert.net/docs/quickstart.html for this model."""
    texts = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    published = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
    vectors = exact.embed(texts)
    np.testing.assert_allclose(vectors @ vectors.T, published, atol=1e-4)
    vectors = embedder.embed(texts)
    np.testing.assert_allclose(vectors @ vectors.T, published, atol=0.02)


@pytest.mark.parametrize(
    ("query", "near", "far"),
    [
        ("Which day do we meet?", "The meeting is on Tuesday.", "The server has 64 GB of memory."),
        ("the database is slow", "queries take too long", "she bakes bread at home"),
        ("How is the weather?", "It rains in Lisbon.", "Rename the function."),
    ],
)
def test_a_text_is_nearer_to_what_means_the_same(
    embedder: LocalEmbedder, query: str, near: str, far: str
) -> None:
    asked, close, distant = embedder.embed([query, near, far])
    assert asked @ close > asked @ distant + 0.1


# --- What it accepts --------------------------------------------------------------------------


def test_rows_are_finite_float32_and_of_length_one(embedder: LocalEmbedder) -> None:
    vectors = embedder.embed(MIXED_TEXTS)
    assert vectors.shape == (len(MIXED_TEXTS), 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)


def test_no_texts_give_no_rows(embedder: LocalEmbedder) -> None:
    assert embedder.embed([]).shape == (0, 384)


def test_one_string_instead_of_a_list_is_refused(embedder: LocalEmbedder) -> None:
    with pytest.raises(TypeError, match="give a list of strings"):
        embedder.embed("hello")
    with pytest.raises(TypeError, match=r"texts\[1\]: must be a string, not NoneType"):
        embedder.embed(["hello", None])  # type: ignore[list-item]


def test_a_vector_does_not_depend_on_its_batch(embedder: LocalEmbedder) -> None:
    alone = np.concatenate([embedder.embed([text]) for text in MIXED_TEXTS])
    together = embedder.embed(MIXED_TEXTS)
    backwards = embedder.embed(MIXED_TEXTS[::-1])[::-1]
    np.testing.assert_allclose(alone, together, atol=2e-6)
    np.testing.assert_allclose(together, backwards, atol=2e-6)


def test_many_texts_come_back_in_their_order(embedder: LocalEmbedder) -> None:
    texts = [f"Note {n}: " + "word " * (n * 7 % 23) for n in range(400)]
    vectors = embedder.embed(texts)
    for n in (0, 1, 199, 398, 399):
        assert float(vectors[n] @ embedder.embed([texts[n]])[0]) > 0.99999


def test_what_follows_256_tokens_is_not_represented(embedder: LocalEmbedder) -> None:
    start = "alpha beta " * 127  # 254 tokens, and [CLS] and [SEP] make 256
    assert embedder.count_tokens([start]) == [254] == [embedder.max_tokens]
    one, other, shorter = embedder.embed([start, start + "gamma " * 9000, start[: -len("beta ")]])
    assert float(one @ other) > 0.999999
    assert float(one @ shorter) < 0.99999


def test_a_text_of_megabytes_takes_no_longer_than_its_start(embedder: LocalEmbedder) -> None:
    embedder.embed(["warm"])
    started = time.monotonic()
    embedder.embed(["lorem ipsum dolor sit amet " * 400_000])
    assert time.monotonic() - started < 2


def test_the_names_of_special_tokens_in_a_text_are_only_words(embedder: LocalEmbedder) -> None:
    assert embedder.count_tokens(["[SEP]"]) == [3]


# --- Tokens for a chunker ---------------------------------------------------------------------


def test_token_offsets_are_characters_of_the_text(embedder: LocalEmbedder) -> None:
    text = "Naïve Straße 😀 日本 unbelievably"
    pieces = [text[start:end] for start, end in embedder.token_offsets(text)]
    assert pieces[0] == "Naïve"
    assert "😀" in pieces
    assert pieces[-1] == text[-len(pieces[-1]) :]
    assert "".join(pieces) == text.replace(" ", "")


@pytest.mark.parametrize("text", ["", "   ", "one", "lone \ud800 surrogate"])
def test_offsets_and_count_agree(embedder: LocalEmbedder, text: str) -> None:
    assert [len(embedder.token_offsets(text))] == embedder.count_tokens([text])


def test_a_long_text_has_the_tokens_of_its_parts(embedder: LocalEmbedder) -> None:
    sentence = "The quick brown fox, aged 7, jumps over snake_case_names. "
    text = sentence * 1000  # 58,000 characters go through the tokenizer in several slices
    assert embedder.count_tokens([text]) == [1000 * embedder.count_tokens([sentence])[0]]
    offsets = embedder.token_offsets(text)
    assert text[slice(*offsets[-1])] == "."
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(offsets))


def test_slices_cover_a_text_once_and_cut_at_blanks() -> None:
    text = "aaaa bbbb\ncccc dddddddddddddddd eeee"
    cut = [text[start:end] for start, end in slices(text, 10)]
    assert "".join(cut) == text
    assert all(len(piece) <= 10 for piece in cut)
    assert cut[:3] == ["aaaa bbbb", "\ncccc", " ddddddddd"]


def test_batches_hold_every_text_once_within_their_size() -> None:
    lengths = [5, 300, 2, 2, 40, 40, 7, 2]
    batches = list(batches_by_length(lengths, 80))
    assert sorted(sum(batches, [])) == list(range(len(lengths)))  # noqa: RUF017
    assert batches[0] == [1]  # larger than a batch may be, so alone
    for batch in batches[1:]:
        assert len(batch) * max(lengths[i] for i in batch) <= 80


def test_batches_run_at_once_and_come_in_their_order() -> None:
    """Each of the first two is done only when the other one has begun."""
    both = threading.Barrier(2)

    def run(batch: int) -> tuple[int, bool]:
        if batch < 2:
            both.wait(timeout=30)
        return batch * 10, threading.current_thread() is threading.main_thread()

    assert at_once(run, range(5), 2) == [(n * 10, False) for n in range(5)]
    assert at_once(run, [7], 2) == [(70, True)]
    assert at_once(run, [], 2) == []
    assert at_once(run, [3, 4], 1) == [(30, True), (40, True)]


def test_what_one_of_them_raises_is_raised() -> None:
    def run(batch: int) -> int:
        if batch == 1:
            raise ValueError("no such batch")
        return batch

    with pytest.raises(ValueError, match="no such batch"):
        at_once(run, range(4), 2)


# --- The cached graph -------------------------------------------------------------------------


def test_the_graph_is_kept_under_its_own_digest(embedder: LocalEmbedder, model_dir: Path) -> None:
    embedder.embed(["x"])
    (kept,) = model_dir.iterdir()
    digest = hashlib.sha256(kept.read_bytes()).hexdigest()
    assert kept.name == f"all-MiniLM-L6-v2-53aa51172d14-g3-{digest}.onnx"
    assert kept.stat().st_mode & 0o044, "others on the machine may read it"


def test_the_graph_is_valid_onnx(embedder: LocalEmbedder, model_dir: Path) -> None:
    import onnx

    embedder.embed(["x"])
    (kept,) = model_dir.iterdir()
    onnx.checker.check_model(onnx.load(kept), full_check=True)


@pytest.mark.parametrize("damage", ["truncated", "one bit"])
def test_a_damaged_graph_is_built_again(
    embedder: LocalEmbedder,
    model_dir: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: str,
) -> None:
    expected = embedder.embed(["hello"])
    (whole,) = model_dir.iterdir()
    data = bytearray(whole.read_bytes())
    if damage == "truncated":
        del data[len(data) // 2 :]
    else:
        data[len(data) // 2] ^= 1
    (tmp_path / whole.name).write_bytes(data)

    again = LocalEmbedder(tmp_path)
    np.testing.assert_array_equal(again.embed(["hello"]), expected)
    again.close()
    assert "is damaged; it is built again" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == [whole.name]


def test_graphs_of_older_versions_and_old_leftovers_go(tmp_path: Path) -> None:
    older = tmp_path / "all-MiniLM-L6-v2-53aa51172d14-g0-0000.onnx"
    killed = tmp_path / ".all-MiniLM-L6-v2-1-aaaa.tmp"
    running = tmp_path / ".all-MiniLM-L6-v2-2-bbbb.tmp"
    other = tmp_path / "somebody-elses.onnx"
    for path in (older, killed, running, other):
        path.write_bytes(b"x")
    os.utime(killed, (time.time() - 7200,) * 2)

    kept = files.graph_file(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([kept, running, other])


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(EmbeddingError, match="No space left on device") as raised:
        files.graph_file(tmp_path)
    assert raised.value.retryable
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    in_the_way = tmp_path / "models"
    in_the_way.write_text("a file, where a folder is needed")
    with pytest.raises(EmbeddingError, match=r"cannot keep the assembled model .*models"):
        LocalEmbedder(in_the_way).embed(["x"])
    assert list(tmp_path.iterdir()) == [in_the_way]


def test_other_weights_than_the_published_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"not the model")
    monkeypatch.setattr(files, "package_folder", lambda: tmp_path)
    with pytest.raises(EmbeddingError, match="not the published model's 53aa") as raised:
        files.graph_file(tmp_path / "cache")
    assert not raised.value.retryable
    assert not (tmp_path / "cache").exists()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(files, "PACKAGE", "no-such-package")
    with pytest.raises(EmbeddingError, match="no-such-package is not installed"):
        files.graph_file(tmp_path)


# --- Processes and threads --------------------------------------------------------------------


def run_python(code: str, *arguments: object, home: Path | None = None) -> subprocess.Popen[str]:
    environment = {
        key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"
    }
    if home is not None:
        environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home)}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


EMBED_ONE = """
import sys, pathlib
from memory.embedding.local import LocalEmbedder
vector = LocalEmbedder(pathlib.Path(sys.argv[1])).embed(["hello"])[0]
print(vector[:4].tolist(), "onnx" in sys.modules)
"""


def test_processes_that_build_at_once_all_get_the_model(
    embedder: LocalEmbedder, tmp_path: Path
) -> None:
    running = [run_python(EMBED_ONE, tmp_path) for _ in range(3)]
    outputs = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], outputs
    expected = embedder.embed(["hello"])[0, :4].tolist()
    for out, _ in outputs:
        np.testing.assert_allclose(json.loads(out[: out.index("]") + 1]), expected, atol=1e-6)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_process_that_finds_the_graph_says_nothing_and_needs_no_onnx(
    embedder: LocalEmbedder, model_dir: Path, tmp_path: Path
) -> None:
    """And leaves nothing in the home folder: the runtime's own reporting is off."""
    embedder.embed(["x"])
    process = run_python(EMBED_ONE, model_dir, home=tmp_path)
    out, err = process.communicate(timeout=60)
    assert out.endswith("False\n")
    assert err == ""
    assert list(tmp_path.iterdir()) == []


def test_a_forked_child_can_embed_and_end(embedder: LocalEmbedder, model_dir: Path) -> None:
    embedder.embed(["x"])
    code = """
import os, pathlib, sys
from memory.embedding.local import LocalEmbedder
embedder = LocalEmbedder(pathlib.Path(sys.argv[1]))
embedder.embed(["before"])
child = os.fork()
if child == 0:
    if sys.argv[2] == "embeds":
        embedder.embed(["after " * 200] * 8)
    sys.exit(0)
print(os.waitpid(child, 0)[1])
"""
    for what in ("embeds", "only ends"):
        process = run_python(code, model_dir, what)
        assert process.communicate(timeout=20) == ("0\n", "")


def test_threads_share_one_session_and_get_their_own_vectors(model_dir: Path) -> None:
    shared = LocalEmbedder(model_dir, threads=2)
    texts = [f"thread {n} writes of its own things" for n in range(12)]
    got: dict[int, Any] = {}
    threads = [
        threading.Thread(target=lambda n=n: got.update({n: shared.embed([texts[n]] * 3)}))
        for n in range(len(texts))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    for n, text in enumerate(texts):
        assert float(got[n][1] @ shared.embed([text])[0]) > 0.99999
    shared.close()


def test_a_closed_embedder_opens_again(model_dir: Path) -> None:
    made = LocalEmbedder(model_dir)
    first = made.embed(["hello"])
    made.close()
    np.testing.assert_array_equal(made.embed(["hello"]), first)
    made.close()
