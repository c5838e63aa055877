"""A small network for phones and for eight bits: residual convolutions whose normalisations fold into their weights."""

from collections.abc import Sequence

from torch import Tensor, nn

from earmark.features.logmel import LogMel
from earmark.training.networks.heads import HeadMaker
from earmark.training.networks.layers import channels_last
from earmark.training.networks.network import Network
from earmark.training.networks.residual import BandNorm, field_of, frames_seen

RATE_HZ = 16_000

_STEM_SIZE, _STEM_STRIDE = 5, 2


def compact(
    make_head: HeadMaker,
    *,
    widths: Sequence[int] = (24, 56, 128, 288),
    depths: Sequence[int] = (1, 1, 1, 2),
    bands: int = 64,
) -> Network:
    """Return a residual network on a coarse log-mel spectrogram: 1.2 million parameters, 32 M multiply-adds a second.

    Frames of 25 ms each 20 ms, with a Fourier transform no longer than the window, cost a quarter of a usual front end.
    An embedding sees 1.5 s and there is one each 0.32 s.

    Parameters
    ----------
    make_head : callable
        Makes the head for embeddings of a given length.
    widths : sequence of int
        Channels of each stage; the last is the embedding's length.
    depths : sequence of int
        Residual blocks in each stage.
    bands : int
        Of the spectrogram; a multiple of 2 for each stage.
    """
    settings = LogMel(
        sample_rate=RATE_HZ,
        window_seconds=0.025,
        hop_seconds=0.02,
        fft_size=400,
        bands=bands,
        low_hz=50.0,
        high_hz=RATE_HZ / 2,
        mel_formula="slaney",
        area_normalised=True,
        log_offset=1e-9,  # so that sound at -40 dB looks like itself, only darker
    )
    encoder = channels_last(nn.Sequential(*_layers(bands, widths, depths)))
    field = field_of(_steps(depths))
    return Network(encoder, make_head(widths[-1]), field=field, windowed=False, front_end=settings)


class _Normed(nn.Sequential):
    """A convolution without padding in time and its normalisation."""

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int], stride: int = 1) -> None:
        convolution = nn.Conv2d(inputs, outputs, size, stride=stride, padding=(0, size[1] // 2), bias=False)
        super().__init__(convolution, nn.BatchNorm2d(outputs))


class _Block(nn.Module):
    """Two normed convolutions and a skip (He et al., 2015): all that eight bits need is between a sum and a ReLU."""

    def __init__(self, inputs: int, outputs: int, seen: int) -> None:
        super().__init__()
        self.lost = seen - 1
        self.convolved = nn.Sequential(
            _Normed(inputs, outputs, (seen, 3)), nn.ReLU(), _Normed(outputs, outputs, (seen, 3))
        )
        self.skip = _Normed(inputs, outputs, (1, 1)) if inputs != outputs else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        skipped: Tensor = self.skip(maps[:, :, self.lost : -self.lost] if self.lost else maps)
        added: Tensor = self.convolved(maps) + skipped
        return added.relu()


class _MeanOverBands(nn.Module):
    """[B, channels, T, bands] to embeddings [B, T, channels]."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean(dim=3).transpose(1, 2)


def _layers(bands: int, widths: Sequence[int], depths: Sequence[int]) -> list[nn.Module]:
    """Return the layers from features [B, frames, bands] to embeddings."""
    stem = nn.Sequential(_Normed(1, widths[0], (_STEM_SIZE, _STEM_SIZE), _STEM_STRIDE), nn.ReLU())
    layers: list[nn.Module] = [BandNorm(bands), stem]
    inputs = widths[0]
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        seen = frames_seen(stage, len(widths))
        blocks = [_Block(inputs if block == 0 else width, width, seen) for block in range(depth)]
        layers.append(nn.Sequential(*([nn.MaxPool2d(2)] if stage else []), *blocks))
        inputs = width
    return [*layers, _MeanOverBands()]


def _steps(depths: Sequence[int]) -> list[tuple[int, int]]:
    """Return size and stride in time of every layer."""
    steps = [(_STEM_SIZE, _STEM_STRIDE)]
    for stage, depth in enumerate(depths):
        steps += [*([(2, 2)] if stage else []), *[(frames_seen(stage, len(depths)), 1)] * (2 * depth)]
    return steps
