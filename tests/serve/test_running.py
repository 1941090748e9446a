"""A server in a process of its own: its start, its end, what clients leave open, new versions."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2 as httpx
import pytest
from typer.testing import CliRunner

from penultimate.cli import serve  # noqa: F401  registers the command
from penultimate.cli.app import app

from .conftest import digits
from .test_app import PNG

TOKEN = "a-token-of-20-letters"
SECONDS = 1.0  # for a request to arrive


class Server:
    """A server that runs, its address, and what it prints."""

    def __init__(self, *arguments, **env):
        command = [sys.executable, "-m", "penultimate", "serve", *map(str, arguments)]
        self.process = subprocess.Popen(
            [*command, "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **env},
            # A shell in the background ignores it, and so would its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        # After what it notes about the models.
        self.first = next((line for line in self.process.stdout if "http://" in line), "")
        found = re.search(r"http://127\.0\.0\.1:(\d+)\.", self.first)
        if found is None:  # nothing of a test is left running
            self.process.kill()
            self.process.wait()
        assert found is not None, self.first
        self.port = int(found[1])
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {TOKEN}"} | PNG,
            timeout=20,
        )

    def connect(self, content=b""):
        """Open a connection, and send something."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.sendall(content)
        return connection

    def end(self, number):
        """Send a signal; return the exit status, and what was printed since."""
        self.process.send_signal(number)
        rest = self.process.communicate(timeout=30)[0]
        return self.process.returncode, rest


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "digits.zip"
    path.write_bytes(digits())
    return path


@pytest.fixture(scope="module")
def server(path):
    limits = ("--max-connections", 30, "--read-timeout", SECONDS)
    server = Server(path, *limits, "--threads", 1, PENULTIMATE_TOKEN=TOKEN)
    yield server
    server.client.close()
    if server.process.poll() is None:
        server.process.kill()
        server.process.communicate()


def closed_after(connection):
    """Seconds until the server closes a connection."""
    started = time.monotonic()
    while select.select([connection], [], [], 20)[0]:
        try:
            if not connection.recv(65536):
                break
        except ConnectionResetError:
            break
    return time.monotonic() - started


def head(length, *more):
    lines = (
        "POST /v1/predict HTTP/1.1",
        f"Host: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}",
        f"Content-Type: image/png\r\nContent-Length: {length}",
        *more,
    )
    return "\r\n".join((*lines, "", "")).encode()


def test_it_is_there_and_small(server):
    assert server.client.get("/readyz").json() == {"status": "ready"}
    assert server.first.startswith("Serving digits at http://127.0.0.1:")
    maps = Path(f"/proc/{server.process.pid}/maps")
    if maps.exists():
        assert not re.search("tensorflow|torch|sklearn|keras", maps.read_text())


def test_what_clients_leave_open_is_closed(server, files):
    get = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    opened = [
        server.connect(),
        server.connect(b"GET / HTT"),
        server.connect(head(100)[:-10]),
        server.connect(head(100)),  # answered, with 408
        server.connect(get + b"\r\nGET"),  # after an answer
        server.connect(get + b"\r\n"),  # and nothing more
        server.connect(b"\x16\x03\x01 this is not HTTP"),
    ]
    for connection in opened:
        assert closed_after(connection) < 8 * SECONDS
        connection.close()
    assert server.client.post("/v1/predict", content=files[0]).status_code == 200


def test_connections_beyond_the_limit_are_told_so_and_others_come_again(server, files):
    connections = [server.connect() for _ in range(200)]
    refused = 0
    for connection in connections:
        ready = select.select([connection], [], [], 0.5 if refused == 0 else 0.01)[0]
        if ready and connection.recv(200).startswith(b"HTTP/1.1 503 Service Unavailable"):
            refused += 1
    assert refused >= 160
    for connection in connections:
        connection.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if server.client.post("/v1/predict", content=files[0]).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail("the server did not recover")


def test_a_client_that_sends_too_much_reads_why(server):
    body = b"\0" * 20_000_000
    response = server.client.post("/v1/predict", content=body)
    assert response.status_code == 413
    assert "16,000,000 bytes" in response.json()["detail"]


@pytest.mark.slow
def test_reload_under_load_loses_nothing(server, path, files):
    """The model is reloaded within seconds, or at once on SIGHUP; a bad file changes nothing."""
    statuses, versions, stop = [], [], threading.Event()

    def ask():
        with httpx.Client(base_url=server.client.base_url, headers=server.client.headers) as client:
            while not stop.is_set():
                response = client.post("/v1/predict", content=files[0])
                statuses.append(response.status_code)
                versions.append(response.json()["model"]["version"])

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for n_versions, content in ((2, digits(abstains=False)), (3, digits(subsets=True))):
            other = path.with_suffix(".new")
            other.write_bytes(content)
            other.replace(path)
            if n_versions == 3:
                server.process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 20
            while len(set(versions)) < n_versions and time.monotonic() < deadline:
                time.sleep(0.02)
            assert len(set(versions)) == n_versions
        path.write_bytes(b"")
        assert "digits: version" in server.process.stdout.readline()
        assert "digits: version" in server.process.stdout.readline()
        assert "The version before goes on serving." in server.process.stdout.readline()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(statuses) == {200}


@pytest.mark.slow
def test_sigterm_answers_what_was_begun(server, files):
    connection = server.connect(head(len(files[0])) + files[0][:20])
    time.sleep(0.2)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    connection.sendall(files[0][20:])
    answer = b""
    with connection:
        while part := connection.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["model"]["name"] == "digits"
    rest = server.process.communicate(timeout=30)[0]
    assert (server.process.returncode, rest) == (0, "")


@pytest.mark.slow
def test_ctrl_c(bundles, files):
    server = Server(bundles["digits"], "--threads", 1)
    with server.client as client:
        assert client.post("/v1/predict", content=files[0]).status_code == 200
    status, rest = server.end(signal.SIGINT)
    assert status == 130
    assert rest == "penultimate: interrupted; what was asked is answered.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--host", "0.0.0.0"), 2, "there is no token that they have to know"),
        (("--token", "short"), 2, "at least 16 characters"),
        (("--token", TOKEN, "--token-file", "x"), 2, "there is also"),
        (("--token-file", "no such file"), 1, "No such file"),
        (("--max-memory", "1"), 1, "must be at least body"),
        (("--port", "99999"), 2, "65535"),
    ],
)
def test_wrong_usage(bundles, arguments, code, words):
    result = CliRunner().invoke(app, ["serve", str(bundles["digits"]), *arguments])
    assert result.exit_code == code
    assert words in " ".join((result.output + result.stderr).replace("│", " ").split())


def test_a_port_that_is_taken(bundles):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        result = CliRunner().invoke(app, ["serve", str(bundles["digits"]), "--port", port])
    assert result.exit_code == 1
    assert f"Port {port} of '127.0.0.1' cannot be listened at: Address already in use" in (
        result.stderr
    )


def test_what_is_no_bundle(tmp_path):
    (tmp_path / "model.zip").write_bytes(b"<html>")
    result = CliRunner().invoke(app, ["serve", str(tmp_path / "model.zip")])
    assert result.exit_code == 1
    assert "The file is no bundle" in result.stderr
