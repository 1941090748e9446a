"""What a model says of itself, as a line, as text and as HTML, from its manifest."""

from base64 import b64encode
from collections.abc import Callable
from html import escape
from typing import Any

from penultimate._common.door import spelled
from penultimate.bundle.manifest import Manifest
from penultimate.bundle.thumbnails import number_of

_NAMED = 10  # classes that are listed


def in_one_line(manifest: Manifest) -> str:
    """Return what a model is, in one line."""
    return (
        f"Predictor({manifest.head['kind']!r} of {manifest.kind}, {len(manifest.classes)} classes)"
    )


def in_text(manifest: Manifest, signature: str) -> str:
    """Return what a model is, with one line for each thing to know."""
    found = rows(manifest, signature)
    width = max(len(name) for name, _ in found)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in found)


def in_html(manifest: Manifest, signature: str, part: Callable[[str], bytes]) -> str:
    """Return what a model is, as a table in the colors of the notebook around it."""
    table = "".join(_row(escape(name), escape(value)) for name, value in rows(manifest, signature))
    for number, name in _thumbnails(manifest)[:_NAMED]:
        label = escape(str(manifest.classes[number]))
        source = f"data:image/png;base64,{b64encode(part(name)).decode()}"
        table += _row(label, f'<img src="{source}" alt="Training images of {label}">')
    return f"<table><tbody>{table}</tbody></table>"


def _row(name: str, value: str) -> str:
    left = 'style="text-align:left"'
    return f"<tr><th {left}>{name}</th><td {left}>{value}</td></tr>"


def rows(manifest: Manifest, signature: str) -> list[tuple[str, str]]:
    """Return what there is to know of a model: names of things, and what is said of each."""
    found = [
        ("model", _model(manifest)),
        ("takes", _takes(manifest)),
        ("classes", _listed(manifest.classes)),
    ]
    if manifest.subsets:
        names = [f"{name} ({len(members)})" for name, members in manifest.subsets.items()]
        found.append(("subsets", ", ".join(names)))
    found.append(("expect", _expected(manifest.expected)))
    seen = manifest.provenance
    found.append(("trained on", f"{seen['n_samples']:,} samples" if seen else "not known"))
    if shown := _thumbnails(manifest):
        of = f"{len(shown):,} of {len(manifest.classes):,} classes"
        found.append(("thumbnails", f"training images of {of} are in the file"))
    if manifest.abstention:
        found.append(("abstains", _abstention(manifest.abstention)))
    if manifest.watch:
        found.append(("watched", str(manifest.watch["statement"])))
    found.append(("signature", signature))
    versions = ", ".join(f"{name} {version}" for name, version in manifest.created_with.items())
    if versions:
        found.append(("made with", versions))
    return [(name, " ".join(value.split())) for name, value in found]


def _thumbnails(manifest: Manifest) -> list[tuple[int, str]]:
    """Return the classes of which the bundle shows images, and the parts that show them."""
    found = [(number_of(name), name) for name in manifest.parts]
    return sorted((number, name) for number, name in found if number is not None)


def of_signature(is_signed: bool, signed_by: str | None) -> str:
    """Return what is known of who signed a bundle: nothing that only the file itself says."""
    if signed_by is not None:
        return f"verified, by the key {signed_by}"
    if is_signed:
        return (
            f"there is one, not verified: that takes the signer's key ({spelled('--key', 'key')})"
        )
    return "none"


def _model(manifest: Manifest) -> str:
    head = str(manifest.head["kind"])
    if not manifest.network:
        return head
    license_ = manifest.network.get("license")
    network = f"{head} on {manifest.network['name']}"
    return f"{network} (license of the network: {license_})" if license_ else network


def _takes(manifest: Manifest) -> str:
    if manifest.kind == "features":
        return f"features, {manifest.input['n_features']} per sample"
    colors = "gray" if manifest.input["channels"] == 1 else "colored"
    size = manifest.input.get("size")
    inside = f"{size[1]} x {size[0]} and {colors}" if size else colors
    return f"images of any size, made {inside} inside"


def _listed(classes: list[Any]) -> str:
    shown = ", ".join(map(str, classes[:_NAMED]))
    return f"{len(classes)}: {shown}{', ...' if len(classes) > _NAMED else ''}"


def _expected(expected: dict[str, Any] | None) -> str:
    """Return the accuracy with its interval, without which no figure is shown."""
    if not expected or expected["low"] is None or expected["high"] is None:
        return "not measured"
    low, high = 100 * expected["low"], 100 * expected["high"]
    return (
        f"{100 * expected['accuracy']:.1f} % right ({low:.1f} to {high:.1f} %; "
        f"{expected['what']}, {expected['n']:,} samples)"
    )


def _abstention(abstention: dict[str, Any]) -> str:
    if abstention.get("statement"):
        return str(abstention["statement"])
    if abstention["threshold"] is None:
        return "always"
    return f"below a confidence of {abstention['threshold']:.4g}"
