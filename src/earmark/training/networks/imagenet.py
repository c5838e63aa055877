"""Backbones that timm trained on ImageNet, on pictures of sound (extra ``timm``)."""

import torch
from torch import Tensor, nn

from earmark.errors import MissingExtraError, NetworkError, OptionError
from earmark.features.logmel import LogMel
from earmark.training.networks.heads import HeadMaker
from earmark.training.networks.layers import channels_last
from earmark.training.networks.network import Network, window_field

PREFIX = "timm:"
FRAMES, BANDS = 128, 128

SETTINGS = LogMel(
    sample_rate=16_000,
    window_seconds=0.064,
    hop_seconds=0.016,
    fft_size=1024,
    bands=BANDS,
    low_hz=20.0,
    high_hz=8_000.0,
    mel_formula="slaney",
    area_normalised=True,
)


def imagenet(model: str, make_head: HeadMaker, *, pretrained: bool = True, hop_seconds: float = 1.024) -> Network:
    """Return a timm backbone on log-mel pictures of 128 frames, each 16 ms, by 128 bands.

    Parameters
    ----------
    model : str
        A name that `timm.create_model` knows.
    make_head : callable
        Makes the head for embeddings of a given length.
    pretrained : bool
        Whether to start from published weights, which timm fetches; the first layer's are summed over colours.
    hop_seconds : float
        Between the starts of two pictures.

    Raises
    ------
    MissingExtraError
        If timm is not installed.
    OptionError
        If timm has no such model.
    NetworkError
        If timm cannot fetch it, or the model does not take such pictures.
    """
    backbone = _create(model, pretrained=pretrained)
    encoder = channels_last(nn.Sequential(_Picture(BANDS), backbone))
    head = make_head(_embedding_size(encoder, model))
    field = window_field(FRAMES, hop_seconds, SETTINGS)
    return Network(encoder, head, field=field, windowed=True, front_end=SETTINGS)


def _create(model: str, *, pretrained: bool) -> nn.Module:
    """Make the backbone without its classifier."""
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError.for_extra("timm", "timm", f"network {PREFIX}{model}") from error
    except RuntimeError as error:  # torchvision, which timm imports, was built for another torch
        raise NetworkError(
            f"timm cannot be imported ({error}); install torch and torchvision of one release"
        ) from error
    if model not in timm.list_models():
        near = ", ".join(timm.list_models(f"*{model[:5]}*")[:5]) or "see timm.list_models()"
        raise OptionError(f"timm has no model {model!r}; near it: {near}")
    try:
        backbone: nn.Module = timm.create_model(model, pretrained=pretrained, in_chans=1, num_classes=0)
    except OSError as error:
        raise NetworkError(
            f"the weights of {PREFIX}{model} cannot be fetched ({error}); "
            "fetch them where there is a network, or give pretrained=False"
        ) from error
    return backbone


def _embedding_size(encoder: nn.Sequential, model: str) -> int:
    """Return the length of an embedding, by trying the encoder on a picture of silence."""
    encoder.eval()
    try:
        with torch.no_grad():
            embedding: Tensor = encoder(torch.zeros(1, FRAMES, BANDS))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise NetworkError(
            f"{PREFIX}{model} does not take pictures of {FRAMES} x {BANDS} ({error}); give a convolutional model"
        ) from error
    encoder.train()
    return int(embedding.shape[-1])


class _Picture(nn.Module):
    """Windows [N, frames, bands] as pictures of one channel, each band with a mean and a deviation of its own."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(bands)

    def forward(self, windows: Tensor) -> Tensor:
        picture: Tensor = self.norm(windows.transpose(1, 2)).transpose(1, 2)
        return picture.unsqueeze(1)
