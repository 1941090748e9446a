"""The methods of a comparison, as a paragraph that can be pasted into a paper."""

from collections.abc import Iterator, Sequence
from typing import Any

_NAMES = {
    "python": "Python",
    "numpy": "NumPy",
    "keras": "Keras",
    "tensorflow": "TensorFlow",
    "tensorflow-cpu": "TensorFlow (CPU)",
    "torch": "PyTorch",
}

_NORMALIZATIONS = {
    "standardize": "standardization",
    "l2": "scaling each sample to unit length",
    "sqrt-l2": "a signed square root and scaling each sample to unit length",
    None: "none",
}


def methods_paragraph(results: dict[str, Any]) -> str:
    """Describe the data, the protocol, the statistics and the software of a comparison.

    Parameters
    ----------
    results : dict
        Returned by `Outcome.to_dict`.

    Returns
    -------
    str
        One paragraph of plain text.

    Examples
    --------
    >>> from penultimate import compare
    >>> from penultimate.report import methods_paragraph
    >>> import numpy as np
    >>> y = np.repeat([0, 1], 30)
    >>> X = np.random.default_rng(0).integers(0, 150, (60, 8, 8), dtype=np.uint8)
    >>> X[y == 1] += 100
    >>> result = compare(X, y, methods=["pca+svm-rbf"], seeds=1)
    >>> methods_paragraph(result.to_dict())
    'We compared pca+svm-rbf on data: 60 images of 8 x 8 pixels in 2 classes, of which ...'
    """
    return " ".join(
        sentence
        for part in (_data, _network, _selection, _subsets, _statistics, _splits, _software)
        for sentence in part(results)
    )


def _data(results: dict[str, Any]) -> Iterator[str]:
    data, protocol = results["dataset"], results["protocol"]
    total = data["n_development"] + data["n_test"]
    shape = data["image_shape"]
    noun = data.get("unit", "image")
    of = f"{shape[0]:,} features" if noun != "image" else f"{shape[0]} x {shape[1]} pixels"
    # The size of the thumbnails would mislead where the network reads the files themselves.
    of = "" if protocol.get("network_input") else f" of {of}"
    names = list(dict.fromkeys(row["name"] for row in results["methods"]))
    controls = {row["name"] for row in results["methods"] if row["control"]}
    listed = _enumerate([f"{name} (a control)" if name in controls else name for name in names])
    if protocol["given_split"]:
        drawn = "was supplied with the data"
    elif protocol["groups"]:
        drawn = (
            "was drawn by group, so that no group occurs in both sets, and stratified by class as "
            f"far as the groups allow (seed {protocol['split_seed']})"
        )
    else:
        drawn = f"was drawn at random, stratified by class (seed {protocol['split_seed']})"
    yield (
        f"We compared {listed} on {data['name']}: {total:,} {noun}s{of} in "
        f"{len(data['classes'])} classes, of which {data['n_development']:,} were used for "
        f"development and {data['n_test']:,} for testing. The test set {drawn}."
    )
    earlier = protocol["test_uses"] - 1
    yield "Each method was evaluated on the test set once."
    if earlier:
        yield (
            f"The same test set had been used by {earlier} earlier "
            f"{'comparison' if earlier == 1 else 'comparisons'}."
        )


def _network(results: dict[str, Any]) -> Iterator[str]:
    protocol = results["protocol"]
    if not _uses_network(results):
        return
    if protocol["network"] is None:
        yield "The features were given; no network was trained, and all heads used the same ones."
        return
    layers = protocol["layers"]
    several = f"at one of the layers {_enumerate(layers)}"
    place = "before the last layer" if layers == ["penultimate"] else f"at the layer {layers[0]}"
    if protocol["frozen"]:
        yield (
            f"All heads were fitted on the features {several if len(layers) > 1 else place} of one "
            f"frozen network{_named(protocol['network'])}, which had been trained beforehand and "
            f"was the same for every seed{_fed(protocol.get('network_input'))}; "
            "cnn-softmax, where listed, is that network's own softmax."
        )
        return
    epochs = protocol["epochs"]
    yield (
        f"For each seed, a network ({protocol['network']}, {epochs} "
        f"{'epoch' if epochs == 1 else 'epochs'}) was trained on a part of the development set; "
        "the epoch whose weights were kept was chosen on a validation slice of that part. All "
        "heads of a seed were fitted on "
        + (f"features {several}" if len(layers) > 1 else f"the same features, those {place}")
        + " of this network."
    )


def _fed(prepared: str | None) -> str:
    return "" if prepared is None else f", and whose input was the images {prepared}"


def _named(network: str) -> str:
    return "" if network == "custom" else f" ({network})"


