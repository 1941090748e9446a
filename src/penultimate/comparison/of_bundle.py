"""How well a saved model does on labeled data that it has not seen.

The data is read as for a comparison, and the model takes image files at their own size. The
manifest's fingerprints say which samples the model has seen; on these it would look better than on
new ones, so they are refused.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from penultimate._common.columns import check_columns
from penultimate._common.door import spelled
from penultimate._common.progress import SILENT, Progress
from penultimate.bundle import Predictor
from penultimate.bundle.description import rows
from penultimate.bundle.predictions import Predictions, joined
from penultimate.comparison import data_checks
from penultimate.comparison.data_checks import Finding, NotMade
from penultimate.datasets import Dataset
from penultimate.datasets.class_names import natural_order
from penultimate.evaluation import checks
from penultimate.evaluation.checks import Check
from penultimate.networks.single_images import as_sequence, prints_of
from penultimate.provenance.fingerprints import copy_prints, fingerprint
from penultimate.provenance.leakage import report_leak
from penultimate.results.evaluation import Evaluation

# The settings that a head was selected by; others are of how it was computed.
_TOLD = ("kernel", "C", "gamma", "degree", "coef0")
_OF_POLYNOMIALS = ("degree", "coef0")
# Where the advice to a comparison does not help.
_ABOUT: dict[str, dict[str, str]] = {
    "few-test-samples": {
        "why": "With so few samples, chance decides several percentage points of the accuracy.",
        "advice": "Score the model on more samples.",
    },
    "test-samples-seen": {"advice": "Score the model on other samples."},
}
_SHORT = "It cannot be told whether the model has seen these: short vectors agree by chance."


def evaluate_bundle(
    model: Predictor,
    dataset: Dataset,
    *,
    name: str = "The model",
    on_leak: str = "raise",
    progress: Progress = SILENT,
) -> Evaluation:
    """Score a saved model on labeled data.

    Parameters
    ----------
    model : Predictor
    dataset : Dataset
        All of its samples are used; classes are matched by their names.
    name : str, default="The model"
        Name of its file, for texts.
    on_leak : {"raise", "warn", "ignore"}, default="raise"
        What to do if the model has seen some of the samples.
    progress : Progress, optional

    Returns
    -------
    Evaluation

    Raises
    ------
    LeakageError
        If the model has seen some of the samples, and `on_leak` is ``"raise"``.
    ValueError
        If the data are not what the model takes, or have a class that it does not know.
    """
    of_images = model.manifest.kind == "images"
    if dataset.has_images != of_images:
        has = "images" if dataset.has_images else "features"
        raise ValueError(f"The model takes {model.manifest.kind}, and the data are {has}.")
    names = model.manifest.input.get("feature_names")
    if dataset.feature_names is not None and names is not None:
        check_columns(dataset.feature_names, names)
    # In the order of the model's classes from here on, whatever the folders were called first.
    dataset, order = _in_classes_of(model, dataset)
    files = dataset.sources if of_images else None
    leak = _leak(model, dataset, files, on_leak)
    found = (
        _of_images(model, dataset, files, progress)
        if of_images
        else model.predict_all(np.asarray(dataset.images))
    )
    # By name: in the file labels may be numbers, and folders are always text.
    place = {str(label): k for k, label in enumerate(model.classes_[order].tolist())}
    said = np.array([place[str(label)] for label in found.labels.tolist()], np.int64)
    # Of each sample the margin of the class that it was given, as in a comparison.
    margins = None
    if found.margins is not None:
        margins = np.take_along_axis(found.margins[:, order], said[:, np.newaxis], axis=1)[:, 0]
    probabilities = None if found.probabilities is None else found.probabilities[:, order]
    evaluation = Evaluation(
        name,
        model_facts(model),
        dataset,
        said,
        # A model that never abstains accepts all of its answers.
        np.ones(len(said), bool) if found.accepted is None else found.accepted,
        probabilities=probabilities,
        margins=margins,
        confidence=found.confidence,
        routed=found.subsets,
        abstention=model.manifest.abstention,
        stated=model.manifest.expected,
        leak=leak,
        signed_by=model.signed_by,
    )
    states, of_data = data_checks.states_of(_findings(model, evaluation, on_leak))
    return replace(
        evaluation,
        checks=[{**check.to_dict(), **_ABOUT.get(check.id, {})} for check in of_data],
        check_states=states,
    )


def model_facts(model: Predictor) -> list[tuple[str, str]]:
    """Return what there is to know of a saved model, as its card has it."""
    head, network = model.manifest.head, model.manifest.network
    facts = rows(model.manifest, model.signature)
    settings = {key: each for key, each in head.get("params", {}).items() if key in _TOLD}
    if settings.get("kernel", "poly") != "poly":
        settings = {key: each for key, each in settings.items() if key not in _OF_POLYNOMIALS}
    if settings:
        params = ", ".join(f"{key} = {_short(each)}" for key, each in settings.items())
        facts.insert(1, ("hyper-parameters", params))
    if network:
        facts.insert(
            1, ("network", f"{network['name']}, at the layer {_listed(network.get('layer'))}")
        )
    return [*facts, ("SHA-256", model.sha256)]


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _listed(layer: str | list[str] | None) -> str:
    return " and ".join(layer) if isinstance(layer, list) else str(layer)


def _in_classes_of(model: Predictor, dataset: Dataset) -> tuple[Dataset, NDArray[np.int64]]:
    """Return the data with the classes of the model, and the places of these in the model."""
    # Classes that no sample has are no obstacle, so only those that are present have to be known.
    known = [str(each) for each in model.classes_.tolist()]
    present = [dataset.classes[code] for code in np.unique(dataset.labels)]
    if unknown := [name for name in present if name not in known]:
        way = "Leave them out, or fit a model with them."
        if model.subsets and not dataset.subsets:
            by_subset = spelled("--subsets", "load_data(path, subsets=True)")
            way = f"Its classes are in subsets: read the data with {by_subset}."
        raise ValueError(
            f"The data has classes that the model does not know, such as {unknown[0]!r}; it knows "
            f"{', '.join(known[:10])}. {way}"
        )
    classes = natural_order(known)  # as in the report of a comparison
    order = np.array([known.index(name) for name in classes], np.int64)
    # -1 is never looked up: it stands for classes without samples, as the others are known.
    codes = np.array([classes.index(n) if n in classes else -1 for n in dataset.classes])
    members = model.manifest.subsets or {}
    subsets = {
        subset: tuple(sorted(classes.index(known[k]) for k in places))
        for subset, places in members.items()
    }
    labels = codes[dataset.labels]
    return replace(dataset, labels=labels, classes=tuple(classes), subsets=subsets), order


def _findings(model: Predictor, found: Evaluation, on_leak: str) -> list[tuple[str, Finding]]:
    """Run what can be asked of data that a model is scored on."""
    data = found.dataset
    every = np.arange(found.n_samples)
    # An interval needs answers; a model that abstains from everything has none.
    few: Finding = NotMade("the model abstains from all samples")
    if found.accuracy is not None:
        value = found.accuracy.value
        few = checks.check_test_size(
            found.n_answered, value, interval=found.accuracy, noun=data.noun
        )
    return [
        ("test-samples-seen", _seen(model, found.leak, on_leak)),
        ("duplicates-across-classes", data_checks.copies_across_classes(data)),
        ("misordered-labels", _order_of_labels(found, every)),
        ("class-imbalance", data_checks.balance_of_classes(data)),
        ("few-test-samples", few),
        ("images-left-out", data_checks.images_left_out(data)),
    ]


def _order_of_labels(found: Evaluation, every: NDArray[np.int64]) -> Finding:
    tested = found.dataset.labels[found.answered]
    best = found.accuracy if len(tested) else None
    return data_checks.order_of_labels(found.dataset, every, best, tested)


def _seen(model: Predictor, leak: str, on_leak: str) -> Finding:
    if model.provenance is None:
        return NotMade("the file does not say which samples the model has seen", "unknown")
    if on_leak == "ignore":
        return NotMade("it was asked to ignore them", "unknown")
    if leak == _SHORT:
        return NotMade("short vectors agree by chance", "unknown")
    if leak:
        return Check("test-samples-seen", leak, "error")
    if not (model.manifest.provenance or {}).get("complete", True):
        # None of those that were recorded.
        return NotMade("what its network had been trained on before is not recorded", "unknown")
    return None


def _leak(model: Predictor, dataset: Dataset, files: NDArray[np.str_] | None, on_leak: str) -> str:
    """Refuse samples that the model has seen, in any form in which it may have seen them."""
    known = model.provenance
    if known is None or on_leak == "ignore":
        return ""
    if not dataset.has_images and copy_prints(np.asarray(dataset.images[:1])) is None:
        return _SHORT
    # As the files are, or as they were resized for a network that was trained on them.
    seen = np.isin(dataset.fingerprint(), known)
    seen |= np.isin(fingerprint(dataset.images), known)
    seen |= np.isin(fingerprint(dataset.inputs), known)
    if files is not None:  # a network with a preprocessing took the files at their own size
        seen |= np.isin(prints_of(as_sequence(list(files))), known)
    names = np.arange(len(seen)) if dataset.files is None else dataset.files
    # After 'warn' the message is among the checks of the evaluation, and no warning of Python's.
    return report_leak(
        np.asarray(names)[seen],
        len(seen),
        on_leak="raise" if on_leak == "raise" else "ignore",
        advice="Evaluate on other samples; on_leak='warn' (--on-leak warn) evaluates on these.",
    )


def _of_images(
    model: Predictor, dataset: Dataset, files: NDArray[np.str_] | None, progress: Progress
) -> Predictions:
    if files is None:
        return model.predict_all(dataset.images)
    parts = []
    # In parts for the progress alone: `predict_all` holds a few images at a time as it is.
    items, step = list(map(str, files)), 256
    for start in range(0, len(items), step):
        parts.append(model.predict_all(items[start : start + step]))
        progress.update("predict", min(start + step, len(items)), len(items))
    return joined(parts)
