"""A training on two devices, as a program: Lightning starts it once more for the second one."""

import json
import sys
from pathlib import Path

from earmark.training.fit import fit_network
from earmark.training.fitsettings import FitSettings
from earmark.training.run import Run
from tests.training.test_fit import toy_material, toy_network


def main(folder: Path) -> None:
    lines: list[str] = []
    fitted = fit_network(
        toy_network(),
        toy_material(),
        FitSettings(epochs=2, average=0.9),
        Run(folder=folder, accelerator="cpu", devices=2, precision="32-true", report=lines.append),
    )
    import torch

    rank, world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    told = {
        "world_size": world_size,
        "lines": len(lines),
        "history": [{name: row[name] for name in ("validation_loss", "loss")} for row in fitted.history],
        "weights": {name: value.double().sum().item() for name, value in fitted.weights.items()},
    }
    (folder / f"rank-{rank}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
