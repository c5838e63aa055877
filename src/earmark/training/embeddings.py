"""Embeddings of labelled clips by a frozen backbone: side by side on all cores, once, and from the cache ever after."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.data.manifest import Clip, Manifest
from earmark.data.survey import content_digest
from earmark.errors import AudioError, AudioNotFoundError
from earmark.inference.classifier import Classifier, default_threads
from earmark.inference.parallel import ordered_map
from earmark.training.backbone import Backbone
from earmark.training.embeddingcache import EmbeddingCache, entry_key
from earmark.training.pace import Pace
from earmark.training.run import Run

Embeddings = NDArray[np.float32]

_DIGESTS = 200_000  # of files that are remembered, some hundred bytes each


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """What a backbone gives for the clips of a manifest.

    Parameters
    ----------
    backbone_sha256 : str
        Digest of the backbone's file.
    sample_rate_hz, frame_length, frame_hop : int
        Hertz and samples, as the backbone's card has them.
    embedding_size : int
        Length of an embedding.
    embeddings : tuple of ndarray of float32, shape (frames, size)
        Of every clip, in the manifest's order.
    """

    backbone_sha256: str
    sample_rate_hz: int
    frame_length: int
    frame_hop: int
    embedding_size: int
    embeddings: tuple[Embeddings, ...]


def embed_clips(manifest: Manifest, backbone: Backbone | str | os.PathLike[str], run: Run) -> Embedded:
    """Return the embeddings of every clip, from the cache where they are there.

    Parameters
    ----------
    manifest : Manifest
        The clips; of each, only the part between its start and its end.
    backbone : Backbone, str or path
        A model's name or file, or one that is loaded already.
    run : Run
        Its `cache` holds the embeddings, by the backbone's digest, that of the clip's file, and the part of it. What
        is done is kept, whenever the run ends. Its `report` gets a line of progress every two seconds at most.

    Raises
    ------
    ModelError
        If there is no such backbone, or it gives no embeddings.
    AudioError
        If a clip cannot be read.
    OutputError
        If the cache cannot be written.
    """
    model = backbone if isinstance(backbone, Backbone) else Backbone.load(backbone)
    card = model.card
    cache = EmbeddingCache(run.cache, model.sha256, card.embedding_size)
    return Embedded(
        backbone_sha256=model.sha256,
        sample_rate_hz=card.sample_rate,
        frame_length=card.frame_length,
        frame_hop=card.frame_hop,
        embedding_size=card.embedding_size,
        embeddings=tuple(_embeddings(manifest, model.classifier, cache, run.report)),
    )


def _embeddings(
    manifest: Manifest, classifier: Classifier, cache: EmbeddingCache, report: Callable[[str], None]
) -> list[Embeddings]:
    """Read what the cache has and compute the rest, each result kept as soon as it is there."""
    threads = default_threads()
    keys = _keys(manifest, threads, report)
    known: dict[str, Embeddings | None] = {key: cache.read(key) for key in keys}
    missing = {key: clip for key, clip in zip(keys, manifest.clips, strict=True) if known[key] is None}

    def embed(key: str) -> tuple[str, Embeddings]:
        clip = missing[key]
        result = classifier.embed(clip.path, start=clip.start_seconds or 0.0, end=clip.end_seconds)
        if not np.isfinite(result.embeddings).all():
            raise AudioError(
                f"{clip.name} gives embeddings that are not finite: its samples are far beyond full scale, which is 1; "
                "make it again, or leave it out"
            )
        cache.write(key, result.embeddings)
        return key, result.embeddings

    cached = sum(embeddings is not None for embeddings in known.values())
    pace = Pace(report, "embedded", f"clips; {cached:,} more are in the cache" if cached else "clips", to_the_end=True)
    for done, (key, computed) in enumerate(ordered_map(embed, missing, threads), start=1):
        known[key] = computed
        pace(done, len(missing))
    return [embeddings for key in keys if (embeddings := known[key]) is not None]


def _keys(manifest: Manifest, threads: int, report: Callable[[str], None]) -> list[str]:
    """Return each clip's key in the cache; a file of many parts is read once."""
    paths = list(dict.fromkeys(clip.path for clip in manifest.clips))
    pace, digests = Pace(report, "looked up", "files"), {}
    for path, digest in zip(paths, ordered_map(_digest, paths, threads), strict=True):
        digests[path] = digest
        pace(len(digests), len(paths))

    def key(clip: Clip) -> str:
        return entry_key(digests[clip.path], clip.start_seconds, clip.end_seconds)

    return [key(clip) for clip in manifest.clips]


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    try:
        status = path.stat()
        return _digest_of(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise AudioNotFoundError(f"cannot read {path}: {error.strerror}; check the list of clips") from error


@lru_cache(maxsize=_DIGESTS)
def _digest_of(path: Path, _size: int, _changed_ns: int) -> str:
    """Read a file once for all folds, as long as it looks the same."""
    return content_digest(path)