def _selection(results: dict[str, Any]) -> Iterator[str]:
    protocol = results["protocol"]
    trained = _uses_network(results) and not protocol["frozen"]
    if protocol["selection"] == "resubstitution":
        yield (
            "The hyper-parameters of the heads were chosen by cross-validation on features of "
            "samples that the network had been trained on, so the selection is optimistic."
        )
    elif protocol["selection"] == "crossfit":
        networks = "a network was trained and " if trained else ""
        again = "one network and the chosen heads were" if trained else "the chosen heads were"
        yield (
            "The hyper-parameters of the heads were chosen by cross-fitting: in each fold "
            f"{networks}every candidate was fitted on the other folds, and the candidates were "
            "evaluated on the held-out fold. Scores were averaged over the folds, and "
            f"{again} refitted on all development samples."
        )
    else:
        kept = "with groups kept whole" if protocol["groups"] else "stratified by class"
        which = "neither the network nor any candidate was" if trained else "no candidate was"
        yield (
            f"The development set was split into a fit part and a selection part, {kept}. The "
            "hyper-parameters of the heads were chosen by accuracy on the selection part, on which "
            f"{which} fitted; the chosen heads were then refitted on all development samples."
        )
    if any(row["inputs"] == "features" for row in results["methods"]):
        yield from _normalization(protocol)
    seeds = protocol["seeds"]
    if len(seeds) > 1:
        yield (
            f"Experiments were run with {len(seeds)} seeds ({', '.join(map(str, seeds))}); "
            "everything except the test set was redrawn for each seed."
        )
    else:
        yield f"Experiments were run with a single seed ({seeds[0]})."


def _normalization(protocol: dict[str, Any]) -> Iterator[str]:
    layers, normalizations = protocol["layers"], protocol["normalizations"]
    ways = _enumerate([_NORMALIZATIONS[name] for name in normalizations])
    if normalizations == [None]:
        yield "The features were not normalized."
    elif len(normalizations) == 1 and normalizations != ["standardize"]:
        yield f"The features were normalized by {ways}."
    chosen = ["the layer"] if len(layers) > 1 else []
    if len(normalizations) > 1:
        chosen.append(f"the normalization of the features ({ways})")
    if chosen:
        verb = "were" if len(chosen) > 1 else "was"
        sentence = f"{_enumerate(chosen)} {verb} chosen for each head in the same way."
        yield sentence[0].upper() + sentence[1:]


def _subsets(results: dict[str, Any]) -> Iterator[str]:
    if not results["protocol"]["subsets"]:
        return
    names = _enumerate(list(results["dataset"]["subsets"]))
    noun = results["dataset"].get("unit", "image")
    yield (
        f"The classes are grouped into subsets ({names}). Methods that are given the subset of "
        f"each {noun} use one classifier per subset and are compared with the network's softmax "
        "restricted to the classes of that subset."
    )


def _statistics(results: dict[str, Any]) -> Iterator[str]:
    protocol = results["protocol"]
    units = "groups of test samples" if protocol["groups"] else "test samples"
    if len(protocol["seeds"]) > 1:
        yield (
            "Accuracies are means over seeds, with 95 % Wilson confidence intervals for an "
            "effective sample size (Dean and Pagano, 2015) that is estimated from crossed random "
            f"effects of {units} and seeds."
        )
    else:
        yield (
            f"Accuracies are reported with 95 % Wilson confidence intervals over {units}, which do "
            "not include the variation between training runs."
        )
    differences = [row["vs_softmax"] for row in results["methods"] if row["vs_softmax"]]
    if differences:
        softmaxes = {row["name"] for row in results["methods"] if row["inputs"] == "probabilities"}
        baselines = sorted({difference["baseline"] for difference in differences})
        reference = "the softmax" if softmaxes.intersection(baselines) else baselines[0]
        words = (
            f"Differences from {reference} are paired over the same samples and seeds, with t "
            "intervals and two-sided p-values based on the same variance estimate"
        )
        adjusted = any(difference.get("p_holm") is not None for difference in differences)
        yield words + (
            "; p-values adjusted by Holm's method are also reported." if adjusted else "."
        )


def _splits(results: dict[str, Any]) -> Iterator[str]:
    several = [kind for kind in results["splits"] if kind["n_splits"] > 1]
    if several:
        kinds = [
            f"{kind['n_splits']} {'group-wise' if kind['by_group'] else 'random'} splits"
            for kind in several
        ]
        yield (
            f"All experiments were repeated on {_enumerate(kinds)}, with the first seed only; "
            "confidence intervals across splits are those of the corrected resampled t-test "
            "(Nadeau and Bengio, 2003)."
        )


def _software(results: dict[str, Any]) -> Iterator[str]:
    versions = [f"{_NAMES.get(name, name)} {v}" for name, v in results["versions"].items()]
    yield f"Software: {', '.join(versions)}."


def _uses_network(results: dict[str, Any]) -> bool:
    return any(row["inputs"] != "pixels" for row in results["methods"])


def _enumerate(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
