"""What ``penultimate serve`` does under load: rates, latencies, memory, new versions meanwhile.

The server is a process of its own; the load comes from this one on the loopback address, over
connections that are kept, from clients that wait for an answer before they ask again. "Offline" is
`Predictor.predict_all` of the same files in a third process, in turns with the service.

- Requests of 32 images, against offline: of a network of 10 ms an image and more.
- Single images from 64 clients: latencies, beside clients / throughput.
- Many requests for a small model: failures, and the server's memory on the way.
- Single images while the file of the model is replaced: failures, and versions that answered.

Run it with: python -m benchmarks.service PHOTOS [--out RESULTS.md] [--quick] [--threads N]
PHOTOS is a folder with JPEG files, or an archive of one. Needs the extras [pretrained] and [serve].
"""

import argparse
import asyncio
import base64
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from itertools import cycle, islice, pairwise
from pathlib import Path

import numpy as np
from tests.bundle.digits import digit_images, digits_fields, digits_graph

LITE = "efficientnet-lite0"
CLIENTS, BATCH = 64, 32
OFFLINE = """
import sys, time, penultimate
model = penultimate.load(sys.argv[1], threads=int(sys.argv[2]))
files = [open(path, "rb").read() for path in sys.argv[3:]]
model.predict_all(files)
for line in sys.stdin:
    start = time.perf_counter()
    for _ in range(int(line)):
        model.predict_all(files)
    print(time.perf_counter() - start, flush=True)
"""


