import ast
import errno
import os
import stat
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

import penultimate
from penultimate._common.files import (
    check_writable,
    create_once,
    remove_leftovers,
    remove_old_leftovers,
    write_atomically,
    write_together,
)
from penultimate.networks import build_network, save_network
from penultimate.provenance.records import Provenance

OLD, NEW = b"old" * 1000, b"new" * 1000
AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def write(path, content=NEW):
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)


def write_provenance(path):
    Provenance.of(np.arange(100_000, dtype=np.uint64), "trained").write(path)


def write_network(path):
    save_network(build_network("compact", (8, 8, 1), 2), path)


WRITERS = pytest.mark.parametrize(
    ("writer", "name"),
    [(write, "a.bin"), (write_provenance, "a.safetensors"), (write_network, "a.keras")],
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(OLD)
    return path


def names_in(folder):
    return sorted(os.listdir(folder))


@WRITERS
@pytest.mark.parametrize("relative", [False, True])
def test_it_is_written_and_nothing_else_is_left(writer, name, relative, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # new, and in the place of another
        writer(name if relative else str(tmp_path / name))
    assert names_in(tmp_path) == [name]
    assert os.path.getsize(tmp_path / name) >= len(NEW)


@pytest.mark.parametrize(
    "raised", [ValueError("x"), KeyboardInterrupt(), SystemExit(), MemoryError(), OSError(28, "x")]
)
def test_an_exception_leaves_the_old_file_and_nothing_else(path, raised):
    def stop_in_the_middle():
        with write_atomically(path) as temporary:
            temporary.write_bytes(NEW[:10])
            temporary.with_name("beside").write_bytes(NEW)
            raise raised

    with pytest.raises(type(raised)):
        stop_in_the_middle()
    assert path.read_bytes() == OLD
    assert names_in(path.parent) == [path.name]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_ctrl_c_while_it_is_put_in_place(path, step, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(path)
    assert path.read_bytes() == OLD
    assert names_in(path.parent) == [path.name]


def test_it_is_synced_before_it_is_renamed_and_the_folder_after(path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor):
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        done.append((kind, os.fstat(descriptor).st_size if kind == "file" else None))
        fsync(descriptor)

    def note_replace(*args):
        done.append("rename")
        replace(*args)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    write(path)
    assert done == [("file", len(NEW)), "rename", ("folder", None)]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_where_a_file_system_cannot_sync_it_is_written_all_the_same(path, number, monkeypatch):
    def cannot(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", cannot)
    write(path)
    assert path.read_bytes() == NEW


@WRITERS
@pytest.mark.skipif(not AS_ROOT or sys.platform != "linux", reason="only root can mount a disk")
def test_on_a_full_disk_the_old_file_stays(writer, name, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=False)
    if mount.returncode:
        pytest.skip("no disk can be mounted here")
    try:
        (disk / name).write_bytes(OLD)
        (disk / "other").write_bytes(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize))
        with pytest.raises(
            OSError, match=rf"{name}' could not be written: .*unchanged\. Free some"
        ) as caught:
            writer(disk / name)
        assert caught.value.errno == errno.ENOSPC
        assert (disk / name).read_bytes() == OLD
        assert names_in(disk) == sorted([name, "other"])
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize(
    ("number", "kind", "advice"),
    [
        (errno.ENOSPC, OSError, "Free some space"),
        (errno.EDQUOT, OSError, "quota"),
        (errno.EACCES, PermissionError, "that you may write to"),
        (errno.EROFS, OSError, "that you may write to"),
        (errno.EIO, OSError, "Choose another path"),
    ],
)
@pytest.mark.parametrize("step", ["mkdir", "fsync", "replace", "chmod"])
def test_errors_name_the_path_and_what_to_do(path, number, kind, advice, step, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, step, fail)
    message = f"{path}' could not be written: {os.strerror(number)}. .*unchanged.*{advice}"
    with pytest.raises(kind, match=message) as caught:
        write(path)
    assert (type(caught.value), caught.value.errno) == (kind, number)
    monkeypatch.undo()
    assert path.read_bytes() == OLD
    assert names_in(path.parent) == [path.name]


def test_errors_of_other_files_pass_unchanged(path):
    def read_another_in_the_middle():
        with write_atomically(path) as temporary:
            temporary.write_bytes((path.parent / "missing").read_bytes())

    with pytest.raises(FileNotFoundError, match="No such file or directory: .*missing'$"):
        read_another_in_the_middle()
    assert names_in(path.parent) == [path.name]


@pytest.mark.parametrize(
    ("place", "kind", "message"),
    [
        (
            "missing/file",
            FileNotFoundError,
            "missing/file' could not be written.*Create the folder",
        ),
        ("file.bin/file", NotADirectoryError, "Choose another folder"),
        ("folder", IsADirectoryError, "Choose another name"),
        ("x" * 300, OSError, "Choose a shorter name"),
        ("pipe", OSError, "It is a device or a pipe, not a file"),
        ("loop", OSError, "could not be written"),
    ],
)
def test_places_where_no_file_can_be(path, place, kind, message):
    (path.parent / "folder").mkdir()
    os.mkfifo(path.parent / "pipe")
    (path.parent / "loop").symlink_to("loop")
    before = names_in(path.parent)
    with pytest.raises(kind, match=message):
        write(path.parent / place)
    assert names_in(path.parent) == before


@pytest.mark.parametrize("protected", ["file", "folder"])
def test_what_is_write_protected_stays(path, protected, monkeypatch):
    place = path if protected == "file" else path.parent
    mode = place.stat().st_mode
    place.chmod(mode & ~0o222)
    if AS_ROOT:  # who may write everywhere: as others are answered
        access, mkdir = os.access, os.mkdir
        refused = PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))

        def may(name, how):
            return access(name, how) and bool(os.stat(name).st_mode & 0o222)

        def make(name, *args):
            if not os.stat(os.path.dirname(name)).st_mode & 0o222:
                raise refused
            mkdir(name, *args)

        monkeypatch.setattr(os, "access", may)
        monkeypatch.setattr(os, "mkdir", make)
    with pytest.raises(PermissionError, match="could not be written: .*that you may write to"):
        write(path)
    place.chmod(mode)
    assert path.read_bytes() == OLD
    assert names_in(path.parent) == [path.name]


@WRITERS
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_mode_that_open_gives(writer, name, umask, tmp_path):
    before = os.umask(umask)
    try:
        writer(tmp_path / name)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~umask


def test_a_replaced_file_keeps_its_mode(path):
    path.chmod(0o640)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_stays_a_link(path, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for target in (path, folder / "new"):  # what it names need not exist yet
        link = folder / f"link to {target.name}"
        link.symlink_to(os.path.relpath(target, folder))
        write(link)
        assert link.is_symlink()
        assert target.read_bytes() == NEW
    assert len(names_in(folder)) == 3


@pytest.mark.parametrize("name", ["x" * 255, "日" * 85, ".hidden", "with blank"])
def test_every_name_that_open_takes(name, tmp_path):
    write(tmp_path / name)
    assert names_in(tmp_path) == [name]


def test_the_folder_changed_in_the_middle_a_relative_path_stays_where_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    with write_atomically("file") as temporary:
        temporary.write_bytes(NEW)
        os.chdir("other")
    assert names_in(tmp_path) == ["file", "other"]


def test_concurrent_writers_each_write_a_complete_file(path):
    contents = [bytes([k]) * 100_000 for k in range(8)]
    together = threading.Barrier(len(contents))
    failed = []

    def repeat(content):
        together.wait()
        try:
            for _ in range(10):
                write(path, content)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=repeat, args=[content]) for content in contents]
    for thread in threads:
        thread.start()
    seen = set()
    while any(thread.is_alive() for thread in threads):
        seen.add(path.read_bytes())
    assert failed == []
    assert seen <= {OLD, *contents}
    assert path.read_bytes() in contents
    assert names_in(path.parent) == [path.name]


