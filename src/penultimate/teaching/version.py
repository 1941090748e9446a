"""One version of a bundle, opened for teaching, and the bundle of the next."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from penultimate._common.door import spelled
from penultimate.bundle.errors import BundleError
from penultimate.bundle.graph import build_graph
from penultimate.bundle.graph.unlikeness import add_unlikeness
from penultimate.bundle.head_parts import head_parts
from penultimate.bundle.manifest import Manifest
from penultimate.bundle.parity import prove
from penultimate.bundle.parts import CARD, GRAPH, HEAD, HEAD_WORDS
from penultimate.bundle.predictor import Predictor
from penultimate.bundle.strict_json import parse_json
from penultimate.bundle.teaching_part import TEACH
from penultimate.bundle.watchable import Watching, of_graph
from penultimate.bundle.watching_part import WATCH
from penultimate.bundle.writing import bundle_of
from penultimate.teaching.certifying import Certified, certify, in_manifest
from penultimate.teaching.comparing import expected_of
from penultimate.teaching.errors import TeachingError
from penultimate.teaching.features import Features
from penultimate.teaching.graph import with_heads
from penultimate.teaching.head import Head
from penultimate.teaching.heads import Heads

_PROVED = 1000  # samples


@dataclass(frozen=True)
class Version:
    """A bundle that can be taught.

    Attributes
    ----------
    model : Predictor
    heads : Heads
        As they are in the bundle.
    features : Features
    sha256 : str
    """

    model: Predictor
    heads: Heads
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
        manifest = model.manifest
        described = manifest.teach
        if described is None:
            raise TeachingError(
                "The model was not saved to be taught: it holds no samples. "
                + spelled(
                    "Fit it with penultimate fit --teachable.",
                    "Save it with penultimate.save(..., teach=(X, y)).",
                )
            )
        try:
            heads = Heads(tuple(_heads_in(model)), list(manifest.classes))
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise BundleError(
                f"{TEACH!r} in the bundle does not belong to its head: {error} Copy or download it "
                "again."
            ) from error
        first = described["heads"][0]
        features = Features(
            manifest, model.part(GRAPH), first["input"], first["n_features"], threads
        )
        return cls(model, heads, features, model.sha256)

    @property
    def number(self) -> int:
        """Which version it is, from 1."""
        return (self.model.manifest.lineage or {"number": 1})["number"]

    @property
    def parent(self) -> str | None:
        """Hash of the version before."""
        return (self.model.manifest.lineage or {"parent": None})["parent"]

    def next(self, taught: Heads, n_taught: int, key: bytes | None = None) -> bytes:
        """Return the content of the next version; the same lessons give the same bytes.

        Parameters
        ----------
        taught : Heads
            Without what was taught among the kept samples.
        n_taught : int
            Number of samples that were taught.
        key : bytes, optional
            Private key to sign it with.

        Raises
        ------
        TeachingError
            If the model abstains, and no threshold gives its guarantee any more.
        """
        manifest = self.model.manifest
        assert manifest.teach is not None
        certified = self.certified(taught)
        classes = Manifest(**{**_facts(manifest), "classes": taught.classes}).labels()
        graph = with_heads(
            onnx.load_from_string(self.model.part(GRAPH)),
            manifest.teach["heads"][0]["input"],
            taught,
            classes,
            certified,
            self.number + 1,
        )
        facts = {
            **_facts(manifest),
            "classes": taught.classes,
            "expected": expected_of(self.heads, taught, certified),
            "parity": {**self._proof(taught), "samples": "real, of the head alone"},
            "teach": {
                **manifest.teach,
                "heads": [
                    {
                        **entry,
                        "n_samples": len(head.now.X),
                        "n_held_out": len(head.held_out.X),
                        "n_calibration": len(head.calibration.X),
                    }
                    for entry, head in zip(manifest.teach["heads"], taught.each)
                ],
                "abstention": None if certified is None else certified.goal,
            },
            "lineage": self._lineage(n_taught),
        }
        if manifest.subsets is not None:
            facts["subsets"] = {
                head.subset: [taught.classes.index(label) for label in head.classes]
                for head in taught.each
            }
        if certified is not None:
            new = [label for label in taught.classes if label not in self.first_classes]
            was_novel = self.model.gives("novel")
            facts["abstention"] = in_manifest(certified, new, was_novel)
        if facts["provenance"] is not None:  # the taught samples are in no record of pixels
            facts["provenance"] = {**facts["provenance"], "complete": False}
        parts = {
            name: self.model.part(name)
            for name in manifest.parts
            if name not in (GRAPH, HEAD, TEACH, WATCH, CARD)
        }
        # Other heads have other margins: what comes in is compared with those of the new ones.
        watching, facts["watch"] = self._watching(taught, classes), None
        if watching is not None:
            facts["watch"], scores = watching
            parts[WATCH] = save_tensors(scores)
            add_unlikeness(graph)
        parts[GRAPH] = graph.SerializeToString(deterministic=True)
        parts[HEAD] = save_tensors(dict(sorted(self._numbers(taught).items())))
        parts[TEACH] = save_tensors(dict(sorted(_samples(taught).items())))
        return bundle_of(facts, parts, key)

    def certified(self, taught: Heads) -> Certified | None:
        """Return the threshold of taught heads; None if the model never abstains.

        Raises
        ------
        TeachingError
            If none gives the guarantee.
        """
        goal = (self.model.manifest.teach or {})["abstention"]
        if goal is None:
            return None
        is_new = len(taught.classes) > len(self.heads.classes)
        return certify(taught, goal, self.model.gives("novel") and not is_new)

    @property
    def first_classes(self) -> list[Any]:
        """Classes of which there are calibration samples."""
        kept = [head.calibration.codes for head in self.heads.each]
        return [self.heads.classes[code] for code in np.unique(np.concatenate(kept))]

    def _proof(self, taught: Heads) -> dict[str, Any]:
        """Return what was found of the graphs of taught heads, the one that differs most."""
        found = []
        for head in taught.each:
            if head.now is not head.in_bundle:
                X = (head.held_out.X if len(head.held_out.X) else head.now.X)[:_PROVED]
                found.append(prove(head.machine, build_graph(head.machine), X))
        return asdict(max(found, key=lambda proof: max(proof.errors.values(), default=0.0)))

    def _watching(self, taught: Heads, classes: NDArray[Any]) -> Watching | None:
        """Return what the new version is watched by; None if that takes more than one head."""
        one, *others = taught.each
        can_be = self.model.manifest.watch is not None and len(one.held_out.X)
        if others or not can_be or self.model.gives("novel"):
            return None
        return of_graph(build_graph(one.machine), one.held_out.X, classes)

    def _lineage(self, n_taught: int) -> dict[str, Any]:
        before = (self.model.manifest.lineage or {"n_taught": 0})["n_taught"]
        return {
            "number": self.number + 1,
            "parent": self.sha256,
            "n_taught": before + n_taught,
            "statement": (
                f"Taught {n_taught} samples after version {self.number}; hyper-parameters and "
                "temperature are those of the first version."
            ),
        }

    def _numbers(self, taught: Heads) -> dict[str, NDArray[Any]]:
        """Return the content of ``head.safetensors``: that of taught heads is new."""
        numbers = load_tensors(self.model.part(HEAD))
        for head in taught.each:
            if head.now is not head.in_bundle:
                own = f"{head.step}."
                numbers = {k: each for k, each in numbers.items() if not k.startswith(own)}
                numbers |= head_parts({head.step: head.machine})[0]
        return numbers

    @property
    def is_signed(self) -> bool:
        """Whether the bundle has a signature, which the next version will not have."""
        return self.model.is_signed


def _heads_in(model: Predictor) -> Iterator[Head]:
    """Yield the heads of a bundle, made again."""
    manifest = model.manifest
    assert manifest.teach is not None
    tensors, numbers = load_tensors(model.part(TEACH)), load_tensors(model.part(HEAD))
    words = parse_json(model.part(HEAD_WORDS), HEAD_WORDS)
    given = {(entry["input"], entry["n_features"]) for entry in manifest.teach["heads"]}
    if len(given) > 1:
        raise ValueError("Its heads are given different features.")
    for number, entry in enumerate(manifest.teach["heads"]):
        own = f"{number}."
        samples = {k.removeprefix(own): v for k, v in tensors.items() if k.startswith(own)}
        places = (manifest.subsets or {}).get(entry["subset"], range(len(manifest.classes)))
        yield Head.of(entry, list(manifest.classes), list(places), numbers, words, samples)


def _facts(manifest: Manifest) -> dict[str, Any]:
    return {name: value for name, value in asdict(manifest).items() if name != "parts"}


def _samples(heads: Heads) -> dict[str, NDArray[Any]]:
    """Return the tensors of the part for teaching."""
    tensors: dict[str, NDArray[Any]] = {}
    for number, head in enumerate(heads.each):
        own = head.samples()
        places = np.array([heads.classes.index(label) for label in head.classes], np.int64)
        own["labels"] = places[own["labels"]]
        tensors |= {f"{number}.{k}": np.asarray(each, order="C") for k, each in own.items()}
    return tensors
