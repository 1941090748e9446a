"""Building the package: what it requires, what comes out, and what is said where it fails."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

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


@pytest.mark.slow
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
    """The source distribution, and the wheel.

    Both are made in this folder, where the core was compiled when the project was installed: with
    the same tools, nothing is compiled again. A test says that the source distribution has the same
    files, so the wheel built from it would be the same.
    """
    folder = tmp_path_factory.mktemp("dist")
    build = (sys.executable, "-m", "build", "--no-isolation", "--sdist", "--wheel")
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    status, output = run(*build, "--outdir", folder, ROOT, cwd=folder, PATH=tools)
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
        contents = {
            member.name.partition("/")[2]: archive.extractfile(member).read()
            for member in archive.getmembers()
        }
    del contents["PKG-INFO"]
    ours = {name for name in sources if not name.startswith((".ci/", ".github/"))}
    assert contents.keys() == ours
    assert [name for name in ours if contents[name] != (ROOT / name).read_bytes()] == []


def test_the_core_is_compiled_from_what_git_has(sources):
    """Else it would compile here, and not from the source distribution."""
    core = {path.relative_to(ROOT).as_posix() for path in (ROOT / "src" / "core").rglob("*")}
    assert core <= sources


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

    # Without pytest's own "src", which has no compiled part. These call all of the core; the other
    # tests of svm would say the same of the same code.
    chosen = ["-m", "not slow and not serial", "tests/svm/test_core.py", "tests/svm/test_native.py"]
    code = (
        "import sys, pytest, penultimate.svm as svm; print(svm.__file__, svm._core.__file__);"
        f"sys.exit(pytest.main({['-o', 'pythonpath=', *chosen]}))"
    )
    status, output = run(python, "-c", code, cwd=unpacked)
    assert status == 0, output
    files = output.splitlines()[0].split()
    assert [Path(file).parent for file in files] == [site / "penultimate" / "svm"] * 2


def required():
    """Every requirement in pyproject.toml, with the place that it is in."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lists = {
        "build-system": content["build-system"]["requires"],
        "dependencies": content["project"]["dependencies"],
        "cibuildwheel": content["tool"]["cibuildwheel"]["test-requires"],
        **content["project"]["optional-dependencies"],
    }
    return [(place, Requirement(line)) for place, lines in lists.items() for line in lines]


def pinned():
    """Every pin in requirements/, with the file that it is in."""
    files = sorted((ROOT / "requirements").glob("*.txt"))
    assert len(files) >= 5
    return [
        (file.name, Requirement(line))
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.startswith("#")
    ]


def floors():
    content = tomllib.loads((ROOT / "requirements" / "security.toml").read_text(encoding="utf-8"))
    return {canonicalize_name(name): Version(text) for name, text in content["floors"].items()}


def lowest(requirement):
    """The lowest version that a requirement admits."""
    bounds = [Version(s.version) for s in requirement.specifier if s.operator in (">=", "==", "~=")]
    return max(bounds, default=Version("0"))


def by_name(requirements):
    """The same requirements by the name of the package, however it is spelled."""
    groups = {}
    for place, requirement in requirements:
        groups.setdefault(canonicalize_name(requirement.name), []).append((place, requirement))
    return groups


@pytest.mark.parametrize("name", sorted(floors()))
def test_no_version_below_a_security_floor_is_taken(name):
    requirements, pins = by_name(required()).get(name, []), by_name(pinned()).get(name, [])
    below = [f"{place}: {r}" for place, r in [*requirements, *pins] if lowest(r) < floors()[name]]
    assert below == []
    # What another package brings is only held to its floor where we require it ourselves.
    assert requirements or not pins


def test_security_floors_are_where_they_are_needed():
    places = {(canonicalize_name(r.name), place) for place, r in required()}
    places = {(name, place) for name, place in places if name in floors()}
    assert places >= {
        *(("keras", extra) for extra in ("tensorflow", "torch", "jax")),
        ("torch", "torch"),
        ("protobuf", "tensorflow"),
        *((name, "dependencies") for name in ("pillow", "opencv-python-headless", "jinja2")),
    }


def test_pins_are_what_is_required():
    pins = by_name(pinned())
    required_names = by_name(required())
    assert set(required_names) - set(pins) == {"penultimate", "umap-learn"}
    refused = [
        f"{file}: {pin} is not {requirement}"
        for name in required_names
        for file, pin in pins.get(name, [])
        for _, requirement in required_names[name]
        if not requirement.specifier.contains(lowest(pin))
    ]
    assert refused == []


def test_each_pin_names_one_version_and_the_same_in_every_file():
    loose = [f"{file}: {r}" for file, r in pinned() if [s.operator for s in r.specifier] != ["=="]]
    assert loose == []
    versions = {name: {lowest(r) for _, r in pins} for name, pins in by_name(pinned()).items()}
    assert len(versions) > 100
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("a>=1.2", "1.2"),
        ("a>=1.2,<3; python_version > '3.11'", "1.2"),
        ("a[b]==1.4", "1.4"),
        ("a~=1.3", "1.3"),
        ("a<3", "0"),
        ("a", "0"),
        ("a!=2.0,>=1.5", "1.5"),
    ],
)
def test_the_lowest_version_that_a_requirement_admits(text, version):
    assert lowest(Requirement(text)) == Version(version)
