"""The size that image files are resized to: the one asked for, or one by their own sizes.

Training time is proportional to the pixels: photos of 512 x 384 take 85 times as long as the
48 x 48 that are made of them if no size is asked for.
"""

from collections.abc import Collection
from typing import Literal

import numpy as np

from penultimate._common.door import spelled
from penultimate._common.validation import check_number

Size = tuple[int, int]
# With "auto", images stay as they are if all have one size, and no side is longer than this.
LARGEST_SIDE = 128
# Chosen on 480 photos of six classes: with sides of 48, 64 and 96 pixels, the SVM was right on 97,
# 95 and 98 of 154 selection samples, and a network took 71, 150 and 300 processor seconds.
AUTO_SIDE = 48


def check_size(image_size: int | Size | str | None) -> Size | Literal["auto"] | None:
    """Return a size to resize images to as (height, width); ``"auto"`` and None as they are.

    Raises
    ------
    TypeError, ValueError
        If it is none of these, or a side is not from 4 to 4096.
    """
    if image_size is None:
        return None
    if isinstance(image_size, str):
        if image_size != "auto":
            raise ValueError(
                f"image_size must be a number, (height, width), 'auto' or None; got {image_size!r}."
            )
        return "auto"
    sides = (image_size, image_size) if np.isscalar(image_size) else tuple(image_size)  # type: ignore[arg-type]
    if len(sides) != 2:
        raise ValueError(f"image_size must be one number or (height, width); got {image_size!r}.")
    for side in sides:
        check_number(side, "image_size", "load", low=4, high=4096, integer=True)
    return int(sides[0]), int(sides[1])  # type: ignore[arg-type]


def auto_size(sizes: Collection[Size]) -> Size | None:
    """Return the size that ``"auto"`` resizes images of these sizes to; None to leave them.

    Examples
    --------
    >>> from penultimate.datasets.sizes import auto_size
    >>> auto_size([(512, 384)]), auto_size([(28, 28), (30, 20)]), auto_size([(28, 28)])
    ((48, 48), (30, 30), None)
    """
    longest = max((side for size in sizes for side in size), default=0)
    if longest <= LARGEST_SIDE and len(set(sizes)) < 2:
        return None
    side = min(AUTO_SIDE, longest)
    return side, side


def describe_resizing(size: Size, natives: Collection[Size], *, auto: bool) -> str:
    """Return in words what a resizing does: ``resized to 48 x 48 (from 512 x 384)``.

    With `auto`, it continues with the reason, and how to choose another size.
    """
    others = [native for native in dict.fromkeys(natives) if native != size]
    came = ", ".join(f"{h} x {w}" for h, w in others[:3]) + (" ..." if others[3:] else "")
    words = f"resized to {size[0]} x {size[1]} (from {came})"
    if not auto:
        return f"{words}."
    reason = (
        f"because they have {len(set(natives))} sizes"
        if len(set(natives)) > 1
        else f"the default for sides of more than {LARGEST_SIDE} pixels"
    )
    squeezed = any(h * size[1] != w * size[0] for h, w in others)
    shape = " Their aspect ratio is not kept; nothing is cropped." if squeezed else ""
    if len(set(natives)) > 1:
        other = spelled("--image-size 96", "load_data's image_size=96")
        return f"{words}, {reason}.{shape} Another size: {other}."
    other = spelled(
        "--image-size 96; their own: --image-size original",
        "load_data's image_size=96; their own: image_size=None",
    )
    return f"{words}, {reason}.{shape} Another size: {other}."