KILLED = """
    import sys
    from penultimate._common.files import write_atomically

    for k in range(1_000_000):
        with write_atomically(sys.argv[1]) as temporary, temporary.open("wb") as file:
            for _ in range(20):
                file.write(bytes([k % 256]) * 100_000)
        print(k, flush=True)
"""


def test_killed_at_any_moment_the_file_is_whole(path):
    moments = [0.0, 0.003, 0.007, 0.013]
    for moment in moments:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(KILLED), path], stdout=subprocess.PIPE
        )
        assert process.stdout.readline() == b"0\n"
        time.sleep(moment)
        process.kill()
        process.communicate()
        content = path.read_bytes()
        assert content == content[:1] * 2_000_000
    # And in the middle of a write, for certain.
    process = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            textwrap.dedent(KILLED).replace("for _ in", "input()\n            for _ in"),
            path,
        ],
        stdin=subprocess.PIPE,
    )
    while not any(name.endswith(".tmp") for name in names_in(path.parent)):
        assert process.poll() is None
        time.sleep(0.001)
    process.kill()
    process.communicate()
    assert path.read_bytes() == content
    assert len(names_in(path.parent)) > 1
    remove_leftovers(path)
    assert names_in(path.parent) == [path.name]


def test_leftovers_of_other_files_are_left_alone(path):
    others = [f".{path.name}.b.abcdefgh.tmp", ".file.abcdefgh.tmp", "file.bin.abcdefgh.tmp"]
    for name in (*others, f".{path.name}.abcd_123.tmp"):
        (path.parent / name).mkdir()
        (path.parent / name / "half").write_bytes(NEW[:1])
    remove_leftovers(path)
    assert names_in(path.parent) == sorted([path.name, *others])


