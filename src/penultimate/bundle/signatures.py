"""The signature of a manifest: made with a private key, checked with the public one.

The manifest holds the SHA-256 of every other member, and nothing that it does not list may be in a
bundle. So the signature is of the bytes of ``manifest.json`` alone, and covers the whole file. It
lies beside it as ``signature.json``, with the fingerprint of the key: the SHA-256 of the public key
as DER. Both algorithms are used so that the same key signs the same manifest with the same bytes;
there is no time in it, which only a third party could vouch for.

Nothing else imports cryptography, and only these functions do: opening a bundle needs no key.
"""

import base64
import binascii
import hashlib
import json
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from penultimate._common.door import spelled
from penultimate._common.imports import import_optional
from penultimate.bundle.errors import BundleError
from penultimate.bundle.strict_json import parse_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

FORMAT, VERSION = "penultimate-signature", 1
_FIELDS = {"format", "version", "algorithm", "key", "signature"}
ED25519, P256 = "ed25519", "ecdsa-p256-sha256"
_MAX_BYTES = 4096
_KINDS = "A key is a PEM file, of the kind Ed25519 or on the curve P-256."
_PUBLIC_FROM = "openssl pkey -in key.pem -pubout -out public.pem"


# The two kinds of keys differ in one argument: an elliptic curve goes with any hash, which has to
# be stated, and Ed25519 has its own.
class _PublicKey(Protocol):
    def verify(self, signature: bytes, data: bytes, *algorithm: "ECDSA") -> None: ...

    def public_bytes(self, encoding: "Encoding", format: "PublicFormat") -> bytes: ...


class _PrivateKey(Protocol):
    def sign(self, data: bytes, *algorithm: "ECDSA") -> bytes: ...

    def public_key(self) -> _PublicKey: ...


class KeyPair(NamedTuple):
    """A new key, as the contents of two PEM files; `private` is to be kept secret."""

    private: bytes
    public: bytes


def new_key() -> KeyPair:
    """Return a new Ed25519 key.

    Returns
    -------
    KeyPair

    Examples
    --------
    >>> from penultimate.bundle import new_key
    >>> new_key().public.splitlines()[0]
    b'-----BEGIN PUBLIC KEY-----'
    """
    of = _serialization()
    key = _asymmetric("ed25519").Ed25519PrivateKey.generate()
    pkcs8 = (of.Encoding.PEM, of.PrivateFormat.PKCS8, of.NoEncryption())
    public = (of.Encoding.PEM, of.PublicFormat.SubjectPublicKeyInfo)
    return KeyPair(key.private_bytes(*pkcs8), key.public_key().public_bytes(*public))


def fingerprint_of(public: bytes) -> str:
    """Return the SHA-256 of a public key as DER, in hexadecimal digits.

    Parameters
    ----------
    public : bytes
        Content of a PEM file.

    Returns
    -------
    str
    """
    return _fingerprint(_public_key(public))


def make_signature(manifest: bytes | memoryview, private: bytes) -> tuple[bytes, str]:
    """Return a ``signature.json`` and who signs; the same key and manifest give the same bytes.

    Parameters
    ----------
    manifest : bytes
        Content of ``manifest.json``.
    private : bytes
        Content of a PEM file with a private key.

    Returns
    -------
    content : bytes
    fingerprint : str

    Raises
    ------
    ValueError
        If it is no private key that can sign.
    """
    key = _private_key(private)
    algorithm = _algorithm(key.public_key())
    if algorithm == ED25519:
        value = key.sign(bytes(manifest))
    else:
        value = key.sign(bytes(manifest), _ecdsa(deterministic_signing=True))
    fingerprint = _fingerprint(key.public_key())
    return _written(algorithm, fingerprint, value), fingerprint


def check_signature(
    manifest: bytes | memoryview, signature: bytes | memoryview | None, public: bytes
) -> str:
    """Raise unless a manifest was signed with the private key that belongs to a public one.

    Parameters
    ----------
    manifest : bytes
        Content of ``manifest.json``.
    signature : bytes or None
        Content of ``signature.json``; None if there is none.
    public : bytes
        Content of a PEM file with a public key.

    Returns
    -------
    str
        Fingerprint of the key.

    Raises
    ------
    BundleError
        If there is no signature, of another key, of an unknown algorithm, or of other bytes.
    ValueError
        If it is no public key that can verify.
    """
    key = _public_key(public)
    fingerprint = _fingerprint(key)
    if signature is None:
        raise BundleError(
            "The bundle is not signed, and a key was given to verify it with. Get the signed "
            f"file, or open it without {spelled('--key', 'key')}."
        )
    algorithm, signer, value = _parse(signature)
    if signer != fingerprint:
        raise BundleError(
            f"The bundle is signed with another key: it names {signer}, and the key that was "
            f"given is {fingerprint}. Ask who signed it for their public key."
        )
    if algorithm != _algorithm(key):
        raise BundleError(
            f"The signature says {algorithm!r}, and the key is for {_algorithm(key)!r}. "
            "It was changed after it was signed: get the file again."
        )
    wrong = import_optional("cryptography.exceptions", "sign").InvalidSignature
    try:
        if algorithm == ED25519:
            key.verify(value, bytes(manifest))
        else:
            key.verify(value, bytes(manifest), _ecdsa())
    except wrong:
        raise BundleError(
            "The signature is not of this manifest: the bundle was changed after it was signed, "
            "or the signature is of another one. Get the file again from who signed it."
        ) from None
    return fingerprint


