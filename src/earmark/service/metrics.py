"""What an operator watches: requests, seconds of sound, latency, queue, errors; in the text form of Prometheus."""

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

__all__ = ["MEDIA_TYPE", "Metrics"]

MEDIA_TYPE = CONTENT_TYPE_LATEST
"""Content type of `Metrics.text`."""

_REQUEST_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The counters of one service; each service has a registry of its own.

    Attributes
    ----------
    worker_restarts : Counter
        Workers that were started in place of one that ended.
    """

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter("earmark_requests_total", "Requests answered", ("route", "status"), registry=registry)
        self._latency = Histogram(
            "earmark_request_seconds",
            "From the header of a request to the end of its answer",
            ("route",),
            buckets=_REQUEST_SECONDS,
            registry=registry,
        )
        self._sound = Counter("earmark_sound_seconds_total", "Seconds of sound analysed", ("model",), registry=registry)
        self._errors = Counter("earmark_errors_total", "Errors answered", ("code",), registry=registry)
        self._queue = Gauge("earmark_queue_jobs", "Recordings that wait for a worker", registry=registry)
        self._busy = Gauge("earmark_busy_workers", "Workers with a recording", registry=registry)
        self._workers = Gauge("earmark_workers", "Workers that have loaded their models", registry=registry)
        self._listeners = Gauge("earmark_listeners", "Open streams of live sound", registry=registry)
        self.worker_restarts = Counter(
            "earmark_worker_restarts_total", "Workers started in place of one that ended", registry=registry
        )

    def watch(
        self,
        *,
        queue: Callable[[], float],
        busy: Callable[[], float],
        workers: Callable[[], float],
        listeners: Callable[[], float],
    ) -> None:
        """Ask these how many jobs wait, workers are busy and there are, and streams are open, whenever one looks."""
        self._queue.set_function(queue)
        self._busy.set_function(busy)
        self._workers.set_function(workers)
        self._listeners.set_function(listeners)

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(route, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def count_sound(self, model: str, seconds: float) -> None:
        """Count sound that a model was given."""
        self._sound.labels(model).inc(seconds)

    def count_error(self, code: str) -> None:
        """Count an error, by the code of its answer."""
        self._errors.labels(code).inc()

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self._registry)
