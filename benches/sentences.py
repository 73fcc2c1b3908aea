"""Embeddings a second beside ONNX Runtime, on the same weights and the same tokens.

python benches/sentences.py TRILANE FOLDER FLOAT.gguf NESTED.gguf SENTENCES

TRILANE is the built command, FOLDER a BERT of Hugging Face, the two files what `trilane convert`
makes of it. The graph is built from the folder's weights in f32, operators fused as ONNX Runtime
does by itself. Every text is a run of its own, without padding, and all threads work on one text
for ONNX Runtime, on a text each for trilane. Needs numpy, safetensors, tokenizers, onnx and
onnxruntime. The answers are compared before anything is timed.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

sys.path.append(str(Path(__file__).parent.parent / "tests" / "reference"))
from embeddings import Encoder  # noqa: E402

RUNS = 3


class Graph:
    """Nodes and constants; every method returns the name of its output."""

    def __init__(self, folder):
        self.config = json.loads((Path(folder) / "config.json").read_text())
        self.weights = load_file(Path(folder) / "model.safetensors")
        self.nodes, self.constants = [], []

    def constant(self, value):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(numpy.ascontiguousarray(value), name))
        return name

    def __call__(self, op, *inputs, **attributes):
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def dense(self, x, name):
        product = self("MatMul", x, self.constant(self.weights[f"{name}.weight"].T))
        return self("Add", product, self.constant(self.weights[f"{name}.bias"]))

    def norm(self, x, name):
        parts = [self.constant(self.weights[f"{name}.{part}"]) for part in ("weight", "bias")]
        eps = self.config["layer_norm_eps"]
        return self("LayerNormalization", x, *parts, axis=-1, epsilon=eps)

    def heads(self, x, order):
        heads = self.config["num_attention_heads"]
        split = self.constant(numpy.array([0, heads, -1], dtype=numpy.int64))
        return self("Transpose", self("Reshape", x, split), perm=order)

    def model(self):
        width = self.config["hidden_size"] // self.config["num_attention_heads"]
        table = "embeddings.{}_embeddings.weight"
        x = self("Gather", self.constant(self.weights[table.format("word")]), "ids")
        positions = self.constant(self.weights[table.format("position")])
        x = self("Add", x, self("Gather", positions, "positions"))
        x = self("Add", x, self.constant(self.weights[table.format("token_type")][:1]))
        x = self.norm(x, "embeddings.LayerNorm")
        for layer in range(self.config["num_hidden_layers"]):
            name = f"encoder.layer.{layer}"
            q, k, v = (
                self.heads(self.dense(x, f"{name}.attention.self.{part}"), order)
                for part, order in [("query", [1, 0, 2]), ("key", [1, 2, 0]), ("value", [1, 0, 2])]
            )
            scale = self.constant(numpy.array(width**-0.5, dtype=numpy.float32))
            scores = self("Softmax", self("Mul", self("MatMul", q, k), scale), axis=-1)
            y = self("Transpose", self("MatMul", scores, v), perm=[1, 0, 2])
            merged = self.constant(numpy.array([0, -1], dtype=numpy.int64))
            y = self.dense(self("Reshape", y, merged), f"{name}.attention.output.dense")
            x = self.norm(self("Add", x, y), f"{name}.attention.output.LayerNorm")
            h = self.dense(x, f"{name}.intermediate.dense")
            root, one, half = (
                self.constant(numpy.array(c, dtype=numpy.float32)) for c in (2**0.5, 1, 0.5)
            )
            gate = self("Add", self("Erf", self("Div", h, root)), one)
            h = self("Mul", self("Mul", h, gate), half)
            x = self.norm(self("Add", x, self.dense(h, f"{name}.output.dense")),
                          f"{name}.output.LayerNorm")
        self.nodes.append(helper.make_node("ReduceMean", [x], ["mean"], axes=[0], keepdims=0))
        inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["t"])
                  for n in ("ids", "positions")]
        outputs = [helper.make_tensor_value_info("mean", TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, "bert", inputs, outputs, self.constants)
        opset = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def session(model, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def embed(run, ids):
    ids = numpy.array(ids, dtype=numpy.int64)
    (mean,) = run.run(None, {"ids": ids, "positions": numpy.arange(len(ids))})
    return mean / numpy.linalg.norm(mean)


def main(trilane, folder, float_file, nested, sentences):
    encoder = Encoder(folder)
    texts = Path(sentences).read_bytes().decode().removesuffix("\n").split("\n")
    tokens = [encoder.tokens(text) for text in texts]
    model = Graph(folder).model()
    lanes = [("float", float_file)] + [(lane, nested) for lane in ("bit7", "bit5", "bit3")]
    print(f"{len(texts)} texts, {sum(map(len, tokens))} tokens, texts/s, best of {RUNS}")
    for threads in (1, os.cpu_count()):
        run = session(model, threads)
        vectors = numpy.stack([embed(run, ids) for ids in tokens])
        best = 0
        for _ in range(RUNS):
            start = time.perf_counter()
            for ids in tokens:
                embed(run, ids)
            best = max(best, len(texts) / (time.perf_counter() - start))
        print(f"onnxruntime {onnxruntime.__version__} f32, {threads} threads: {best:.1f}")
        for lane, file in lanes:
            best = 0
            with tempfile.TemporaryDirectory() as out:
                path = Path(out) / "vectors.npy"
                command = [trilane, "embed", file, "--lane", lane, "--threads", str(threads),
                           "--file", sentences, "--format", "npy", "--out", path]
                for _ in range(RUNS):
                    done = subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True)
                    best = max(best, float(re.search(r"([\d.]+) texts/s", done.stderr)[1]))
                worst = (numpy.load(path) * vectors).sum(-1).min()
            print(f"trilane {lane}, {threads} threads: {best:.1f} (worst cosine {worst:.5f})")


if __name__ == "__main__":
    main(*sys.argv[1:])
