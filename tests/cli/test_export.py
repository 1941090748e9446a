import onnx
import pytest
from typer.testing import CliRunner

from penultimate._common import files
from penultimate.bundle import load
from penultimate.bundle.archive import pack
from penultimate.bundle.web_runtime import VARIABLE
from penultimate.cli import export as _  # noqa: F401  registers the command
from penultimate.cli.app import app
from tests.bundle.handmade import OF_IMAGES, make_parts, of_features, of_images


@pytest.fixture(autouse=True)
def no_runtime(monkeypatch, tmp_path):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def bundle(tmp_path):
    (tmp_path / "colors.zip").write_bytes(pack(make_parts(of_images(), **OF_IMAGES)))
    return tmp_path / "colors.zip"


def export(*arguments):
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def test_the_graph_and_what_it_takes(bundle, tmp_path):
    result = export(bundle, tmp_path / "colors.onnx")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "colors.onnx").read_bytes() == load(bundle).part("model.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "colors.onnx"), full_check=True)
    words = " ".join(result.stdout.split())
    assert "opset 18" in words
    assert "takes images uint8 [N, H, W, C] pixels from 0 to 255, of any size" in words
    assert "takes features float32 [M, 3]" in words
    assert "gives label int64 [R] number of the class" in words


@pytest.mark.slow
def test_a_page(bundle, tmp_path, npm_packages):
    result = export(bundle, "colors.onnx", "--html", "colors.html", "--runtime", npm_packages)
    assert result.exit_code == 0, result.stderr
    page = (tmp_path / "colors.html").read_text(encoding="utf-8")
    assert "<h1>colors</h1>" in page
    assert (tmp_path / "colors.onnx").exists()
    assert "Page: colors.html (4.9 MB)" in result.stdout


def test_without_a_runtime_it_says_how_to_get_one(bundle, tmp_path):
    result = export(bundle, "colors.onnx", "--html", "colors.html")
    assert result.exit_code == 1
    assert "npm install onnxruntime-web@" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["colors.zip"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "say where to write to"),
        (["page.html"], "written with --html"),
        (["model.zip"], "a name in .onnx; got 'model.zip'"),
        (["--html", "page.onnx"], "a name in .html; got 'page.onnx'"),
        (["model.onnx", "--runtime", "."], "for --html alone"),
        (["--mlflow", "colors", "--runtime", "."], "for --html alone"),
    ],
)
def test_wrong_usage(bundle, arguments, reason, tmp_path):
    result = export(bundle, *arguments)
    assert result.exit_code == 2
    assert reason in " ".join(result.stderr.replace("\u2502", " ").split())
    assert [path.name for path in tmp_path.iterdir()] == ["colors.zip"]


def test_what_is_no_bundle_is_refused(tmp_path):
    (tmp_path / "notes.zip").write_bytes(b"PK notes")
    for name in ("notes.zip", "absent.zip"):
        result = export(name, "out.onnx")
        assert result.exit_code == 1
        assert result.stderr.startswith("penultimate: ")
        assert "bug" not in result.stderr
    assert not (tmp_path / "out.onnx").exists()


def test_a_model_of_features_is_one_graph_and_no_page(tmp_path, npm_packages):
    (tmp_path / "model.zip").write_bytes(pack(make_parts(of_features())))
    assert export("model.zip", "model.onnx").exit_code == 0
    result = export("model.zip", "--html", "page.html", "--runtime", npm_packages)
    assert result.exit_code == 1
    assert "takes features, and a page classifies images" in result.stderr


def test_a_full_disk_leaves_the_old_file(bundle, tmp_path, monkeypatch):
    (tmp_path / "colors.onnx").write_bytes(b"old")

    def full(path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(files, "_sync", full)
    result = export(bundle, "colors.onnx")
    assert result.exit_code == 1
    assert "Free some space" in result.stderr
    assert (tmp_path / "colors.onnx").read_bytes() == b"old"


def test_a_model_of_mlflow(bundle, tmp_path):
    result = export(bundle, "--mlflow", "colors")
    assert result.exit_code == 0, result.stderr
    assert "mlflow.pyfunc.load_model('colors')" in result.stdout
    assert (tmp_path / "colors" / "model.zip").read_bytes() == bundle.read_bytes()
    result = export(bundle, "colors.onnx", "--mlflow", "colors")
    assert result.exit_code == 1
    assert "exists already" in result.stderr
    assert not (tmp_path / "colors.onnx").exists()
