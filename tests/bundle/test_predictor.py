import io
import pickle
import threading
import zlib

import numpy as np
import onnxruntime
import pytest
from PIL import Image

import penultimate
from penultimate.bundle import BundleError, Predictions, Predictor
from penultimate.bundle.archive import pack

from .handmade import OF_IMAGES, make_parts, of_features, of_images, rewritten

RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)


@pytest.fixture(scope="module")
def of_colors(image_bundle):
    return penultimate.load(image_bundle)


@pytest.fixture(scope="module")
def of_matrix(feature_bundle):
    return penultimate.load(feature_bundle)


def image(color, size=(6, 5)):
    return np.full((*size, 3), color, np.uint8)


def saved(color, kind="PNG", size=(6, 5), **how):
    buffer = io.BytesIO()
    Image.fromarray(image(color, size)).save(buffer, kind, **how)
    return buffer.getvalue()


def test_features(of_matrix):
    X = np.eye(4)[:3]
    assert of_matrix.predict(X).tolist() == ["a", "b", "c"]
    assert of_matrix.decision_function(X).tolist() == np.eye(3).tolist()
    np.testing.assert_allclose(of_matrix.predict_proba(X).sum(axis=1), 1, rtol=1e-6)
    assert of_matrix.predict(X.astype(int).tolist()).tolist() == ["a", "b", "c"]
    assert of_matrix.predict(np.zeros((0, 4))).shape == (0,)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.zeros((2, 3)), ValueError, r"shape \(n_samples, 4\); got \(2, 3\)"),
        (np.zeros(4), ValueError, r"It is one sample: pass X\[None\]"),
        (np.array([["a"] * 4]), TypeError, "a matrix of numbers with 4 columns"),
        ("a.jpg", TypeError, "a matrix of numbers"),
        ([[1, 2], [3]], ValueError, "no matrix"),
        (np.full((1, 4), np.nan), ValueError, "hold NaN, infinity, or values beyond"),
        (np.full((1, 4), 1e300), ValueError, "hold NaN, infinity, or values beyond"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_what_are_no_features(of_matrix, X, error, message):
    with pytest.raises(error, match=message):
        of_matrix.predict(X)


def test_columns_have_to_be_those_of_training():
    import pandas as pd

    given = {"n_features": 4, "feature_names": ["w", "x", "y", "z"]}
    model = penultimate.load(pack(make_parts(of_features(), input=given)))
    frame = pd.DataFrame(np.eye(4), columns=given["feature_names"])
    assert model.predict(frame[:2]).tolist() == ["a", "b"]
    with pytest.raises(ValueError, match=r"The columns are \['z', 'x', 'y', 'w'\]"):
        model.predict(frame[["z", "x", "y", "w"]])


def test_every_form_of_an_image(of_colors, tmp_path):
    (tmp_path / "a.png").write_bytes(saved(GREEN))
    green = image(GREEN)
    forms = [
        green,
        green[np.newaxis],
        green / 255,
        (green / 255).astype(np.float32),
        green.astype(np.int64),
        Image.fromarray(green),
        saved(GREEN),
        saved(GREEN, "JPEG"),
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        np.array([str(tmp_path / "a.png")]),
        [green],
        [tmp_path / "a.png"],
        bytearray(saved(GREEN)),
        memoryview(saved(GREEN)),
        [bytearray(saved(GREEN))],
        [memoryview(saved(GREEN))],
        [green, bytearray(saved(GREEN))][1:],
        iter([green]),
        np.asfortranarray(green),
        green[::-1, ::-1],
    ]
    for each in forms:
        assert of_colors.predict(each).tolist() == ["green"], type(each)


def test_a_list_of_different_sizes_and_kinds_keeps_its_order(of_colors, tmp_path):
    (tmp_path / "b.png").write_bytes(saved(BLUE, size=(9, 30)))
    items = [
        image(RED),
        saved(GREEN),
        tmp_path / "b.png",
        image(BLUE, (1, 1)),
        np.full((7, 7), 90, np.uint8),  # gray: the first of equal scores
        Image.fromarray(image(GREEN, (40, 2))),
        image(GREEN),
    ]
    expected = ["red", "green", "blue", "blue", "red", "green", "green"]
    assert of_colors.predict(items).tolist() == expected
    found = of_colors.predict_all(items * 20)
    assert found.labels.tolist() == expected * 20
    alone = np.concatenate([of_colors.decision_function([each]) for each in items])
    np.testing.assert_allclose(found.scores[: len(items)], alone, rtol=1e-5)


def test_a_gray_batch_and_one_gray_image(of_colors):
    assert of_colors.predict(np.zeros((3, 8, 9), np.uint8)).shape == (3,)
    assert of_colors.predict(np.zeros((8, 9), np.uint8)).shape == (1,)
    assert of_colors.predict(np.zeros((8, 9), bool)).shape == (1,)


def test_features_of_a_model_of_images(of_colors):
    assert of_colors.predict(features=np.eye(3)).tolist() == ["red", "green", "blue"]
    with pytest.raises(TypeError, match="either X or features"):
        of_colors.predict()
    with pytest.raises(TypeError, match="either X or features"):
        of_colors.predict(np.zeros((1, 8, 8)), features=np.eye(3))


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.zeros((2, 3)), ValueError, "may be one gray image, or the features of 2 samples"),
        (np.zeros((2, 9, 3), np.uint8), ValueError, "one image with 3 channels, or 2 gray images"),
        (np.zeros((9, 9, 4), np.uint8), ValueError, "Drop the alpha channel"),
        (np.zeros((1, 3, 8, 8), np.uint8), ValueError, "Move the channels last"),
        (np.zeros((1, 0, 8, 3), np.uint8), ValueError, "no pixels"),
        (np.zeros((0, 8, 8, 3), np.uint8), ValueError, "no images"),
        ([], ValueError, "no images"),
        ([None], TypeError, "got builtins.NoneType at position 0"),
        (np.full((1, 8, 8, 3), 300), ValueError, "0, 255"),
        (np.full((1, 8, 8, 3), -1.0), ValueError, "0, 255"),
        (np.full((1, 8, 8, 3), np.nan), ValueError, "NaN"),
        (b"<html></html>", ValueError, "not an image in a known format"),
        (saved(RED)[:48], ValueError, "truncated|image"),
        ("missing.png", ValueError, "No such file"),
        (io.BytesIO(saved(RED)), TypeError, "or a list of these; got _io.BytesIO"),
        ([io.BytesIO(saved(RED))], TypeError, "got _io.BytesIO at position 0"),
        ({"a.png": 1}, TypeError, "got builtins.dict"),
        ({"a.png"}, TypeError, "got builtins.set"),
        (3, TypeError, "got builtins.int"),
        (np.float32(3), ValueError, "fewer than two axes"),
        (Image.new("RGB", (0, 5)), ValueError, "no pixels"),
        (np.ma.masked_greater(image(RED), 100), ValueError, "masked values"),
        ([np.ma.masked_greater(image(RED), 100)], ValueError, "masked values"),
        (np.broadcast_to(np.uint8(0), (1, 20_000, 20_000, 3)), ValueError, "20000 x 20000 pixels"),
    ],
)
def test_what_are_no_images(of_colors, X, error, message):
    with pytest.raises(error, match=message):
        of_colors.predict(X)


