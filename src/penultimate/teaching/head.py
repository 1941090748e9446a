"""One head of a bundle, made again from its numbers, and refitted with what it was taught.

A taught head depends on the bundle and on the samples that were taught, in their order, and on
nothing else: it always starts from the bundle's own solution. So the same journal gives the same
bits, whenever it is read, and an undone lesson leaves no trace.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context

from penultimate._common.protocols import Transformer
from penultimate.selection.normalization import make_normalization
from penultimate.svm.extending import Extendable
from penultimate.svm.restoring import LEARNED, restore
from penultimate.svm.svc import SVC
from penultimate.teaching.duplicates import same_samples

_BETA = "calibrator.calibration.0.beta_"
_STANDARDIZED = ("mean_", "scale_")
_PARAMS = (
    "C", "kernel", "degree", "coef0", "tol", "class_weight", "max_iter", "decision_function_shape",
    "break_ties",
)  # fmt: skip


class Kept(NamedTuple):
    """Samples in the bundle that no head is fitted on, normalized.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features)
    codes : ndarray of shape (n_samples,), int64
        Positions of their labels among all classes of the bundle.
    routed, novel : ndarray of shape (n_samples,), bool
        Whether a router sends them to this head, and whether they are called novel.
    """

    X: NDArray[Any]
    codes: NDArray[np.int64]
    routed: NDArray[np.bool_]
    novel: NDArray[np.bool_]

    def only(self, rows: NDArray[Any]) -> "Kept":
        """Return some of them."""
        return Kept(*(values[rows] for values in self))


@dataclass(frozen=True, kw_only=True)
class Head:
    """A head, and the samples that it was fitted on.

    Attributes
    ----------
    subset : str or None
        Of a specialist.
    step : str
        What the names of its numbers begin with.
    in_bundle, now : Extendable
        Its machine with the samples of its fit, as in the bundle and as taught.
    normalization : transformer
        Fitted.
    beta : float or None
        Inverse temperature of its probabilities.
    classes : list
        Its labels; those of its machine are positions in these.
    places : list of int
        Positions of the first of these, which are not new, among all classes of the bundle.
    held_out, calibration : Kept
        Samples to compare on, and those that set the threshold of abstention.
    """

    subset: str | None
    step: str
    in_bundle: Extendable
    now: Extendable
    normalization: Transformer
    beta: float | None
    classes: list[Any]
    places: list[int]
    held_out: Kept
    calibration: Kept

    @classmethod
    def of(
        cls,
        described: Mapping[str, Any],
        classes: list[Any],
        places: list[int],
        numbers: Mapping[str, NDArray[Any]],
        words: Mapping[str, Any],
        samples: Mapping[str, NDArray[Any]],
    ) -> Self:
        """Make a head of a bundle again.

        Parameters
        ----------
        described : dict
            What the manifest says of it.
        classes : list
            All of the bundle.
        places : list of int
            Positions of its own.
        numbers, words : dict
            Contents of ``head.safetensors`` and ``head.json``.
        samples : dict of str to ndarray
            Its tensors in the part for teaching.

        Raises
        ------
        ValueError
            If the parts do not belong together.
        """
        step, own = described["step"], [classes[place] for place in places]
        code_of = np.full(len(classes), -1)
        code_of[places] = np.arange(len(places))
        labels = [samples[f"{name}labels"] for name in ("", "held_out_", "calibration_")]
        every = np.concatenate(labels)
        is_label = len(every) and every.min() >= 0 and every.max() < len(classes)
        codes = code_of[labels[0]] if is_label else np.array([-1])
        if len(np.unique(codes)) < len(own) or codes.min() < 0:
            raise ValueError("The labels in the part for teaching are not those of the classes.")
        for name, values in samples.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise ValueError(f"The {name} in the part for teaching hold NaN or infinity.")
        missing = [name for name in LEARNED if f"{step}.{name}" not in numbers]
        if missing:
            raise ValueError(f"The bundle has no {step}.{missing[0]} of its head.")
        machine = restore(
            _params(words.get(step, {}).get("params", {}), own),
            {name: numbers[f"{step}.{name}"] for name in LEARNED},
            samples["features"],
            codes,
            mean=samples["mean"],
            gamma=float(samples["gamma"]),
        )
        machine.set_params(n_jobs=-1)
        fitted = Extendable.of(machine, samples["features"], codes, samples["residuals"])
        before = "" if described["subset"] is None else f"{described['subset']}."
        beta = numbers.get(before + _BETA)
        return cls(
            subset=described["subset"],
            step=step,
            in_bundle=fitted,
            now=fitted,
            normalization=normalization_of(described, numbers),
            beta=None if beta is None else beta.item(),
            classes=own,
            places=places,
            held_out=Kept(
                samples["held_out_features"],
                labels[1],
                samples["held_out_routed"] == 1,
                samples["held_out_novel"] == 1,
            ),
            calibration=Kept(
                samples["calibration_features"],
                labels[2],
                np.ones(len(labels[2]), bool),
                samples["calibration_novel"] == 1,
            ),
        )

    def samples(self) -> dict[str, NDArray[Any]]:
        """Return its tensors for the part for teaching of the next version.

        Labels are positions in `places`, and so those of new classes are left to the caller.
        """
        return {
            "features": self.now.X,
            "labels": self.now.codes,
            "held_out_features": self.held_out.X,
            "held_out_labels": self.held_out.codes,
            "held_out_routed": self.held_out.routed.astype(np.int64),
            "held_out_novel": self.held_out.novel.astype(np.int64),
            "calibration_features": self.calibration.X,
            "calibration_labels": self.calibration.codes,
            "calibration_novel": self.calibration.novel.astype(np.int64),
            "mean": np.asarray(self.machine._mean, np.float64),
            "gamma": np.asarray(self.machine._gamma, np.float64),
            "residuals": self.now.residuals,
        }

    @property
    def machine(self) -> SVC:
        """The classifier, whose labels are positions in `classes`."""
        return self.now.svc

    def taught(self, features: NDArray[Any], labels: list[Any]) -> Self:
        """Return the head of the bundle, refitted with samples; a label that is new is a new class.

        Parameters
        ----------
        features : ndarray of shape (n_samples, n_features)
            As the network computes them.
        labels : list
        """
        known = self.classes[: len(self.places)]
        if not len(features):
            return replace(self, now=self.in_bundle, classes=known)
        classes = [*known, *dict.fromkeys(each for each in labels if each not in known)]
        codes = np.array([classes.index(label) for label in labels], np.int64)
        now = self.in_bundle.extended(self.normalized(features), codes)
        return replace(self, now=now, classes=classes)

    def __contains__(self, label: Any) -> bool:
        return label in self.classes

    def normalized(self, features: NDArray[Any]) -> NDArray[Any]:
        """Return features as they reach the machine."""
        with config_context(transform_output="default"):
            return self.normalization.transform(np.asarray(features, self.in_bundle.X.dtype))

    def predict(self, features: NDArray[Any]) -> list[Any]:
        """Predict labels of features as the network computes them."""
        if not len(features):
            return []
        codes = self.machine.predict(self.normalized(features))
        return [self.classes[code] for code in codes]

    def without(self, features: NDArray[Any]) -> Self:
        """Return it without those kept samples that are among these, as a network computes them."""
        rows = self.normalized(features)
        kept = []
        for each in (self.held_out, self.calibration):
            keeps = np.ones(len(each.X), bool)
            for places in same_samples(rows, each.X):
                keeps[places] = False
            kept.append(each if keeps.all() else each.only(keeps))
        return replace(self, held_out=kept[0], calibration=kept[1])

    def rights(self, kept: Kept) -> NDArray[np.bool_]:
        """Return of which samples of the bundle it predicts the label."""
        if not len(kept.X):
            return np.zeros(0, bool)
        n_new = len(self.classes) - len(self.places)
        places = np.array([*self.places, *[-1] * n_new])
        return places[self.machine.predict(kept.X)] == kept.codes

    def confidence(self, kept: Kept, criterion: str) -> NDArray[np.float64]:
        """Return how sure it is of samples, as `confidence_scores` does."""
        if not len(kept.X):
            return np.zeros(0)
        margins = self.machine.class_margins(kept.X)
        if criterion == "margin" or self.beta is None:
            return margins.max(axis=1)
        scaled = np.exp(self.beta * (margins - margins.max(axis=1, keepdims=True)))
        return 1 / scaled.sum(axis=1)


def _params(given: Mapping[str, Any], classes: list[Any]) -> dict[str, Any]:
    """Return the parameters of a machine whose labels are positions."""
    params = {name: given[name] for name in _PARAMS if name in given}
    if isinstance(params.get("class_weight"), dict):  # by label there
        by_name = {str(label): code for code, label in enumerate(classes)}
        params["class_weight"] = {
            by_name[name]: weight for name, weight in params["class_weight"].items()
        }
    return params


def normalization_of(described: Mapping[str, Any], numbers: Mapping[str, NDArray[Any]]) -> Any:
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
