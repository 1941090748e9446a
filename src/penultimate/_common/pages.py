"""What all pages share: how their templates are filled, and their looks (`templates/page.css`)."""

from functools import cache
from types import CodeType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import BytecodeCache, Environment


def templates_of(*packages: str) -> "Environment":
    """Return the templates of packages, which can include those that all pages share.

    Parameters
    ----------
    *packages : str
        Names of packages with a folder ``templates``; the first that has a template counts.

    Returns
    -------
    jinja2.Environment
        It escapes what it is given, and refuses what it is not given.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    loaders = [PackageLoader(each) for each in (*packages, "penultimate._common")]
    return Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_compiled(),
    )


@cache
def _compiled() -> "BytecodeCache":
    """Return the compiled templates of this process: compiling them takes a third of a second."""
    from jinja2 import BytecodeCache
    from jinja2.bccache import Bucket

    class InMemory(BytecodeCache):
        def __init__(self) -> None:
            self.codes: dict[tuple[str, str], CodeType] = {}

        def load_bytecode(self, bucket: Bucket) -> None:
            bucket.code = self.codes.get((bucket.key, bucket.checksum))

        def dump_bytecode(self, bucket: Bucket) -> None:
            if bucket.code is not None:
                self.codes[bucket.key, bucket.checksum] = bucket.code

    return InMemory()
