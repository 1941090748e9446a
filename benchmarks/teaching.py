"""Teaching one sample: how long a certified refit takes, and what kills leave behind.

``python benchmarks/teaching.py`` writes ``benchmarks/results/teaching.md``. Features are made by
`make_classification`, ten classes. A lesson corrects one sample that the model gets wrong; end to
end is `Teacher.teach`, from the features to the new answer, synced in the journal.
"""

import argparse
import multiprocessing
import os
import random
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import make_classification

from penultimate import SVC, Teacher, save

N_CLASSES = 10


def samples(n_samples, n_features, seed=0):
    """Return features and labels, three of a hundred labels wrong."""
    X, y = make_classification(
        n_samples,
        n_features,
        n_informative=min(24, n_features // 2),
        n_redundant=n_features // 4,
        n_classes=N_CLASSES,
        n_clusters_per_class=1,
        class_sep=2.0,
        flip_y=0.03,
        random_state=seed,
    )
    return ((X - X.mean(0)) / X.std(0)).astype(np.float32), y


def saved(path, n_samples, n_features, n_others):
    """Save a model that can be taught; return samples that it gets wrong."""
    X, y = samples(n_samples + 2 * n_others, n_features)
    rest, test = slice(0, n_samples), slice(n_samples, n_samples + n_others)
    svc = SVC(C=1.0, n_jobs=-1).fit(X[rest], y[rest])
    save(svc, path, X[test][:200], teach=(X[rest], y[rest]), held_out=(X[test], y[test]))
    X, y = X[n_samples + n_others :], y[n_samples + n_others :]
    wrong = np.flatnonzero(svc.predict(X) != y)
    return X[wrong], y[wrong]


def timed(folder, n_samples, n_features, n_lessons=9):
    """Return elapsed and CPU times of the refit and of a whole lesson in ms; if all certified."""
    path = Path(folder, f"{n_samples}-{n_features}.zip")
    X, y = saved(path, n_samples, n_features, 500)
    refits, wholes, certified = [], [], True
    start = time.perf_counter()
    with Teacher(path) as teacher:
        opened = 1000 * (time.perf_counter() - start)
        (head,) = teacher._version.heads.each
        for row, label in zip(X[:n_lessons, None], y.tolist()):
            refits.append(_clocked(head.taught, row, [label])[0])
            clocked, lesson = _clocked(_taught, teacher, row, label)
            wholes.append(clocked)
            certified &= lesson.certified
            teacher.undo()
    return opened, np.median(refits, axis=0), np.median(wholes, axis=0), max(wholes)[0], certified


def _taught(teacher, row, label):
    lesson = teacher.teach(row, [label])
    teacher.predict(row)
    return lesson


def _clocked(work, *arguments):
    """Return elapsed milliseconds and those of the processor, and what the work returns."""
    elapsed, processor = time.perf_counter(), time.process_time()
    found = work(*arguments)
    times = time.perf_counter() - elapsed, time.process_time() - processor
    return tuple(1000 * each for each in times), found


def _teach_until_killed(path, X, y, pipe):
    with Teacher(path) as teacher:
        for k in range(len(X)):
            lesson = teacher.teach(X[k : k + 1] + len(teacher.lessons), [int(y[k])])
            pipe.send((teacher.number, lesson.number))
            if k % 3 == 2:
                pipe.send((teacher.promote().number, None))


def killed(folder, n_kills=50):
    """Return how many kills lost nothing that was acknowledged."""
    path = Path(folder, "killed.zip")
    X, y = saved(path, 500, 16, 100)
    context = multiprocessing.get_context("fork")
    acknowledged, promoted, n_whole = set(), 1, 0
    for _ in range(n_kills):
        receiver, sender = context.Pipe(False)
        child = context.Process(target=_teach_until_killed, args=(path, X, y, sender))
        child.start()
        sender.close()
        # After some lessons, wherever the next step is by then; on a busy machine they take longer.
        heard = [receiver.recv() for _ in range(random.randrange(6))]
        time.sleep(random.uniform(0, 0.3))
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        try:
            while True:
                heard.append(receiver.recv())
        except EOFError:
            pass
        promoted = max([promoted, *(number for number, _ in heard)])
        acknowledged |= {lesson for _, lesson in heard if lesson is not None}
        with Teacher(path) as teacher:  # checks the whole bundle, and that the journal is of it
            found = {
                event
                for (event,) in teacher._journal._db.execute("SELECT DISTINCT event FROM samples")
            }
            n_whole += acknowledged <= found and teacher.number >= promoted
    return n_whole, len(acknowledged), promoted


def main():
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/teaching.md"))
    out = parser.parse_args().out
    load = os.getloadavg()[0]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        n_whole, n_lessons, number = killed(folder)
        for n_samples, n_features in ((5000, 128), (5000, 1280), (50000, 128)):
            opened, refit, whole, worst, certified = timed(folder, n_samples, n_features)
            rows.append(
                f"| {n_samples:,} x {n_features:,} | {refit[0]:.0f} | {refit[1]:.0f} "
                f"| {whole[0]:.0f} | {whole[1]:.0f} | {worst:.0f} | {opened:.0f} "
                f"| {'all' if certified else 'not all'} |"
            )
            print(rows[-1], flush=True)
    text = f"""# Teaching one sample

By `python benchmarks/teaching.py`; {os.cpu_count()} cores, load {load:.1f} at the start. Ten
classes, RBF kernel, one misclassified sample a lesson, taken back after it. Milliseconds: medians
of nine lessons, and the slowest, elapsed and of the processor (CPU), which may be on two cores at
once and is longer where others use the caches. A lesson is `Teacher.teach` and the new answer:
looking for duplicates, the refit, the journal on the disk. Opening reads the file and multiplies
the samples within each class, once.

| samples | refit | CPU | lesson | CPU | slowest lesson | opening | certified |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |
{chr(10).join(rows)}

Killed (-9) at a random moment of teaching and promoting, {n_whole} of 50 times every acknowledged
lesson was there and the bundle whole ({n_lessons} lessons acknowledged, {number - 1} promotions).
"""
    out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
