"""What a node of a graph may cost, or break, as far as the file states it."""

from math import isfinite, prod
from typing import Any

import numpy as np

from penultimate.bundle.errors import BundleError
from penultimate.bundle.stored_tensors import INTEGERS, few_values_of, values_of

MAX_VALUES = 2**26  # of a result: 256 MiB in float32
# The inputs in which operators are told the size of their result, or factors of it.
_SIZED = {
    "CenterCropPad": slice(1, 2), "ConstantOfShape": slice(0, 1), "Expand": slice(1, 2),
    "OneHot": slice(1, 2), "Pad": slice(1, 2), "Range": slice(0, 3), "Resize": slice(2, 4),
    "Tile": slice(1, 2),
}  # fmt: skip


def check_size(kind: str, inputs: list[str], constants: dict[str, Any]) -> None:
    """Raise if constants tell an operator to make a huge result.

    Parameters
    ----------
    kind : str
        The operator.
    inputs : list of str
        Names of its inputs.
    constants : dict
        Stored tensors by name.

    Raises
    ------
    BundleError
    """
    for name in inputs[_SIZED[kind]] if kind in _SIZED else ():
        if name not in constants:
            continue
        values = few_values_of(constants[name])
        if values is None or not all(map(isfinite, values)):
            raise BundleError(f"The graph of the bundle tells {kind} no plain size.")
        known = [max(1.0, abs(each)) for each in values]
        # Each side of an image grows by its padding, and there are two that matter.
        size = sum(known) ** 2 if kind == "Pad" else prod(known)
        if size > MAX_VALUES:
            raise BundleError(
                f"The graph of the bundle makes a tensor of {size:,.0f} values with {kind}; at "
                f"most {MAX_VALUES:,} are made."
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
    if kind not in ("Div", "Mod") or len(inputs) < 2 or types[inputs[1]] not in INTEGERS:
        return
    divisor = constants.get(inputs[1])
    if divisor is None:
        raise BundleError(
            f"The graph of the bundle divides integers by computed ones, with {kind}: these may be "
            "0. Compute in floats, or divide by a constant."
        )
    if np.isin(values_of(divisor), (0, -1)).any():
        raise BundleError(f"The graph of the bundle divides integers by 0 or -1, with {kind}.")
