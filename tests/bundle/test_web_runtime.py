import pytest

from penultimate.bundle import web_runtime
from penultimate.bundle.web_runtime import VARIABLE, VERSION, find_runtime


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of another content, whose hashes are known here."""
    contents = {"ort.wasm.bundle.min.mjs": b"script", "ort-wasm-simd-threaded.wasm": b"binary"}
    folder = tmp_path / "node_modules" / "onnxruntime-web"
    (folder / "dist").mkdir(parents=True)
    for name, content in contents.items():
        (folder / "dist" / name).write_bytes(content)
        digest = web_runtime.hashlib.sha256(content).hexdigest()
        monkeypatch.setitem(web_runtime._SHA256, name, digest)
    monkeypatch.delenv(VARIABLE, raising=False)
    return folder


def test_known_files_are_taken(npm_packages):
    runtime = find_runtime(npm_packages)
    assert runtime.version == VERSION
    assert b"ONNX Runtime Web v" + VERSION.encode() in runtime.script[:100]
    assert runtime.binary[:4] == b"\0asm"


@pytest.mark.parametrize("inside", ["", "dist", "../.."])
def test_any_folder_of_the_package_will_do(package, inside):
    assert find_runtime(package / inside).script == b"script"


def test_it_is_found_in_the_current_folder_and_by_the_variable(package, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert find_runtime().binary == b"binary"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match=f"npm install onnxruntime-web@{VERSION}, or set"):
        find_runtime()
    monkeypatch.setenv(VARIABLE, str(package))
    assert find_runtime().binary == b"binary"
    with pytest.raises(FileNotFoundError, match=r"not in '.*elsewhere'.*npm install"):
        find_runtime("../elsewhere")


def test_a_changed_file_is_refused(package):
    (package / "dist" / "ort-wasm-simd-threaded.wasm").write_bytes(b"Binary")
    with pytest.raises(ValueError, match=f"is not that of onnxruntime-web {VERSION}.*npm install"):
        find_runtime(package)
