import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.svm import LinearSVC
from typer.testing import CliRunner

import penultimate
from penultimate._common.door import at_terminal
from penultimate._common.imports import import_optional
from penultimate.cli.compare import _shortened, app
from penultimate.results.answer_text import answer
from penultimate.results.verdict import verdict

COMMAND = [sys.executable, "-m", "penultimate.cli"]


def run(*arguments, **kwargs):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=300, **kwargs
    )


@pytest.fixture
def here(monkeypatch, solved_steps, undrawn):
    """Run in this process, without determinism, training by steps or pictures."""
    monkeypatch.setattr("penultimate.networks.make_deterministic", lambda: None)
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)))


def fails(*arguments):
    """Run in this process, and return the one-line error message."""
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 1, result.output
    last = result.stderr.strip().splitlines()
    assert len(last) == 1
    assert last[0].startswith("penultimate: ")
    return last[0]


@pytest.fixture
def bars(shapes, tmp_path):
    """The bars as a folder per class."""
    for index, (image, label) in enumerate(zip(*shapes)):
        folder = tmp_path / "bars" / label
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{index}.png")
    return tmp_path / "bars"


QUICK = ("--seeds", 1, "--epochs", 1)
PIXELS = "pca+svm-rbf"


@pytest.mark.slow
def test_help_in_a_process():
    result = run("--help")
    assert result.returncode == 0
    assert "Usage: " in result.stdout


@pytest.mark.parametrize("command", ["demo", "compare"])
def test_help_has_an_example(command):
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Usage: " in result.stdout
    assert "Example: penultimate" in result.stdout


def test_help_names_every_network():
    # The help lists them by hand, because it must not wait for the imports of the networks.
    from penultimate.networks import NETWORKS
    from penultimate.networks.pretrained import PRETRAINED

    text = CliRunner().invoke(app, ["compare", "--help"]).stdout
    shown = {word.strip("(,;.:│") for word in text.split()}
    assert {*NETWORKS, next(iter(PRETRAINED))} <= shown


def test_help_names_every_method():
    from penultimate.comparison import METHODS

    shown = CliRunner().invoke(app, ["compare", "--help"]).stdout.split()
    assert set(METHODS) <= {word.strip("(,;.:") for word in shown}


def test_version():
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"penultimate {penultimate.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (("compar", "x"), "compare"),
        (("compare", "x", "--method", "cnn-softmax"), "--methods"),
        (("compare", "x", "--methods", "cnn-softmax,CNN+svm_rbf"), "cnn+svm-rbf"),
        (("compare", "x", "--network", "compct"), "compact"),
    ],
)
def test_what_is_misspelled_is_answered_with_the_nearest_name(arguments, nearest):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    text = " ".join(result.stderr.replace("│", " ").split())
    assert re.search(f"(Did you mean|Possible options:) '?{re.escape(nearest)}", text)


@pytest.mark.parametrize(
    ("n_notes", "last"),
    [
        (8, "Note 7."),
        (9, "Note: 1 more note is in the report."),
        (10, "Note: 2 more notes are in the report."),
    ],
)
def test_notes_beyond_the_eighth_are_counted(n_notes, last):
    shown = _shortened([f"Note {k}." for k in range(n_notes)])
    assert shown[-1] == last
    assert len(shown) == min(n_notes, 9)