def _written(algorithm: str, key: str, value: bytes) -> bytes:
    """Return the one form of a ``signature.json``."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "algorithm": algorithm,
        "key": key,
        "signature": base64.b64encode(value).decode(),
    }
    return f"{json.dumps(document, indent=1)}\n".encode()


def _parse(signature: bytes | memoryview) -> tuple[str, str, bytes]:
    """Return algorithm, key and value of a ``signature.json``, strictly read."""
    if len(signature) > _MAX_BYTES:
        raise BundleError(f"signature.json has {len(signature):,} bytes; at most {_MAX_BYTES:,}.")
    found = parse_json(signature, "signature.json")
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise BundleError(
            f"signature.json is no signature of Penultimate: it does not say format {FORMAT!r}."
        )
    if found.get("version") != VERSION or isinstance(found["version"], bool):
        raise BundleError(
            f"The signature is of version {str(found.get('version'))[:20]}, and this Penultimate "
            f"reads version {VERSION}. Update it: pip install --upgrade penultimate"
        )
    if found.get("algorithm") not in (ED25519, P256):
        raise BundleError(
            f"The signature is of the algorithm {str(found.get('algorithm'))[:40]!r}, which is "
            f"unknown here; known are {ED25519!r} and {P256!r}. Update Penultimate, or ask for a "
            "signature with one of these."
        )
    if set(found) != _FIELDS or not all(type(found[each]) is str for each in ("key", "signature")):
        raise BundleError(f"signature.json has other fields than {sorted(_FIELDS)}.")
    try:
        value = base64.b64decode(found["signature"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise BundleError(f"The signature is not written as base64: {error}.") from None
    # Base64 has bits that mean nothing, and JSON blanks: nobody can hide anything in them.
    if signature != _written(found["algorithm"], found["key"], value):
        raise BundleError("signature.json was changed after it was written. Get the file again.")
    return found["algorithm"], found["key"][:64], value


def _private_key(content: bytes) -> _PrivateKey:
    kind = _kind_of(content, "private")
    if kind == "public":
        raise ValueError(
            "It is a public key, which verifies. Signing takes the private one, in a file that "
            "begins with '-----BEGIN PRIVATE KEY-----'."
        )
    load = _serialization().load_pem_private_key
    try:
        key = load(content, password=None)
    except TypeError:  # how the library says that a password is missing
        raise ValueError(
            "The private key is protected by a password. Write a copy without one, sign, and "
            "delete it: openssl pkey -in key.pem -out plain.pem"
        ) from None
    except Exception as error:  # of many types, by what is wrong in the file
        raise ValueError(_unreadable("private", error)) from None
    _algorithm(key.public_key())
    return key


def _public_key(content: bytes) -> _PublicKey:
    kind = _kind_of(content, "public")
    if kind == "private":
        raise ValueError(
            "It is a private key, which signs, and is kept secret. Verifying takes the public one: "
            f"{_PUBLIC_FROM}"
        )
    load = _serialization().load_pem_public_key
    try:
        key = load(content)
    except Exception as error:
        raise ValueError(_unreadable("public", error)) from None
    _algorithm(key)
    return key


def _kind_of(content: bytes, wanted: str) -> str:
    """Return ``"private"`` or ``"public"`` by the first line of a PEM file."""
    if not content.strip():
        raise ValueError(f"The file of the {wanted} key is empty. {_KINDS}")
    if b"PRIVATE KEY-----" in content:
        return "private"
    if b"-----BEGIN PUBLIC KEY-----" in content:
        return "public"
    first = content.lstrip()[:24]
    if b"-----BEGIN CERTIFICATE-----" in content:
        advice = "It is a certificate: openssl x509 -in file.pem -pubkey -noout -out public.pem"
    else:
        advice = _KINDS
    raise ValueError(f"The file holds no {wanted} key: it begins with {first!r}. {advice}")


def _unreadable(kind: str, error: Exception) -> str:
    reason = str(error).partition(". ")[0].rstrip(".")
    return f"The {kind} key cannot be read ({reason}). Copy it again. {_KINDS}"


def _algorithm(key: object) -> str:
    """Return the algorithm that a public key is for, or refuse it."""
    if isinstance(key, _asymmetric("ed25519").Ed25519PublicKey):
        return ED25519
    curve = getattr(getattr(key, "curve", None), "name", None)
    if curve == "secp256r1":
        return P256
    kind = type(key).__name__.lstrip("_").removesuffix("PublicKey")
    raise ValueError(
        f"The key is of the kind {kind}{f' on the curve {curve}' if curve else ''}. {_KINDS} "
        f"{spelled('penultimate sign --new-key key.pem', 'new_key()')} makes one."
    )


def _fingerprint(key: _PublicKey) -> str:
    of = _serialization()
    der = key.public_bytes(of.Encoding.DER, of.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def _serialization() -> ModuleType:
    return import_optional("cryptography.hazmat.primitives.serialization", "sign")


def _asymmetric(name: str) -> ModuleType:
    return import_optional(f"cryptography.hazmat.primitives.asymmetric.{name}", "sign")


def _ecdsa(**options: bool) -> "ECDSA":
    """Return ECDSA; without random numbers, by RFC 6979, where it signs."""
    sha256 = import_optional("cryptography.hazmat.primitives.hashes", "sign").SHA256()
    return _asymmetric("ec").ECDSA(sha256, **options)
