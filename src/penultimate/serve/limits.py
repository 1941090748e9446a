"""What a service takes, at most."""

from dataclasses import dataclass, fields

from penultimate._common.decoding import MAX_PIXELS
from penultimate._common.validation import check_number

_WHOLE = ("body", "memory", "pixels", "batch", "waiting", "connections")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a service takes, at most; more is refused with an answer that names the limit.

    Attributes
    ----------
    body : int
        Bytes of the body of a request.
    memory : int
        Bytes of all bodies that are held at once.
    pixels : int
        Of all images in a request together, by the headers of their files.
    batch : int
        Images, or rows of features, in a request; also those that are predicted in one pass.
    waiting : int
        Requests that were read and are not answered yet.
    connections : int
        Open at once.
    seconds : float
        For a prediction, waiting included.
    reading_seconds : float
        In which a request has to arrive, and its answer has to be fetched.
    delay : float
        Seconds that a request may wait for others to be predicted with it. One that comes alone
        never waits.

    Examples
    --------
    >>> from penultimate.serve import Limits
    >>> Limits(batch=32).batch
    32
    """

    body: int = 2**24
    memory: int = 2**28
    pixels: int = MAX_PIXELS
    batch: int = 256
    waiting: int = 512
    connections: int = 800
    seconds: float = 30.0
    reading_seconds: float = 20.0
    delay: float = 0.002

    def __post_init__(self) -> None:
        """Refuse what is no limit."""
        for each in fields(self):
            whole = each.name in _WHOLE
            low = 1 if whole else 0 if each.name == "delay" else 0.01
            check_number(getattr(self, each.name), each.name, "Limits", low=low, integer=whole)
        if self.memory < self.body:
            raise ValueError(
                f"The 'memory' parameter of Limits must be at least body, {self.body:,} bytes; got "
                f"{self.memory:,}."
            )