def test_a_header_of_400_million_pixels_is_refused_before_it_is_decoded(of_colors, monkeypatch):
    header = bytearray(saved(RED))
    header[16:24] = (20_000).to_bytes(4, "big") * 2
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")

    def never(self):
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", never)
    with pytest.raises(ValueError, match="too many.*; at most 50,000,000 are taken"):
        of_colors.predict(bytes(header))


def test_photographs_as_they_come(of_colors):
    cmyk, turned, deep = io.BytesIO(), io.BytesIO(), io.BytesIO()
    Image.fromarray(image(GREEN)).convert("CMYK").save(cmyk, "JPEG")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(image(BLUE, (4, 8))).save(turned, "JPEG", exif=exif)
    Image.fromarray(np.full((5, 5), 40_000, np.uint16)).save(deep, "PNG")
    clear = Image.new("RGBA", (5, 5), (255, 0, 0, 0))  # shown on white: red by the first of ties
    files = [cmyk.getvalue(), turned.getvalue(), clear]
    assert of_colors.predict(files).tolist() == ["green", "blue", "red"]
    with pytest.warns(UserWarning, match="were rounded to 8 bits"):
        of_colors.predict(deep.getvalue())


def test_of_an_animation_the_first_frame_is_taken_and_that_is_said(of_colors):
    film = io.BytesIO()
    frames = [Image.fromarray(image(color)) for color in (GREEN, RED, BLUE)]
    frames[0].save(film, "GIF", save_all=True, append_images=frames[1:])
    with pytest.warns(UserWarning, match="the first frame was taken") as caught:
        assert of_colors.predict([film.getvalue()] * 3).tolist() == ["green"] * 3
    assert len(caught) == 1


