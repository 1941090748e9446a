"""What a node of a graph may cost, or break, as far as the file states it."""

from math import isfinite, prod
from typing import Any

import numpy as np

from penultimate.bundle.errors import BundleError
from penultimate.bundle.stored_tensors import INTEGERS, few_values_of, values_of

# Values of a result whose size the graph states, such as an image's height by its width; more only
# where the manifest says that the network takes larger images.
MAX_VALUES = 2**20
# The inputs that give operators the size of their result, or factors of it.
_SIZED = {
    "CenterCropPad": slice(1, 2), "ConstantOfShape": slice(0, 1), "Expand": slice(1, 2),
    "OneHot": slice(1, 2), "Pad": slice(1, 2), "Range": slice(0, 3), "Resize": slice(2, 4),
    "Tile": slice(1, 2),
}  # fmt: skip
# Attributes that add to the sides of an image, or multiply them.
_OF_SIDES = ("output_padding", "output_shape", "pads", "strides")
_LONGEST = 4096


def check_attributes(kind: str, attributes: list[dict[str, Any]]) -> None:
    """Raise if attributes tell an operator to make huge images.

    Parameters
    ----------
    kind : str
        The operator.
    attributes : list of dict
        Those of the node.

    Raises
    ------
    BundleError
    """
    for each in attributes:
        name = each.get("name", "")
        if name in _OF_SIDES and any(abs(number) > _LONGEST for number in each["ints"]):
            raise BundleError(
                f"The graph of the bundle has {name} of {max(map(abs, each['ints'])):,} in {kind}; "
                f"at most {_LONGEST:,} are taken."
            )


def check_size(kind: str, inputs: list[str], constants: dict[str, Any], limit: int) -> None:
    """Raise if constants make the result of an operator huge.

    Parameters
    ----------
    kind : str
        The operator.
    inputs : list of str
        Names of its inputs.
    constants : dict
        Stored tensors by name.
    limit : int
        Number of values.

    Raises
    ------
    BundleError
    """
    for name in inputs[_SIZED[kind]] if kind in _SIZED else ():
        if name not in constants:
            continue
        values = few_values_of(constants[name])
        if values is None or not all(map(isfinite, values)):
            raise BundleError(f"The graph of the bundle gives {kind} no plain size.")
        known = [max(1.0, abs(each)) for each in values]
        # Each side of an image grows by its padding, and there are two that matter.
        size = sum(known) ** 2 if kind == "Pad" else prod(known)
        if size > limit:
            raise BundleError(
                f"The graph of the bundle makes a tensor of {size:,.0f} values with {kind}; at "
                f"most {limit:,} are made."
            )


def check_division(
    kind: str, inputs: list[str], constants: dict[str, Any], types: dict[str, int]
) -> None:
    """Raise if integers might be divided by 0, or the smallest one by -1: both end the process.

    Parameters
    ----------
    kind : str
        The operator.
    inputs : list of str
        Names of its inputs.
    constants : dict
        Stored tensors by name.
    types : dict of str to int
        Of all values by name.

    Raises
    ------
    BundleError
    """
    # An input that is left out has no name; the runtime refuses that.
    if kind not in ("Div", "Mod") or len(inputs) < 2 or types.get(inputs[1]) not in INTEGERS:
        return
    divisor = constants.get(inputs[1])
    if divisor is None:
        raise BundleError(
            f"The graph of the bundle divides integers by computed ones, with {kind}: these may be "
            "0. Compute in floats, or divide by a constant."
        )
    if np.isin(values_of(divisor), (0, -1)).any():
        raise BundleError(f"The graph of the bundle divides integers by 0 or -1, with {kind}.")
