"""The model card of a bundle: what it is, what to expect, what it does not know, in Markdown.

The header between the dashes is what the Hugging Face Hub reads of a ``README.md``.
"""

from typing import Any

from penultimate.bundle.manifest import Manifest

_LISTED = 50  # classes in the card


def model_card(manifest: Manifest) -> str:
    """Return the card as text.

    Parameters
    ----------
    manifest : Manifest

    Returns
    -------
    str
        Markdown, with a header in YAML.
    """
    of_images = manifest.kind == "images"
    task = "image-classification" if of_images else "tabular-classification"
    lines = [
        "---",
        "library_name: penultimate",
        f"pipeline_tag: {task}",
        *_license(manifest),
        "tags:",
        "- svm",
        "- onnx",
        "---",
        "",
        f"# Classifier of {len(manifest.classes)} classes: {manifest.head['kind']}",
        "",
        _what(manifest),
        "",
        "## Use",
        "",
        "```python",
        "import penultimate",
        "",
        'model = penultimate.load("model.zip")',
        "print(model)",
        'model.predict(["image.jpg"])' if of_images else "model.predict(features)",
        "```",
        "",
        "`model.onnx` takes pixels of any size (`images`, uint8) and resizes them itself; it runs "
        "wherever ONNX Runtime does."
        if of_images
        else "`model.onnx` takes `features`, float32, one row per sample.",
        "",
        "## Classes",
        "",
        _classes(manifest),
        "",
        "## What to expect",
        "",
        *_expected(manifest),
        "",
        *(["## Shelf life", "", manifest.watch["statement"], ""] if manifest.watch else []),
        "## Limits",
        "",
        "The figures hold for samples drawn like those of training: the same cameras, places and "
        "classes. A sample of no class gets one all the same.",
        "",
    ]
    return "\n".join(lines)


def _license(manifest: Manifest) -> list[str]:
    stated = (manifest.network or {}).get("license")
    # The Hub knows licenses by their short names; what is said of where it is stated follows that.
    return [f"license: {stated.split()[0].lower()}"] if stated else []


def _what(manifest: Manifest) -> str:
    network = manifest.network
    normalized = manifest.head.get("normalization")
    made = f"Head: {manifest.head['kind']}"
    if normalized:
        made += f", on features with the normalization {normalized}"
    if network:
        layer = network.get("layer")
        layer = " and ".join(layer) if isinstance(layer, list) else layer
        made += f", at the layer {layer} of the network {network['name']}"
    return f"{made}. Made with Penultimate {manifest.created_with.get('penultimate', '')}."


def _classes(manifest: Manifest) -> str:
    shown = ", ".join(str(each) for each in manifest.classes[:_LISTED])
    n_more = len(manifest.classes) - _LISTED
    return f"{shown}{f', and {n_more} more' if n_more > 0 else ''}."


def _expected(manifest: Manifest) -> list[str]:
    lines = []
    expected: dict[str, Any] | None = manifest.expected
    if expected is None:
        lines.append("It was not measured what to expect of new samples.")
    elif expected["low"] is None:
        lines.append(f"{100 * expected['accuracy']:.1f} % ({expected['what']}).")
    else:
        lines.append(
            f"{100 * expected['accuracy']:.1f} % of new samples right (95 % interval: "
            f"{100 * expected['low']:.1f} to {100 * expected['high']:.1f} %; {expected['what']}, "
            f"{expected['n']:,} samples)."
        )
    if manifest.abstention and manifest.abstention.get("statement"):
        lines += ["", str(manifest.abstention["statement"])]
    return lines
