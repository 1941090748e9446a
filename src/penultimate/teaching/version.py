"""One version of a bundle, opened for teaching, and the bundle of the next."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from penultimate._common.door import spelled
from penultimate.bundle.graph import build_graph
from penultimate.bundle.head_parts import head_parts
from penultimate.bundle.manifest import Manifest
from penultimate.bundle.parity import prove
from penultimate.bundle.parts import CARD, GRAPH, HEAD, HEAD_WORDS
from penultimate.bundle.predictor import Predictor
from penultimate.bundle.strict_json import parse_json
from penultimate.bundle.teaching_part import TEACH
from penultimate.bundle.writing import bundle_of
from penultimate.teaching.errors import TeachingError
from penultimate.teaching.features import Features
from penultimate.teaching.graph import with_head
from penultimate.teaching.head import Head

_PROVED = 1000  # samples


@dataclass(frozen=True)
class Version:
    """A bundle that can be taught.

    Attributes
    ----------
    model : Predictor
    head : Head
        As it is in the bundle.
    features : Features
    sha256 : str
    """

    model: Predictor
    head: Head
    features: Features
    sha256: str

    @classmethod
    def of(cls, content: bytes, key: bytes | None, threads: int | None) -> Self:
        """Open the content of a bundle.

        Raises
        ------
        BundleError
            If it is none.
        TeachingError
            If it was not saved to be taught.
        """
        model = Predictor(content, key=key, threads=threads)
        described = model.manifest.teach
        if described is None:
            raise TeachingError(
                "The model was not saved to be taught: it holds no samples. "
                + spelled(
                    "Fit it with penultimate fit --teachable.",
                    "Save it with penultimate.save(..., teach=(X, y)).",
                )
            )
        (only,) = described["heads"]
        tensors = load_tensors(model.part(TEACH))
        head = Head.of(
            only,
            list(model.manifest.classes),
            load_tensors(model.part(HEAD)),
            parse_json(model.part(HEAD_WORDS), HEAD_WORDS),
            {name.removeprefix("0."): values for name, values in tensors.items()},
        )
        features = Features(
            model.manifest, model.part(GRAPH), only["input"], only["n_features"], threads
        )
        return cls(model, head, features, model.sha256)

    @property
    def number(self) -> int:
        """Which version it is, from 1."""
        return (self.model.manifest.lineage or {"number": 1})["number"]

    @property
    def parent(self) -> str | None:
        """Hash of the version before."""
        return (self.model.manifest.lineage or {"parent": None})["parent"]

    def next(
        self,
        taught: Head,
        n_taught: int,
        expected: dict[str, Any] | None,
        key: bytes | None = None,
    ) -> bytes:
        """Return the content of the next version; the same lessons give the same bytes.

        Parameters
        ----------
        taught : Head
        n_taught : int
            Number of samples that were taught.
        expected : dict or None
            What to expect of new data.
        key : bytes, optional
            Private key to sign it with.
        """
        manifest = self.model.manifest
        classes = Manifest(**{**_facts(manifest), "classes": taught.classes}).labels()
        assert manifest.teach is not None
        (only,) = manifest.teach["heads"]
        proved = (taught.held_out if len(taught.held_out) else taught.X)[:_PROVED]
        proof = prove(taught.machine, build_graph(taught.machine), proved)
        graph = with_head(
            onnx.load_from_string(self.model.part(GRAPH)), only["input"], taught, classes
        )
        before = (manifest.lineage or {"n_taught": 0})["n_taught"]
        facts = {
            **_facts(manifest),
            "classes": taught.classes,
            "expected": expected,
            "parity": {**asdict(proof), "samples": "real, of the head alone"},
            "teach": {
                **manifest.teach,
                "heads": [{**only, "n_samples": len(taught.X), "n_held_out": len(taught.held_out)}],
            },
            "lineage": {
                "number": self.number + 1,
                "parent": self.sha256,
                "n_taught": before + n_taught,
                "statement": (
                    f"Taught {n_taught} samples after version {self.number}; hyper-parameters and "
                    "temperature are those of the first version."
                ),
            },
        }
        if facts["provenance"] is not None:  # the taught samples are in no record of pixels
            facts["provenance"] = {**facts["provenance"], "complete": False}
        parts = {
            name: self.model.part(name)
            for name in manifest.parts
            if name not in (GRAPH, HEAD, TEACH, CARD)
        }
        numbers = load_tensors(self.model.part(HEAD))
        own = f"{only['step']}."
        numbers = {name: each for name, each in numbers.items() if not name.startswith(own)}
        numbers |= head_parts({only["step"]: taught.machine})[0]
        parts[GRAPH] = graph.SerializeToString(deterministic=True)
        parts[HEAD] = save_tensors(dict(sorted(numbers.items())))
        parts[TEACH] = save_tensors(dict(sorted(_samples(taught).items())))
        return bundle_of(facts, parts, key)

    @property
    def is_signed(self) -> bool:
        """Whether the bundle has a signature, which the next version will not have."""
        return self.model.is_signed


def digest(head: Head) -> str:
    """Return a hash of all that a head predicts by."""
    machine = head.machine
    found = hashlib.sha256(repr(head.classes).encode())
    for name in ("support_vectors_", "n_support_", "dual_coef_", "intercept_"):
        found.update(np.ascontiguousarray(getattr(machine, name)).tobytes())
    return found.hexdigest()


def _facts(manifest: Manifest) -> dict[str, Any]:
    return {name: value for name, value in asdict(manifest).items() if name != "parts"}


def _samples(head: Head) -> dict[str, NDArray[Any]]:
    """Return the tensors of the part for teaching."""
    values = {
        "features": head.X,
        "labels": head.y,
        "held_out_features": head.held_out,
        "held_out_labels": head.held_out_labels,
        "mean": np.asarray(head.machine._mean, np.float64),
        "gamma": np.asarray(head.machine._gamma, np.float64),
    }
    return {f"0.{name}": np.asarray(each, order="C") for name, each in values.items()}