def test_rounding_is_said_once_and_only_where_it_changes_something(of_colors, recwarn):
    of_colors.predict(image(RED) / 255)
    of_colors.predict((image(RED) / 255).astype(np.float16))
    assert [w for w in recwarn if "rounded" in str(w.message)] == []
    with pytest.warns(UserWarning, match="rounded") as caught:
        of_colors.predict(np.random.default_rng(0).random((40, 6, 5, 3)))
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_floats_keep_the_scale_of_fit():
    fields = OF_IMAGES | {"input": {**OF_IMAGES["input"], "white": 1}}
    model = penultimate.load(pack(make_parts(of_images(), **fields)))
    dark = np.zeros((1, 5, 5, 3))
    dark[..., 1] = 1
    assert model.decision_function(dark).max() == 255


def test_bad_images_in_a_stream_are_reported_and_left_out(of_colors, tmp_path):
    items = [image(RED), b"no image", image(GREEN), tmp_path / "missing.png", image(BLUE, (1, 1))]
    bad = {}
    places, labels = [], []
    for each, found in of_colors.stream(items, on_error=lambda k, error: bad.update({k: error})):
        places += each
        labels += found.labels.tolist()
    assert (places, labels) == ([0, 2, 4], ["red", "green", "blue"])
    assert list(bad) == [1, 3]
    with pytest.raises(ValueError, match="not an image"):
        list(of_colors.stream(items))


def test_a_stream_holds_a_few_images_at_a_time(of_colors, monkeypatch):
    monkeypatch.setattr("penultimate.bundle.samples._WINDOW", 4)
    read = []

    class Items(list):
        def __getitem__(self, index):
            read.append(index)
            return super().__getitem__(index)

    monkeypatch.setattr("penultimate._common.image_items.list", Items, raising=False)
    stream = of_colors.stream([saved(RED)] * 200)
    next(stream)
    assert len(read) < 60
    stream.close()


def test_memory_is_given_back_unless_the_next_images_may_use_it(of_colors, monkeypatch):
    """For images of one size, every batch would request the same memory again."""
    given_back = []

    class Options(onnxruntime.RunOptions):
        def add_run_config_entry(self, key, value):
            given_back.append(key)
            super().add_run_config_entry(key, value)

    monkeypatch.setattr(onnxruntime, "RunOptions", Options)
    counts = []
    for size in (9, 9, 9, 50, 9):
        of_colors.predict_all(np.zeros((2, size, 7, 3), np.uint8))
        counts.append(len(given_back))
    assert np.diff([0, *counts]).tolist() == [1, 0, 0, 1, 1]


def test_a_copy_by_pickle_predicts_the_same(of_colors):
    copy = pickle.loads(pickle.dumps(of_colors))  # noqa: S301
    X = np.random.default_rng(0).integers(0, 256, (5, 9, 7, 3), dtype=np.uint8)
    assert np.array_equal(copy.decision_function(X), of_colors.decision_function(X))
    assert isinstance(copy, Predictor)


