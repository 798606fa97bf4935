"""The files of a cross-encoder in a folder, as exports of one have them. Needs no Django, so that
settings can look whether they are there."""

from pathlib import Path

TOKENIZER = "tokenizer.json"
# Where optimum, and the repositories on Hugging Face, put the graph.
GRAPHS = ("model.onnx", "onnx/model.onnx")


def graph_of(folder: Path) -> Path | None:
    """The graph in `folder`; None where a file that reranking needs is missing."""
    if not (folder / TOKENIZER).is_file():
        return None
    return next((path for name in GRAPHS if (path := folder / name).is_file()), None)


NEEDED = f"a folder with {TOKENIZER} and {' or '.join(GRAPHS)}"