def test_help_imports_nothing_slow():
    code = (
        "import sys; from typer.testing import CliRunner; from penultimate.cli.compare import app;"
        "assert CliRunner().invoke(app, ['compare', '--help']).exit_code == 0;"
        "print(sorted({m.partition('.')[0] for m in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    for slow in (b"keras", b"tensorflow", b"torch", b"sklearn", b"scipy", b"matplotlib", b"cv2"):
        assert b"'" + slow + b"'" not in loaded


# With real training, in a process of its own: tests/cli/test_repeatability.py.
@pytest.mark.slow
def test_compare_writes_a_report(here, bars, tmp_path):
    out = tmp_path / "out"
    result = here("compare", bars, "--out", out, *QUICK, "--seed", 5)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    assert f"Report: {out / 'report.html'}" in result.stdout
    assert "cnn+svm-rbf" in result.stdout
    results = json.loads((out / "results.json").read_text())
    assert results["protocol"]["seeds"] == [5]
    assert len(results["methods"]) == 7
    with at_terminal():
        said = (answer(results), verdict(results))
    for words in said:
        assert words in result.stdout.splitlines()


@pytest.fixture
def letters(two_subsets, tmp_path):
    """Two subsets as a folder of folders; the files are named after their writers."""
    data = two_subsets
    for index, (image, label, writer) in enumerate(zip(data.images, data.labels, data.groups)):
        folder = tmp_path / "letters" / data.classes[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(folder / f"{writer[-1]}_{index}.png")
    return tmp_path / "letters"


@pytest.mark.slow
def test_compare_by_subset_and_by_both_kinds_of_split(here, letters, tmp_path):
    out = tmp_path / "out"
    methods = "cnn-softmax,cnn-softmax-masked,cnn+svm-rbf,cnn+svm-rbf-routed,pca+svm-rbf"
    result = here(
        "compare", letters, "--out", out, *QUICK, "--methods", methods, "--subsets",
        "--group-from-filename", "(?P<group>[^_]+)_", "--split-by", "both", "--splits", 2,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert "By subset" in result.stdout
    assert "at random, 2" in result.stdout
    results = json.loads((out / "results.json").read_text())
    assert results["protocol"]["groups"]
    assert set(results["dataset"]["subsets"]) == {"bright", "dark"}
    assert len(results["methods"]) == 5 * 3
    assert [kind["n_splits"] for kind in results["splits"]] == [2, 2]


def test_subsets_of_a_manifest_are_used_on_request_only(here, letters, tmp_path):
    files = sorted(letters.rglob("*.png"))
    lines = [f"{path},{path.parent.name},{path.parent.parent.name}" for path in files]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,subset", *lines]))
    out = tmp_path / "out"
    options = ["compare", tmp_path / "list.csv", "--methods", "pca+svm-rbf", "--seeds", "1"]
    for flag, subsets in ((["--subsets"], {"bright", "dark"}), ([], set())):
        result = here(*options, "--out", out, *flag)
        assert result.exit_code == 0, result.stderr
        results = json.loads((out / "results.json").read_text())
        assert set(results["dataset"]["subsets"]) == subsets
        noted = "The subsets in the data are used only with --subsets." in result.stdout
        assert noted == (not subsets)


def test_missing_subsets_and_groups_are_refused(bars, letters, tmp_path):
    out = tmp_path / "out"
    assert "has no folder of " in fails("compare", bars, "--subsets", "--out", out)
    assert "--subsets" in fails("compare", letters, "--out", out)
    result = CliRunner().invoke(
        app, ["compare", str(bars), "--split-by", "group", "--out", str(out)]
    )
    assert result.exit_code == 2
    text = " ".join(result.stderr.replace("│", " ").split())
    assert "--split-by: needs groups, and the data has none" in text
    assert "finds no group" in fails(
        "compare", letters, "--subsets", "--group-from-filename", "(zzz)", "--out", out
    )
    result = CliRunner().invoke(app, ["compare", str(bars), "--methods", "cnn-scratch"])
    assert result.exit_code == 2
    assert "is for comparisons by subset" in " ".join(result.stderr.replace("│", " ").split())


def test_json_mode_prints_only_json(here, bars, tmp_path, capfd):
    out = tmp_path / "out"
    result = here(
        "compare", bars, "--out", out, *QUICK, "--json", "--methods", "cnn-softmax,cnn+svm-rbf"
    )
    assert json.loads(result.stdout) == json.loads((out / "results.json").read_text())
    assert capfd.readouterr().out == ""  # nor does native code print anything


# With real training: tests/cli/test_repeatability.py.
@pytest.mark.slow
def test_same_seed_same_bits(here, bars, tmp_path):
    outcomes = []
    for name in ("one", "two"):
        out = tmp_path / name
        result = here("compare", bars, "--out", out, *QUICK, "--methods", "cnn-softmax,cnn+svm-rbf")
        assert result.exit_code == 0, result.stderr
        results = json.loads((out / "results.json").read_text())
        outcomes.append(
            [(m["per_seed"], m["params"], m["selection_scores"]) for m in results["methods"]]
        )
    # Equal to the last digit of gamma, which is a mean over all features.
    assert outcomes[0] == outcomes[1]


def test_a_corrupt_image_stops_the_run_or_is_listed(here, bars, tmp_path):
    (bars / "lying" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert "torn.png" in fails("compare", bars, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    out = tmp_path / "out"
    result = here("compare", bars, "--out", out, "--skip-corrupt", *QUICK, "--methods", PIXELS)
    assert result.exit_code == 0, result.stderr
    assert "torn.png" in (out / "report.html").read_text()
    assert "torn.png" in result.stdout


def test_resizing_is_stated(here, bars, tmp_path):
    out = tmp_path / "out"
    result = here(
        "compare", bars, "--out", out, "--image-size", "9x10", *QUICK, "--methods", PIXELS
    )
    assert "resized to 9 x 10 (from 12 x 12)" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "There is no file or folder 'nowhere'"),
        (("EMPTY",), "it is empty"),
    ],
)
def test_bad_input_is_one_line(bars, tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    places = {"DATA": bars, "EMPTY": tmp_path / "empty"}
    arguments = [places.get(a, a) for a in arguments]
    assert message in fails("compare", *arguments, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_foreign_folder_is_refused_before_any_work(bars, tmp_path, monkeypatch):
    (tmp_path / "photo.jpg").write_text("mine")
    # What comes first of the work: methods are chosen, then the data is read.
    monkeypatch.setattr("penultimate.comparison.methods.choose_methods", pytest.fail)
    assert "not written by penultimate" in fails("compare", bars, "--out", tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare",),
        ("nonsense",),
        ("compare", "x", "--seeds", "0"),
        ("compare", "x", "--image-size", "wide"),
        ("compare", "x", "--image-size", "0"),
        ("compare", "x", "--methods", "cnn-softmx"),
        ("compare", "x", "--methods", "cnn-softmax-masked"),
        ("compare", "x", "--network", "resnet"),
        ("compare", "x", "--group-from-filename", "("),
        ("compare", "x", "--group-from-filename", "[a-z]+"),
        ("demo", "--frames"),
    ],
)
def test_wrong_usage(arguments):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "Usage" in result.stderr


@pytest.mark.slow
def test_traceback_on_request(bars):
    environment = {**os.environ, "PENULTIMATE_DEBUG": "1"}
    result = run("demo", "--out", bars, env=environment)
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "not written by penultimate" in result.stderr


def penultimate_raises():
    from penultimate._common.validation import check_number

    check_number(-1, "size", "Thing", low=0)


def reads_a_missing_file():
    Path("photos/missing.npz").read_bytes()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (penultimate_raises, "The 'size' parameter of Thing must be"),
        (reads_a_missing_file, "No such file or directory: 'photos/missing.npz'"),
        (lambda: import_optional("not_there", "umap"), "pip install 'penultimate[umap]'"),
        (lambda: np.empty(1 << 55), "there is not enough memory"),
    ],
)
def test_user_errors_are_reported_in_one_line(fault, expected, monkeypatch, tmp_path):
    monkeypatch.setattr("penultimate.report.folder.check_folder", lambda out: fault())
    line = fails("demo", "--out", tmp_path / "out")
    assert expected in line
    assert "bug" not in line


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (lambda: [][0], "IndexError: list index out of range"),
        (lambda: {}["key"], "KeyError: 'key'"),
        (lambda: None.shape, "AttributeError: 'NoneType' object has no attribute 'shape'"),
        (lambda: len(3), "TypeError: object of type 'int' has no len()"),
        (lambda: np.ones(3) + np.ones(4), "ValueError: operands could not be broadcast"),
        (lambda: LinearSVC().fit([[np.nan]] * 2, [0, 1]), "ValueError: Input X contains NaN"),
        (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda: exec("assert False"), "AssertionError"),
        (lambda: exec("import penultimate.gone"), "No module named 'penultimate.gone'"),
    ],
)
def test_internal_errors_are_reported_as_bugs(fault, expected, monkeypatch, tmp_path):
    monkeypatch.setattr("penultimate.report.folder.check_folder", lambda out: fault())
    line = fails("demo", "--out", tmp_path / "out")
    assert expected in line
    assert line.endswith(". This is a bug in Penultimate; PENULTIMATE_DEBUG=1 shows where.")


