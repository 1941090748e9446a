"""One HTML file that classifies images in a browser, without a server and without a network.

It carries the graph, ONNX Runtime compiled to WebAssembly, and scripts (`templates/*.js`), one per
concern, that are joined here to one. Its policy lets the browser run that script and nothing else,
and open no connection at all. What it carries is gzipped and written as base64, and unpacked by the
browser: that is about as large as the files themselves.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable
from importlib.resources import files
from types import SimpleNamespace
from typing import Any

from penultimate._common.pages import templates_of
from penultimate.bundle import description
from penultimate.bundle.manifest import Manifest
from penultimate.bundle.parts import GRAPH
from penultimate.bundle.predictor import Predictor
from penultimate.bundle.thumbnails import number_of
from penultimate.bundle.web_runtime import PACKAGE, WebRuntime

_PACKAGE = "penultimate.bundle"
_SCRIPTS = (
    "words", "unpack", "model", "pixels", "answers", "cards", "files", "panels", "drawing",
    "camera", "start",
)  # fmt: skip
_BARS = ("margins", "scores", "probabilities")  # the first that the graph gives is shown
_SHEET = 320  # pixels of its longer side


def render_page(predictor: Predictor, runtime: WebRuntime, *, name: str) -> str:
    """Render the page of a model.

    Parameters
    ----------
    predictor : Predictor
        Of images.
    runtime : WebRuntime
        Returned by `find_runtime`.
    name : str
        Name of the model, for the page's title.

    Returns
    -------
    str
        HTML; the same model gives the same text.

    Raises
    ------
    ValueError
        If the model takes features, which nobody can show to a page.
    """
    if predictor.manifest.kind != "images":
        raise ValueError(
            f"The model takes {predictor.manifest.kind}, and a page classifies images. Save a "
            "model that has its network in it, such as a DeepSVC."
        )
    from markupsafe import Markup

    words = words_of(_PACKAGE)
    style, script = style_of(), joined_scripts(_PACKAGE, _SCRIPTS)
    graph = predictor.part(GRAPH)
    packed = {"script": runtime.script, "binary": runtime.binary, "graph": graph}
    examples = {
        number: f"data:image/png;base64,{base64.b64encode(strip).decode()}"
        for number, strip in strips_of(predictor).items()
    }
    values = page_values(predictor, words, examples)
    values["about"] += [
        (words["runtime"], f"{PACKAGE} {runtime.version}"),
        (words["graph"], hashlib.sha256(graph).hexdigest()),
    ]
    return (
        templates_of(_PACKAGE)
        .get_template("classify.html.j2")
        .render(
            values,
            name=name,
            policy=_policy(script, style),
            # Hashes of the policy are of exactly these characters.
            style=Markup(style),
            script=Markup(script),
            license=template_of(_PACKAGE, "onnxruntime_license.txt"),
            packed={each: _packed(content) for each, content in packed.items()},
        )
    )


def page_values(
    predictor: Predictor, words: dict[str, Any], examples: dict[int, str]
) -> dict[str, Any]:
    """Return what ``classify.html.j2`` shows of a model, wherever the model runs.

    Parameters
    ----------
    predictor : Predictor
        Of images.
    words : dict
        See `words_of`.
    examples : dict of int to str
        Addresses of the strips of `strips_of`.
    """
    manifest = predictor.manifest
    subsets = [
        {"name": subset, "members": members} for subset, members in (manifest.subsets or {}).items()
    ]
    kind = next(each for each in _BARS if each in predictor.outputs)
    return {
        "words": SimpleNamespace(**words),
        "subsets": subsets,
        "meaning": words[kind],
        "sheet": _sheet(manifest),
        "about": description.rows(manifest, predictor.signature),
        "facts": {
            "classes": [str(each) for each in manifest.classes],
            "subsets": subsets,
            "kind": kind,
            "features": manifest.input["n_features"],
            "examples": examples,
            "words": words,
        },
    }


def words_of(*packages: str) -> dict[str, Any]:
    """Return what a page says; a later package may say some of it otherwise."""
    words: dict[str, Any] = {}
    for package in packages:
        words |= json.loads(template_of(package, "words.json"))
    return words


def style_of() -> str:
    """Return the styles of the page."""
    names = '{% include "page.css" %}{% include "classify.css" %}'
    return templates_of(_PACKAGE).from_string(names).render()


def joined_scripts(package: str, names: Iterable[str]) -> str:
    """Return scripts of a package as one module, in which they share their names."""
    return "".join(f"\n{template_of(package, f'{each}.js')}" for each in names)


def strips_of(predictor: Predictor) -> dict[int, bytes]:
    """Return the training images that a bundle shows, a strip for each class that has one."""
    found = {number_of(name): name for name in predictor.manifest.parts}
    return {number: predictor.part(name) for number, name in found.items() if number is not None}


def template_of(package: str, name: str) -> str:
    """Return the text of a template as it is."""
    return files(package).joinpath("templates", name).read_text("utf-8")


def _policy(script: str, style: str) -> str:
    """Return the Content-Security-Policy: these scripts and styles alone, and no connection."""
    hashes = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (script, style)
    ]
    return "; ".join(
        [
            "default-src 'none'",
            # The page makes the blob itself, of the runtime that it carries.
            f"script-src 'sha256-{hashes[0]}' 'wasm-unsafe-eval' blob:",
            f"style-src 'sha256-{hashes[1]}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _sheet(manifest: Manifest) -> dict[str, int]:
    """Return the size of the sheet to draw on, of the network's proportions, and of the pen."""
    height, width = manifest.input.get("size") or (1, 1)
    factor = _SHEET / max(height, width)
    return {
        "height": max(1, round(factor * height)),
        "width": max(1, round(factor * width)),
        "pen": 22,
    }


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
