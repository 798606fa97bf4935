"""A cross-encoder small enough to be understood: it counts words that query and text share.

Real ONNX and a real tokenizer, in the files that exports have. Not a test, and not for anything
but tests.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper, save
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
WORDS = ["boiler", "valve", "pump", "open", "warm", "sticks", "night", "cellar", "seven"]
# Logit of a pair that shares n words: n - EVEN.
EVEN = 1.0


def make_cross_encoder(
    folder: Path,
    *,
    place: str = "model.onnx",
    factor: float = 1.0,
    outputs: int = 1,
    types: bool = True,
    integers: int = TensorProto.INT64,
    extra_input: str = "",
    fixed: bool = False,
    config: dict[str, Any] | None = None,
) -> Path:
    """A folder with the model. `factor` multiplies the logit, `outputs` is how many logits there
    are (3: no cross-encoder; 0: a flat row), `types` whether it asks for token_type_ids."""
    graph = folder / place
    graph.parent.mkdir(parents=True, exist_ok=True)
    save(_model(factor, outputs, types, integers, extra_input, fixed), graph)
    _tokenizer().save(str(folder / "tokenizer.json"))
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(
        WordLevel({word: i for i, word in enumerate(SPECIAL + WORDS)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    tokenizer.add_special_tokens(SPECIAL)
    # Files have both set, for other uses than ours.
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=16)
    return tokenizer


def _model(
    factor: float, outputs: int, types: bool, integers: int, extra_input: str, fixed: bool
) -> Any:
    nodes: list[NodeProto] = []
    constants: list[TensorProto] = []

    def node(operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def constant(name: str, value: Any) -> str:
        constants.append(numpy_helper.from_array(value, name))
        return name

    def floats(name: str) -> str:
        return node("Cast", [name], f"{name}.float", to=TensorProto.FLOAT)

    one = constant("one", np.array([1], np.int64))
    two = constant("two", np.array([2], np.int64))
    ids = node("Cast", ["input_ids"], "ids", to=TensorProto.INT64)
    mask = floats("attention_mask")
    # Words, which have other ids than the special tokens, and are no padding.
    known = node("Greater", [ids, constant("last", np.array(3, np.int64))], "known")
    words = node("Mul", [floats(known), mask], "words")
    same = floats(
        node("Equal", [node("Unsqueeze", [ids, two], "a"), node("Unsqueeze", [ids, one], "b")], "s")
    )
    if types:
        of_text = node("Mul", [words, floats("token_type_ids")], "of_text")
        of_query = node("Sub", [words, of_text], "of_query")
        left, right, less = of_query, of_text, constant("less", np.array(0, np.float32))
        shared_by = 1.0
    else:
        # Each word is its own equal, and two equal ones are counted twice.
        left = right = words
        less = node("ReduceSum", [words, one], "itself", keepdims=0)
        shared_by = 2.0
    pairs = node("Mul", [same, node("Unsqueeze", [left, two], "left")], "pairs.left")
    pairs = node("Mul", [pairs, node("Unsqueeze", [right, one], "right")], "pairs")
    both = constant("both", np.array([1, 2], np.int64))
    counted = node("ReduceSum", [pairs, both], "counted", keepdims=0)
    shared = node("Sub", [counted, less], "shared.more")
    shared = node("Div", [shared, constant("by", np.array(shared_by, np.float32))], "shared")
    # A pair has two [SEP]; one more would be a text's own, and must not pass for an end.
    ends = node("Equal", [ids, constant("sep", np.array(2, np.int64))], "ends")
    ends = node("ReduceSum", [node("Mul", [floats(ends), mask], "m"), one], "seps", keepdims=0)
    wrong = node("Sub", [ends, constant("seps.right", np.array(2, np.float32))], "wrong")
    logit = node("Sub", [shared, constant("even", np.array(EVEN, np.float32))], "logit.all")
    logit = node("Sub", [logit, wrong], "logit.some")
    logit = node("Mul", [logit, constant("factor", np.array(factor, np.float32))], "logit")
    if outputs == 0:
        node("Identity", [logit], "logits")
    else:
        column = node("Unsqueeze", [logit, one], "column")
        nothing = node("Sub", [column, column], "nothing")
        node("Concat", [nothing] * (outputs - 1) + [column], "logits", axis=1)
    names = ["input_ids", "attention_mask"] + ["token_type_ids"] * types
    shape = [1, 16] if fixed else ["pairs", "tokens"]
    inputs = [
        helper.make_tensor_value_info(name, integers, shape)
        for name in [*names, *([extra_input] if extra_input else [])]
    ]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)
    return helper.make_model(
        helper.make_graph(nodes, "shared words", inputs, [output], constants),
        ir_version=9,
        opset_imports=[helper.make_opsetid("", 18)],
    )