@pytest.mark.parametrize("fault", [penultimate_raises, lambda: [][0], lambda: np.empty(1 << 55)])
def test_debugging_shows_the_traceback(fault, monkeypatch, tmp_path):
    monkeypatch.setenv("PENULTIMATE_DEBUG", "1")
    monkeypatch.setattr("penultimate.report.folder.check_folder", lambda out: fault())
    result = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "out")])
    assert isinstance(result.exception, ValueError | IndexError | MemoryError)


@pytest.mark.slow
def test_a_closed_pipe_is_not_an_error():
    code = (
        "import penultimate.cli.compare as cli; from penultimate.cli import main\n"
        "def long(*arguments, **kwargs):\n"
        "    with cli.plain_errors(): print('x' * 1_000_000, flush=True)\n"
        "cli._compare = long\n"
        "main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.read(3) == b"xxx"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_ctrl_c_before_the_command_has_begun():
    code = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(name, *_):\n"
        "        if name == 'typer': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder)\n"
        "from penultimate.cli import main\n"
        "main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert ended.returncode == 130
    assert ended.stderr == "penultimate: interrupted; no report was written.\n"


@pytest.mark.parametrize("command", ["demo", "compare"])
def test_what_is_advised_after_ctrl_c_is_an_option(command):
    assert "--checkpoints" in CliRunner().invoke(app, [command, "--help"], color=False).stdout


# Alone on the machine: beside the other worker it ended with 1 in two whole runs out of two, and
# with 130 in all of over twenty others.
@pytest.mark.slow
@pytest.mark.serial
def test_ctrl_c_leaves_nothing_behind(bars, tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen(
        [*COMMAND, "compare", str(bars), "--out", str(out), "--epochs", "5000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
        # A shell lets what it starts in the background ignore Ctrl-C.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    try:
        for line in process.stdout:
            if "train network" in line:
                break
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert errors.strip() == (
        "penultimate: interrupted; no report was written. Started with --checkpoints FOLDER, the "
        "same command resumes where it was."
    )
    assert not out.exists()


def test_full_disk_keeps_the_table(here, bars, tmp_path, monkeypatch):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    out = tmp_path / "out"
    write = Path.write_text

    def fail(self, *arguments, **kwargs):
        if "results" in self.name:
            with open(full, "w") as file:
                file.write("x" * 99999)
        return write(self, *arguments, **kwargs)

    monkeypatch.setattr(Path, "write_text", fail)
    result = here("compare", bars, "--out", out, *QUICK, "--methods", "cnn-softmax,cnn+svm-rbf")
    assert result.exit_code == 1
    assert "could not be written: No space left on device. Existing files" in result.stderr
    assert f"\npenultimate: '{out}" in f"\n{result.stderr}"
    assert "cnn+svm-rbf" in result.stdout
    assert list(out.iterdir()) == []


def test_demo_runs_its_methods_and_no_others(tmp_path, monkeypatch):
    from penultimate.comparison import _compare as comparison
    from penultimate.comparison import methods as heads

    monkeypatch.setitem(heads.METHODS, "joined-later", heads.METHODS["cnn+knn"])
    asked = {}

    def spy(dataset, **kwargs):
        asked.update(kwargs, n=len(dataset.images))
        raise ValueError("enough")

    monkeypatch.setattr(comparison, "compare", spy)
    monkeypatch.setattr("penultimate.networks.make_deterministic", lambda: None)
    assert "enough" in fails("demo", "--out", tmp_path / "out")
    assert asked["n"] == 5000
    assert asked["seeds"] == range(3)
    assert asked["methods"] == [
        "cnn-softmax",
        "cnn+logistic",
        "cnn+svm-rbf",
        "cnn+svm-linear",
        "cnn+rf",
        "cnn+knn",
        "pca+svm-rbf",
    ]
