"""Signed bundles: signing again, exchanged and removed signatures, and what `load` does first."""

import json
import os
import pickle
import stat
import subprocess
import sys

import numpy as np
import pytest

import penultimate
from penultimate._common import files
from penultimate.bundle import BundleError, Manifest, new_key, sign, verify
from penultimate.bundle.archive import pack, unpack
from penultimate.bundle.signing import write_new_key

from .handmade import make_parts, of_features

MINE, OTHERS = new_key(), new_key()


@pytest.fixture
def path(feature_bundle, tmp_path):
    path = tmp_path / "model.zip"
    path.write_bytes(feature_bundle)
    return path


@pytest.fixture
def signed(path):
    sign(path, MINE.private)
    return path


def with_members(path, **changes):
    """Write a bundle anew with other members; None leaves one out."""
    parts = {name: bytes(each) for name, each in unpack(path.read_bytes()).items()}
    parts |= {name.replace("_", "."): each for name, each in changes.items()}
    path.write_bytes(pack({name: each for name, each in parts.items() if each is not None}))


def test_only_the_signature_is_added(path, feature_bundle, tmp_path):
    signer = sign(path, MINE.private, out=tmp_path / "signed.zip")
    assert path.read_bytes() == feature_bundle
    members = unpack((tmp_path / "signed.zip").read_bytes())
    assert list(members)[-1] == "signature.json"
    del members["signature.json"]
    assert members == unpack(feature_bundle)
    assert verify(tmp_path / "signed.zip", MINE.public) == signer


def test_signing_again_gives_the_same_bytes(signed):
    content = signed.read_bytes()
    sign(signed, MINE.private)
    assert signed.read_bytes() == content


def test_the_signature_of_another_is_not_replaced_by_mistake(signed):
    content = signed.read_bytes()
    with pytest.raises(BundleError, match="already signed with another key.*replace=True"):
        sign(signed, OTHERS.private)
    assert signed.read_bytes() == content
    assert sign(signed, OTHERS.private, replace=True) == verify(signed, OTHERS.public)
    with pytest.raises(BundleError, match="signed with another key"):
        verify(signed, MINE.public)


def test_what_is_damaged_is_not_signed(path):
    with_members(path, README_md=b"another card")
    with pytest.raises(BundleError, match=r"'README\.md' in the bundle has 12 bytes"):
        sign(path, MINE.private)


def test_a_full_disk_leaves_the_old_file(path, feature_bundle, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(files, "_sync", full)
    with pytest.raises(OSError, match="Free some space"):
        sign(path, MINE.private)
    assert path.read_bytes() == feature_bundle


def test_every_answer_says_who_signed(signed):
    model = penultimate.load(signed, key=MINE.public)
    signer = verify(signed, MINE.public)
    assert model.is_signed
    assert model.signed_by == signer
    for text in (str(model), model._repr_html_()):
        assert f"verified, by the key {signer}" in text
    copy = pickle.loads(pickle.dumps(model))  # noqa: S301
    assert copy.signed_by == signer
    assert copy.predict(np.eye(4)[:1]).tolist() == ["a"]


def test_without_a_key_nothing_is_claimed(signed, feature_bundle):
    model = penultimate.load(signed)
    assert model.is_signed
    assert model.signed_by is None
    assert "there is one, not verified: that takes the signer's key (key)" in str(model)
    assert verify(signed, MINE.public) not in str(model)
    assert penultimate.load(feature_bundle).signature == "none"


def test_a_removed_signature_is_missed_by_who_has_the_key(signed):
    with_members(signed, signature_json=None)
    assert penultimate.load(signed).predict(np.eye(4)[:1]).tolist() == ["a"]
    for opened in (penultimate.load, verify):
        with pytest.raises(BundleError, match="not signed, and a key was given"):
            opened(signed, key=MINE.public)


def test_a_signature_of_another_bundle_does_not_fit(signed, tmp_path):
    other = tmp_path / "other.zip"
    other.write_bytes(pack(make_parts(of_features(), classes=["x", "y", "z"])))
    sign(other, MINE.private)
    members = [unpack(each.read_bytes()) for each in (signed, other)]
    with_members(signed, signature_json=bytes(members[1]["signature.json"]))
    with pytest.raises(BundleError, match="not of this manifest"):
        penultimate.load(signed, key=MINE.public)
    with_members(signed, manifest_json=bytes(members[1]["manifest.json"]))
    assert penultimate.load(signed, key=MINE.public).classes_.tolist() == ["x", "y", "z"]


def test_a_changed_manifest_or_part_is_refused(signed):
    document = json.loads(bytes(unpack(signed.read_bytes())["manifest.json"]))
    content = signed.read_bytes()
    document["expected"]["accuracy"] = 0.95
    with_members(signed, manifest_json=json.dumps(document).encode())
    assert "95.0 % right" in str(penultimate.load(signed))
    with pytest.raises(BundleError, match="not of this manifest"):
        penultimate.load(signed, key=MINE.public)
    signed.write_bytes(content)
    with_members(signed, head_json=b"[]")
    with pytest.raises(BundleError, match="their SHA-256 differ"):
        penultimate.load(signed, key=MINE.public)


def test_nothing_is_parsed_before_it_is_verified(signed, monkeypatch):
    def never(*arguments):
        raise AssertionError("parsed")

    monkeypatch.setattr(Manifest, "from_json", never)
    with pytest.raises(AssertionError, match="parsed"):
        penultimate.load(signed, key=MINE.public)
    with pytest.raises(BundleError, match="signed with another key"):
        penultimate.load(signed, key=OTHERS.public)


def test_keys_are_files_or_their_content(signed, tmp_path):
    (tmp_path / "public.pem").write_bytes(MINE.public)
    for key in (tmp_path / "public.pem", str(tmp_path / "public.pem"), MINE.public):
        assert penultimate.load(signed, key=key).signed_by
    with pytest.raises(FileNotFoundError, match=r"The key 'none\.pem' does not exist"):
        penultimate.load(signed, key="none.pem")
    with pytest.raises(FileNotFoundError, match="is no file"):
        penultimate.load(signed, key=tmp_path)
    with pytest.raises(TypeError, match="as bytes; got int"):
        penultimate.load(signed, key=5)


def test_a_new_key_is_kept_from_others_and_never_overwritten(signed, tmp_path):
    public, fingerprint = write_new_key(tmp_path / "key.pem")
    assert public == tmp_path / "key-public.pem"
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    assert sign(signed, tmp_path / "key.pem", replace=True) == fingerprint
    assert verify(signed, public) == fingerprint
    with pytest.raises(FileExistsError, match="exists already"):
        write_new_key(tmp_path / "key.pem")
    (tmp_path / "key.pem").unlink()
    with pytest.raises(FileExistsError, match=r"key-public\.pem' exists already"):
        write_new_key(tmp_path / "key.pem")
    assert not (tmp_path / "key.pem").exists()


def test_without_a_key_cryptography_is_not_imported_and_with_one_the_extra_is_named(signed):
    code = """
import sys
import penultimate
import penultimate._common.imports as imports
penultimate.load(sys.argv[1])
assert not any(name.startswith("cryptography") for name in sys.modules)
imports.find_spec = lambda name: None if name == "cryptography" else True
try:
    penultimate.load(sys.argv[1], key=b"-----BEGIN PUBLIC KEY-----")
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, signed],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": "src"},
    )
    assert "pip install 'penultimate[sign]'" in done.stdout, done.stderr
