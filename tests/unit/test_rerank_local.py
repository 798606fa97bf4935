"""The reranker from a folder: real ONNX, real pairs, one score for each text."""

import subprocess
import sys
import threading
from math import exp, inf, nan
from pathlib import Path

import pytest
from onnx import TensorProto

from memory.reranking.base import RerankError
from memory.reranking.local import LocalReranker
from tests.factories import ROOT
from tests.unit.cross_encoder import make_cross_encoder

QUERY = "boiler valve open"
TEXTS = ["The boiler is warm.", "", "open the VALVE of the boiler", "nothing", "valve " + "x " * 60]
SHARED = [1, 0, 3, 0, 1]


def sigmoid(logit: float) -> float:
    return 1 / (1 + exp(-logit))


def made(folder: Path, **options: object) -> LocalReranker:
    return LocalReranker(make_cross_encoder(folder, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"place": "onnx/model.onnx"},
        {"types": False},
        {"outputs": 2},
        {"outputs": 0},
        {"integers": TensorProto.INT32},
        # Padded with a word of the query: only the attention mask tells.
        {"config": {"pad_token_id": 5, "max_position_embeddings": 512}},
    ],
    ids=str,
)
def test_each_text_is_scored_with_the_query(tmp_path, options):
    scores = made(tmp_path, **options).score(QUERY, TEXTS)
    assert scores == [pytest.approx(sigmoid(shared - 1), abs=1e-6) for shared in SHARED]


def test_a_score_does_not_depend_on_what_is_scored_with_it(tmp_path):
    reranker = made(tmp_path)
    texts = [f"{'valve ' * (n % 7)}{'word ' * (n * 5)}" for n in range(60)]
    together = reranker.score(QUERY, texts)
    assert len(set(together)) > 3
    assert together == [reranker.score(QUERY, [text])[0] for text in texts]
    assert together[::-1] == reranker.score(QUERY, texts[::-1])


def test_no_texts_load_nothing(tmp_path):
    assert LocalReranker(tmp_path / "nowhere").score(QUERY, []) == []


def test_a_pair_is_cut_to_what_the_model_reads(tmp_path):
    reranker = made(tmp_path, config={"max_position_embeddings": 16})
    # [CLS] query [SEP] text [SEP]: of 16, 3 are the query's and 10 are left for the text.
    near, far = "x " * 9 + "valve", "x " * 10 + "valve"
    assert reranker.score(QUERY, [near, far]) == [pytest.approx(0.5), pytest.approx(sigmoid(-1))]


def test_a_query_of_pages_leaves_room_for_the_text(tmp_path):
    scores = made(tmp_path).score("boiler " + "x " * 5000, ["boiler", "pump " * 9000])
    assert scores == [pytest.approx(0.5), pytest.approx(sigmoid(-1))]


@pytest.mark.parametrize("text", ["boiler [SEP] [CLS] [PAD]", "boiler \ud800", "boiler \x00 😀"])
def test_any_text_is_only_text(tmp_path, text):
    assert made(tmp_path).score("boiler", [text]) == [pytest.approx(0.5)]


def test_several_threads_share_it(tmp_path):
    reranker, found = made(tmp_path), []

    def ask() -> None:
        found.append(reranker.score(QUERY, TEXTS))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(one == found[0] for one in found)


def test_it_is_opened_again_after_close_and_in_a_child(tmp_path):
    reranker = made(tmp_path)
    first = reranker.score(QUERY, TEXTS)
    reranker.close()
    assert reranker.score(QUERY, TEXTS) == first
    reranker.leave_parent()
    assert reranker.score(QUERY, TEXTS) == first


# --- Trouble ----------------------------------------------------------------------------------


def test_a_spent_budget_runs_nothing(tmp_path):
    with pytest.raises(RerankError, match="was too slow") as raised:
        made(tmp_path).score(QUERY, TEXTS, budget=0.0)
    assert raised.value.timed_out
    assert raised.value.retryable


def test_whoever_waits_for_others_gives_up_in_time(tmp_path):
    reranker = LocalReranker(make_cross_encoder(tmp_path), threads=1)
    for _ in range(2):
        reranker._slots.acquire()
    with pytest.raises(RerankError, match="was too slow"):
        reranker.score(QUERY, TEXTS, budget=0.05)
    for _ in range(2):
        reranker._slots.release()
    assert len(reranker.score(QUERY, TEXTS, budget=60)) == len(TEXTS)


@pytest.mark.parametrize("factor", [nan, inf, -inf])
def test_what_is_no_number_is_no_score(tmp_path, factor):
    with pytest.raises(RerankError, match="not finite"):
        made(tmp_path, factor=factor).score(QUERY, TEXTS)


def test_a_sure_model_is_no_trouble(tmp_path):
    assert made(tmp_path, factor=-1e6).score(QUERY, TEXTS[1:3]) == [1.0, 0.0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"outputs": 3}, r"shape \(5, 3\) for 5 texts; a cross-encoder answers one or two"),
        ({"extra_input": "bbox"}, "its graph asks for attention_mask, bbox, input_ids"),
        ({"fixed": True}, r"input_ids of the shape \[1, 16\] alone; export it with dynamic axes"),
    ],
)
def test_another_model_is_refused_with_its_reason(tmp_path, options, said):
    with pytest.raises(RerankError, match=said):
        made(tmp_path, **options).score(QUERY, TEXTS)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.onnx", "ONNX Runtime cannot load .*model.onnx"),
        ("tokenizer.json", "cannot read .*tokenizer.json"),
        ("config.json", "cannot read .*config.json"),
        ("tokenizer_config.json", "cannot read .*tokenizer_config.json"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, said):
    make_cross_encoder(tmp_path)
    (tmp_path / name).write_text("{damaged")
    with pytest.raises(RerankError, match=said):
        LocalReranker(tmp_path).score(QUERY, TEXTS)


def test_a_folder_that_has_gone_is_named(tmp_path):
    with pytest.raises(RerankError, match=r"is not a folder with tokenizer\.json and model\.onnx"):
        LocalReranker(tmp_path).score(QUERY, TEXTS)


def test_a_file_that_says_no_limit_has_ours(tmp_path):
    reranker = made(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 1e30}')
    long = "x " * 504 + "valve"  # with [CLS], the query's 3 and [SEP] twice: more than fits
    near = "x " * 100 + "valve"
    assert reranker.score(QUERY, [near, long + " x" * 10]) == [
        pytest.approx(0.5), pytest.approx(0.5),
    ]  # fmt: skip
    assert reranker.score(QUERY, ["x " * 600 + "valve"]) == [pytest.approx(sigmoid(-1))]


def test_asking_for_one_loads_nothing_heavy(tmp_path):
    """In a process of its own: this one has long imported everything."""
    code = f"""
import sys
from django.conf import settings
settings.configure(RERANKER="local", RERANKER_PATH=__import__("pathlib").Path({str(tmp_path)!r}))
import memory.reranking
assert memory.reranking.get_reranker() is memory.reranking.get_reranker()
print(sorted({{"numpy", "onnxruntime", "tokenizers", "httpx"}} & sys.modules.keys()))
"""
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert shown.stdout == "[]\n"
