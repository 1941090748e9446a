"""Networks from elsewhere at the terminal: compare and extract with --network."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from penultimate import FeatureExtractor, FeatureStore
from penultimate.cli import compare as _  # noqa: F401  registers the command
from penultimate.cli import extract as __  # noqa: F401
from penultimate.cli.app import app
from penultimate.cli.networks import find_network, parse_preprocessing
from penultimate.networks import Preprocessing, is_frozen

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("pyarrow")
pytestmark = pytest.mark.usefixtures("undrawn")
COLORS = {"red": (200, 60, 60), "green": (60, 200, 60), "blue": (60, 60, 200)}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Twelve photos of each of three colors, of many sizes."""
    root = tmp_path_factory.mktemp("data") / "bunte Fotos"
    rng = np.random.default_rng(0)
    for name, color in COLORS.items():
        (root / name).mkdir(parents=True)
        for k in range(12):
            noise = rng.integers(-50, 50, (int(rng.integers(70, 90)), 80, 3))
            pixels = np.clip(noise + color, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{k}.png")
    return root


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The mean of each channel, and three scores of it."""
    path = tmp_path_factory.mktemp("networks") / "means.onnx"
    model = onnx.parser.parse_model(
        """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[N, 3, 16, 16] pixels) => (float[N, 3] scores)
        <float[3, 3] weights = {1, 0, 0, 0, 1, 0, 0, 0, 1}>
        {
            pooled = GlobalAveragePool(pixels)
            means = Flatten(pooled)
            scores = MatMul(means, weights)
        }
        """
    )
    onnx.save(model, path)
    return path


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.mark.slow
def test_compare_with_an_onnx_file(photos, network, tmp_path):
    options = ["--network", network, "--preprocessing", "scale=1/255", "--seeds", "1"]
    result = run("compare", photos, *options, "--out", tmp_path / "r", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    methods = {method["name"]: method for method in found["methods"]}
    assert methods["cnn+svm-rbf"]["accuracy"] == 1
    assert found["protocol"]["network"] == "means.onnx"
    notes = " ".join(check["message"] for check in found["checks"])
    assert "resized to 16 x 16 (bilinear, antialiased) (large JPEG photos decoded at" in notes
    assert "frozen network (means" in (tmp_path / "r" / "report.html").read_text()


def test_what_a_network_takes_has_to_be_stated(photos, network, tmp_path):
    result = run("compare", photos, "--network", network, "--out", tmp_path / "r")
    assert result.exit_code == 2
    assert "has to be stated" in result.stderr
    assert "imagenet" in result.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--network", "efficientnet-lite9"], "Did you mean"),
        (["--network", "missing.onnx"], "which does not exist"),
        (["--network", "no_such_module:build"], "cannot be imported"),
        (["--network", "no_such_file.py:build"], "there is no file"),
        (["--network", "json:dump_"], "'json' has no 'dump_'. Did you mean 'dump'?"),
        (["--network", "json:"], "no name comes after the colon"),
        (["--preprocessing", "imagenet"], "is trained on your"),
        (["--mirror"], "is trained on your"),
        (["--pooling", "max"], "is trained on your"),
        (["--normalization", "l3"], "normalization"),
        (["--cache", "features"], "frozen network"),
    ],
)
def test_wrong_usage(photos, options, words, tmp_path):
    result = run("compare", photos, *options, "--out", tmp_path / "r")
    assert result.exit_code in (1, 2)
    assert words in " ".join(result.stderr.split()).replace("│ ", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pixels", Preprocessing()),
        ("imagenet", Preprocessing.imagenet()),
        ("size=48x64, scale = 1/255", Preprocessing(size=(48, 64), scale=1 / 255)),
        ("mean=1:2:3,std=4,crop=0.5,size=8", Preprocessing(8, 0.5, 1.0, (1, 2, 3), 4)),
        (
            "channels=gray,interpolation=bicubic",
            Preprocessing(None, None, 1, 0, 1, "gray", "bicubic"),
        ),
        ("size=8,draft=false", Preprocessing(size=8, draft=False)),
    ],
)
def test_preprocessings(text, expected):
    assert parse_preprocessing(text) == expected


@pytest.mark.parametrize(
    "text", ["", "size", "sise=3", "scale=1/0", "mean=1:b", "size=8,crop=2", "draft=no"]
)
def test_what_is_no_preprocessing(text):
    import typer

    with pytest.raises(typer.BadParameter):
        parse_preprocessing(text)


MODULE = """
import numpy as np
from penultimate import FeatureExtractor
from penultimate.networks import Preprocessing

