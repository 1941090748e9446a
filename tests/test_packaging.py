"""Building the package: what comes out, and what is said where it can't be built."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(*command, **env):
    """Run a command; return its exit status, and what it printed on either stream."""
    finished = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return finished.returncode, finished.stdout


def test_without_a_compiler_pip_says_which_is_needed(tmp_path):
    status, output = run(
        *(sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation"),
        *("--target", tmp_path / "site", "-C", f"build-dir={tmp_path / 'build'}", ROOT),
        CXX=str(tmp_path / "g++"),
    )
    message = " ".join(output.split())
    assert status != 0
    assert "No working C++ compiler was found." in message
    assert "a C++17 compiler with vector extensions: g++ 9, clang 10 or newer" in message
