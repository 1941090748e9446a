import numpy as np
import pytest

from penultimate.store import content_hash, content_hashes
from penultimate.store.hashes import as_digests

X = np.random.default_rng(0).integers(0, 256, (6, 5, 4), dtype=np.uint8)


def test_a_hash_depends_on_its_sample_alone():
    hashes = content_hashes(X)
    assert hashes.shape == (6, 16)
    assert len(set(as_digests(hashes))) == 6
    order = np.random.default_rng(1).permutation(6)
    np.testing.assert_array_equal(content_hashes(X[order]), hashes[order])
    np.testing.assert_array_equal(content_hashes(np.asfortranarray(X)), hashes)


def test_what_a_network_would_see_differently_has_another_hash():
    # The fingerprints of provenance are the same for all of these, by design.
    forms = [X, X.astype(np.float32), X / np.float32(255), X.reshape(6, 20), X[..., np.newaxis]]
    assert len({one for form in forms for one in as_digests(content_hashes(form))}) == 30


def test_texts_have_the_hash_of_their_characters():
    hashes = content_hashes(["", "abc", "größer"])
    assert as_digests(hashes) == [content_hash(text) for text in ("", "abc", "größer")]
    longer = content_hashes(np.array(["abc", "a text that makes the array wider"]))
    assert as_digests(longer)[0] == content_hash("abc") == content_hash(b"abc")
    assert len(content_hashes(["\udcff.png"])) == 1  # a file name that is not UTF-8


@pytest.mark.parametrize("X", [np.array(["a", 1], object), 3.0, np.array(["2020"], "M8[Y]")])
def test_other_things_are_refused(X):
    with pytest.raises(ValueError, match="an array of numbers or a list of texts; got"):
        content_hashes(X)


def test_hashes_come_in_two_forms():
    hashes = content_hashes(X)
    assert as_digests(list(hashes)) == as_digests(hashes) == as_digests(as_digests(hashes))
    assert as_digests(hashes[::2]) == as_digests(hashes)[::2]
    assert as_digests([]) == as_digests(hashes[:0]) == []


@pytest.mark.parametrize("hashes", [X[:, 0], [b"short"], b"0123456789abcdef", [1, 2], None])
def test_what_is_no_hash_is_refused(hashes):
    with pytest.raises(ValueError, match=r"uint8 of shape \(n_samples, 16\)"):
        as_digests(hashes)