class Server:
    """A server of some bundles in a process of its own."""

    def __init__(self, *arguments):
        command = [sys.executable, "-m", "penultimate", "serve", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, *map(str, arguments)], stdout=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        self.port = int(re.search(r":(\d+)\.", line)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)

    def memory(self):
        """Resident memory in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


async def client(port, requests, found):
    """Send requests one after the other; note the time, the status and the answer of each."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for kind, body in requests:
        start = time.perf_counter()
        writer.write(
            f"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
        )
        writer.write(body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
        answer = await reader.readexactly(length)
        found.append((time.perf_counter() - start, int(head[9:12]), answer))
    writer.close()


def load(port, per_client, n_clients):
    """Let clients ask at once; return seconds, latencies, statuses and answers."""
    found = []

    async def run():
        tasks = [client(port, per_client(number), found) for number in range(n_clients)]
        await asyncio.gather(*tasks)

    start = time.perf_counter()
    asyncio.run(run())
    seconds = time.perf_counter() - start
    times, statuses, answers = zip(*found, strict=True)
    return seconds, np.array(times), np.array(statuses), answers


def single(files, n_requests):
    """Requests of one image each for each client, from another place in the files on."""
    kinds = {b"\x89P": "image/png", b"\xff\xd8": "image/jpeg"}
    given = [(kinds[content[:2]], content) for content in files]
    return lambda number: islice(cycle(given[number % len(given) :] + given), n_requests)


def of_batches(bundle, paths, threads, n_rounds, n_requests):
    """Yield the rate of requests of 32 images beside that offline, in turns."""
    chosen = list(islice(cycle(paths), BATCH))
    body = json.dumps({"images": [base64.b64encode(p.read_bytes()).decode() for p in chosen]})
    requests = [("application/json", body.encode())]
    offline = subprocess.Popen(
        [sys.executable, "-c", OFFLINE, bundle, str(threads), *map(str, chosen)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with Server(bundle, "--threads", threads) as server:
        load(server.port, lambda _: requests, 1)
        rates = []
        for _ in range(n_rounds):
            offline.stdin.write(f"{2 * n_requests}\n")
            offline.stdin.flush()
            alone = 2 * n_requests * BATCH / float(offline.stdout.readline())
            seconds, _, statuses, answers = load(server.port, lambda _: requests * n_requests, 2)
            assert (statuses == 200).all()
            rates.append((alone, 2 * n_requests * BATCH / seconds))
    offline.stdin.close()
    offline.wait()
    import penultimate

    scores = [each["scores"] for each in json.loads(answers[0])["predictions"]]
    model = penultimate.load(bundle, threads=threads)
    apart = np.abs(np.array(scores) - model.predict_all(chosen).scores).max()
    rates = np.array(rates)
    shares = 100 * rates[:, 1] / rates[:, 0]
    yield (
        f"Requests of {BATCH} photos, {LITE}, {threads} threads, 2 clients: "
        f"{np.median(rates[:, 1]):.1f} images/s, offline {np.median(rates[:, 0]):.1f} "
        f"({1000 / np.median(rates[:, 0]):.1f} ms an image): {np.median(shares):.0f} % "
        f"({shares.min():.0f} to {shares.max():.0f} % in {n_rounds} rounds). "
        f"Scores differ by {apart:.0e} at most."
    )


def of_clients(name, bundle, files, threads, n_requests):
    """Yield latencies of single images from 64 clients."""
    with Server(bundle, "--threads", threads) as server:
        load(server.port, single(files, 2), CLIENTS)
        seconds, times, statuses, _ = load(server.port, single(files, n_requests), CLIENTS)
    n_all = len(times)
    fair = CLIENTS * seconds / n_all
    p50, p99 = np.quantile(times, [0.5, 0.99])
    yield (
        f"Single images from {CLIENTS} clients, {name}: {n_all:,} requests, "
        f"{(statuses != 200).sum()} failed, {n_all / seconds:,.0f} a second; median "
        f"{1000 * p50:.0f} ms, p99 {1000 * p99:.0f} ms, clients / throughput {1000 * fair:.0f} ms: "
        f"p99 is {p99 / fair:.2f} times that."
    )


def of_many(bundle, files, n_requests):
    """Yield failures and memory over many requests for a small model."""
    with Server(bundle, "--threads", 1) as server:
        failed, memory, done = 0, [], 0
        part = n_requests // 10 // CLIENTS
        for _ in range(10):
            _, _, statuses, _ = load(server.port, single(files, part), CLIENTS)
            failed += int((statuses != 200).sum())
            done += len(statuses)
            memory.append(server.memory())
    yield (
        f"{done:,} requests for a small model: {failed} failed; memory after each tenth "
        f"{', '.join(f'{each:.1f}' for each in memory)} MB."
    )


def of_reload(bundle, other, files, n_requests):
    """Yield failures while the file of the model is replaced, again and again."""
    contents = [bundle.read_bytes(), other.read_bytes()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.zip"
        path.write_bytes(contents[0])

        async def replace(done):
            for content in cycle(contents[::-1]):
                if done.is_set():
                    return
                fresh = path.with_suffix(".new")
                fresh.write_bytes(content)
                fresh.replace(path)
                await asyncio.sleep(1.2)

        async def run(port):
            done, found = asyncio.Event(), []
            requests = single(files, n_requests)
            replacing = asyncio.create_task(replace(done))
            await asyncio.gather(*[client(port, requests(k), found) for k in range(CLIENTS)])
            done.set()
            await replacing
            return found

        with Server(path, "--threads", 1) as server:
            found = asyncio.run(run(server.port))
    statuses = [status for _, status, _ in found]
    versions = [json.loads(answer)["model"]["version"] for _, _, answer in found]
    changes = sum(a != b for a, b in pairwise(versions))
    yield (
        f"{len(found):,} requests while the file is replaced every 1.2 s: "
        f"{sum(status != 200 for status in statuses)} failed; {len(set(versions))} versions "
        f"answered, which changed about {changes} times."
    )


def make_small(folder, **options):
    """Write a bundle of a linear model of digits."""
    from tests.bundle.handmade import make_parts

    from penultimate.bundle.archive import pack

    path = folder / f"digits{len(options)}.zip"
    path.write_bytes(pack(make_parts(digits_graph(**options), **digits_fields(**options))))
    return path


def make_large(paths, folder):
    """Write a bundle of a pretrained network with a head on a few photos."""
    import penultimate

    some = paths[:24]
    labels = [("even", "odd")[k % 2] for k in range(len(some))]
    model = penultimate.DeepSVC(LITE, head=penultimate.SVC()).fit(some, labels)
    path = folder / "photos.zip"
    penultimate.save(model, path, some[:8])
    return path


def find_photos(given, folder):
    """Return 64 JPEG files of a folder or an archive."""
    if given.is_file():
        with tarfile.open(given) as archive:
            archive.extractall(folder, filter="data")
        given = folder
    paths = sorted(given.rglob("*.jpg"))
    return paths[:: max(1, len(paths) // 64)][:64]


def measure(photos, folder, threads, quick):
    """Yield a sentence for each measurement."""
    import io

    from PIL import Image

    n_cores = len(os.sched_getaffinity(0))
    yield f"{n_cores} cores; load average before: {os.getloadavg()[0]:.1f}."
    buffers = [io.BytesIO() for _ in range(50)]
    for image, buffer in zip(digit_images()[0], buffers, strict=False):
        Image.fromarray(image).save(buffer, "PNG")
    digits = [buffer.getvalue() for buffer in buffers]
    small, other = make_small(folder), make_small(folder, abstains=False)
    yield from of_clients("a small model", small, digits, 1, 40 if quick else 200)
    yield from of_reload(small, other, digits, 60 if quick else 200)
    yield from of_many(small, digits, 20_000 if quick else 100_000)
    if photos is not None:
        paths = find_photos(photos, folder)
        large = make_large(paths, folder)
        yield from of_batches(large, paths, threads, 3, 2 if quick else 8)
        files = [path.read_bytes() for path in paths]
        yield from of_clients(LITE, large, files, threads, 4 if quick else 20)
    yield f"Load average after: {os.getloadavg()[0]:.1f}."


def main():
    """Measure, and print or write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos", type=Path, nargs="?")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for line in measure(given.photos, Path(folder), given.threads, given.quick):
            print(line, flush=True)
            lines.append(f"- {line}")
    if given.out is not None:
        given.out.write_text("# What serving does under load\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
