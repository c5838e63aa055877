"""Every error earmark raises on purpose.

Catch `EarmarkError` to catch them all. Each message names the thing, its value, what is allowed and what to do next::

    EarmarkError
    ├── AudioError                   something is wrong with the sound that was given
    │   ├── AudioNotFoundError       no such file
    │   ├── AudioIsFolderError       a folder where one recording was expected
    │   ├── EmptyAudioError          a file of zero bytes, or a recording of zero samples
    │   ├── NotAudioError            bytes that no decoder understands
    │   ├── NoSoundTrackError        a video, or another container, without sound
    │   ├── NonFiniteSamplesError    NaN or infinite samples
    │   ├── SampleRateError          a rate that is missing, zero, negative or absurd
    │   └── MicrophoneError          no microphone, or one that went away
    ├── ModelError                   something is wrong with the model that was asked for
    │   ├── ModelNotFoundError       neither a known name nor a file
    │   │   └── UnknownModelError    a name that nobody knows: an OptionError as well
    │   ├── ModelFormatError         a file that is not a model, or not one earmark can read
    │   ├── CardError                a model card that is absent, malformed or contradicts its model
    │   ├── VerificationError        a model whose outputs differ from its own test vectors
    │   └── DeviceError              a device or a runtime that this machine does not have
    ├── DownloadError                a file that could not be fetched
    │   └── ChecksumError            a file that was fetched and is not the one expected
    ├── DataError                    something is wrong with the labelled clips that were given
    │   ├── ManifestError            a list of clips that cannot be read or understood
    │   ├── TooFewClipsError         fewer than two classes, or two clips of a class
    │   └── LeakError                one source on both sides of a split
    ├── TrainingError                a training that cannot be done, or came to nothing
    │   └── NetworkError             a network that does not fit the data, or cannot be made
    ├── ExportError                  a model that cannot be written in another format
    ├── OptionError                  an argument outside what is allowed
    │   └── LabelError               a label that the model does not have
    ├── OutputError                  a result that could not be written
    └── MissingExtraError            an optional dependency that is not installed
"""

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = [
    "AudioError",
    "AudioIsFolderError",
    "AudioNotFoundError",
    "CardError",
    "ChecksumError",
    "DataError",
    "DeviceError",
    "DownloadError",
    "EarmarkError",
    "EmptyAudioError",
    "ExportError",
    "LabelError",
    "LeakError",
    "ManifestError",
    "MicrophoneError",
    "MissingExtraError",
    "ModelError",
    "ModelFormatError",
    "ModelNotFoundError",
    "NetworkError",
    "NoSoundTrackError",
    "NonFiniteSamplesError",
    "NotAudioError",
    "OptionError",
    "OutputError",
    "SampleRateError",
    "TooFewClipsError",
    "TrainingError",
    "UnknownModelError",
    "VerificationError",
    "needs_extra",
]


class EarmarkError(Exception):
    """Root of every error that earmark raises on purpose."""


class AudioError(EarmarkError):
    """Something is wrong with the sound that was given."""


class AudioNotFoundError(AudioError):
    """No such file."""


class AudioIsFolderError(AudioError):
    """A folder was given where one recording was expected."""


class EmptyAudioError(AudioError):
    """A file of zero bytes, or a recording of zero samples."""


class NotAudioError(AudioError):
    """Bytes that no decoder understands as sound."""


class NoSoundTrackError(AudioError):
    """A video, or another container, without a sound track."""


class NonFiniteSamplesError(AudioError):
    """NaN or infinite samples."""


class SampleRateError(AudioError):
    """A sample rate that is missing, zero, negative or absurd."""


class MicrophoneError(AudioError):
    """No microphone, or one that went away and did not come back."""


class ModelError(EarmarkError):
    """Something is wrong with the model that was asked for."""


class ModelNotFoundError(ModelError):
    """Neither the name of a known model nor a model file."""


class ModelFormatError(ModelError):
    """A file that is not a model, or not one that earmark can read."""


class CardError(ModelError):
    """A model card that is absent, malformed or contradicts its model."""


class VerificationError(ModelError):
    """A model whose outputs differ from the test vectors in its own card."""


class DeviceError(ModelError):
    """A device, or a runtime, that this machine does not have."""


class DownloadError(EarmarkError):
    """A file that could not be fetched."""


class ChecksumError(DownloadError):
    """A file that was fetched and is not the one expected."""


class DataError(EarmarkError):
    """Something is wrong with the labelled clips that were given."""


class ManifestError(DataError):
    """A list of clips that cannot be read or understood."""


class TooFewClipsError(DataError):
    """Fewer than two classes, or fewer than two clips of a class."""


class LeakError(DataError):
    """One source of sound on both sides of a split."""


class TrainingError(EarmarkError):
    """A training that cannot be done, or came to nothing."""


class NetworkError(TrainingError):
    """A network that does not fit the data, or cannot be made."""


class ExportError(EarmarkError):
    """A model that cannot be written in another format, or comes out of it as another."""


class OptionError(EarmarkError, ValueError):
    """An argument outside what is allowed."""


class LabelError(OptionError):
    """A label that the model does not have."""


class UnknownModelError(ModelNotFoundError, OptionError):
    """A name that no model has, neither a known one nor one on this machine."""


class OutputError(EarmarkError):
    """A result that could not be written."""


class MissingExtraError(EarmarkError, ImportError):
    """An optional dependency that is not installed."""

    @classmethod
    def for_extra(cls, extra: str, package: str, purpose: str) -> "MissingExtraError":
        """Return the error for `package`, which `pip install 'earmark[extra]'` brings and `purpose` needs."""
        return cls(f"{purpose} needs {package}, which is not installed: pip install 'earmark[{extra}]'")


_PACKAGES = {"sklearn": "scikit-learn"}
"""Packages whose module has another name."""


@contextmanager
def needs_extra(extra: str, purpose: str) -> Iterator[None]:
    """Turn a module that is not found into the error that says which extra brings it.

    Raises
    ------
    MissingExtraError
        If a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "earmark"):
            raise
        raise MissingExtraError.for_extra(extra, _PACKAGES.get(package, package), purpose) from error
