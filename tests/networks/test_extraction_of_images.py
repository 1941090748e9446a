"""FeatureExtractor on functions, and on images of any size with a preprocessing."""

import copy
import pickle
import threading

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone

from penultimate import DeepSVC, FeatureExtractor
from penultimate._common.image_items import Images
from penultimate.networks import Preprocessing, build_network
from penultimate.networks._images import prepared_batches

RNG = np.random.default_rng(0)
PREPARE = Preprocessing(size=(6, 8), scale=1 / 255, mean=0.5)


def rows(batch):
    """Features that show the whole batch: each image, flattened."""
    return batch.reshape(len(batch), -1)


def photos(n=9):
    sizes = RNG.integers(5, 40, (n, 2))
    return [RNG.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def expected(images, prepare=PREPARE):
    return np.stack([prepare.apply(image).ravel() for image in images])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("Fotos mit Ümlaut")
    paths, images = [], photos(5)
    for k, image in enumerate(images):
        paths.append(folder / f"{k} a.png")
        Image.fromarray(image).save(paths[-1])
    return paths, images


def test_a_function_from_a_batch_to_features():
    X = RNG.normal(size=(5, 4, 3)).astype(np.float32)
    extractor = FeatureExtractor(rows, batch_size=2).fit(X)
    np.testing.assert_array_equal(extractor.transform(X), X.reshape(5, -1))
    assert (extractor.layer_, extractor.cut_at_) == ("rows", "the function's value")
    np.testing.assert_array_equal(extractor.transform(X[:1]), X[:1].reshape(1, -1))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda batch: batch.sum(), "one row of features per sample"),
        (lambda batch: batch[:1], "one row of features per sample"),
        (lambda batch: [["a"]] * len(batch), "one row of features per sample"),
    ],
)
def test_a_function_that_returns_no_features(function, message):
    with pytest.raises(ValueError, match=message):
        FeatureExtractor(function).fit().transform(np.zeros((3, 4)))


def test_a_function_has_no_layers():
    with pytest.raises(ValueError, match="is a function, which has no layers"):
        FeatureExtractor(rows, layer="block").fit()


@pytest.mark.parametrize("form", ["arrays", "pillow", "paths", "text", "bytes", "mixed"])
def test_images_in_every_form(form, files):
    paths, images = files
    X = {
        "arrays": images,
        "pillow": [Image.fromarray(image) for image in images],
        "paths": paths,
        "text": np.array(list(map(str, paths))),
        "bytes": [path.read_bytes() for path in paths],
        "mixed": [images[0], *paths[1:]],
    }[form]
    extractor = FeatureExtractor(rows, batch_size=2, preprocessing=PREPARE).fit(X)
    np.testing.assert_array_equal(extractor.transform(X), expected(images))
    np.testing.assert_array_equal(extractor.transform(X[3:4]), expected(images[3:4]))


def test_one_image_alone_is_refused(files):
    extractor = FeatureExtractor(rows, preprocessing=PREPARE).fit()
    for image in (files[0][0], str(files[0][0]), Image.fromarray(files[1][0])):
        with pytest.raises(ValueError, match="pass a list with one image"):
            extractor.transform(image)
    with pytest.raises(ValueError, match="must have the shape"):
        extractor.transform(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="no images"):
        extractor.transform([])


def test_floats_keep_the_scale_of_fit():
    images = RNG.integers(0, 256, (4, 9, 9, 3), dtype=np.uint8)
    extractor = FeatureExtractor(rows, preprocessing=PREPARE).fit(images / 255)
    dark = images[:1] // 64
    np.testing.assert_allclose(extractor.transform(dark / 255), expected(dark), atol=1e-6)
    gray = FeatureExtractor(rows, preprocessing=PREPARE).fit().transform(images[..., 0])
    np.testing.assert_array_equal(gray, expected(images[..., 0]))


def test_a_file_that_cannot_be_read_is_named(files, tmp_path):
    bad = tmp_path / "three bytes.jpg"
    bad.write_bytes(b"abc")
    extractor = FeatureExtractor(rows, preprocessing=PREPARE).fit()
    with pytest.raises(ValueError, match=r"three bytes\.jpg"):
        extractor.transform([*files[0], bad])
    with pytest.raises(TypeError, match="at position 1"):
        extractor.transform([files[0][0], 3])


