"""Which network a command uses, and what is done to images before it: options and their values."""

import importlib
import importlib.util
import inspect
import os
import sys
import sysconfig
import traceback
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penultimate._common.validation import check_choice, suggest
from penultimate.cli.app import wrong_usage

if TYPE_CHECKING:
    from penultimate.networks import Preprocessing

_PREPARED = (
    "'imagenet' (224 pixels, the mean and deviation of torchvision's networks), 'pixels' (from 0 "
    "to 255, as they are), or settings such as 'size=260, crop=0.875, scale=1/255, "
    "mean=0.5:0.5:0.5, std=0.5, channels=bgr, interpolation=bicubic, draft=false'"
)


def _list_networks(value: str) -> str:
    """Print the networks that have a name, and exit, if that is asked for."""
    if value == "list":
        from penultimate.networks.pretrained import list_networks, networks_text

        print(networks_text(list_networks()))
        raise typer.Exit()
    return value


_YOURS = (
    "Or a network of yours, used as it is: the path of an .onnx or .keras file, or module:name (or "
    "file.py:name) of one, or of a function that builds it."
)
NetworkOption = Annotated[
    str,
    typer.Option(
        callback=_list_networks,
        is_eager=True,
        help="A name (list prints them): compact, wide and plane are trained on your images, "
        f"efficientnet-lite0 and others are pretrained. {_YOURS}",
    ),
]
FrozenNetworkOption = Annotated[
    str,
    typer.Option(
        callback=_list_networks,
        is_eager=True,
        help="Name of a pretrained network, such as efficientnet-lite0 (list prints all names; "
        f"those that are trained on your images have no features before that). {_YOURS}",
    ),
]
LayerOption = Annotated[
    str | None,
    typer.Option(
        help="Where the network is cut, by a layer's name; of several, separated by commas, each "
        "head selects its own. By default the input of the classifying layer; for pretrained "
        "networks with a name, that or the block before."
    ),
]
NormalizationOption = Annotated[
    str,
    typer.Option(
        help="What is done to features before a head: standardize, l2, sqrt-l2 or none; of "
        "several, separated by commas, each head selects its own. auto is standardize; for "
        "pretrained networks with a name, that or l2."
    ),
]
PreprocessingOption = Annotated[
    str | None,
    typer.Option(
        help=f"What is done to images before a network of yours sees them: {_PREPARED}. Networks "
        "with a name have their own."
    ),
]
PoolingOption = Annotated[
    str, typer.Option(help="How feature maps become features: avg, max, gem, or none to flatten.")
]
MirrorOption = Annotated[
    bool,
    typer.Option("--mirror", help="Average the features with those of the mirrored image."),
]


def find_network(
    text: str,
    *,
    preprocessing: str | None = None,
    pooling: str = "avg",
    mirror: bool = False,
) -> Any:
    """Return what ``--network`` stands for, with what is done to images before it.

    Parameters
    ----------
    text : str
        Value of ``--network``.
    preprocessing : str or None
        Value of ``--preprocessing``.
    pooling : str
        Value of ``--pooling``.
    mirror : bool

    Returns
    -------
    str, callable or FeatureExtractor
        A name or a function for a network that is trained, else an extractor.

    Raises
    ------
    typer.BadParameter
        If there is no such network, or what it takes has to be stated.
    """
    from penultimate.networks import FeatureExtractor, check_network, is_frozen
    from penultimate.networks.adapting import HoldsNetwork, prepares_images, takes_pixels
    from penultimate.networks.arguments import names_builder
    from penultimate.networks.functions import is_function
    from penultimate.networks.pooling import POOLINGS

    given: object = text
    # A path may have a colon, too: C:\model.onnx.
    if not names_builder(text) and not is_frozen(text) and ":" in text:
        given = _imported(text)
    of_batches = is_function(given) and not is_frozen(given) and _n_required(given) == 1
    if not of_batches:
        with wrong_usage("--network"):
            check_network(given, "compare")
    stated = parse_preprocessing(preprocessing)
    if not of_batches and not is_frozen(given):
        stands = {
            "--preprocessing": stated is not None,
            "--mirror": mirror,
            "--pooling": pooling != "avg",
        }
        if unused := [option for option, is_there in stands.items() if is_there]:
            raise typer.BadParameter(
                "is for images and a network that is used as it is: features need none, and "
                f"{text!r} is trained on your images. Leave it out.",
                param_hint=unused[0],
            )
        return given
    if isinstance(given, HoldsNetwork):
        if stated is not None:
            raise typer.BadParameter(
                f"the extractor {text!r} has its own; leave it out.", param_hint="--preprocessing"
            )
        return given
    if stated is None and not prepares_images(given):
        if not takes_pixels(given):
            raise typer.BadParameter(
                f"has to be stated: nothing says what {text!r} takes. It is {_PREPARED}.",
                param_hint="--preprocessing",
            )
        stated = parse_preprocessing("pixels")
    with wrong_usage("--pooling"):
        check_choice(pooling, "pooling", "FeatureExtractor", (*POOLINGS, "none"))
    pooled = None if pooling == "none" else pooling
    return FeatureExtractor(given, preprocessing=stated, pooling=pooled, mirror=mirror)


