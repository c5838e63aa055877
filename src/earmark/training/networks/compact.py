"""A small network for phones and for eight bits: residual convolutions whose normalisations fold into their weights."""

from collections.abc import Sequence

from torch import Tensor, nn

from earmark.training.networks.heads import HeadMaker
from earmark.training.networks.layers import channels_last
from earmark.training.networks.network import Network
from earmark.training.networks.residual import field_of, stage_steps, stages, stem
from earmark.training.networks.scratch import spectrogram


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
    # The offset is small, so that sound at -40 dB looks like itself, only darker.
    settings = spectrogram(bands, window_seconds=0.025, hop_seconds=0.02, log_offset=1e-9)
    encoder = channels_last(nn.Sequential(*stages(bands, widths, depths, _stem, _Block), _MeanOverBands()))
    field = field_of(stage_steps(depths))
    return Network(encoder, make_head(widths[-1]), field=field, windowed=False, front_end=settings)


def _stem(channels: int) -> nn.Module:
    return nn.Sequential(nn.Sequential(stem(channels), nn.BatchNorm2d(channels)), nn.ReLU())


class _Normed(nn.Sequential):
    """A convolution without padding in time and its normalisation."""

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int]) -> None:
        convolution = nn.Conv2d(inputs, outputs, size, padding=(0, size[1] // 2), bias=False)
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