def test_sizes_that_differ_need_a_size():
    extractor = FeatureExtractor(rows, preprocessing=Preprocessing()).fit()
    with pytest.raises(ValueError, match="2 sizes"):
        extractor.transform([np.zeros((4, 4, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)])


def test_errors_can_be_collected(files, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"")
    paths = [files[0][0], bad, *files[0][1:]]
    found = {}
    batches = prepared_batches(
        Images.of(paths), PREPARE, batch_size=2, on_error=lambda k, error: found.update({k: error})
    )
    whole = np.concatenate([batch[0] for _, _, batch in batches])
    assert list(found) == [1]
    assert "bad.jpg" in str(found[1])
    assert not whole[1].any()
    np.testing.assert_array_equal(whole[[0, 2, 3, 4, 5]].reshape(5, -1), expected(files[1]))


@pytest.mark.parametrize("size", [8, None])
def test_a_batch_in_which_nothing_can_be_read(size, tmp_path):
    bad = [tmp_path / f"{k}.jpg" for k in range(3)]
    for file in bad:
        file.write_bytes(b"abc")
    good = tmp_path / "good.png"
    Image.fromarray(np.full((8, 8, 3), 9, np.uint8)).save(good)
    extractor = FeatureExtractor(rows, preprocessing=Preprocessing(size), batch_size=2)
    found = []
    stream = extractor.fit([*bad, good]).stream([*bad, good], on_error=lambda k, _: found.append(k))
    ((start, stop, features),) = stream
    assert (start, stop, found) == (2, 4, [0, 1, 2])
    assert features[1].tolist() == [9] * 192
    found.clear()
    extractor.set_params(preprocessing=Preprocessing(8)).fit([good])
    extractor.set_params(preprocessing=Preprocessing(size))
    assert list(extractor.stream(bad, on_error=lambda k, _: found.append(k))) == []
    assert found == [0, 1, 2]
    with pytest.raises(ValueError, match=r"0\.jpg"):
        extractor.fit(bad).transform(bad)


def test_only_a_few_batches_are_decoded_ahead():
    decoded = []

    class Counting:
        def __len__(self):
            return 100

        def __getitem__(self, index):
            decoded.append(index)
            return np.zeros((4, 4, 3), np.uint8)

    batches = prepared_batches(Images(Counting()), PREPARE, batch_size=5)
    next(batches)
    batches.close()
    assert len(decoded) <= 20


def test_the_mirror_image_is_averaged():
    images = photos(3)
    plain = FeatureExtractor(rows, preprocessing=PREPARE).fit_transform(images)
    mirrored = FeatureExtractor(rows, preprocessing=PREPARE).fit_transform(
        [image[:, ::-1] for image in images]
    )
    both = FeatureExtractor(rows, preprocessing=PREPARE, mirror=True).fit_transform(images)
    # Mirrored after the resize, which is symmetric but for rounding.
    size = (3, 6, 8, 3)
    np.testing.assert_allclose(
        both.reshape(size), (plain.reshape(size) + plain.reshape(size)[:, :, ::-1]) / 2, atol=1e-6
    )
    np.testing.assert_allclose(both.mean(axis=1), (plain + mirrored).mean(axis=1) / 2, atol=1e-3)


@pytest.fixture(scope="module")
def network():
    return build_network("compact", (16, 16, 3), 4)


def test_a_keras_network_with_a_preprocessing(network):
    prepare = Preprocessing(size=16)
    images = photos(6)
    extractor = FeatureExtractor(network, preprocessing=prepare).fit(images)
    arrays = np.stack([prepare.apply(image) for image in images])
    np.testing.assert_array_equal(
        extractor.transform(images), FeatureExtractor(network).fit().transform(arrays)
    )
    assert extractor.input_shape_ == (16, 16, 3)


@pytest.mark.parametrize(
    ("settings", "span"),
    [({"scale": 1 / 255}, "1"), ({"scale": 1 / 255, "std": (0.5, 0.25, 0.5)}, "2"), ({}, None)],
)
def test_pixels_that_are_scaled_twice(settings, span):
    layers = keras.layers
    rescales = keras.Sequential(
        [layers.Input((6, 8, 3)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(2)]
    )
    extractor = FeatureExtractor(rescales, preprocessing=Preprocessing(size=(6, 8), **settings))
    if span is None:
        extractor.fit()
    else:
        with pytest.warns(UserWarning, match=f"already scales them to a range of {span}:"):
            extractor.fit()


def test_several_layers_are_concatenated_in_one_pass(network):
    X = RNG.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    maps = next(each for each in FeatureExtractor(network).layers() if len(each.shape) == 3)
    names = [maps.layer, "features"]
    both = FeatureExtractor(network, layer=names, pooling="avg").fit(X)
    one, other = (FeatureExtractor(network, layer=name, pooling="avg").fit(X) for name in names)
    features = both.transform(X)
    assert (both.layer_, both.n_features_out_) == (names, features.shape[1])
    assert one.n_features_out_ == maps.shape[-1]
    separate = np.hstack([one.transform(X), other.transform(X)])
    np.testing.assert_allclose(features, separate, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_layers_lists_what_layer_takes(network):
    X = RNG.integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    candidates = FeatureExtractor(network).layers()
    assert candidates[-1].n_values == 4
    for each in candidates[:-1]:  # the last one gives probabilities, which is warned of
        features = FeatureExtractor(network, layer=each.layer).fit(X).transform(X)
        assert features.shape[1] == each.n_values


def test_a_large_flattened_map_is_warned_of():
    large = build_network("compact", (96, 96, 3), 2)
    maps = next(c for c in FeatureExtractor(large).layers() if (c.n_values or 0) > 100_000)
    with pytest.warns(UserWarning, match="pooling='avg' gives one per channel"):
        FeatureExtractor(large, layer=maps.layer).fit()


def pickled(extractor):
    return pickle.loads(pickle.dumps(extractor))  # noqa: S301


@pytest.mark.parametrize("copied", [clone, copy.deepcopy, pickled])
def test_copies(copied, network):
    X = photos(3)
    extractor = FeatureExtractor(network, preprocessing=Preprocessing(size=16)).fit(X)
    again = copied(extractor)
    if copied is clone:
        again.fit(X)
    np.testing.assert_array_equal(again.transform(X), extractor.transform(X))


def test_two_threads(network):
    X = photos(12)
    extractor = FeatureExtractor(network, preprocessing=Preprocessing(size=16), batch_size=4).fit(X)
    alone, found = extractor.transform(X), []
    threads = [
        threading.Thread(target=lambda: found.append(extractor.transform(X))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    for features in found:
        np.testing.assert_array_equal(features, alone)


@pytest.mark.slow
def test_deep_svc_takes_an_extractor(network):
    X = RNG.integers(0, 256, (40, 20, 24, 3), dtype=np.uint8)
    y = np.arange(40) % 2
    X[y == 1] //= 2
    from penultimate.provenance import record

    record(network, [])
    extractor = FeatureExtractor(network, preprocessing=Preprocessing(size=16), batch_size=16)
    model = DeepSVC(extractor, random_state=0).fit(X, y)
    assert (model.predict(X) == y).mean() > 0.9
    np.testing.assert_array_equal(model.extract(X), extractor.fit(X).transform(X))
    assert model.extractor_.batch_size == 16
    with pytest.raises(ValueError, match="leave out one of the two"):
        DeepSVC(FeatureExtractor(network, layer="flatten"), layer="features").fit(X[:, :16, :16], y)


def test_large_images_are_passed_in_smaller_batches():
    sizes = []

    def note(batch):
        sizes.append(len(batch))
        return batch.mean(axis=(1, 2))

    prepare = Preprocessing(size=1000)
    images = [np.zeros((8, 8, 3), np.uint8)] * 5
    FeatureExtractor(note, preprocessing=prepare).fit_transform(images)
    assert sizes == [1, 1, 1, 1, 1]
    del sizes[:]
    FeatureExtractor(note, preprocessing=Preprocessing(size=10)).fit_transform(images)
    assert sizes == [5]


def test_one_prepared_image_gives_what_it_gives_among_others(network):
    X = photos(5)
    extractor = FeatureExtractor(network, preprocessing=Preprocessing(size=16)).fit(X)
    alone, among_others = extractor.transform(X[2:3]), extractor.transform(X)[2:3]
    np.testing.assert_allclose(alone, among_others, rtol=1e-5, atol=1e-6)


def test_a_dark_image_does_not_decide_the_scale():
    """Floats from 0 to 255 whose first image is black, and floats that do not show their scale."""
    images = RNG.integers(0, 256, (4, 9, 9, 3)).astype(np.float32)
    images[0] = 0
    dark = FeatureExtractor(rows, preprocessing=PREPARE).fit(images[:1])
    with pytest.raises(ValueError, match="on different scales"):
        dark.transform(images)
    whole = FeatureExtractor(rows, preprocessing=PREPARE).fit(images)
    np.testing.assert_allclose(whole.transform(images), expected(images), atol=1e-6)
    np.testing.assert_allclose(whole.transform(images[:1]), expected(images[:1]), atol=1e-6)
    unknown = FeatureExtractor(rows, preprocessing=PREPARE).fit()
    for given in (np.ones((1, 9, 9, 3)), [np.ones((9, 9, 3)), np.zeros((8, 8, 3))]):
        with pytest.raises(ValueError, match="all of them 0 or 1"):
            unknown.transform(given)
    assert np.isfinite(unknown.transform(np.zeros((1, 9, 9, 3)))).all()


@pytest.mark.parametrize("kind", ["16 bits", "turned", "transparent", "palette"])
def test_an_opened_image_is_what_its_file_is(kind, tmp_path):
    path, options = tmp_path / "image.png", {}
    image = Image.fromarray(photos(1)[0])
    if kind == "16 bits":
        image = Image.fromarray(np.arange(20 * 30, dtype=np.uint16).reshape(20, 30) * 100)
    elif kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        options = {"exif": exif}
    else:
        image.putalpha(
            Image.fromarray(
                np.arange(image.width * image.height, dtype=np.uint8).reshape(
                    image.height, image.width
                )
            )
        )
        if kind == "palette":
            image = image.quantize(16)
    image.save(path, **options)
    extractor = FeatureExtractor(rows, preprocessing=PREPARE).fit()
    with Image.open(path) as opened:
        features = extractor.transform([opened])
    np.testing.assert_array_equal(features, extractor.transform([path]))


def test_copies_keep_the_network_of_a_file_that_was_replaced(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path = tmp_path / "network.onnx"

    def write(factor):
        text = f"""
            <ir_version: 8, opset_import: ["" : 17]>
            g (float[N, 3] x) => (float[N, 2] scores)
            <float[3, 2] weights = {{{factor}, 1, 2, 3, 4, 5}}>
            {{ hidden = Relu(x)  scores = MatMul(hidden, weights) }}
        """
        onnx.save(onnx.parser.parse_model(text), path)

    write(1)
    X = np.ones((2, 3), np.float32)
    extractor = FeatureExtractor(path, layer="scores").fit(X)
    features = extractor.transform(X)
    copies = [copy.deepcopy(extractor), pickled(extractor)]
    write(100)
    for each in (extractor, *copies):
        np.testing.assert_array_equal(each.transform(X), features)
    assert (FeatureExtractor(path, layer="scores").fit_transform(X) != features).any()


def test_floats_on_another_scale_than_in_fit():
    images = RNG.integers(0, 256, (4, 9, 9, 3)).astype(np.float32)
    extractor = FeatureExtractor(rows, preprocessing=PREPARE).fit(images)
    for given in (images / 255, list(images / 255)):
        with pytest.raises(ValueError, match="multiply them by 255"):
            extractor.transform(given)
    dark = (images[:1] > 200).astype(np.float32)
    np.testing.assert_allclose(extractor.transform(dark), expected(dark), atol=1e-6)


@pytest.fixture(scope="module")
def large_photo(tmp_path_factory):
    """A JPEG file of 96 x 128 pixels, smooth as photos are, and how it looks on its side."""
    folder = tmp_path_factory.mktemp("large")
    coarse = Image.fromarray(RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    image = coarse.resize((128, 96), Image.Resampling.BICUBIC)
    image.save(folder / "upright.jpg", quality=95)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image.save(folder / "lying.jpg", quality=95, exif=exif)
    image.save(folder / "upright.png")
    return folder


@pytest.mark.parametrize(
    ("size", "crop", "decoded"),
    [
        ((6, 6), None, (12, 16)),  # at 1/8
        ((7, 7), None, (24, 32)),
        ((12, 12), None, (24, 32)),
        ((12, 12), 0.9, (48, 64)),
        ((24, 24), None, (48, 64)),
        ((25, 25), None, (96, 128)),
        ((5, 30), None, (48, 64)),
        (None, None, (96, 128)),
    ],
)
def test_large_jpeg_photos_are_decoded_at_twice_the_size_or_more(large_photo, size, crop, decoded):
    prepare = Preprocessing(size=size, crop=crop)
    upright, lying, png = (large_photo / n for n in ("upright.jpg", "lying.jpg", "upright.png"))
    images = Images.of([upright, upright.read_bytes(), png, lying], None, prepare.decoded_size)
    shapes = [images[k].shape[:2] for k in range(4)]
    assert shapes[:3] == [decoded, decoded, (96, 128)]
    if size is None or size[0] == size[1]:
        assert shapes[3] == decoded[::-1]
    whole = Preprocessing(size=size, crop=crop, draft=False)
    assert whole.decoded_size is None
    assert Images.of([upright])[0].shape == (96, 128, 3)


def test_features_of_a_reduced_photo_are_nearly_those_of_the_whole(large_photo):
    paths = [large_photo / "upright.jpg", large_photo / "lying.jpg"]
    features = [
        FeatureExtractor(rows, preprocessing=Preprocessing(size=(11, 8), draft=draft))
        .fit()
        .transform(paths)
        for draft in (True, False)
    ]
    assert 0 < np.abs(features[0] - features[1]).mean() < 4
