"""A trained network in one file: Keras's own format, plus the fingerprints of its samples.

A ``.keras`` file is a zip archive. The provenance is one more member of it, which Keras ignores, so
that network and provenance cannot be separated by copying the file.
"""

import zipfile
from pathlib import Path

from penultimate._common.files import write_atomically
from penultimate._common.protocols import Network
from penultimate.networks.frameworks.backend import import_keras, is_keras_model
from penultimate.networks.frameworks.onnx_graphs import OnnxNetwork
from penultimate.provenance.records import Provenance, provenance_of, set_provenance

# In a folder of our own, so that it cannot meet a member of Keras's.
_MEMBER = "penultimate/provenance.safetensors"


def save_network(network: Network, path: str | Path) -> None:
    """Write a network with its provenance as a ``.keras`` file, atomically.

    Keras can read the file, too, but ignores the provenance: use `load_network`.

    Parameters
    ----------
    network : keras.Model
    path : str or Path
        Destination; it must end in ``.keras``.

    Raises
    ------
    TypeError
        If `network` is not a Keras model.
    ValueError
        If `path` does not end in ``.keras``.
    OSError
        If the file cannot be written; an earlier file is unchanged.

    Examples
    --------
    >>> import tempfile, pathlib, numpy as np
    >>> from penultimate import provenance
    >>> from penultimate.networks import build_network, load_network, save_network
    >>> network = build_network("compact", (8, 8, 1), 2, seed=3)
    >>> provenance.record(network, 255 * np.eye(8)[np.newaxis])
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "network.keras"
    >>> save_network(network, path)
    >>> len(provenance.provenance_of(load_network(path)).trained)
    1
    """
    path = Path(path)
    if not is_keras_model(network):
        raise TypeError(f"'network' must be a Keras model; got {network!r}.")
    if path.suffix != ".keras":
        raise ValueError(f"'path' must end in .keras; got {str(path)!r}.")
    # Both are written to a temporary file first: a network never exists without its provenance.
    with write_atomically(path) as temporary:
        network.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(_MEMBER, provenance_of(network).to_bytes())


def load_network(path: str | Path) -> Network | OnnxNetwork:
    """Read a network from a file of your own, a ``.keras`` one with its provenance if it has one.

    Parameters
    ----------
    path : str or Path
        A ``.keras`` or an ``.onnx`` file.

    Returns
    -------
    keras.Model or OnnxNetwork

    Raises
    ------
    ValueError
        If the file is missing or damaged, or contains code, which is not run.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from penultimate.networks import build_network, load_network, save_network
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "network.keras"
    >>> save_network(build_network("compact", (8, 8, 1), 2), path)
    >>> load_network(path).input_shape
    (None, 8, 8, 1)
    """
    path = Path(path)
    if path.suffix.lower() == ".onnx":
        return OnnxNetwork(path)
    if path.is_file() and not zipfile.is_zipfile(path):
        raise ValueError(f"{str(path)!r} is damaged, or no Keras file: save the network again.")
    try:
        # Safe mode refuses Lambda layers, which hold code that would run when loaded.
        network = import_keras().saving.load_model(path, safe_mode=True)
    except ValueError as error:
        # Other faults have the same type, and a message that says what they are.
        if "Lambda" not in str(error) and "safe_mode" not in str(error):
            raise
        raise ValueError(
            f"{str(path)!r} has a Lambda layer, which holds code that would run when it is loaded: "
            "it was not. Replace the layer by one of Keras's own and save it again; or, if the "
            "file is yours, load it with keras.models.load_model(path, safe_mode=False), and pass "
            "the network."
        ) from error
    with zipfile.ZipFile(path) as archive:
        if _MEMBER in archive.namelist():
            set_provenance(network, Provenance.from_bytes(archive.read(_MEMBER), str(path)))
    return network
