"""CPU time of the solver with other values of its constants, relative to the current ones.

Builds the core once per change, each in a process of its own, and lets all of them take turns on
three tasks: a grid search (1,000 samples, ten classes, RBF), single fits (3,000 samples, two
classes, RBF) and a search on a Gram matrix of low rank (1,000 samples, 20 features, linear). CPU
seconds on one thread, so that a busy machine matters less.

Run it with: python benchmarks/core_constants.py [--rounds 3] [--only kNewtonSteps]
             [--out benchmarks/results/core_constants.md]
It needs CMake, Ninja and a C++ compiler.
"""

import argparse
import importlib.util
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHANGES = [
    ("decomposition.hpp", "kMostAdditions = 256", ("64", "1024")),
    ("decomposition.hpp", "kPatience = 12", ("3", "50")),
    ("decomposition.hpp", "kProgress = 0.9", ("0.99", "0.5")),
    ("decomposition.hpp", "kInnerShare = 0.1", ("0.01", "0.5")),
    ("decomposition.hpp", "kIterationsPerPlace = 20", ("5", "80")),
    ("decomposition.hpp", "kNewtonSteps = 32", ("0", "8")),
    ("decomposition.hpp", "kSmall = 128", ("0", "512")),
    ("decomposition.hpp", "kActiveMargin = 0.5", ("0.1", "2.0")),
    ("pair.cpp", "kTiny = 64", ("0", "500")),
    ("pair.cpp", "kFastShare = 0.8", ("1.0", "0.3")),
    ("grid.cpp", "kBlock = 256", ("64", "1024")),
]


def time_tasks(core):
    """Return the CPU seconds of each task with the compiled module `core`."""
    name = "penultimate.svm._core"
    spec = importlib.util.spec_from_file_location(name, core)
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    from sklearn.datasets import make_classification

    from penultimate import SVC, SVCSearchCV

    def samples(n, d, n_classes):
        return make_classification(
            n, d, n_informative=d // 3, n_classes=n_classes, flip_y=0.05, class_sep=2.0,
            random_state=0,
        )  # fmt: skip

    def search(task, kernel, **grid):
        SVCSearchCV(SVC(kernel=kernel), grid, cv=3, n_jobs=1, refit=False).fit(*task)

    ten, two, thin = samples(1000, 128, 10), samples(3000, 128, 2), samples(1000, 20, 3)
    gammas = ["scale", 0.01, 0.001]
    tasks = {
        "grid": lambda: search(ten, "rbf", C=[0.1, 1, 10, 100], gamma=gammas),
        "fit": lambda: SVC(C=10, n_jobs=1).fit(*two),
        "low rank": lambda: search(thin, "linear", C=[0.01, 1, 100]),
    }
    seconds = {}
    for task, run in tasks.items():
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a solution is not precise enough
            run()
        seconds[task] = time.process_time() - start
    return seconds


def build(folder, file, old, new, to):
    """Compile the core with `old` replaced by `new`; only what includes the file is built anew."""
    import nanobind

    path = folder / "src/core" / file
    original = path.read_text()
    assert old in original, (file, old)
    path.write_text(original.replace(old, new))
    for command in (
        ["cmake", "-S", folder, "-B", folder / "build", "-G", "Ninja",
         "-DCMAKE_BUILD_TYPE=Release", f"-DPython_EXECUTABLE={sys.executable}",
         f"-Dnanobind_DIR={nanobind.cmake_dir()}"],
        ["cmake", "--build", folder / "build"],
    ):  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
    path.write_text(original)
    shutil.copy(next((folder / "build").glob("_core*")), to)


def main():
    """Print a table of ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="names of constants")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--core", help=argparse.SUPPRESS)  # a process of this script's own
    arguments = parser.parse_args()
    if arguments.core:
        print(json.dumps(time_tasks(arguments.core)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copy(ROOT / "CMakeLists.txt", folder)
        shutil.copytree(ROOT / "src/core", folder / "src/core")
        cores = {"as it is": folder / "current.so"}
        build(folder, "pair.cpp", "kTiny", "kTiny", cores["as it is"])
        for file, old, values in CHANGES:
            constant = old.split(" = ")[0]
            for value in values if not arguments.only or constant in arguments.only else ():
                row = f"`{old}`: {value}"
                cores[row] = folder / f"{constant}-{value}.so"
                build(folder, file, old, f"{constant} = {value}", cores[row])
        rounds = [
            {row: json.loads(_run(core)) for row, core in cores.items()}
            for _ in range(arguments.rounds)
        ]
    tasks = list(rounds[0]["as it is"])
    lines = [f"| constant: other value | {' | '.join(tasks)} |", f"| --- {'| ---: ' * len(tasks)}|"]
    for row in cores:
        ratios = (
            statistics.median(times[row][task] / times["as it is"][task] for times in rounds)
            for task in tasks
        )
        lines.append(f"| {row} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


def _run(core):
    command = [sys.executable, __file__, "--core", str(core)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