def test_threads_predict_what_one_does(of_colors):
    X = np.random.default_rng(0).integers(0, 256, (8, 20, 9, 7, 3), dtype=np.uint8)
    expected = [of_colors.decision_function(each) for each in X]
    found = [None] * len(X)

    def work(k):
        for _ in range(20):
            found[k] = of_colors.decision_function(X[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(X))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert all(np.array_equal(a, b) for a, b in zip(expected, found))


def test_what_a_model_does_not_have(of_colors):
    with pytest.raises(AttributeError, match="gives no margins"):
        of_colors.class_margins(image(RED))
    with pytest.raises(AttributeError, match="gives no accepted. Save an AbstainingClassifier"):
        of_colors.accepts(image(RED))
    with pytest.raises(ValueError, match="no subsets; got subset='vowels'"):
        of_colors.predict(image(RED), subset="vowels")
    assert of_colors.predict_all(image(RED)).margins is None


def test_a_model_that_needs_more_than_features():
    graph = of_images()
    graph.graph.input.pop()
    graph.graph.node[4].input.pop()
    model = penultimate.load(pack(make_parts(graph, **OF_IMAGES)))
    assert model.predict(image(GREEN)).tolist() == ["green"]
    with pytest.raises(ValueError, match="does not take features"):
        model.predict(features=np.eye(3))


def test_it_says_what_it_is(of_colors, of_matrix):
    text = str(of_colors)
    for part in (
        "linear SVM",
        "images of any size, made 4 x 4 and colored inside",
        "3: red, green, blue",
        "90.0 % right (80.0 to 95.0 %; test set, 100 samples)",
        "5 samples",
        "none",
    ):
        assert part in text
    assert "features, 4 per sample" in str(of_matrix)
    assert repr(of_matrix) == "Predictor('linear SVM' of features, 3 classes)"


def test_html_shows_names_as_text():
    bad = "<script>alert(1)</script>"
    model = penultimate.load(pack(make_parts(of_features(), classes=[bad, "b", "c"])))
    assert "<script>" not in model._repr_html_()
    assert "&lt;script&gt;" in model._repr_html_()


def test_what_can_be_loaded(feature_bundle, feature_parts, tmp_path):
    path = tmp_path / "model.zip"
    path.write_bytes(feature_bundle)
    for source in (path, str(path), feature_bundle, bytearray(feature_bundle)):
        assert isinstance(penultimate.load(source), Predictor)
    with path.open("rb") as file:
        model = penultimate.load(file, threads=1)
    assert isinstance(model.predict_all(np.eye(4)), Predictions)
    assert model.provenance.tolist() == [0, 1, 2, 3, 4]
    assert model.part("README.md") == b"# A model\n"
    assert not model.is_signed
    assert penultimate.load(pack({**feature_parts, "signature.json": b"{}"})).is_signed
    with pytest.raises(KeyError, match="has no 'x'"):
        model.part("x")


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("missing.zip", FileNotFoundError, "There is no file 'missing.zip'"),
        (".", IsADirectoryError, "is a folder"),
        ("/dev/null", OSError, "is a device or a pipe"),
        (5, TypeError, "path, bytes or a file; got builtins.int"),
        (io.StringIO("x"), TypeError, "mode 'rb'"),
    ],
)
def test_what_cannot_be_loaded(source, error, message):
    with pytest.raises(error, match=message):
        penultimate.load(source)


def test_threads_are_checked(feature_bundle):
    with pytest.raises(ValueError, match="'threads' parameter of load"):
        penultimate.load(feature_bundle, threads=0)


def test_a_zip_of_another_tool():
    with pytest.raises(BundleError, match=r"without manifest\.json: it is no bundle"):
        penultimate.load(pack({"MLmodel": b"{}"}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d | {"version": 3}, "version 3, and this Penultimate reads version 1"),
        (lambda d: d["parts"].pop("README.md") and None, "which its manifest does not list"),
        (
            lambda d: d["parts"].update({"x": d["parts"]["README.md"]}),
            "lists 'x', which is no part",
        ),
        (
            lambda d: d["parts"].update({"thumbnails/0.png": d["parts"]["README.md"]}),
            r"no 'thumbnails/0\.png'",
        ),
        (lambda d: d["parts"]["README.md"].update(bytes=3), "its manifest says 3"),
        (lambda d: d["parts"]["README.md"].update(sha256="0" * 64), "their SHA-256 differ"),
        (lambda d: d["parts"]["model.onnx"].pop("tensors") and None, "other tensors than"),
        (
            lambda d: d["parts"]["head.safetensors"]["tensors"]["provenance"].update(shape=[1, 5]),
            "'head.safetensors' in the bundle has other tensors",
        ),
        (lambda d: d | {"kind": "images", "input": {"channels": 1, "n_features": 4}}, "takes"),
    ],
)
def test_a_manifest_that_says_something_else(feature_parts, change, message):
    with pytest.raises(BundleError, match=message):
        penultimate.load(pack(rewritten(feature_parts, change)))


def test_a_class_set_that_changed(feature_parts):
    model = penultimate.load(pack(rewritten(feature_parts, lambda d: d | {"classes": ["a", "b"]})))
    with pytest.raises(BundleError, match=r"gives scores of shape \(1, 3\)"):
        model.predict(np.eye(4)[:1])


@pytest.mark.parametrize("name", ["model.onnx", "head.safetensors", "head.json"])
def test_nothing_is_parsed_whose_hash_is_another(feature_parts, name, monkeypatch):
    def never(*arguments):
        raise AssertionError("parsed")

    for parser in ("check_graph", "check_safetensors", "parse_json"):
        monkeypatch.setattr(f"penultimate.bundle.parts.{parser}", never)
    content = feature_parts[name]
    other = bytes([content[0] ^ 1]) + content[1:]
    with pytest.raises(BundleError, match=f"'{name}' in the bundle is not what its manifest"):
        penultimate.load(pack({**feature_parts, name: other}))
    with pytest.raises(BundleError, match=r"bytes, and its manifest says"):
        penultimate.load(pack({**feature_parts, name: content + b"0"}))
