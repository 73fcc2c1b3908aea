"""Embeddings computed by numpy from the weights of a Hugging Face folder, and how close others are.

python tests/reference/embeddings.py FOLDER SENTENCES NAME=VECTORS.npy:MEAN:WORST ...

FOLDER holds a BERT with config.json, model.safetensors and tokenizer.json; SENTENCES a text in every
line. For each NAME the mean and the worst cosine between its vectors and numpy's are printed; the
exit code is 1 if they are below MEAN and WORST. Needs numpy, safetensors and tokenizers: words are
cut by Hugging Face's own tokenizer.
"""

import json
import math
import sys
from pathlib import Path

import numpy
from safetensors.numpy import load_file
from tokenizers import Tokenizer

erf = numpy.vectorize(math.erf, otypes=[numpy.float64])


class Encoder:
    def __init__(self, folder):
        folder = Path(folder)
        self.config = json.loads((folder / "config.json").read_text())
        weights = load_file(folder / "model.safetensors")
        self.weights = {k: v.astype(numpy.float64) for k, v in weights.items() if v.ndim}
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        # Text never becomes a special token by its spelling.
        self.tokenizer.encode_special_tokens = True
        self.tokenizer.enable_truncation(self.config["max_position_embeddings"])

    def tokens(self, text):
        return self.tokenizer.encode(text).ids

    def dense(self, x, name):
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / numpy.sqrt((x * x).mean(-1, keepdims=True) + self.config["layer_norm_eps"])
        return x * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def attention(self, x, name):
        heads = self.config["num_attention_heads"]
        q, k, v = (
            self.dense(x, f"{name}.self.{part}").reshape(len(x), heads, -1).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        scores = q @ k.swapaxes(1, 2) / math.sqrt(q.shape[-1])
        scores = numpy.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        return (scores @ v).swapaxes(0, 1).reshape(x.shape)

    def embed(self, ids):
        table = "embeddings.{}_embeddings.weight"
        x = self.weights[table.format("word")][ids]
        x = x + self.weights[table.format("position")][: len(ids)]
        x = self.norm(x + self.weights[table.format("token_type")][0], "embeddings.LayerNorm")
        for layer in range(self.config["num_hidden_layers"]):
            name = f"encoder.layer.{layer}"
            y = self.dense(self.attention(x, f"{name}.attention"), f"{name}.attention.output.dense")
            x = self.norm(x + y, f"{name}.attention.output.LayerNorm")
            h = self.dense(x, f"{name}.intermediate.dense")
            h = h * (1 + erf(h / math.sqrt(2))) / 2
            x = self.norm(x + self.dense(h, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        mean = x.mean(0)
        return mean / numpy.linalg.norm(mean)


def main(folder, sentences, *others):
    encoder = Encoder(folder)
    # As the engine: only line feeds end lines.
    texts = Path(sentences).read_bytes().decode().removesuffix("\n").split("\n")
    reference = numpy.stack([encoder.embed(encoder.tokens(text)) for text in texts])
    good = True
    for other in others:
        name, rest = other.split("=", 1)
        path, mean, worst = rest.rsplit(":", 2)
        vectors = numpy.load(path).astype(numpy.float64)
        assert vectors.shape == reference.shape, (vectors.shape, reference.shape)
        cosines = (vectors * reference).sum(-1) / numpy.linalg.norm(vectors, axis=-1)
        enough = cosines.mean() >= float(mean) and cosines.min() >= float(worst)
        at = int(cosines.argmin())
        print(f"{name}: mean {cosines.mean():.6f}, worst {cosines.min():.6f} (line {at + 1})"
              + ("" if enough else f": expected {mean} and {worst}"))
        good &= enough
    return good


if __name__ == "__main__":
    sys.exit(0 if main(*sys.argv[1:]) else 1)
