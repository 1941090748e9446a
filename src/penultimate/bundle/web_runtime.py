"""ONNX Runtime for browsers: the files of the npm package ``onnxruntime-web`` on this machine.

Nothing is downloaded. A page that carries code of others has to carry the right code: the files are
taken if their SHA-256 is known, and refused otherwise.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
VARIABLE = "PENULTIMATE_ONNXRUNTIME_WEB"
# The build for processors alone: those for graphics are twice as large.
_SCRIPT, _BINARY = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
_SHA256 = {
    _SCRIPT: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    _BINARY: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}


@dataclass(frozen=True)
class WebRuntime:
    """ONNX Runtime for browsers.

    Attributes
    ----------
    version : str
    script : bytes
        A JavaScript module.
    binary : bytes
        The WebAssembly that it runs.
    """

    version: str
    script: bytes
    binary: bytes


def find_runtime(folder: str | os.PathLike[str] | None = None) -> WebRuntime:
    """Read ONNX Runtime for browsers from a folder on this machine.

    Parameters
    ----------
    folder : str or path-like, optional
        That of the npm package or its ``dist``. By default the one that the environment variable
        ``PENULTIMATE_ONNXRUNTIME_WEB`` names, or ``node_modules`` in the current folder.

    Returns
    -------
    WebRuntime

    Raises
    ------
    FileNotFoundError
        If it is not there; the message says how to install it.
    ValueError
        If it is of another version, or changed.
    """
    named = folder or os.environ.get(VARIABLE)
    place = Path(named) if named else Path("node_modules", PACKAGE)
    advice = f"Install it with: npm install {PACKAGE}@{VERSION}"
    for inside in (place, place / "dist", place / "node_modules" / PACKAGE / "dist"):
        if (inside / _SCRIPT).is_file() and (inside / _BINARY).is_file():
            break
    else:
        hint = "" if named else f", or set {VARIABLE} to the folder of the package"
        raise FileNotFoundError(
            f"The page runs the model with {PACKAGE}, which is not in {str(place)!r}. "
            f"{advice}{hint}."
        )
    contents = {name: (inside / name).read_bytes() for name in _SHA256}
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != _SHA256[name]:
            raise ValueError(
                f"{str(inside / name)!r} is not that of {PACKAGE} {VERSION}: its SHA-256 is not "
                f"the known one. {advice}."
            )
    return WebRuntime(VERSION, contents[_SCRIPT], contents[_BINARY])
