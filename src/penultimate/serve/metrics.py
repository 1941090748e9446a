"""What is counted of a service, in Prometheus's words; none of it is about an image."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client import generate_latest as _generate_latest

from penultimate.serve.models import Version

_SAMPLES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """Counters of one service.

    Attributes
    ----------
    requests : Counter
        By path and status.
    seconds : Histogram
        From the first byte of a request to the last of its answer, by path.
    samples, abstained : Counter
        By model.
    passes : Histogram
        Samples that were predicted together.
    waiting : Gauge
        Requests that were read and are not answered yet.
    reloads : Counter
        By model and outcome.
    taught : Counter
        Lessons, comparisons, promotions and what was taken back, by model and action.
    martingale : Gauge
        By model that is watched.
    alarms : Counter
        By model.
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "penultimate_requests", "Requests answered.", ["path", "status"], registry=registry
        )
        self.seconds = Histogram(
            "penultimate_request_seconds",
            "Time of a request, with its body.",
            ["path"],
            registry=registry,
            buckets=_SECONDS,
        )
        self.samples = Counter(
            "penultimate_samples", "Samples predicted.", ["model"], registry=registry
        )
        self.abstained = Counter(
            "penultimate_abstained", "Samples not answered.", ["model"], registry=registry
        )
        self.passes = Histogram(
            "penultimate_pass_samples", "Samples of a pass.", registry=registry, buckets=_SAMPLES
        )
        self.waiting = Gauge(
            "penultimate_waiting_requests", "Requests read, not answered.", registry=registry
        )
        self.reloads = Counter(
            "penultimate_reloads", "Changed files.", ["model", "outcome"], registry=registry
        )
        self.taught = Counter(
            "penultimate_taught", "Steps of teaching.", ["model", "action"], registry=registry
        )
        self.martingale = Gauge(
            "penultimate_watch_martingale",
            "Evidence that what comes in is not as it was; from 100 on, an alarm.",
            ["model"],
            registry=registry,
        )
        self.alarms = Counter(
            "penultimate_watch_alarms",
            "Times that guarantees were withdrawn.",
            ["model"],
            registry=registry,
        )
        self._version = Gauge(
            "penultimate_model_version", "What serves.", ["model", "sha256"], registry=registry
        )
        self._serving: dict[str, str] = {}

    def serves(self, version: Version) -> None:
        """Note which version of a model serves."""
        if version.name in self._serving:
            self._version.remove(version.name, self._serving[version.name])
        self._serving[version.name] = version.sha256
        self._version.labels(version.name, version.sha256).set(1)

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return _generate_latest(self._registry)