def runs_elsewhere(network: object) -> bool:
    """Return whether a trained network needs no backend of Keras."""
    from penultimate.networks.adapting import adapt

    return adapt(network).framework != "Keras"


def parse_preprocessing(text: str | None) -> "Preprocessing | None":
    """Return the `Preprocessing` that ``--preprocessing`` stands for; None without one.

    Raises
    ------
    typer.BadParameter
        If it is none.
    """
    from penultimate.networks import Preprocessing

    if text is None:
        return None
    if text in ("imagenet", "pixels"):
        return Preprocessing.imagenet() if text == "imagenet" else Preprocessing()
    settings: dict[str, Any] = {}
    with wrong_usage("--preprocessing"):
        for part in text.split(","):
            name, equals, value = (each.strip() for each in part.partition("="))
            if not equals or name not in _SETTINGS:
                raise ValueError(f"{part!r} is not understood; it is {_PREPARED}.")
            try:
                settings[name] = _SETTINGS[name](value)
            except (ValueError, ZeroDivisionError) as error:
                raise ValueError(f"{name}={value!r} is not understood: {error}.") from error
        return Preprocessing(**settings)


def parse_layers(text: str | None) -> str | list[str]:
    """Return the layers that ``--layer`` names."""
    names = ["auto"] if text is None else [each.strip() for each in text.split(",")]
    return names[0] if len(names) == 1 else names


def parse_normalizations(text: str) -> Any:
    """Return the normalizations that ``--normalization`` names, of which ``none`` is None."""
    names = [None if each.strip() == "none" else each.strip() for each in text.split(",")]
    return names[0] if len(names) == 1 else names


def _number(text: str) -> float:
    return float(Fraction(text))


def _numbers(text: str) -> float | tuple[float, ...]:
    values = tuple(map(_number, text.split(":")))
    return values[0] if len(values) == 1 else values


def _size(text: str) -> int | tuple[int, ...]:
    sides = tuple(map(int, text.lower().split("x")))
    return sides[0] if len(sides) == 1 else sides


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("it is true or false")
    return text.lower() == "true"


_SETTINGS: dict[str, Any] = {
    "size": _size,
    "crop": _number,
    "scale": _number,
    "mean": _numbers,
    "std": _numbers,
    "channels": str,
    "interpolation": str,
    "draft": _flag,
}


def _imported(text: str) -> object:
    """Return what ``module:name`` or ``file.py:name`` stands for, called if it takes nothing."""
    from penultimate.networks.functions import is_function

    place, _, name = text.rpartition(":")
    # Whatever a user's code raises, SystemExit too, is theirs, and not a fault of this program.
    try:
        module = _module(place)
        if not name:
            raise ValueError("no name comes after the colon")
        if not hasattr(module, name):
            near = suggest(name, [each for each in vars(module) if not each.startswith("_")])
            raise AttributeError(f"{module.__name__!r} has no {name!r}.{near}")
        found = getattr(module, name)
    except (Exception, SystemExit) as error:
        reason = f"cannot be imported: {_in_words(error)}"
        stop = "" if reason.endswith("?") else "."
        raise typer.BadParameter(f"{text!r} {reason}{stop}", param_hint="--network") from error
    is_built = is_function(found) and not isinstance(found, type) and _n_required(found) == 0
    # Of a module or a model, a call means a forward pass.
    if not (is_built and inspect.isroutine(found)):
        return found
    try:
        return found()
    except (Exception, SystemExit) as error:
        reason = f"failed: {_in_words(error)}"
        raise typer.BadParameter(f"{text!r} {reason}.", param_hint="--network") from error


def _in_words(error: BaseException) -> str:
    """Return an exception with the line of the user's code that raised it, if one did."""
    lines = [
        line
        for line in traceback.extract_tb(error.__traceback__)
        if line.filename not in (__file__, importlib.__file__) and not line.filename.startswith("<")
    ]
    # The line that called a library says more than the one within it.
    libraries = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))
    own = [line for line in lines if not line.filename.startswith(libraries)] or lines
    place = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    said = str(error).rstrip(".")
    return f"{type(error).__name__}{f': {said}' if said else ''}{place}"


def _module(place: str) -> ModuleType:
    if place.endswith(".py"):
        path = Path(place)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise FileNotFoundError(f"there is no file {place!r}")
        module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault(path.stem, module)  # so that what it defines can be pickled
        spec.loader.exec_module(module)
        return module
    # As with python -m: modules in the current folder count.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    return importlib.import_module(place)


def _n_required(function: object) -> int | None:
    """Return how many arguments a function must be given; None if that is not known."""
    if not callable(function):
        return None
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.default is each.empty for each in parameters if each.kind in positional)
