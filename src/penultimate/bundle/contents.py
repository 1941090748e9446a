"""What is in a bundle, after everything about it was checked but its running.

The order is from the outside: the zip; the signature, if a key was given; the manifest; the parts.
Each is parsed only when what is around it was found to be right.
"""

from typing import NamedTuple

from penultimate.bundle.archive import MANIFEST, SIGNATURE, unpack
from penultimate.bundle.errors import BundleError
from penultimate.bundle.manifest import Manifest
from penultimate.bundle.parts import check_parts
from penultimate.bundle.signatures import check_signature


class Contents(NamedTuple):
    """What is in a bundle.

    Attributes
    ----------
    members : dict of str to memoryview
    manifest : Manifest
    signed_by : str or None
        Fingerprint of the key that the signature was verified with; None without a key.
    """

    members: dict[str, memoryview]
    manifest: Manifest
    signed_by: str | None


def read_contents(content: bytes, key: bytes | None = None) -> Contents:
    """Return what is in a bundle.

    Parameters
    ----------
    content : bytes
    key : bytes, optional
        Content of a PEM file with a public key, which the bundle has to be signed with.

    Returns
    -------
    Contents

    Raises
    ------
    BundleError
        If it is no bundle, damaged, not safe to open, or not signed with that key.
    ValueError
        If it is no public key.
    """
    members = unpack(content)
    if MANIFEST not in members:
        raise BundleError("The file is a zip without manifest.json: it is no bundle.")
    signed_by = None
    if key is not None:
        signed_by = check_signature(members[MANIFEST], members.get(SIGNATURE), key)
    manifest = Manifest.from_json(members[MANIFEST])
    check_parts(manifest, members)
    return Contents(members, manifest, signed_by)
