"""The ONNX graph of all-MiniLM-L6-v2, put together from its weights.

BERT (Devlin et al. 2018, https://arxiv.org/abs/1810.04805) with 6 layers of 12 heads, then mean
pooling over the real tokens and L2 normalisation, as the model's modules.json lays down. Standard
operators (opset 20), which ONNX Runtime fuses itself; of its own ones only MatMulIntegerToFloat is
faster (its attention is equally fast, its SkipLayerNormalization slower).

The products with the weights are of integers (Dettmers et al. 2022, https://arxiv.org/abs/2208.07339,
"vector-wise"): each column of a matrix and each token's row has a scale of its own. So a text's
vector does not depend on what shares its batch, as it does with one scale for a whole batch
(DynamicQuantizeLinear), which is also less exact. Against the model in 32 bits: more than twice as
fast, .996 mean cosine, and the same answers (docs/embedding.md).

Not for running it. Imported only when a graph has to be built, because `onnx` is slow to import.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

# Whoever changes what this module builds counts up GRAPH_VERSION in files.py.
LAYERS = 6
HEADS = 12
HIDDEN = 384
HEAD_WIDTH = HIDDEN // HEADS
LAYER_NORM_EPSILON = 1e-12
OPSET = 20  # the first with Gelu
RUNTIMES_OWN = "com.microsoft"
IR_VERSION = 9  # the one that came with opset 20, for older runtimes
# Added to the attention scores of padding: exp() of it is 0, and float32 still holds it.
MASKED = -1e9
# Tokens are 8 bits unsigned around MIDDLE, weights 7 bits: processors without VNNI add two such
# products in 16 bits, which 127 * 255 * 2 would not fit into.
WEIGHT_LEVELS = 63
TOKEN_LEVELS, MIDDLE = 127, 128
# A row of nothing but zeros has some scale, too.
LEAST_SCALE = 1e-9

Weights = Mapping[str, "np.ndarray[Any, Any]"]


class _Graph:
    """Collects nodes and constants. A node's only output has the node's name."""

    def __init__(self, weights: Weights, *, exact: bool) -> None:
        self.weights, self.exact = weights, exact
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._rounded: dict[str, tuple[str, str]] = {}

    def node(self, operator: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: Any) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def scalar(self, name: str, value: float) -> str:
        self.constants.append(numpy_helper.from_array(np.array(value, np.float32), name))
        return name

    def linear(self, x: str, weight: str, name: str, *, scale: float = 1.0) -> str:
        """x @ W.T + b, times `scale`. PyTorch keeps (out, in), MatMul wants (in, out)."""
        factor = np.float32(scale)
        matrix = self.weights[f"{weight}.weight"].T * factor
        bias = self.constant(f"{name}.bias", self.weights[f"{weight}.bias"] * factor)
        if self.exact:
            given = [x, self.constant(f"{name}.weight", matrix)]
            product = self.node("MatMul", given, f"{name}.product")
        else:
            product = self._rounded_product(x, matrix, name)
        return self.node("Add", [product, bias], name)

    def _rounded_product(self, x: str, matrix: Any, name: str) -> str:
        """x @ matrix, both rounded to integers; the scales of rows and columns come back in."""
        scales = (np.abs(matrix).max(axis=0) / WEIGHT_LEVELS).astype(np.float32)
        columns = self.constant(f"{name}.scales", scales)
        weight = self.constant(f"{name}.weight", np.rint(matrix / scales).astype(np.int8))
        rows, row_scales = self._rounded_rows(x)
        given = [rows, weight, "one", columns, "middle"]
        product = self.node("MatMulIntegerToFloat", given, f"{name}.whole", domain=RUNTIMES_OWN)
        return self.node("Mul", [product, row_scales], f"{name}.product")

    def _rounded_rows(self, x: str) -> tuple[str, str]:
        """(uint8 around MIDDLE, scale of each row): once for all products that read `x`."""
        if x not in self._rounded:
            size = self.node("Abs", [x], f"{x}.size")
            most = self.node("ReduceMax", [size, "last_axis"], f"{x}.most", keepdims=1)
            step = self.node("Mul", [most, "token_step"], f"{x}.step")
            scale = self.node("Max", [step, "least_scale"], f"{x}.scale")
            # QuantizeLinear takes a scale for each row of one matrix, not of a batch of them.
            shape = self.node("Shape", [x], f"{x}.shape")
            matrix = self.node("Flatten", [x], f"{x}.matrix", axis=2)
            each = self.node("Reshape", [scale, "flat"], f"{x}.scales")
            given = [matrix, each, "middles"]
            whole = self.node("QuantizeLinear", given, f"{x}.whole", axis=0)
            rounded = self.node("Reshape", [whole, shape], f"{x}.rounded")
            self._rounded[x] = rounded, scale
        return self._rounded[x]

    def layer_norm(self, x: str, weight: str, name: str) -> str:
        scale = self.constant(f"{name}.weight", self.weights[f"{weight}.weight"])
        bias = self.constant(f"{name}.bias", self.weights[f"{weight}.bias"])
        return self.node(
            "LayerNormalization", [x, scale, bias], name, axis=-1, epsilon=LAYER_NORM_EPSILON
        )


def assemble(weights: Weights, *, exact: bool = False) -> ModelProto:
    """The graph: int64 `input_ids` and `attention_mask` (batch, sequence), at most 512 tokens,
    to float32 `embedding` (batch, 384) of unit rows.

    `weights` are the arrays of model.safetensors by their names there. `exact` is the model as it
    was published, in 32 bits throughout, to hold the other against.
    """
    g = _Graph(weights, exact=exact)
    g.constant("axis1", np.array([1], np.int64))
    g.scalar("one", 1.0)
    if not exact:
        g.constant("last_axis", np.array([-1], np.int64))
        g.constant("middle", np.array(MIDDLE, np.uint8))
        g.constant("flat", np.array([-1], np.int64))
        g.scalar("token_step", 1 / TOKEN_LEVELS)
        g.scalar("least_scale", LEAST_SCALE)
        # One for each token.
        tokens = g.node("Shape", [g.node("Reshape", ["input_ids", "flat"], "tokens")], "how_many")
        g.node("Expand", ["middle", tokens], "middles")
    # Reshape's 0 keeps that axis as it is: batch and sequence.
    g.constant("split", np.array([0, 0, HEADS, HEAD_WIDTH], np.int64))
    g.constant("joined", np.array([0, 0, HIDDEN], np.int64))
    x = _embeddings(g)
    bias = _attention_bias(g)
    for layer in range(LAYERS):
        x = _layer(g, x, bias, layer)
    _pool(g, x)
    pair = ["batch", "sequence"]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, pair)
        for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", HIDDEN])
    graph = helper.make_graph(g.nodes, "all-MiniLM-L6-v2", inputs, [output], g.constants)
    return helper.make_model(
        graph,
        producer_name="remembrancer",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(RUNTIMES_OWN, 1)],
    )


def _embeddings(g: _Graph) -> str:
    """Word plus position plus segment; there is one segment, so its row joins the positions."""
    table = g.weights["embeddings.word_embeddings.weight"]
    words = g.constant("words", table if g.exact else table.astype(np.float16))
    positions = g.constant(
        "positions",
        g.weights["embeddings.position_embeddings.weight"]
        + g.weights["embeddings.token_type_embeddings.weight"][0],
    )
    g.constant("axis0", np.array([0], np.int64))
    word = g.node("Gather", [words, "input_ids"], "word")
    if not g.exact:
        # Half of the table's memory, which is most of what the graph needs.
        word = g.node("Cast", [word], "word.number", to=TensorProto.FLOAT)
    length = g.node("Shape", ["input_ids"], "length", start=1, end=2)
    position = g.node("Slice", [positions, "axis0", length, "axis0"], "position")
    both = g.node("Add", [word, position], "embeddings.sum")
    return g.layer_norm(both, "embeddings.LayerNorm", "embeddings")


def _attention_bias(g: _Graph) -> str:
    """(batch, 1, 1, sequence): 0 for real tokens, MASKED for padding."""
    mask = g.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    padding = g.node("Sub", ["one", mask], "padding")
    row = g.node("Mul", [padding, g.scalar("masked", MASKED)], "bias.row")
    axes = g.constant("axes12", np.array([1, 2], np.int64))
    return g.node("Unsqueeze", [row, axes], "bias")


def _layer(g: _Graph, x: str, bias: str, layer: int) -> str:
    """One encoder layer: attention and feed-forward, each added to its input and normalised."""
    source, name = f"encoder.layer.{layer}", f"layer{layer}"
    attended = _attention(g, x, bias, source, name)
    out = g.linear(attended, f"{source}.attention.output.dense", f"{name}.attention.out")
    both = g.node("Add", [out, x], f"{name}.attention.sum")
    y = g.layer_norm(both, f"{source}.attention.output.LayerNorm", f"{name}.attention.norm")
    inner = g.linear(y, f"{source}.intermediate.dense", f"{name}.inner")
    # approximate="none" is the exact form with erf, which the model was trained with.
    active = g.node("Gelu", [inner], f"{name}.gelu", approximate="none")
    out = g.linear(active, f"{source}.output.dense", f"{name}.outer")
    both = g.node("Add", [out, y], f"{name}.sum")
    return g.layer_norm(both, f"{source}.output.LayerNorm", f"{name}.norm")


def _attention(g: _Graph, x: str, bias: str, source: str, name: str) -> str:
    """softmax(q @ k.T / sqrt(width) + bias) @ v for each head, heads side by side again."""
    heads = {}
    for part, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
        # Scaling the query's weights once spares a pass over all scores in every run.
        scale = 1 / math.sqrt(HEAD_WIDTH) if part == "query" else 1.0
        flat = g.linear(x, f"{source}.attention.self.{part}", f"{name}.{part}", scale=scale)
        split = g.node("Reshape", [flat, "split"], f"{name}.{part}.split")
        heads[part] = g.node("Transpose", [split], f"{name}.{part}.heads", perm=order)
    scores = g.node("MatMul", [heads["query"], heads["key"]], f"{name}.scores")
    masked = g.node("Add", [scores, bias], f"{name}.masked")
    share = g.node("Softmax", [masked], f"{name}.share", axis=-1)
    mixed = g.node("MatMul", [share, heads["value"]], f"{name}.mixed")
    back = g.node("Transpose", [mixed], f"{name}.back", perm=[0, 2, 1, 3])
    return g.node("Reshape", [back, "joined"], f"{name}.context")


def _pool(g: _Graph, x: str) -> None:
    """The mean over real tokens, to length 1. Dividing by their number cancels out, so it is
    left to the normalisation."""
    row = g.node("Unsqueeze", ["mask", "axis1"], "mask.row")
    total = g.node("MatMul", [row, x], "total.row")
    flat = g.node("Squeeze", [total, "axis1"], "total")
    g.node("LpNormalization", [flat], "embedding", axis=-1, p=2)
