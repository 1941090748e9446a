"""Whether images are photographs that a pretrained network knows more about than they can teach."""

import os
from collections.abc import Collection, Sequence
from statistics import median

from penultimate._common.door import spelled
from penultimate._common.wording import quantity
from penultimate.networks.pretrained import PRETRAINED

_PROPOSED = "efficientnet-lite0"
_SHORTEST = 64  # pixels; at less, a photograph has lost what a network trained at 224 looks for
# With 860 flowers per class, pretrained features are 7 points better than a network trained on
# them (78 against 71 %); nothing was measured above, so nothing is proposed there.
_FEW = 1_000


def propose_pretrained(
    sizes: Collection[tuple[int, int]], class_sizes: Sequence[int], *, color: bool
) -> str | None:
    """Return advice to use a pretrained network if images look like photographs, else None.

    They do if they are in color, with sides of 64 pixels and more, and there are fewer than 1,000
    per class.

    Parameters
    ----------
    sizes : collection of (height, width)
        Sizes of the images before they are resized: of each image, or each size once.
    class_sizes : sequence of int
        Number of images of each class.
    color : bool
        Whether they have colors, not gray values in three channels.

    Returns
    -------
    str or None
        The advice, as a sentence or two.

    Examples
    --------
    >>> from penultimate.comparison.photographs import propose_pretrained
    >>> propose_pretrained([(28, 28)], [80] * 6, color=False) is None
    True
    >>> advice = propose_pretrained([(384, 512)], [80] * 6, color=True)
    >>> advice[:69]
    'These look like photographs: in color, 384 x 512 pixels, 80 per class'
    """
    if not color or not sizes or not class_sizes:
        return None
    per_class = sum(class_sizes) / len(class_sizes)
    # The median, because one thumbnail among photographs does not make them icons.
    if median(min(size) for size in sizes) < _SHORTEST or per_class >= _FEW:
        return None
    different = set(sizes)
    height, width = next(iter(different))
    shape = f"{height} x {width} pixels" if len(different) == 1 else f"{len(different)} sizes"
    network = PRETRAINED[_PROPOSED]
    ready = network.installed_version is not None or os.path.isfile(network.cached_file)
    install = "" if ready else " (install it with: pip install 'penultimate[pretrained]')"
    choice = spelled(f"--network {_PROPOSED}", f"network={_PROPOSED!r}")
    return (
        f"These look like photographs: in color, {shape}, {round(per_class):,} per class. A "
        f"network that was trained on a million others is usually better than one trained on "
        f"{quantity(sum(class_sizes), 'image')}: try {choice}{install}."
    )
