"""The zip around a bundle, read in the one form in which it is written.

A zip says most things twice, and readers disagree on which to believe: that is where smuggled,
overlapping and swollen members come from. Here there is one way to write each header, given a
member's name, size and checksum. Reading rebuilds the headers and compares them byte by byte, so
every byte of the file is either a header that could not be otherwise or content with a checksum.
Members are stored, not compressed: nothing grows when it is read, the same parts give the same
file with every version of zlib, and weights would shrink by a few percent only.
"""

import os
import re
import struct
import zlib
from collections.abc import Mapping
from typing import NamedTuple

from penultimate._common.door import spelled
from penultimate._common.files import write_atomically
from penultimate.bundle.errors import BundleError

MANIFEST, SIGNATURE = "manifest.json", "signature.json"
# The order of the parts in the file; thumbnails follow by name.
ORDER = (MANIFEST, "model.onnx", "head.safetensors", "head.json", "README.md")
MAX_BYTES = 2**31 - 1  # ONNX Runtime takes no larger graph, and no field of the zip overflows
MAX_MEMBERS = 10_000
_MAX_NAME = 100
# ASCII without ":" and "\": no name is absolute, a drive, or the same as another but for Unicode
# normalization. No part of a path begins with a dot, which ".." does.
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")

_LOCAL = struct.Struct("<4s5H3I2H")
_LISTED = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_LOCAL_MARK, _LISTED_MARK, _END_MARK = b"PK\3\4", b"PK\1\2", b"PK\5\6"
_VERSION, _NO_DATE = 20, 0x21  # of the format; January 1, 1980, the first that a zip can state
_ENCRYPTED, _DESCRIPTOR = 0x2041, 0x0008
_LINK, _KIND = 0xA000, 0xF000  # of a file's mode on Unix
_METHODS = {8: "deflate", 9: "deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "xz"}
_AGAIN = "Copy or download it again."
_REPACKED = "It was packed by another tool, or changed: use the file as it was written."


class _Member(NamedTuple):
    name: str
    size: int
    checksum: int
    offset: int

    @property
    def local(self) -> bytes:
        """The one header that this member can have before its content."""
        name = self.name.encode()
        sizes = (self.checksum, self.size, self.size, len(name), 0)
        return _LOCAL.pack(_LOCAL_MARK, _VERSION, 0, 0, 0, _NO_DATE, *sizes) + name

    @property
    def listed(self) -> bytes:
        """The one entry that this member can have in the list at the end."""
        name = self.name.encode()
        sizes = (self.checksum, self.size, self.size, len(name), 0, 0, 0, 0, 0, self.offset)
        mark = (_LISTED_MARK, _VERSION, _VERSION, 0, 0, 0, _NO_DATE)
        return _LISTED.pack(*mark, *sizes) + name

    @property
    def stop(self) -> int:
        return self.offset + len(self.local) + self.size


def pack(parts: Mapping[str, bytes]) -> bytes:
    """Return the bytes of an archive; the same parts give the same bytes.

    Parameters
    ----------
    parts : mapping of str to bytes
        Content by name, in any order; ``"manifest.json"`` is among them.

    Returns
    -------
    bytes

    Raises
    ------
    BundleError
        If a name cannot be in a bundle, or there is too much content.
    """
    written: list[bytes] = []
    listed: list[bytes] = []
    offset = 0
    seen: set[str] = set()
    for name in sorted(parts, key=_place):
        _check_name(name, seen)
        content = bytes(parts[name])
        if offset + len(content) > MAX_BYTES:
            raise BundleError(
                f"A bundle has at most {MAX_BYTES:,} bytes, and {name!r} has {len(content):,}. "
                "Use a smaller network."
            )
        member = _Member(name, len(content), zlib.crc32(content), offset)
        written += (member.local, content)
        listed.append(member.listed)
        offset = member.stop
    if len(parts) > MAX_MEMBERS:
        raise BundleError(f"A bundle has at most {MAX_MEMBERS:,} parts; got {len(parts):,}.")
    return b"".join([*written, *listed, _end(listed, offset)])


def write_archive(path: str | os.PathLike[str], parts: Mapping[str, bytes]) -> None:
    """Write an archive; an existing file is replaced at the end, or stays as it is on an error.

    Parameters
    ----------
    path : str or path-like
    parts : mapping of str to bytes
        See `pack`.

    Raises
    ------
    BundleError
        See `pack`.
    OSError
        If the file cannot be written, with its path and advice.

    Examples
    --------
    >>> import os, tempfile
    >>> from penultimate.bundle import write_archive
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_archive(f"{folder}/model.zip", {"manifest.json": b"{}"})
    ...     os.listdir(folder)
    ['model.zip']
    """
    content = pack(parts)
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)


