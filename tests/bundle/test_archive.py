import errno
import io
import os
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from penultimate.bundle import BundleError, write_archive
from penultimate.bundle.archive import MAX_MEMBERS, pack, unpack

PARTS = {"manifest.json": b"{}", "README.md": b"# A model\n", "thumbnails/0.png": bytes(range(64))}
AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture(scope="module")
def content():
    return pack(PARTS)


def zipped(*members, **fixed):
    """What Python's own module writes of members: pairs of a name or a ZipInfo, and content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **fixed) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def changed(content, position, value):
    return content[:position] + value + content[position + len(value) :]


def listed_at(content, name):
    """Where the list at the end has a member."""
    return content.rindex(name.encode()) - 46


def test_it_reads_what_it_writes(content):
    found = unpack(content)
    assert {name: bytes(data) for name, data in found.items()} == PARTS
    assert list(found) == ["manifest.json", "README.md", "thumbnails/0.png"]


def test_other_tools_read_it(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == PARTS


def test_the_same_parts_give_the_same_bytes_in_any_order(content, tmp_path):
    assert pack(dict(reversed(PARTS.items()))) == content
    write_archive(tmp_path / "a.zip", PARTS)
    assert (tmp_path / "a.zip").read_bytes() == content
    assert os.listdir(tmp_path) == ["a.zip"]


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../../x",
        "..",
        "/etc/x",
        "C:/x",
        "a\\x",
        "\\\\host\\x",
        "a//x",
        "a/",
        "./x",
        ".hidden",
        "x.",
        "x\0y",
        "x\ny",
        "é",
        "",
        "x" * 101,
    ],
)
def test_names_that_may_lead_elsewhere(name):
    with pytest.raises(BundleError, match="is no name for a member"):
        pack({**PARTS, name: b""})
    encoded = name.encode()
    if encoded:
        stand_in = b"z" * min(len(encoded), 100)
        bad = pack({"manifest.json": b"{}", stand_in.decode(): b""}).replace(
            stand_in, encoded[:100]
        )
        if len(name) <= 100:
            with pytest.raises(BundleError, match="is no name for a member"):
                unpack(bad)


@pytest.mark.parametrize("other", ["readme.md", "README.MD"])
def test_names_that_are_one_file_where_case_does_not_count(other):
    with pytest.raises(BundleError, match="is twice in the bundle"):
        pack({**PARTS, other: b""})


def test_names_that_differ_in_their_unicode_form_alone():
    one, other = "caf\u00e9", "cafe\u0301"
    with pytest.raises(BundleError, match="is no name for a member"):
        pack({one: b"", other: b""})


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicates(content):
    twice = pack({"a": b"1", "b": b"1"}).replace(b"b", b"a")
    with pytest.raises(BundleError, match="'a' is twice"):
        unpack(twice)
    with pytest.raises(BundleError):
        unpack(zipped(("a", b"1"), ("a", b"1")))


def test_links(content):
    mode = struct.pack("<I", 0o120777 << 16)
    bad = changed(content, listed_at(content, "README.md") + 38, mode)
    assert zipfile.ZipFile(io.BytesIO(bad)).getinfo("README.md").external_attr == 0o120777 << 16
    with pytest.raises(BundleError, match="'README.md' in the bundle is a link"):
        unpack(bad)


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (8, b"\1\0", "is encrypted"),
        (8, b"\x40\0", "is encrypted"),
        (8, b"\x08\0", "states its size after its content"),
        (10, b"\x08\0", r"is compressed \(deflate\)"),
        (10, b"\x63\0", r"is compressed \(unknown method 99\)"),
        (4, b"\x2d\0", "is not as written"),
        (12, b"\1\0", "is not as written"),
        (16, b"\0\0\0\0", "disagree"),
        (20, b"\1\0\0\0", "is said to have both 1 and 10 bytes"),
        (20, b"\xff\xff\xff\xff\xff\xff\xff\xff", "is cut short"),
        (30, b"\4\0", "has a comment or extra fields"),
        (32, b"\4\0", "has a comment or extra fields"),
        (42, b"\0\0\0\0", "overlaps another member"),
        (42, b"\xff\0\0\0", "does not follow the member before it"),
    ],
)
def test_what_the_list_says_of_a_member(content, offset, value, message):
    bad = changed(content, listed_at(content, "README.md") + offset, value)
    with pytest.raises(BundleError, match=message):
        unpack(bad)


def test_headers_that_disagree_on_the_size(content):
    place = content.index(b"README.md") - 30
    with pytest.raises(BundleError, match="two headers of 'README.md' in the bundle disagree"):
        unpack(changed(content, place + 22, struct.pack("<I", 4)))


def test_a_data_descriptor():
    class NoSeek(io.BytesIO):
        def seek(self, *args):
            raise OSError

    buffer = NoSeek()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("manifest.json", b"{}")
    with pytest.raises(BundleError, match="states its size after its content"):
        unpack(buffer.getvalue())


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bomb_is_refused_before_it_is_inflated(method):
    bomb = zipped(("manifest.json", bytes(10_000_000)), compression=method)
    assert len(bomb) < 20_000
    with pytest.raises(BundleError, match="is compressed"):
        unpack(bomb)


def test_what_is_said_to_be_larger_than_it_is(content):
    place = listed_at(content, "thumbnails/0.png")
    for size in (65, 2**31, 2**32 - 1):
        with pytest.raises(BundleError, match="is cut short"):
            unpack(changed(content, place + 20, struct.pack("<II", size, size)))


def test_too_many_members():
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0, 30, 0)
    with pytest.raises(BundleError, match="has 65,535 members"):
        unpack(b"PK\3\4" + bytes(26) + end)
    with pytest.raises(BundleError, match=r"at most 10,000 parts; got 10,001"):
        pack({f"thumbnails/{k}": b"" for k in range(MAX_MEMBERS + 1)})


def test_members_in_another_order():
    parts = {"manifest.json": b"{}", "aaaaaaaaa": b""}
    with pytest.raises(BundleError, match="in another order"):
        unpack(pack(parts).replace(b"manifest.json", b"thumbnail/000"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: b"", "is empty"),
        (lambda c: b"<html>not found</html>", r"no bundle: it begins with b'<html>"),
        (lambda c: b"\x1f\x8b" + bytes(40), "no bundle"),
        (lambda c: c[:-1], "end is missing"),
        (lambda c: c[: len(c) // 2], "end is missing"),
        (lambda c: c[:40], "end is missing"),
        (lambda c: c + b"\0", "something after the bundle"),
        (lambda c: c + bytes(1000), "something after the bundle"),
        (lambda c: b"\0" + c, "something before the bundle"),
        (lambda c: b"#!/bin/sh\n" + c, "something before the bundle"),
        (lambda c: c[:-2] + b"\4\0" + b"text", "something after the bundle"),
        (lambda c: c + c, "does not lie"),
        (lambda c: changed(c, len(c) - 6, b"\xff\xff\xff\xff"), "end of the bundle is not as"),
    ],
)
def test_a_file_that_is_not_whole_or_not_alone(content, change, message):
    with pytest.raises(BundleError, match=message):
        unpack(change(content))


def test_bytes_between_members(content):
    place = content.index(b"PK\1\2")
    start = struct.unpack("<I", content[-6:-2])[0]
    bad = content[:place] + b"hidden" + content[place:]
    bad = changed(bad, len(bad) - 6, struct.pack("<I", start + 6))
    with pytest.raises(BundleError, match="bytes that belong to no member"):
        unpack(bad)


def test_every_flipped_bit_is_found(content):
    for position in range(len(content)):
        for bit in range(8):
            bad = changed(content, position, bytes([content[position] ^ 1 << bit]))
            with pytest.raises(BundleError):
                unpack(bad)


def test_every_cut_is_found(content):
    for length in range(len(content)):
        with pytest.raises(BundleError):
            unpack(content[:length])


@pytest.mark.skipif(not AS_ROOT or sys.platform != "linux", reason="only root can mount a disk")
def test_on_a_full_disk_the_old_bundle_stays(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=False)
    if mount.returncode:
        pytest.skip("no disk can be mounted here")
    try:
        write_archive(disk / "model.zip", PARTS)
        old = (disk / "model.zip").read_bytes()
        with pytest.raises(
            OSError, match=r"model.zip' could not be written: .*unchanged"
        ) as caught:
            write_archive(disk / "model.zip", {**PARTS, "model.onnx": np.zeros(10_000).tobytes()})
        assert caught.value.errno == errno.ENOSPC
        assert (disk / "model.zip").read_bytes() == old
        assert os.listdir(disk) == ["model.zip"]
    finally:
        subprocess.run(["umount", disk], check=True)
