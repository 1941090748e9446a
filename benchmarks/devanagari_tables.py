"""The tables of the Devanagari benchmark, as Markdown."""


def percent(interval, digits=2):
    return (
        f"{100 * interval.value:.{digits}f} "
        f"({100 * interval.low:.{digits}f} to {100 * interval.high:.{digits}f})"
    )


def points(interval):
    if interval is None:
        return ""
    low, high = 100 * interval.low, 100 * interval.high
    return f"{100 * interval.value:+.2f} ({low:+.2f} to {high:+.2f}), p {interval.p:.3f}"


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def accuracies(result, names):
    """Tabulate the accuracy of methods on all samples and on each subset."""
    columns = [None, *result.subsets]
    rows = [[name, *(percent(result.accuracy(name, s)) for s in columns)] for name in names]
    return table(["method", "all", *result.subsets], rows)


def differences(result):
    columns = [None, *result.subsets]
    names = [name for name in result.names() if result.baseline(name) != name]
    rows = [[name, *(points(result.vs_softmax(name, s)) for s in columns)] for name in names]
    return table(["method", "all", *result.subsets], rows)


def from_scratch(comparisons):
    """Tabulate the last method of each comparison, and its difference from the masked softmax."""
    rows = []
    for result in comparisons:
        columns, name = [None, *result.subsets], result.names()[-1]
        scores = [percent(result.accuracy(name, subset)) for subset in columns]
        gains = [points(result.vs_softmax(name, subset)) for subset in columns]
        rows += [
            [name, len(result.seeds), *scores],
            ["difference from softmax (percentage points)", "", *gains],
        ]
    return table(["method", "seeds", "all", *comparisons[0].subsets], rows)


def disagreements(result):
    """Count, per seed, the images that only the SVM or only the masked softmax gets right."""
    rows = []
    for subset in (None, *result.subsets):
        svm = result.correct("cnn+svm-rbf", subset)
        softmax = result.correct("cnn-softmax-masked", subset)
        cells = [f"{(a & ~b).sum()} to {(b & ~a).sum()}" for a, b in zip(svm, softmax)]
        rows.append([subset or "all", *cells])
    return table(
        ["only the SVM correct : only the softmax correct", *(f"seed {s}" for s in result.seeds)],
        rows,
    )


def across_splits(kinds, subsets):
    """Tabulate random splits and splits with disjoint writers side by side."""
    rows = []
    header = ["method", "subset"]
    for kind in kinds:
        name = "disjoint writers" if kind["by_group"] else "random"
        header += [f"{name}: accuracy, splits", "difference from softmax (percentage points)"]
    keys = dict.fromkeys((m["name"], m["subset"]) for kind in kinds for m in kind["methods"])
    for name, subset in [key for key in keys if key[1] in subsets]:
        row = [name if subset is None else "", subset or "all"]
        for kind in kinds:
            found = next(m for m in kind["methods"] if (m["name"], m["subset"]) == (name, subset))
            row.append(f"{100 * found['accuracy']:.2f}, {len(found['accuracies'])}")
            difference = found["vs_softmax"]
            if difference is None or difference["ci95"] is None:
                row.append("" if difference is None else f"{100 * difference['difference']:+.2f}")
            else:
                low, high = (100 * value for value in difference["ci95"])
                row.append(
                    f"{100 * difference['difference']:+.2f} ({low:+.2f} to {high:+.2f}), "
                    f"p {difference['p']:.3f}"
                )
        rows.append(row)
    return table(header, rows)


def kinds_of_splits(comparisons):
    """Merge the splits of several comparisons on the same splits, for `across_splits`."""
    first, *others = (comparison.to_dict()["splits"] for comparison in comparisons)
    for other in others:
        for kind, more in zip(first, other, strict=True):
            kind["methods"] += [m for m in more["methods"] if m not in kind["methods"]]
    return first


def few_samples_table(curves):
    rows = []
    for method in curves.methods:
        cells = [percent(curves.accuracy(method, size), 1) for size in curves.sizes]
        rows.append([method, *cells])
    return table(["method", *(f"{size} per class" for size in curves.sizes)], rows)


def few_samples_differences(curves):
    rows = []
    for other in ("cnn+logistic", "cnn+softmax-adam", "cnn-scratch"):
        cells = [points(curves.difference("cnn+svm-linear", other, size)) for size in curves.sizes]
        rows.append([f"minus {other}", *cells])
    return table(["cnn+svm-linear", *(f"{size} per class" for size in curves.sizes)], rows)