def unpack(content: bytes) -> dict[str, memoryview]:
    """Return the members of an archive, after checking all of its bytes but what members mean.

    Parameters
    ----------
    content : bytes

    Returns
    -------
    dict of str to memoryview
        In the order of the file; nothing is copied.

    Raises
    ------
    BundleError
        If the file is not exactly what `pack` writes.
    """
    n_members, start = _read_end(content)
    members: list[_Member] = []
    seen: set[str] = set()
    position, offset = start, 0
    for _ in range(n_members):
        member, position = _read_listed(content, position, offset)
        _check_name(member.name, seen)
        offset = member.stop
        if offset > start:
            raise BundleError(f"{member.name!r} in the bundle is cut short. {_AGAIN}")
        members.append(member)
    if position != len(content) - _END.size or offset != start:
        raise BundleError(f"The bundle has bytes that belong to no member. {_REPACKED}")
    view = memoryview(content).toreadonly()
    found = {}
    for member in members:
        local = member.local
        if view[member.offset : member.offset + len(local)] != local:
            raise BundleError(
                f"The two headers of {member.name!r} in the bundle disagree. {_REPACKED}"
            )
        found[member.name] = view[member.offset + len(local) : member.stop]
        if zlib.crc32(found[member.name]) != member.checksum:
            raise BundleError(f"{member.name!r} in the bundle is damaged. {_AGAIN}")
    if list(found) != sorted(found, key=_place):
        raise BundleError(f"The members of the bundle are in another order. {_REPACKED}")
    return found


def _place(name: str) -> tuple[int, str]:
    if name in ORDER:
        return ORDER.index(name), name
    return len(ORDER) + (name == SIGNATURE), name


def _end(listed: list[bytes], offset: int) -> bytes:
    n = len(listed)
    return _END.pack(_END_MARK, 0, 0, n, n, sum(map(len, listed)), offset, 0)


def _read_end(content: bytes) -> tuple[int, int]:
    """Return the number of members, and where their list begins."""
    if len(content) > MAX_BYTES + 2**21:
        raise BundleError(f"The bundle has {len(content):,} bytes; at most {MAX_BYTES:,} are read.")
    if not content:
        raise BundleError(f"The file is empty. {_AGAIN}")
    if not content.startswith(_LOCAL_MARK):
        if _END_MARK in content[-_END.size :]:
            raise BundleError(f"There is something before the bundle in the file. {_REPACKED}")
        raise BundleError(
            f"The file is no bundle: it begins with {content[:12]!r}. Pass a file that "
            f"{spelled('penultimate fit', 'penultimate.save')} wrote."
        )
    end = content[-_END.size :]
    if len(end) < _END.size or not end.startswith(_END_MARK):
        if 0 <= content.rfind(_END_MARK) < len(content) - _END.size:
            raise BundleError(f"There is something after the bundle in the file. {_REPACKED}")
        raise BundleError(f"The bundle is cut short: its end is missing. {_AGAIN}")
    _, disk, first, here, n_members, size, start, comment = _END.unpack(end)
    if (disk, first, comment, here) != (0, 0, 0, n_members) or 0xFFFFFFFF in (size, start):
        raise BundleError(f"The end of the bundle is not as written. {_REPACKED}")
    if n_members > MAX_MEMBERS:
        raise BundleError(
            f"The bundle has {n_members:,} members; at most {MAX_MEMBERS:,} are read."
        )
    if start + size != len(content) - _END.size:
        where = "before" if start + size < len(content) - _END.size else "after"
        raise BundleError(f"The bundle's list does not lie {where} its end. {_REPACKED}")
    return n_members, start


def _read_listed(content: bytes, position: int, offset: int) -> tuple[_Member, int]:
    """Return one member as the list has it, whose content has to begin at `offset`."""
    fixed = content[position : position + _LISTED.size]
    if len(fixed) < _LISTED.size or not fixed.startswith(_LISTED_MARK):
        raise BundleError(f"The bundle's list of members is damaged. {_AGAIN}")
    values = _LISTED.unpack(fixed)
    flags, method, checksum, packed, size, length, extra, comment = (*values[3:5], *values[7:13])
    mode, stated = values[15] >> 16, values[16]
    raw = content[position + _LISTED.size : position + _LISTED.size + length]
    shown = raw.decode("ascii", "backslashreplace")[:_MAX_NAME]
    for is_so, what in (
        (flags & _ENCRYPTED, "is encrypted"),
        (flags & _DESCRIPTOR, "states its size after its content"),
        (method, f"is compressed ({_METHODS.get(method, f'unknown method {method}')})"),
        (mode & _KIND == _LINK, "is a link"),
        (packed != size, f"is said to have both {packed:,} and {size:,} bytes"),
        (extra or comment, "has a comment or extra fields"),
        (stated < offset, "overlaps another member"),
        (stated > offset, "does not follow the member before it"),
    ):
        if is_so:
            raise BundleError(f"{shown!r} in the bundle {what}. {_REPACKED}")
    if not raw.isascii():
        raise BundleError(f"{_not_a_name(shown)} {_REPACKED}")
    member = _Member(raw.decode("ascii"), size, checksum, offset)
    stop = position + _LISTED.size + length
    if content[position:stop] != member.listed:
        raise BundleError(f"The header of {shown!r} in the bundle is not as written. {_REPACKED}")
    return member, stop


def _check_name(name: str, seen: set[str]) -> None:
    """Refuse a name that might lead elsewhere, or mean the same file as another one."""
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name) or name.endswith("."):
        raise BundleError(f"{_not_a_name(name)} {_REPACKED}")
    if name.lower() in seen:  # where upper and lower case are one, it is the same file
        raise BundleError(f"{name!r} is twice in the bundle. {_REPACKED}")
    seen.add(name.lower())


def _not_a_name(name: str) -> str:
    return (
        f"{name[:_MAX_NAME]!r} is no name for a member of a bundle: names are relative, of "
        'letters, digits, "_", "-", "." and "/", without "..".'
    )