def test_the_first_creator_wins(tmp_path):
    path = tmp_path / "a"
    assert create_once(path, OLD)
    assert not create_once(path, NEW)
    assert (names_in(tmp_path), path.read_bytes()) == (["a"], OLD)


def test_the_first_creator_wins_where_there_are_no_links(tmp_path, monkeypatch):
    def no_links(*arguments):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    test_the_first_creator_wins(tmp_path)


def test_a_file_that_can_not_be_created(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.a' could not be written.*Create the folder"):
        create_once(tmp_path / "none" / "a", NEW)


def test_old_leftovers_are_removed_and_nothing_else(tmp_path):
    for name, age in ((".a.x1.tmp", 3700), (".a.x2.tmp", 0), ("a.tmp", 3700), (".a", 3700)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_bytes(NEW[:1])
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    remove_old_leftovers(tmp_path)
    assert names_in(tmp_path) == [".a", ".a.x2.tmp", "a.tmp"]
    remove_old_leftovers(tmp_path / "none")


def test_together_all_or_none(tmp_path, monkeypatch):
    paths = [tmp_path / name for name in ("a", "b", "c")]

    def write_all(contents):
        with write_together(paths) as temporaries:
            for temporary, content in zip(temporaries, contents, strict=True):
                temporary.write_bytes(content)

    write_all([OLD] * 3)
    assert [path.read_bytes() for path in paths] == [OLD] * 3
    real, synced = os.fsync, []

    def full(descriptor):
        synced.append(descriptor)
        if len(synced) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"a' and .*b' and .*c' could not be .* are unchanged"):
            write_all([NEW] * 3)
    assert [path.read_bytes() for path in paths] == [OLD] * 3
    assert names_in(tmp_path) == ["a", "b", "c"]
    paths[2].unlink()
    paths[2].mkdir()
    with pytest.raises(IsADirectoryError):
        write_all([NEW] * 3)
    assert paths[0].read_bytes() == OLD


def test_together_what_was_replaced_before_an_error_is_said(tmp_path, monkeypatch):
    paths = [tmp_path / "a", tmp_path / "b"]
    replace = os.replace

    def locked(source, target):
        if Path(target) == paths[1]:
            raise PermissionError(errno.EACCES, "It is open in another program")
        replace(source, target)

    def write_both():
        with write_together(paths) as temporaries:
            for temporary in temporaries:
                temporary.write_bytes(NEW)

    monkeypatch.setattr(os, "replace", locked)
    with pytest.raises(PermissionError, match=r"open in another program\. Only 'a' could be repl"):
        write_both()
    assert names_in(tmp_path) == ["a"]


def test_a_network_that_is_written_over_stays_readable_meanwhile(tmp_path):
    write_network(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras") as open_before:
        write_network(tmp_path / "a.keras")
        assert open_before.testzip() is None


# Methods that write to their first argument, and those that write to their object.
WRITE_TO_ARGUMENT = {"save", "savefig", "savez", "savez_compressed", "savetxt", "tofile", "to_csv"}
WRITE_TO_ARGUMENT |= {"imwrite", "dump", "save_file", "copyfile", "copy2", "move", "save_weights"}
WRITE_TO_OBJECT = {"write_bytes", "write_text", "touch", "rename", "symlink_to"}
# What `write_atomically` gives, and memory. The command line gives its folder to the report.
GOOD_PLACES = {"temporary", "buffer"}
# Rows of predictions are read by others while they are written; models are written by their bundle.
EXCEPTIONS = {
    ("cli/compare.py", "result.save(out)"),
    ("cli/compare.py", "models[best].save(out / MODEL)"),
    ("comparison/comparison.py", "kept.save(models / f'{name}.zip')"),
    ("cli/predict.py", "out.open('w', encoding='utf-8', errors='surrogateescape', newline='')"),
}


def writes_elsewhere(call):
    """Say whether a call in the sources writes a file past `write_atomically`."""
    if isinstance(call.func, ast.Attribute):
        name, place = call.func.attr, call.func.value
    else:
        name, place = getattr(call.func, "id", ""), None
    if name in ("open", "fdopen"):
        texts = [getattr(node, "value", "") for node in [*call.args, *call.keywords]]
        texts = [getattr(text, "value", text) for text in texts]
        return any(
            isinstance(text, str) and set(text) <= set("rwxabt+") and set(text) & set("wxa+")
            for text in texts
        )
    if name in WRITE_TO_ARGUMENT and place is not None:
        place = call.args[0] if call.args else None
    elif name not in WRITE_TO_OBJECT:
        return False
    return getattr(place, "id", None) not in GOOD_PLACES


@pytest.mark.slow
def test_everything_that_writes_a_file_does_it_this_way():
    package = Path(penultimate.__file__).parent
    found, n_good = set(), 0
    for source in package.rglob("*.py"):
        name = source.relative_to(package).as_posix()
        if name == "_common/files.py":
            continue
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and writes_elsewhere(node):
                found.add((name, ast.unparse(node)))
            n_good += isinstance(node, ast.With) and "write_" in ast.unparse(node.items[0])
    assert found <= EXCEPTIONS
    assert n_good >= 4


@pytest.mark.parametrize(
    ("code", "elsewhere"),
    [
        ("path.open('wb')", True),
        ("open(path, mode='a')", True),
        ("open(path, 'r+')", True),
        ("open(path)", False),
        ("path.open('rb')", False),
        ("gzip.open(path)", False),
        ("path.write_text(text)", True),
        ("temporary.write_text(text)", False),
        ("figure.savefig(path)", True),
        ("figure.savefig(buffer)", False),
        ("network.save(temporary)", False),
        ("np.savez(self.path, X=X)", True),
    ],
)
def test_what_writes_is_recognised(code, elsewhere):
    assert writes_elsewhere(ast.parse(code).body[0].value) == elsewhere


@pytest.mark.parametrize("name", ["new", "a/b/c", "."])
def test_folders_that_can_be_written_to(tmp_path, name):
    check_writable(tmp_path / name, "output folder")
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(ValueError, match=r"The output folder '.*file' is a file; choose another"):
        check_writable(tmp_path / "file", "output folder")
    with pytest.raises(NotADirectoryError, match=r"'.*file/x/y' cannot be created, .*file' is"):
        check_writable(tmp_path / "file" / "x" / "y", "output folder")
    with pytest.raises(NotADirectoryError, match=r"'.*link/x' cannot be created, because '.*link'"):
        check_writable(tmp_path / "link" / "x", "output folder")
    with pytest.raises(OSError, match=r"The output folder '.*' cannot .*Choose a shorter name"):
        check_writable(tmp_path / ("x" * 300), "output folder")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that takes no files")
def test_a_folder_that_takes_no_files_is_named_and_no_file_of_ours():
    with pytest.raises(OSError, match=r"'/proc/zzz' cannot .* in '/proc': .*Choose") as caught:
        check_writable("/proc/zzz", "output folder")
    assert "tmp" not in str(caught.value)
