"""The head of a bundle, made again from its numbers, and refitted with what it was taught.

A taught head depends on the bundle and on the samples that were taught, in their order, and on
nothing else: it always starts from the bundle's own solution. So the same journal gives the same
bits, whenever it is read, and an undone lesson leaves no trace.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.base import clone

from penultimate._common.protocols import Transformer
from penultimate.selection.normalization import make_normalization
from penultimate.svm.restoring import LEARNED, restore
from penultimate.svm.svc import SVC

_BETA = "calibrator.calibration.0.beta_"
_STANDARDIZED = ("mean_", "scale_")
_PARAMS = (
    "C", "kernel", "degree", "coef0", "tol", "class_weight", "max_iter", "decision_function_shape",
    "break_ties",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Head:
    """A head, and the samples that it was fitted on. Labels are positions in `classes`.

    Attributes
    ----------
    machine : SVC
    normalization : transformer
        Fitted.
    beta : float or None
        Inverse temperature of its probabilities.
    classes : list
        All labels.
    X, y : ndarray
        Samples, normalized, and their labels.
    held_out, held_out_labels : ndarray
        Samples that neither this head nor a taught one is fitted on.
    """

    machine: SVC
    normalization: Transformer
    beta: float | None
    classes: list[Any]
    X: NDArray[Any]
    y: NDArray[np.int64]
    held_out: NDArray[Any]
    held_out_labels: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        described: Mapping[str, Any],
        classes: list[Any],
        numbers: Mapping[str, NDArray[Any]],
        words: Mapping[str, Any],
        samples: Mapping[str, NDArray[Any]],
    ) -> Self:
        """Make the head of a bundle again.

        Parameters
        ----------
        described : dict
            What the manifest says of it.
        classes : list
        numbers, words : dict
            Contents of ``head.safetensors`` and ``head.json``.
        samples : dict of str to ndarray
            Its tensors in the part for teaching.

        Raises
        ------
        ValueError
            If the parts do not belong together.
        """
        step = described["step"]
        y, held_out_labels = samples["labels"], samples["held_out_labels"]
        both = np.concatenate([y, held_out_labels])
        if len(np.unique(y)) < len(classes) or both.min() < 0 or both.max() >= len(classes):
            raise ValueError("The labels in the part for teaching are not those of the classes.")
        for name in ("features", "held_out_features", "mean", "gamma"):
            if not np.isfinite(samples[name]).all():
                raise ValueError(f"The {name} in the part for teaching hold NaN or infinity.")
        given = words.get(step, {}).get("params", {})
        params = {name: given[name] for name in _PARAMS if name in given}
        if isinstance(params.get("class_weight"), dict):  # by label there, by position here
            by_name = {str(label): code for code, label in enumerate(classes)}
            params["class_weight"] = {
                by_name[name]: weight for name, weight in params["class_weight"].items()
            }
        missing = [name for name in LEARNED if f"{step}.{name}" not in numbers]
        if missing:
            raise ValueError(f"The bundle has no {step}.{missing[0]} of its head.")
        machine = restore(
            params,
            {name: numbers[f"{step}.{name}"] for name in LEARNED},
            samples["features"],
            y,
            mean=samples["mean"],
            gamma=float(samples["gamma"]),
        )
        machine.set_params(n_jobs=-1)
        beta = numbers.get(_BETA)
        return cls(
            machine=machine,
            normalization=_normalization(described, numbers),
            beta=None if beta is None else beta.item(),
            classes=classes,
            X=samples["features"],
            y=y,
            held_out=samples["held_out_features"],
            held_out_labels=held_out_labels,
        )

    def taught(self, features: NDArray[Any], labels: list[Any]) -> Self:
        """Return this head, refitted with further samples; a label that is new is a new class.

        Parameters
        ----------
        features : ndarray of shape (n_samples, n_features)
            As the network computes them.
        labels : list
        """
        if not len(features):
            return self
        classes = [*self.classes, *dict.fromkeys(each for each in labels if each not in self)]
        codes = [classes.index(label) for label in labels]
        X = np.concatenate([self.X, self.normalized(features)])
        y = np.concatenate([self.y, np.array(codes, np.int64)])
        # Starts from the solution here, which stays: attributes are replaced, not changed.
        machine = clone(self.machine)
        vars(machine).update(vars(self.machine))
        machine.fit(X, y)
        return replace(self, machine=machine, classes=classes, X=X, y=y)

    def __contains__(self, label: Any) -> bool:
        return label in self.classes

    def normalized(self, features: NDArray[Any]) -> NDArray[Any]:
        """Return features as they reach the machine."""
        with config_context(transform_output="default"):
            return self.normalization.transform(np.asarray(features, self.X.dtype))

    def predict(self, normalized: NDArray[Any]) -> NDArray[np.int64]:
        """Predict positions in `classes`."""
        return self.machine.predict(normalized)

    def margins(self, normalized: NDArray[Any]) -> NDArray[np.float64]:
        """Return the smallest decision value of each class against the others."""
        return self.machine.class_margins(normalized)


def _normalization(described: Mapping[str, Any], numbers: Mapping[str, NDArray[Any]]) -> Any:
    """Return the fitted transformer before the head."""
    name, width = described["normalization"], described["n_features"]
    # Its numbers, if it has some, replace those of these samples.
    fitted = make_normalization(name).fit(np.zeros((1, width), np.float32))
    if name == "standardize":
        before = described["step"].removesuffix("head") + "preprocessing"
        for attribute in _STANDARDIZED:
            value = numbers.get(f"{before}.{attribute}")
            if value is None or value.shape != (width,):
                raise ValueError(f"The bundle has no {before}.{attribute} of {width} features.")
            setattr(fitted, attribute, value)
    return fitted
