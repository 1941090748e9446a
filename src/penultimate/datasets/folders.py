"""Listing of the image files of a folder: one folder per class, optionally in subsets or a split.

Users have one of these layouts on disk, perhaps inside a wrapping folder or two. The layout is
inferred from the depth of the images and from the names of the folders: ``train`` and ``test`` are
parts of a split if they hold folders, and classes if they hold images.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from penultimate._common.columns import normalized
from penultimate._common.decoding import FORMAT_NAMES, looks_like_image
from penultimate._common.door import spelled
from penultimate._common.wording import quantity
from penultimate.datasets.class_names import natural_order
from penultimate.datasets.leftovers import count_leftovers, is_leftover
from penultimate.datasets.listing import Listing
from penultimate.datasets.parts import TEST, TRAIN, VALIDATION, part_of_name, settle_dev
from penultimate.store import is_store

# Files by which the pages that Penultimate writes are recognized.
_PAGES = (
    {"report.html", "results.json"},
    {"report.html", "evaluation.json"},
    {"look.html", "look.json"},
)


@dataclass
class Tree:
    """Folders without hidden and system files, each read only once; counts what is left out.

    Class folders without images are an error, or listed in `empty` if it is `lenient`. Files in
    class folders that are no images are listed in `strays`.
    """

    lenient: bool = False
    empty: list[str] = field(default_factory=list)
    seen: dict[Path, list[Path]] = field(default_factory=dict)
    leftovers: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)

    def entries(self, folder: Path) -> list[Path]:
        """Return what is in a folder, in natural order, without leftovers of the system."""
        if folder not in self.seen:
            inside = list(folder.iterdir())
            self.leftovers += [entry.name for entry in inside if is_leftover(entry.name)]
            self.seen[folder] = natural_order(p for p in inside if not is_leftover(p.name))
        return self.seen[folder]

    def folders(self, folder: Path) -> list[Path]:
        """Return the folders in a folder, without what Penultimate wrote there earlier."""
        return [p for p in self.entries(folder) if p.is_dir() and not _is_written(p)]

    def files(self, folder: Path) -> list[Path]:
        """Return everything that is not a folder, including broken links."""
        return [p for p in self.entries(folder) if not p.is_dir()]

    def images(self, folder: Path) -> list[Path]:
        """Return the files in a folder that are images, whatever their names."""
        return [p for p in self.files(folder) if looks_like_image(p)]

    def unwrap(self, folder: Path, depth: int) -> Path:
        """Descend while a folder holds a single folder that is not a class (or subset)."""
        while True:
            inside = self.folders(folder)
            if len(inside) != 1 or self.images(folder):
                return folder
            below = self.folders(inside[0])
            if depth == 2:
                below = [sub for each in below for sub in self.folders(each)]
            if not below or self.images(inside[0]):
                return folder
            folder = inside[0]


def list_folder(path: Path, *, subsets: bool = False, lenient: bool = False) -> Listing:
    """List a folder with one folder of images per class.

    Parameters
    ----------
    path : Path
        Folder with class folders, or with ``train`` and ``test`` (and ``val``) that hold class
        folders, or a folder that wraps one of these.
    subsets : bool, default=False
        Whether there is a level of subset folders above the class folders.
    lenient : bool, default=False
        Whether class folders without images are listed in `Listing.empty` instead of an error.

    Raises
    ------
    ValueError
        If the folder has another layout; the message describes what was found.
    """
    tree, depth = Tree(lenient), 2 if subsets else 1
    root = tree.unwrap(path, depth)
    parts = _find_parts(tree, root, depth)
    if parts is None:
        listing = _list(tree, root, subsets)
    else:
        # A part that holds a single class (or subset) is not a wrapping folder.
        listed = {
            part: _list(tree, tree.unwrap(folder, depth), subsets, may_lack=True)
            for part, folder in parts.folders.items()
        }
        listing = _join(listed, {part: folder.name for part, folder in parts.folders.items()})
        listing = replace(listing, notes=(*listing.notes, *parts.notes))
    notes = [
        *listing.notes,
        *_classes_of_split_names(listing),
        *count_leftovers(tree.leftovers),
        *count_leftovers(tree.strays, "file that is no image", "files that are no images"),
    ]
    return replace(listing, name=_name_of(root), notes=tuple(notes), empty=tuple(tree.empty))


def _name_of(root: Path) -> str:
    """Name the data after its folder, or after the parent if that is a part such as ``train``."""
    root = root.resolve()
    while part_of_name(root.name) and not part_of_name(root.name)[1] and root.parent.name:  # type: ignore[index]
        root = root.parent
    return root.name


def _is_written(folder: Path) -> bool:
    """Return whether Penultimate wrote a folder that lies next to the class folders.

    A report, with models or without, the page of a look or an evaluation, a feature store, or a
    cache of these: else the same command could not be run twice in the folder of the photos.
    """
    inside = list(folder.iterdir())
    names = {each.name for each in inside}
    if any(pages <= names for pages in _PAGES):
        return not any(looks_like_image(each) for each in inside if each.is_file())
    return is_store(folder) or (bool(inside) and all(map(is_store, inside)))


@dataclass(frozen=True)
class _Parts:
    folders: dict[str, Path]
    notes: list[str]


def _find_parts(tree: Tree, root: Path, depth: int) -> _Parts | None:
    """Find the folders of a split that came with the data; None if there is no split."""
    # Folders of one split share the rest of their names: x_train and x_test, but not y_test.
    candidates: dict[tuple[str, ...], list[tuple[str, Path]]] = {}
    for folder in tree.folders(root):
        if named := part_of_name(folder.name):
            candidates.setdefault(named[1], []).append((named[0], folder))
    splits = []
    for found in candidates.values():
        names = settle_dev([part for part, _ in found])
        if len(found) > 1 or len(tree.folders(root)) == 1:
            splits.append(list(zip(names, (folder for _, folder in found))))
    # Parts hold class folders; if they hold images directly, they may be classes.
    nested = [s for s in splits if any(_is_deep(tree, folder, depth) for _, folder in s)]
    if not nested:
        _refuse_flat_parts(tree, root, splits, depth)
        return None
    if len(nested) > 1:
        raise ValueError(
            f"{str(root)!r} holds several splits, such as {nested[0][0][1].name!r} and "
            f"{nested[1][0][1].name!r}; move one elsewhere, or move its folders into "
            "a separate folder."
        )
    folders: dict[str, Path] = {}
    notes = []
    for part, folder in nested[0]:
        if part in folders:
            raise ValueError(
                f"{folders[part].name!r} and {folder.name!r} in {str(root)!r} both name the {part} "
                "part; join them, or rename one."
            )
        if _is_deep(tree, folder, depth):
            folders[part] = folder
        else:
            notes.append(_note_on_unlabelled(tree, folder))
    for folder in tree.folders(root):
        if folder in [f for _, f in nested[0]]:
            continue
        if sum(bool(tree.images(sub)) for sub in tree.folders(folder)) > 1:
            raise ValueError(
                f"{folder.name!r} lies next to {_named(folders.values())} in {str(root)!r}, but "
                "its name is not that of a part of this split. Move it elsewhere, or into one of "
                "these."
            )
        notes.append(_note_on_unlabelled(tree, folder))
    if loose := tree.images(root):
        raise ValueError(
            f"{_of(loose)} next to the parts "
            f"{_named(folders.values())} of {str(root)!r}. Move each into "
            "the folder of its class."
        )
    order = [part for part in (TRAIN, VALIDATION, TEST) if part in folders]
    if TRAIN not in folders:
        raise ValueError(
            f"{str(root)!r} has {_named(folders.values())}, but no part to train on. "
            "Add a folder named 'train'."
        )
    return _Parts({part: folders[part] for part in order}, notes)


def _is_deep(tree: Tree, folder: Path, depth: int) -> bool:
    """Return whether a folder holds class folders (for depth 2, inside subset folders)."""
    inside = tree.folders(folder)
    if depth == 2:
        inside = [sub for each in inside for sub in tree.folders(each)]
    return bool(inside)


def _of(loose: list[Path]) -> str:
    such = f", such as {loose[0].name!r}, lie" if loose[1:] else f", {loose[0].name!r}, lies"
    return f"{quantity(len(loose), 'image')}{such}"


def _named(folders: Iterable[Path]) -> str:
    return " and ".join(repr(folder.name) for folder in folders)


def _note_on_unlabelled(tree: Tree, folder: Path) -> str:
    n_images = sum(len(tree.images(each)) for each in (folder, *tree.folders(folder)))
    holds = (
        f"holds {quantity(n_images, 'image')} and no class folders"
        if n_images
        else "holds no class folder"
    )
    return f"The folder {folder.name!r} was left out: it {holds}."


def _refuse_flat_parts(
    tree: Tree, root: Path, splits: list[list[tuple[str, Path]]], depth: int
) -> None:
    """Raise for ``train`` and ``test`` that are not parts of a split and not clearly classes."""
    for split in splits:
        folders = [folder for _, folder in split]
        names = _named(folders)
        if len({part for part, _ in split}) < 2:
            continue
        if depth == 2 and any(tree.folders(folder) for folder in folders):
            raise ValueError(
                f"{names} in {str(root)!r} look like the parts of a split, not like subsets: leave "
                f"out {spelled('--subsets', 'subsets=True')}, or put subset folders into each of "
                "them."
            )
        others = [f for f in tree.folders(root) if f not in folders and tree.images(f)]
        if depth == 1 and not others and any(tree.images(folder) for folder in folders):
            raise ValueError(
                f"{names} in {str(root)!r} hold images directly. Are they the parts of a split? "
                "Then put the images of each class into a separate folder in both, or write a "
                "manifest with the columns path,label,split. Are they the classes? Then write a "
                "manifest with the columns path,label."
            )


def _classes_of_split_names(listing: Listing) -> list[str]:
    """Return a note on classes that are named like a part of a split."""
    named = [
        label
        for label in dict.fromkeys(listing.labels)
        if (part := part_of_name(label)) and not part[1]
    ]
    if not named:
        return []
    names = ", ".join(map(repr, named))
    return [f"{names}: read as {'a class' if len(named) == 1 else 'classes'}, not as a split."]


def _list(tree: Tree, path: Path, subsets: bool, *, may_lack: bool = False) -> Listing:
    """List a folder without a split."""
    if not subsets:
        return _list_classes(tree, path, may_lack)
    folders = _folders_of(tree, path, "subset")
    names, notes = _one_spelling(folders)
    parts = [_list_classes(tree, folder, may_lack) for folder in folders]
    return Listing(
        "",
        [file for part in parts for file in part.paths],
        [label for part in parts for label in part.labels],
        subsets=[name for name, part in zip(names, parts) for _ in part.paths],
        notes=(*notes, *(note for part in parts for note in part.notes)),
    )


def _list_classes(tree: Tree, path: Path, may_lack: bool) -> Listing:
    """List a folder with one folder of images per class."""
    paths: list[Path] = []
    labels: list[str] = []
    folders = _folders_of(tree, path, "class")
    names, notes = _one_spelling(folders)
    for name, folder in zip(names, folders):
        nested, files = tree.folders(folder), tree.files(folder)
        if nested:
            _refuse_nested(tree, path, folder, nested, files)
        if not files and may_lack:
            continue
        if not any(looks_like_image(file) or file.is_symlink() for file in files):
            kinds = sorted({file.suffix.lower() or "no suffix" for file in files})
            reason = f"The class folder {str(folder)!r} holds no image" + (
                f", but {quantity(len(files), 'other file')} ({', '.join(kinds[:3])}). "
                f"Images are files of the formats {FORMAT_NAMES}. If this is not a class, move "
                "it elsewhere."
                if files
                else ". Add its images, or remove the folder."
            )
            if not tree.lenient:
                raise ValueError(reason)
            tree.empty.append(reason)
            continue
        for file in files:
            # A broken link stays, and is an error when it is read: its image is missing.
            if looks_like_image(file) or file.is_symlink():
                paths.append(file)
                labels.append(name)
            else:
                tree.strays.append(file.name)
    return Listing("", paths, labels, notes=tuple(notes))


def _one_spelling(folders: list[Path]) -> tuple[list[str], list[str]]:
    """Return the names of folders with composed accents, and a note on each that occurs twice.

    An accented letter is one character, or a letter and its accent: macOS writes the latter, so a
    folder of photos from two computers may hold both.
    """
    names = [unicodedata.normalize("NFC", folder.name) for folder in folders]
    notes = [
        f"{count} folders named {name!r} in {folders[0].parent.name!r} were read as one: their "
        "names differ only in the form of accents."
        for name, count in Counter(names).items()
        if count > 1
    ]
    return names, notes


def _refuse_nested(
    tree: Tree, path: Path, folder: Path, nested: list[Path], files: list[Path]
) -> None:
    """Raise for folders inside a class folder, with advice that depends on their content."""
    inside = f"The class folder {str(folder)!r} holds a folder, {nested[0].name!r}"
    if not files and all(tree.images(sub) and not tree.folders(sub) for sub in nested):
        names = {_fold((None, sub.name)) for sub in nested}
        alike = [
            other
            for other in tree.folders(path)
            if len(names & {_fold((None, sub.name)) for sub in tree.folders(other)}) > 1
        ]
        split = (
            f" Are {_named(alike)}, which hold folders of the same names, the parts of a split? "
            "Then name them 'train', 'val' and 'test'."
        )
        raise ValueError(
            f"{inside}; a class folder must hold only image files."
            f"{split if len(alike) > 1 else ''} Is it a set of classes itself? Then read the data "
            f"with {spelled('--subsets', 'subsets=True')}."
        )
    beside = f", next to {quantity(len(files), 'file')}" if files else ""
    raise ValueError(
        f"{inside}{beside}; a class folder must hold "
        f"only image files. Move {nested[0].name!r} elsewhere, or its images up."
    )


def _folders_of(tree: Tree, path: Path, kind: str) -> list[Path]:
    """Return the class (or subset) folders of a folder, which must hold no loose images.

    Other loose files, such as a table of labels, are ignored.
    """
    folders, loose = tree.folders(path), tree.images(path)
    tables = [p for p in tree.files(path) if p.suffix.lower() in (".csv", ".tsv")]
    hint = ""
    if tables:
        hint = (
            f" There is a table, {tables[0].name!r}: pass that file itself, if it has the columns "
            "path and label."
        )
    if not folders:
        entries = tree.entries(path)
        are = "is" if len(loose) == 1 else "are all"
        state = (
            f"; its {quantity(len(loose), 'image')} {are} in one place."
            if loose
            else "; it is empty."
            if not entries
            else f"; it holds {quantity(len(entries), 'other file')}, but no image "
            f"({FORMAT_NAMES})."
        )
        raise ValueError(
            f"The folder {str(path)!r} has no folder of images per {kind}{state} Put the "
            f"images of each {kind} into a folder named after the {kind}, or write a manifest with "
            f"the columns path,label{',subset' * (kind == 'subset')}.{hint}"
        )
    if loose:
        raise ValueError(
            f"{_of(loose)} next to the {kind} folders of "
            f"{str(path)!r}. Move each into the folder of its {kind}."
        )
    if len(folders) == 1 and hint and kind == "class":
        raise ValueError(
            f"The folder {str(path)!r} has a single folder of images, {folders[0].name!r}, but a "
            f"classifier needs at least two classes.{hint}"
        )
    return folders


def _join(listed: dict[str, Listing], called: dict[str, str]) -> Listing:
    """Join the parts of a split, in which the case of class names may differ."""
    known = list(dict.fromkeys(_keys(listed[TRAIN])))
    notes: list[str] = []
    labels: list[str] = []
    subsets: list[str | None] = []
    for part, listing in listed.items():
        own = set(_keys(listing))
        renamed = {}
        for key in own - set(known):
            # Renamed only if the match is unambiguous and its name is not used in this part.
            same = [other for other in known if _fold(other) == _fold(key) and other not in own]
            if len(same) == 1:
                renamed[key] = same[0]
                notes.append(
                    f"{key[1]!r} in {called[part]!r} was read as {same[0][1]!r}, which differs "
                    "from it only in case or spacing."
                )
        for key in _keys(listing):
            subset, label = renamed.get(key, key)
            subsets.append(subset)
            labels.append(label)
    return Listing(
        "",
        [path for listing in listed.values() for path in listing.paths],
        labels,
        subsets=None if None in subsets else [str(subset) for subset in subsets],
        parts=[part for part, listing in listed.items() for _ in listing.paths],
        called=called,
        notes=(*sorted(notes), *(note for listing in listed.values() for note in listing.notes)),
    )


def _keys(listing: Listing) -> list[tuple[str | None, str]]:
    """Return the subset, if any, and the label of each file, which together identify a class."""
    names = listing.subsets if listing.subsets is not None else [None] * len(listing.labels)
    return list(zip(names, listing.labels))


def _fold(key: tuple[str | None, str]) -> tuple[str, ...]:
    return tuple(normalized(name or "") for name in key)
