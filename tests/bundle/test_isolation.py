"""What opening a bundle reaches: no package that made it, no other file, no connection."""

import json
import os
import shutil
import subprocess
import sys
import textwrap

import pytest

# Packages that make bundles, or that their making needs.
FOREIGN = (
    "keras",
    "tensorflow",
    "torch",
    "jax",
    "sklearn",
    "scipy",
    "pandas",
    "onnx",
    "matplotlib",
)


def run(code, *arguments):
    """Run code in a process of its own; return what it printed, as JSON."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    finished = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": ""},
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


@pytest.fixture(scope="module")
def path(image_bundle, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "model.zip"
    path.write_bytes(image_bundle)
    return path


def test_nothing_that_made_it_is_imported(path):
    loaded = run(
        """
        import io, json, sys
        import numpy as np
        from PIL import Image
        import penultimate

        model = penultimate.load(sys.argv[1])
        file = io.BytesIO()
        Image.new("RGB", (9, 5), "red").save(file, "PNG")
        model.predict([file.getvalue(), np.zeros((3, 4, 3), np.uint8)])
        model.predict(features=np.eye(3)), model.provenance, str(model), model._repr_html_()
        try:
            model.predict(b"no image")
        except ValueError:
            pass
        print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
        """,
        path,
    )
    assert "onnxruntime" in loaded
    assert not set(FOREIGN) & set(loaded)


def test_no_socket_and_no_other_file_is_opened(path):
    """Python reports both to an audit hook, whichever library asks for them by way of Python."""
    found = run(
        """
        import json, sys
        import numpy as np
        import penultimate
        from penultimate.bundle import Predictor  # what these import is no part of the bundle
        from PIL import Image
        import onnxruntime, safetensors.numpy
        Image.preinit()
        Image.init()

        seen = []
        kinds = ("open", "socket", "subprocess", "shutil", "ctypes", "exec", "os", "import",
                 "pickle", "tempfile", "urllib", "ftplib")
        def hook(event, arguments):
            if event.split(".")[0] in kinds:
                seen.append([event, repr(arguments[0]) if arguments else ""])
        sys.addaudithook(hook)
        model = penultimate.load(sys.argv[1])
        model.predict(np.zeros((2, 5, 6, 3), np.uint8))
        model.predict_proba(features=np.eye(3)), model.provenance, str(model), model._repr_html_()
        seen, done = [], seen
        print(json.dumps(done))
        """,
        path,
    )
    opened = {argument for event, argument in found if event == "open"}
    own = {each for each in opened if each.endswith(("manifest.schema.json'", ".pyc'", ".py'"))}
    assert opened - own == {repr(str(path))}
    others = {event for event, _ in found} - {"open", "import", "exec", "os.listdir"}
    assert others == set()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_compiled_code_opens_nothing_either(path, tmp_path):
    code = """
        import os, sys
        import numpy as np
        import onnxruntime, safetensors.numpy
        from penultimate.bundle import load
        from penultimate.bundle.manifest import schema

        schema()
        load(sys.argv[1]).predict(np.zeros((2, 5, 6, 3), np.uint8))  # also starts threads, once
        try:
            os.open("/from-here", os.O_RDONLY)
        except OSError:
            pass
        model = load(sys.argv[1])
        model.predict(np.zeros((2, 5, 6, 3), np.uint8))
        model.predict(features=np.eye(3)), model.provenance
        try:
            os.open("/to-here", os.O_RDONLY)
        except OSError:
            pass
        """
    log = tmp_path / "calls"
    # Everything that names a file, and everything of the network; -f follows threads.
    command = ["strace", "-f", "-qq", "-e", "trace=%file,%network", "-e", "signal=none"]
    command += ["-o", str(log), sys.executable, "-c", textwrap.dedent(code), str(path)]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONPATH": "src"})
    if b"ptrace" in done.stderr:
        pytest.skip("processes cannot be traced here")
    assert done.returncode == 0, done.stderr
    between = log.read_text().partition("/from-here")[2].partition("/to-here")[0].splitlines()[1:-1]
    # Asking for the size of the open bundle names no file.
    others = [line for line in between if str(path) not in line and "AT_EMPTY_PATH" not in line]
    assert others == []
    assert any(str(path) in line for line in between)


@pytest.mark.skipif(sys.platform != "linux", reason="lists the process's files in /proc")
def test_no_file_stays_open_and_none_appears(path):
    before, after, left = run(
        """
        import json, os, sys
        import numpy as np
        import onnxruntime, safetensors.numpy
        from penultimate.bundle import load

        def open_files():
            place = "/proc/self/fd"
            return sorted(os.readlink(f"{place}/{n}") for n in os.listdir(place)
                          if os.path.lexists(f"{place}/{n}"))

        before = open_files()
        model = load(sys.argv[1])
        model.predict(np.zeros((2, 5, 6, 3), np.uint8))
        print(json.dumps([before, open_files(), os.listdir(os.path.dirname(sys.argv[1]))]))
        """,
        path,
    )
    assert before == after
    assert left == ["model.zip"]


@pytest.mark.slow
@pytest.mark.serial
def test_the_first_answer_comes_within_a_second(path):
    seconds = [
        run(
            """
            import time
            start = time.perf_counter()
            import sys
            import penultimate
            penultimate.load(sys.argv[1]).predict([[[[0, 0, 255]]]])
            print(time.perf_counter() - start)
            """,
            path,
        )
        for _ in range(3)
    ]
    assert min(seconds) < 1


def test_without_onnxruntime_the_extra_is_named(path):
    message = run(
        """
        import json, sys
        import penultimate
        import penultimate._common.imports as imports

        imports.find_spec = lambda name: None
        try:
            penultimate.load(sys.argv[1])
        except ImportError as error:
            print(json.dumps(str(error)))
        """,
        path,
    )
    assert "'onnxruntime' is not installed" in message
    assert "pip install 'penultimate[predict]'" in message


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_after_a_fork_a_child_predicts_as_well(path):
    answer = run(
        """
        import json, os, sys
        import numpy as np
        import penultimate

        model = penultimate.load(sys.argv[1])
        X = np.zeros((64, 40, 40, 3), np.uint8)
        X[..., 1] = 9
        model.predict(X)
        child = os.fork()
        if not child:
            os._exit(0 if set(model.predict(X)) == {"green"} else 1)
        print(json.dumps(os.waitpid(child, 0)[1]))
        """,
        path,
    )
    assert answer == 0
