"""Hashes of samples, by which a store finds their features: 128 bits of the content (XXH3).

Unlike the fingerprints of `penultimate.provenance`, which recognize an image on any scale, these
differ whenever the network would be fed anything else: other values, another type or shape.
"""

import numpy as np
import xxhash
from numpy.typing import ArrayLike, NDArray

WIDTH = 16  # bytes; of a billion samples, any two share a hash with a probability of 1e-21


def content_hash(content: bytes | str) -> bytes:
    """Return the hash of one sample: of the bytes of its file, or of a text.

    Parameters
    ----------
    content : bytes or str

    Returns
    -------
    bytes
        16 bytes.

    Examples
    --------
    >>> from penultimate.store import content_hash
    >>> content_hash(b"a photo").hex()
    'dd49aa11832b39160e740fa0a72b000f'
    """
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogatepass")
    return xxhash.xxh3_128_digest(content)


def content_hashes(X: ArrayLike) -> NDArray[np.uint8]:
    """Return the hash of each sample of an array, or of each text of a list.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...), or list of str or bytes

    Returns
    -------
    ndarray of shape (n_samples, 16), uint8

    Raises
    ------
    ValueError
        If `X` is neither an array of numbers nor a list of texts.

    Examples
    --------
    >>> import numpy as np
    >>> from penultimate.store import content_hashes
    >>> images = np.zeros((3, 8, 8), np.uint8)
    >>> images[2, 0, 0] = 1
    >>> hashes = content_hashes(images)
    >>> hashes.shape, len({bytes(one) for one in hashes})
    ((3, 16), 2)
    """
    if isinstance(X, np.ndarray) and X.dtype.kind in "UTO":
        X = X.tolist()
    if isinstance(X, (list, tuple)) and X and all(isinstance(x, (str, bytes)) for x in X):
        digests = [content_hash(x) for x in X]
    else:
        values = np.asarray(X)
        if values.ndim < 1 or values.dtype.kind not in "biuf":
            raise ValueError(
                "Samples to hash must be an array of numbers or a list of texts; got an array of "
                f"dtype {values.dtype} and shape {values.shape}."
            )
        # The same bytes are other samples in another type or shape.
        seed = xxhash.xxh3_64_intdigest(repr((values.dtype.str, values.shape[1:])).encode())
        digests = [xxhash.xxh3_128_digest(np.ascontiguousarray(x).data, seed) for x in values]
    return as_array(digests)


def as_digests(hashes: object) -> list[bytes]:
    """Return hashes of either form as a list of bytes, which can be looked up.

    Parameters
    ----------
    hashes : ndarray of shape (n_samples, 16), uint8, or list of bytes

    Raises
    ------
    ValueError
        If it is anything else.
    """
    if isinstance(hashes, np.ndarray) and hashes.dtype == np.uint8:
        if hashes.ndim == 2 and hashes.shape[1] == WIDTH:
            return np.ascontiguousarray(hashes).view(f"V{WIDTH}").ravel().tolist()
    elif isinstance(hashes, (list, tuple)):
        if all(isinstance(one, bytes) and len(one) == WIDTH for one in hashes):
            return list(hashes)
        if hashes and all(np.shape(one) == (WIDTH,) for one in hashes):  # rows of such an array
            return as_digests(np.asarray(hashes, np.uint8))
    got = ""
    if isinstance(hashes, (np.ndarray, np.generic)):
        got = f"an array of {hashes.dtype} and shape {hashes.shape}"
    raise ValueError(
        f"Hashes must be an array of uint8 of shape (n_samples, {WIDTH}), as from content_hashes, "
        f"or a list of {WIDTH} bytes each, as from content_hash; got {got or repr(hashes)[:80]}."
    )


def as_array(digests: list[bytes]) -> NDArray[np.uint8]:
    """Return a list of hashes as an array of shape (n_samples, 16)."""
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, WIDTH)


def digest_of(digests: list[bytes]) -> str:
    """Return a digest of a list of hashes, in their order."""
    return xxhash.xxh3_128_hexdigest(b"".join(digests))
