"""Signing bundles with a key of one's own, and verifying them; both offline."""

import os
from pathlib import Path

from penultimate._common.door import spelled
from penultimate._common.files import write_together
from penultimate.bundle.archive import MANIFEST, SIGNATURE, write_archive
from penultimate.bundle.contents import read_contents
from penultimate.bundle.errors import BundleError
from penultimate.bundle.loading import read_key, read_source
from penultimate.bundle.signatures import fingerprint_of, make_signature, new_key

Key = str | os.PathLike[str] | bytes


def sign(
    path: str | os.PathLike[str],
    key: Key,
    *,
    out: str | os.PathLike[str] | None = None,
    replace: bool = False,
) -> str:
    """Sign a bundle, so that who has the public key can verify that it is yours and unchanged.

    The same bundle and key give the same bytes. Nothing else in the file changes.

    Parameters
    ----------
    path : str or path-like
        A file that `penultimate.save` wrote.
    key : str, path-like or bytes
        Private key, Ed25519 or on the curve P-256: a PEM file, or its content.
    out : str or path-like, optional
        Where to write the signed bundle; by default it replaces `path`.
    replace : bool, default=False
        Whether another signature that is there already may be replaced.

    Returns
    -------
    str
        Fingerprint of the key: the SHA-256 of the public key as DER.

    Raises
    ------
    BundleError
        If it is no bundle, damaged, or signed with another key.
    ValueError
        If it is no private key that can sign.
    ImportError
        If cryptography is not installed.

    Examples
    --------
    >>> import tempfile, penultimate
    >>> from penultimate.bundle import new_key, sign
    >>> mine = new_key()
    >>> svc = penultimate.SVC(kernel="linear").fit([[0.0], [2.0]], ["low", "high"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = penultimate.save(svc, f"{folder}/model.zip", [[0.0], [2.0]])
    ...     signer = sign(f"{folder}/model.zip", mine.private)
    ...     model = penultimate.load(f"{folder}/model.zip", key=mine.public)
    >>> model.signed_by == signer
    True
    """
    members, _, _ = read_contents(read_source(path))
    parts = {name: bytes(each) for name, each in members.items()}
    before = parts.get(SIGNATURE)
    signer = add_signature(parts, read_key(key))
    if before is not None and before != parts[SIGNATURE] and not replace:
        raise BundleError(
            f"{os.fspath(path)!r} is already signed with another key. Verify whose it is, and "
            f"replace the signature with {spelled('--replace', 'replace=True')}."
        )
    write_archive(path if out is None else out, parts)
    return signer


def add_signature(parts: dict[str, bytes], key: bytes) -> str:
    """Sign the parts of a bundle, among which the signature is then; return the key's fingerprint.

    Parameters
    ----------
    parts : dict of str to bytes
    key : bytes
        Content of the file of a private key.

    Returns
    -------
    str
    """
    parts[SIGNATURE], signer = make_signature(memoryview(parts[MANIFEST]), key)
    return signer


def verify(path: str | os.PathLike[str], key: Key) -> str:
    """Raise unless a bundle is whole and was signed with a key.

    `load` does the same with its `key`, and opens the model, too.

    Parameters
    ----------
    path : str or path-like
        A bundle.
    key : str, path-like or bytes
        Public key of who has to have signed it: a PEM file, or its content.

    Returns
    -------
    str
        Fingerprint of the key: the SHA-256 of the public key as DER.

    Raises
    ------
    BundleError
        If it is no bundle, damaged, not signed, or not with this key.
    ValueError
        If it is no public key that can verify.
    ImportError
        If cryptography is not installed.

    Examples
    --------
    >>> import tempfile, penultimate
    >>> from penultimate.bundle import new_key, sign, verify
    >>> mine, other = new_key(), new_key()
    >>> svc = penultimate.SVC(kernel="linear").fit([[0.0], [2.0]], ["low", "high"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = penultimate.save(svc, f"{folder}/model.zip", [[0.0], [2.0]])
    ...     signer = sign(f"{folder}/model.zip", mine.private)
    ...     print(verify(f"{folder}/model.zip", mine.public) == signer)
    ...     verify(f"{folder}/model.zip", other.public)
    Traceback (most recent call last):
    penultimate.bundle.errors.BundleError: The bundle is signed with another key: ...
    """
    signed_by = read_contents(read_source(path), read_key(key)).signed_by
    assert signed_by is not None  # as a key was given
    return signed_by


def write_new_key(path: str | os.PathLike[str]) -> tuple[Path, str]:
    """Write a new key into two files: the private one, and the public one to give away.

    Parameters
    ----------
    path : str or path-like
        For the private key, such as ``"key.pem"``; the public one is ``"key-public.pem"``. Neither
        may exist: a private key that is overwritten is lost.

    Returns
    -------
    public : Path
    fingerprint : str
    """
    private = Path(path)
    public = private.with_name(f"{private.stem}-public{private.suffix}")
    for each in (private, public):
        if os.path.lexists(each):
            raise FileExistsError(f"{str(each)!r} exists already. Choose another name for the key.")
    pair = new_key()
    with write_together([private, public]) as temporaries:
        for temporary, content in zip(temporaries, pair, strict=True):
            temporary.write_bytes(content)
        temporaries[0].chmod(0o600)  # until here only the owner can open the folder that it is in
    return public, fingerprint_of(pair.public)
