"""Building the package: what comes out, and what is said where it can't be built."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PIP = (sys.executable, "-m", "pip")
INSTALL = ("install", "--no-deps", "--no-build-isolation")


def run(*command, cwd=None, **env):
    """Run a command; return its exit status, and what it printed on either stream."""
    finished = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return finished.returncode, finished.stdout


def test_without_a_compiler_pip_says_which_is_needed(tmp_path):
    status, output = run(
        *(*PIP, *INSTALL, "--target", tmp_path / "site"),
        *("-C", f"build-dir={tmp_path / 'build'}", ROOT),
        CXX=str(tmp_path / "g++"),
    )
    message = " ".join(output.split())
    assert status != 0
    assert "No working C++ compiler was found." in message
    assert "a C++17 compiler with vector extensions: g++ 9, clang 10 or newer" in message


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """The source distribution, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    status, output = run(*build, cwd=folder)
    assert status == 0, output
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def sources():
    """Every file that git has, or would take; other files, as from builds, belong nowhere."""
    command = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
    status, output = run(*command, cwd=ROOT)
    if status != 0:
        pytest.skip("this is no git repository")
    return {name for name in output.splitlines() if (ROOT / name).exists()}


@pytest.mark.slow
def test_sdist_is_what_git_has(distributions, sources):
    with tarfile.open(distributions[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    ours = {name for name in sources if not name.startswith((".ci/", ".github/"))}
    assert names == ours | {"PKG-INFO"}


@pytest.mark.slow
def test_wheel_is_the_package_and_its_compiled_part(distributions, sources):
    names = set(zipfile.ZipFile(distributions[1]).namelist())
    installed = {name for name in names if ".dist-info/" not in name}
    core = f"penultimate/svm/_core{sysconfig.get_config_var('EXT_SUFFIX')}"
    package = {name[4:] for name in sources if name.startswith("src/penultimate/")}
    assert installed == package | {core}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


@pytest.mark.slow
def test_installed_wheel_passes_its_tests(distributions, tmp_path):
    sdist, wheel = distributions
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    status, output = run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    assert status == 0, output
    (site,) = tmp_path.glob("venv/lib/python3*/site-packages")
    python = tmp_path / "venv" / "bin" / "python"
    # The packages of this environment, but not its editable install, which is a .pth file: those
    # of a folder that a .pth file names are not read.
    outer = [folder for folder in sys.path if folder.endswith("site-packages")]
    (site / "outer.pth").write_text("\n".join(outer))
    status, output = run(*PIP, "--python", python, *INSTALL, wheel)
    assert status == 0, output

    code = "import penultimate.svm; print(penultimate.svm.__file__, penultimate.svm._core.__file__)"
    status, output = run(python, "-c", code, cwd=unpacked)
    assert status == 0, output
    assert [Path(file).parent for file in output.split()] == [site / "penultimate" / "svm"] * 2
    # Without pytest's own "src", which has no compiled part.
    tests = (python, "-m", "pytest", "-o", "pythonpath=", "-m", "not slow", "tests/svm")
    status, output = run(*tests, cwd=unpacked)
    assert status == 0, output
