"""Signatures of a manifest: who made them, of what, and every key that cannot."""

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives import serialization as of
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from penultimate.bundle import BundleError, new_key
from penultimate.bundle.signatures import check_signature, fingerprint_of, make_signature

MANIFEST = b'{"format": "penultimate-bundle"}\n'
PLAIN, SECRET = of.NoEncryption(), of.BestAvailableEncryption(b"secret")


def private_pem(key, how=PLAIN, form=of.PrivateFormat.PKCS8):
    return key.private_bytes(of.Encoding.PEM, form, how)


def public_pem(key):
    return key.public_key().public_bytes(of.Encoding.PEM, of.PublicFormat.SubjectPublicKeyInfo)


KEYS = {
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "p256": ec.generate_private_key(ec.SECP256R1()),
}
ED = KEYS["ed25519"]
OTHERS = {
    "RSA": rsa.generate_private_key(65537, 2048),
    "EC on the curve secp384r1": ec.generate_private_key(ec.SECP384R1()),
    "Ed448": ed448.Ed448PrivateKey.generate(),
}


def signed(by=ED, manifest=MANIFEST, **changes):
    """Return a signature, with other fields if some are given."""
    content, _ = make_signature(manifest, private_pem(by))
    return f"{json.dumps(json.loads(content) | changes, indent=1)}\n".encode()


def of_bytes(value):
    """Name a parameter: keys are others in every process, and names of tests must not be."""
    return "content" if isinstance(value, bytes) else None


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_what_was_signed_is_verified_and_always_the_same_bytes(key):
    content, signer = make_signature(MANIFEST, private_pem(key))
    assert check_signature(memoryview(MANIFEST), memoryview(content), public_pem(key)) == signer
    assert make_signature(MANIFEST, private_pem(key)) == (content, signer)
    other = KEYS["p256" if key is ED else "ed25519"]
    assert make_signature(MANIFEST, private_pem(other))[0] != content


def test_a_fingerprint_is_the_hash_of_the_public_key():
    der = ED.public_key().public_bytes(of.Encoding.DER, of.PublicFormat.SubjectPublicKeyInfo)
    assert fingerprint_of(public_pem(ED)) == hashlib.sha256(der).hexdigest()
    assert json.loads(signed())["key"] == fingerprint_of(public_pem(ED))


def test_a_new_key_signs_and_is_another_each_time():
    one, two = new_key(), new_key()
    assert one != two
    content, signer = make_signature(MANIFEST, one.private)
    assert check_signature(MANIFEST, content, one.public) == signer
    with pytest.raises(BundleError, match="signed with another key: it names"):
        check_signature(MANIFEST, content, two.public)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_each_byte_of_the_manifest_counts(key):
    content = signed(key)
    for place in range(len(MANIFEST)):
        other = bytearray(MANIFEST)
        other[place] ^= 1
        with pytest.raises(BundleError, match="The signature is not of this manifest"):
            check_signature(other, content, public_pem(key))


@pytest.mark.parametrize(
    ("content", "message"),
    ids=of_bytes,
    argvalues=[
        (None, "is not signed, and a key was given"),
        (b"", "signature.json in the bundle is not valid"),
        (b"[]", "no signature of Penultimate"),
        (b" " * 5000, "has 5,000 bytes"),
        (signed(format="x"), "no signature of Penultimate"),
        (signed(version=2), "version 2, and this Penultimate reads version 1"),
        (signed(version=True), "version True"),
        (
            signed(algorithm="rsa"),
            "the algorithm 'rsa', which is unknown here; known are 'ed25519'",
        ),
        (signed(algorithm=None), "the algorithm 'None'"),
        (signed(algorithm="ecdsa-p256-sha256"), "says 'ecdsa-p256-sha256', and the key is for"),
        (signed(time="now"), "other fields than"),
        (signed(signature=5), "other fields than"),
        (signed(signature="%%"), "not written as base64"),
        (signed(signature=""), "not of this manifest"),
        (signed() + b" ", "was changed after it was written"),
        (signed().replace(b"==", b"="), "not written as base64"),
        (signed(signature=base64.b64encode(bytes(64)).decode()), "not of this manifest"),
        (signed(KEYS["p256"]), "signed with another key"),
        (signed(manifest=b"{}"), "not of this manifest"),
        # Names the right key, and was made with another one.
        (
            signed(ed25519.Ed25519PrivateKey.generate(), key=fingerprint_of(public_pem(ED))),
            "not of this manifest",
        ),
    ],
)
def test_what_is_no_signature_of_this_key(content, message):
    with pytest.raises(BundleError, match=message):
        check_signature(MANIFEST, content, public_pem(ED))


@pytest.mark.parametrize(
    ("content", "message"),
    ids=of_bytes,
    argvalues=[
        (b"", "The file of the private key is empty"),
        (b" \n", "is empty"),
        (b"PK\3\4", r"holds no private key: it begins with b'PK\\x03\\x04'"),
        (public_pem(ED), "It is a public key, which verifies"),
        (private_pem(ED)[:-40], "The private key cannot be read .*Copy it again"),
        (private_pem(ED, SECRET), "protected by a password. .* openssl pkey -in key.pem"),
        (
            private_pem(KEYS["p256"], SECRET, of.PrivateFormat.TraditionalOpenSSL),
            "protected by a password",
        ),
        (private_pem(ED, form=of.PrivateFormat.OpenSSH), "private key cannot be read"),
        *((private_pem(key), f"of the kind {name}. .*Ed25519") for name, key in OTHERS.items()),
    ],
)
def test_what_cannot_sign(content, message):
    with pytest.raises(ValueError, match=message):
        make_signature(MANIFEST, content)


@pytest.mark.parametrize(
    ("content", "message"),
    ids=of_bytes,
    argvalues=[
        (b"", "The file of the public key is empty"),
        (b"ssh-ed25519 AAAA", "holds no public key: it begins with b'ssh-ed25519 AAAA'"),
        (b"-----BEGIN CERTIFICATE-----\nx", "is a certificate: openssl x509"),
        (private_pem(ED), "It is a private key, which signs.* openssl pkey -in key.pem -pubout"),
        (private_pem(ED, SECRET), "It is a private key"),
        (private_pem(ED) + public_pem(ED), "It is a private key"),
        (public_pem(ED)[:-40], "The public key cannot be read"),
        *((public_pem(key), f"of the kind {name}. .*Ed25519") for name, key in OTHERS.items()),
    ],
)
def test_what_cannot_verify(content, message):
    with pytest.raises(ValueError, match=message):
        check_signature(MANIFEST, signed(), content)
