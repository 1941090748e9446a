"""``penultimate sign`` and ``verify``, and the key that other commands take."""

import csv
import io
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from penultimate.bundle.archive import pack
from penultimate.cli import evaluate, export, predict, sign  # noqa: F401  registers the commands
from penultimate.cli.app import app
from tests.bundle.handmade import make_parts, of_features


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.zip").write_bytes(pack(make_parts(of_features())))
    np.savez("new.npz", X=np.eye(4)[[0, 1, 2] * 5], y=list("abc") * 5)
    run("sign", "--new-key", "key.pem")
    return tmp_path


def run(*arguments, code=0):
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output + result.stderr
    return result


def sign_it():
    return run("sign", "model.zip", "--key", "key.pem").stdout.split()[-1]


def test_a_key_signs_and_its_other_half_verifies(folder):
    signer = sign_it()
    assert signer in run("verify", "model.zip", "--key", "key-public.pem").stdout
    assert "private key" in run("verify", "model.zip", "--key", "key.pem", code=1).stderr


def test_out_keeps_the_model_and_another_signature_is_not_replaced_unasked(folder):
    before = (folder / "model.zip").read_bytes()
    run("sign", "model.zip", "--key", "key.pem", "--out", "signed.zip")
    assert (folder / "model.zip").read_bytes() == before
    run("sign", "--new-key", "other.pem")
    assert "--replace" in run("sign", "signed.zip", "--key", "other.pem", code=1).stderr
    run("sign", "signed.zip", "--key", "other.pem", "--replace")
    assert "exists already" in run("sign", "--new-key", "key.pem", code=1).stderr


def test_what_is_not_signed_is_not_verified():
    stderr = run("verify", "model.zip", "--key", "key-public.pem", code=1).stderr
    assert "is not signed" in stderr
    for command in (["predict"], ["evaluate"]):
        result = run(*command, "model.zip", "new.npz", "--key", "key-public.pem", code=1)
        assert "is not signed" in result.stderr
        assert result.stdout == ""


def test_every_answer_says_who_signed():
    signer = sign_it()
    key = ("--key", "key-public.pem")
    result = run("predict", "model.zip", "new.npz", *key)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert {row["signed_by"] for row in rows} == {signer}
    assert f"signed by the key {signer}" in result.stderr
    lines = run("predict", "model.zip", "new.npz", *key, "--format", "jsonl").stdout.splitlines()
    assert {json.loads(line)["signed_by"] for line in lines} == {signer}
    found = json.loads(run("evaluate", "model.zip", "new.npz", *key, "--json").stdout)
    assert found["signed_by"] == signer
    assert signer in run("evaluate", "model.zip", "new.npz", *key).stdout
    assert signer in run("export", "model.zip", "model.onnx", *key).stdout


def test_without_a_key_nobody_is_named():
    signer = sign_it()
    result = run("predict", "model.zip", "new.npz")
    assert "signed_by" not in result.stdout
    assert signer not in result.stdout + result.stderr
    assert json.loads(run("evaluate", "model.zip", "new.npz", "--json").stdout)["signed_by"] is None


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "either a model or --new-key"),
        (["model.zip"], "penultimate sign --new-key key.pem makes one"),
        (["model.zip", "--new-key", "k.pem"], "either a model or --new-key"),
        (["--new-key", "k.pem", "--key", "key.pem"], "stands alone"),
    ],
)
def test_wrong_usage(arguments, reason):
    stderr = run("sign", *arguments, code=2).stderr
    assert reason in " ".join(stderr.replace("\u2502", " ").split())
