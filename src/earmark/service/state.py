"""What all requests of a service share: its settings, models, workers and counters."""

import asyncio
import logging
import tempfile
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from earmark.errors import EarmarkError, OptionError, UnknownModelError
from earmark.inference.classifier import Classifier, default_threads
from earmark.model.registry import is_name
from earmark.service.crew import Crew
from earmark.service.logs import LOGGER
from earmark.service.metrics import Metrics
from earmark.service.room import Room
from earmark.service.settings import Settings

__all__ = ["Service"]

_LOG = logging.getLogger(LOGGER)


class Service:
    """The state behind an app; ``app.state.service``.

    Parameters
    ----------
    settings : Settings
        How it is set up.

    Attributes
    ----------
    settings : Settings
    metrics : Metrics
    crew : Crew
        The workers, which decode and score all that is uploaded.
    classifiers : Mapping of str to Classifier
        The models by the names in their cards, loaded here for their cards and for live sound.
    listeners : int
        Streams of live sound that are open.
    unopened : Counter of str
        Streams that have not said yet what they will send, by the address of the client.
    stream_threads : ThreadPoolExecutor
        Where live sound is scored.
    folder : Path
        Private to the service, for what is too large for memory; it goes when the service ends.
    room : Room
        What uploads may take of it.
    ending : asyncio.Event
        Set once the service is to end: what never ends by itself shall end then.

    Raises
    ------
    ModelError, OptionError
        If a model cannot be loaded, or two have one name.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.classifiers: Mapping[str, Classifier] = _load(settings.models)
        self._names = _names(settings.models, list(self.classifiers))
        self.metrics = Metrics()
        self._folder = tempfile.TemporaryDirectory(prefix="earmark-", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        self.room = Room.of(settings, self.folder)
        self.crew = Crew(settings, self.folder, self.metrics.worker_restarts.inc)
        self.listeners = 0
        self.unopened: Counter[str] = Counter()
        self.metrics.watch(
            queue=lambda: self.crew.waiting,
            busy=lambda: self.crew.busy,
            workers=lambda: self.crew.ready_workers,
            listeners=lambda: self.listeners,
        )
        self.stream_threads = ThreadPoolExecutor(default_threads(), thread_name_prefix="stream")
        self.ending = asyncio.Event()

    @property
    def default_model(self) -> str:
        """The name of the model that answers where none is named."""
        return next(iter(self.classifiers))

    def find(self, model: str | None) -> str:
        """Return the name, as its card has it, of the model that is meant; None is the default.

        Raises
        ------
        UnknownModelError
            If it is not served here.
        """
        if model is None:
            return self.default_model
        if model in self._names:
            return self._names[model]
        raise UnknownModelError(f"Model {model!r} is not served here; those that are: {', '.join(self.classifiers)}.")

    async def start(self) -> None:
        """Start the workers, unless they run; raises ModelError if one cannot load its models."""
        if not self.crew.ready:
            await self.crew.start()

    async def reload(self) -> None:
        """Go over to the models as they are on disk now; where that fails all stays as it is, and the log says why."""
        try:
            classifiers = await asyncio.to_thread(_load, self.settings.models)
            names = _names(self.settings.models, list(classifiers))
            await self.crew.reload()
        except EarmarkError as error:
            _LOG.error("the models are not reloaded, the old ones stay: %s", error)
            return
        self.classifiers, self._names = classifiers, names
        _LOG.info("the models are reloaded: %s", ", ".join(classifiers))

    async def stop(self) -> None:
        """End the workers and remove what they left."""
        self.ending.set()
        await self.crew.close()
        self.stream_threads.shutdown(wait=False, cancel_futures=True)
        self._folder.cleanup()


def _load(models: tuple[str, ...]) -> dict[str, Classifier]:
    loaded = [Classifier.load(model, threads=1) for model in models]
    classifiers = {classifier.card.name: classifier for classifier in loaded}
    if len(classifiers) < len(loaded):
        names = ", ".join(classifier.card.name for classifier in loaded)
        raise OptionError(f"two of the models have one name ({names}): give each model once")
    return classifiers


def _names(models: tuple[str, ...], card_names: list[str]) -> dict[str, str]:
    """Return the name in the card by all that a model goes by: that, and what it was called when it was given."""
    given = {model: name for model, name in zip(models, card_names, strict=True) if is_name(model)}
    return given | {name: name for name in card_names}
