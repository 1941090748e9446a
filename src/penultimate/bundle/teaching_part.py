"""What teaching needs, as a part of a bundle: ``teach/samples.safetensors``.

For each head, by its number: the samples that it was fitted on, as they reach it (normalized),
their labels as positions in the classes of the manifest, and the numbers of its last fit that no
other part holds. Beside them are held-out samples, on which neither this head nor a taught one was
fitted, to compare the two; and of a model that abstains, those that set its threshold: both with
whether they are called novel. Of several heads, each has the samples of its own subset; held-out
ones with whether the router sends them there, and those of the threshold that it does send there.
Here it is checked, without what writes it.
"""

from typing import Any

from penultimate.bundle.errors import BundleError
from penultimate.bundle.manifest import Manifest
from penultimate.bundle.tensors import check_both
from penultimate.bundle.thumbnails import FOLDER

TEACH = "teach/samples.safetensors"
PRIVACY = (
    "Features of the training and held-out samples are in this file: from some networks' features "
    "an image can be approximated, and whether a certain sample was used can be told."
)
_FLOATS = ("F32", "F64")


def check_teaching(manifest: Manifest, tensors: dict[str, dict[str, Any]] | None) -> None:
    """Raise unless a bundle's part for teaching is what its manifest says of it.

    Parameters
    ----------
    manifest : Manifest
    tensors : dict of str to dict, or None
        Types and shapes in the part; None if there is none.

    Raises
    ------
    BundleError
        If one is there without the other, or tensors are missing, left over, or of other sizes.
    """
    check_both(manifest.teach, tensors, "teaching")
    if manifest.teach is None or tensors is None:
        return
    wanted: dict[str, list[int]] = {}
    subsets = manifest.subsets or {}
    found_for = [head["subset"] for head in manifest.teach["heads"]]
    if found_for != list(subsets or [None]):
        raise BundleError(f"{TEACH!r} in the bundle is not of the subsets in its manifest.")
    for number, head in enumerate(manifest.teach["heads"]):
        n, m, width = head["n_samples"], head["n_held_out"], head["n_features"]
        c, n_classes = head["n_calibration"], len(subsets.get(head["subset"], manifest.classes))
        sizes = {
            "features": [n, width],
            "labels": [n],
            "held_out_features": [m, width],
            "held_out_labels": [m],
            "held_out_routed": [m],
            "held_out_novel": [m],
            "calibration_features": [c, width],
            "calibration_labels": [c],
            "calibration_novel": [c],
            "residuals": [n_classes - 1, n],
            "mean": [width],
            "gamma": [],
        }
        wanted |= {f"{number}.{name}": shape for name, shape in sizes.items()}
    _check_pictures(manifest, manifest.teach)
    found = {name: entry["shape"] for name, entry in tensors.items()}
    if wanted != found:
        odd = next(name for name in {**wanted, **found} if wanted.get(name) != found.get(name))
        raise BundleError(
            f"{TEACH!r} in the bundle has {odd[:60]!r} of shape {found.get(odd)}, and its manifest "
            f"says {wanted.get(odd)}."
        )
    for name, entry in tensors.items():
        kinds: tuple[str, ...] = _FLOATS
        if name.endswith(("labels", "routed", "novel")):
            kinds = ("I64",)
        if name.endswith(("mean", "gamma", "residuals")):
            kinds = ("F64",)
        if entry["dtype"] not in kinds:
            raise BundleError(f"{name!r} in {TEACH!r} has the type {entry['dtype']}.")


def _check_pictures(manifest: Manifest, teach: dict[str, Any]) -> None:
    """Raise unless pictures are of classes that have thumbnails, and of samples that there are."""
    subsets = manifest.subsets or {}
    size_of = {
        place: head["n_samples"]
        for head in teach["heads"]
        for place in subsets.get(head["subset"], range(len(manifest.classes)))
    }
    seen: set[int] = set()
    for each in teach.get("pictures", []):
        place = each["class"]
        if place in seen or place not in size_of or f"{FOLDER}{place}.png" not in manifest.parts:
            raise BundleError(
                f"The manifest of the bundle has pictures of class {place}, twice or without "
                "thumbnails."
            )
        seen.add(place)
        if max(each["rows"]) >= size_of[place]:
            raise BundleError(
                f"The manifest of the bundle has a picture of sample {max(each['rows'])} of "
                f"{size_of[place]}."
            )
