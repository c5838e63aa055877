"""The small network of the EuroPython talk "Audio Classification with Machine Learning" (jonnor/machinehearing)."""

from torch import Tensor, nn

from earmark.features.logmel import LogMel
from earmark.training.networks.heads import HeadMaker
from earmark.training.networks.layers import AsPicture, initialise_as_keras
from earmark.training.networks.network import Network, window_field

FRAMES, BANDS = 72, 32
FILTERS, EMBEDDING_SIZE = 24, 64

SETTINGS = LogMel(
    sample_rate=16_000,
    window_seconds=0.064,
    hop_seconds=0.020,
    fft_size=1024,
    bands=BANDS,
    low_hz=0.0,
    high_hz=8_000.0,
    mel_formula="slaney",
    area_normalised=True,
    log_offset=1e-9,
)


def sb_cnn(make_head: HeadMaker, *, hop_seconds: float = 0.72) -> Network:
    """Return the network after Salamon and Bello that the talk teaches: three convolutions and one dense layer.

    The talk's example has windows of 72 frames and 32 bands, overlapping by half. Frames of 64 ms each 20 ms, and
    pooling by 3 x 2, by which the sizes divide, are ours. The penalty on the dense layer is weight decay.

    Parameters
    ----------
    make_head : callable
        Makes the head for embeddings of a given length.
    hop_seconds : float
        Between the starts of two windows.
    """
    encoder = nn.Sequential(
        _Standardise(),
        AsPicture(),
        *(nn.Conv2d(1, FILTERS, 5, padding=2), nn.MaxPool2d((3, 2)), nn.ReLU()),
        *(nn.Conv2d(FILTERS, 2 * FILTERS, 5, padding=2), nn.MaxPool2d((3, 2)), nn.ReLU()),
        *(nn.Conv2d(2 * FILTERS, 2 * FILTERS, 5), nn.ReLU()),
        nn.Flatten(),
        nn.Dropout(0.5),
        *(nn.Linear(2 * FILTERS * (FRAMES // 9 - 4) * (BANDS // 4 - 4), EMBEDDING_SIZE), nn.ReLU()),
        nn.Dropout(0.5),
    )
    initialise_as_keras(encoder)
    field = window_field(FRAMES, hop_seconds, SETTINGS)
    return Network(encoder, make_head(EMBEDDING_SIZE), field=field, windowed=True, front_end=SETTINGS)


class _Standardise(nn.Module):
    """Gives each window mean 0 and deviation 1; a window that is all the same stays zero."""

    def forward(self, windows: Tensor) -> Tensor:
        raised = windows - windows.amin(dim=(1, 2), keepdim=True)  # silence is then zero, not a rounding of its mean
        centred = raised - raised.mean(dim=(1, 2), keepdim=True)
        deviation = centred.square().mean(dim=(1, 2), keepdim=True).sqrt()
        return centred / (deviation + 1e-4)