def features(batch):
    return batch.mean(axis=(1, 2))

def build():
    return FeatureExtractor(features, preprocessing=Preprocessing(size=8))

def trained(input_shape, n_classes):
    raise NotImplementedError
"""


def test_networks_of_a_module(tmp_path, monkeypatch):
    (tmp_path / "nets_of_test.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    for place in ("nets_of_test", "nets_of_test.py"):
        built = find_network(f"{place}:build")
        assert isinstance(built, FeatureExtractor)
        function = find_network(f"{place}:features", preprocessing="size=8")
        assert function.fit().transform([np.ones((9, 9, 3), np.uint8)]).tolist() == [[1, 1, 1]]
        assert not is_frozen(find_network(f"{place}:trained"))


def test_the_list_of_networks():
    result = run("compare", "--network", "list")
    assert result.exit_code == 0
    assert "efficientnet-lite0" in result.stdout
    assert "Apache-2.0" in result.stdout


def extract(photos, network, out, *options):
    return run(
        "extract", photos, "--network", network, "--preprocessing", "scale=1/255", "--out", out,
        *options,
    )  # fmt: skip


@pytest.mark.slow
def test_extract_computes_only_what_is_new(photos, network, tmp_path):
    out = tmp_path / "store"
    first = extract(photos, network, out)
    assert first.exit_code == 0, first.stderr
    assert "Computed: 36 images in" in first.stdout
    store = FeatureStore(out)
    assert store.shape == (36, 3)
    assert sorted(set(store.samples["label"])) == sorted(COLORS)
    one = FeatureExtractor(network, preprocessing=Preprocessing(scale=1 / 255)).fit()
    np.testing.assert_allclose(np.asarray(store), one.transform(store.samples["file"]), rtol=1e-6)
    # Moved, renamed and one added: only that one is new.
    moved = tmp_path / "moved"
    moved.mkdir()
    for folder in photos.iterdir():
        (moved / folder.name).mkdir()
        for k, file in enumerate(sorted(folder.iterdir())):
            (moved / folder.name / f"renamed {k}.png").write_bytes(file.read_bytes())
    Image.fromarray(np.zeros((80, 80, 3), np.uint8)).save(moved / "red" / "new.png")
    again = extract(moved, network, out)
    assert "Computed: 1 image in" in again.stdout
    assert "In the store before, or copies: 36." in again.stdout
    result = run("compare", out, "--seeds", "1", "--out", tmp_path / "r", "--methods", "svm-rbf")
    assert result.exit_code == 0, result.stderr


def test_a_store_of_another_network_is_refused(photos, network, tmp_path):
    out = tmp_path / "store"
    assert extract(photos, network, out).exit_code == 0
    other = run("extract", photos, "--network", network, "--preprocessing", "pixels", "--out", out)
    assert other.exit_code == 1
    assert FeatureStore(out).key in other.stderr
    halved = extract(photos, network, out, "--half")
    assert "holds float32; got --half, which is float16. Leave it out" in halved.stderr


def test_a_store_keeps_the_type_that_it_was_created_with(photos, network, tmp_path):
    out = tmp_path / "store"
    assert "(float16)" in extract(photos, network, out, "--half").stdout
    again = extract(photos, network, out).stdout
    assert "Computed: 0 images in" in again
    assert "(float16, as it was created)" in again
    assert "Images were prepared: resized to 16 x 16" in again


def test_a_file_that_cannot_be_read(photos, network, tmp_path):
    copied = tmp_path / "copy"
    for folder in photos.iterdir():
        (copied / folder.name).mkdir(parents=True)
        for file in folder.iterdir():
            (copied / folder.name / file.name).write_bytes(file.read_bytes())
    # The first, which is looked at before the others.
    (min(copied.iterdir()) / "0-bad.jpg").write_bytes(b"\xff\xd8\xff")
    stopped = extract(copied, network, tmp_path / "store")
    assert stopped.exit_code == 1
    assert "0-bad.jpg" in stopped.stderr
    # Two copies of it: each content is computed once.
    (min(copied.iterdir()) / "1-bad.jpg").write_bytes(b"\xff\xd8\xff")
    # The same command twice: then only what cannot be read is left to compute.
    for n_computed in (36, 0):
        skipped = extract(copied, network, tmp_path / "store", "--skip-corrupt")
        assert skipped.exit_code == 0, skipped.stderr
        assert f"Computed: {n_computed} image" in skipped.stdout
        assert skipped.stdout.count("Left out:") == 2
        assert len(FeatureStore(tmp_path / "store")) == 36


def test_a_damaged_part_is_computed_again(photos, network, tmp_path):
    out = tmp_path / "store"
    assert extract(photos, network, out).exit_code == 0
    (part,) = (out / "parts").iterdir()
    part.write_bytes(part.read_bytes() + b"!")
    stopped = extract(photos, network, out)
    assert stopped.exit_code == 1
    assert "leave it out with --skip-corrupt" in " ".join(stopped.stderr.split())
    skipped = extract(photos, network, out, "--skip-corrupt")
    assert "It was left out" in " ".join(skipped.stderr.split())
    assert "Computed: 36 images in" in skipped.stdout
    assert f"delete {part}" in skipped.stdout
    command = skipped.stdout.splitlines()[-1].removeprefix("Next: penultimate ")
    compared = run(
        *command.split(), "--seeds", "1", "--methods", "svm-rbf", "--out", tmp_path / "r"
    )
    assert compared.exit_code == 0, compared.stderr
    part.unlink()
    assert "Computed: 0 images in" in extract(photos, network, out).stdout


def test_photos_of_which_none_can_be_read(network, tmp_path):
    for name in ("red/1.jpg", "blue/2.jpg"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True)
        (tmp_path / "photos" / name).write_bytes(b"abc")
    result = extract(tmp_path / "photos", network, tmp_path / "store", "--skip-corrupt")
    assert result.exit_code == 1
    assert "None of the 2 images of" in result.stderr
    assert "The first: " in result.stderr
    assert "bug" not in result.stderr


def test_extract_needs_a_trained_network(photos, tmp_path):
    result = run("extract", photos, "--network", "compact", "--out", tmp_path / "store")
    assert result.exit_code == 2
    assert "must be a trained network" in " ".join(result.stderr.split())


@pytest.mark.slow
def test_compare_keeps_features_in_a_cache(photos, network, tmp_path):
    options = ["--network", network, "--preprocessing", "scale=1/255", "--seeds", "1"]
    options += ["--cache", tmp_path / "cache", "--out", tmp_path / "r", "--methods", "cnn+svm-rbf"]
    for _attempt in range(2):
        result = run("compare", photos, *options, "--layer", "penultimate,pooled")
        assert result.exit_code == 0, result.stderr
    stores = [FeatureStore(each) for each in (tmp_path / "cache").iterdir()]
    assert len(stores) == 2
    assert all(len(store) == 36 for store in stores)
    # No option leaves out what is damaged here, so none is offered.
    part = next((stores[0].path / "parts").iterdir())
    part.write_bytes(part.read_bytes() + b"!")
    damaged = run("compare", photos, *options, "--layer", "penultimate,pooled", "--skip-corrupt")
    assert damaged.exit_code == 1
    said = " ".join(damaged.stderr.split())
    assert part.name in said
    assert said.endswith("Delete it, and its features are computed again.")
    part.unlink()
    assert run("compare", photos, *options, "--layer", "penultimate,pooled").exit_code == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise KeyError('weights')", "failed: KeyError"),
        ("import json; json.loads('[')", "failed: JSONDecodeError"),
        ("raise SystemExit", "failed: SystemExit (faulty.py"),
        ("import sys; sys.exit(3)", "failed: SystemExit"),
        ("return None.no_such_thing", "failed: AttributeError"),
    ],
)
def test_faults_of_the_code_that_builds(photos, tmp_path, monkeypatch, body, words):
    (tmp_path / "faulty.py").write_text(f"def build():\n    {body}\n")
    monkeypatch.chdir(tmp_path)
    result = run("compare", photos, "--network", "faulty.py:build", "--out", tmp_path / "r")
    assert result.exit_code == 2
    text = " ".join(result.stderr.replace("│", " ").split())
    assert words in text
    assert "faulty.py, line 2" in text
