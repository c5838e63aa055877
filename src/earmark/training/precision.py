"""In which numbers a network computes while it learns."""

from typing import Literal

import torch

from earmark.training.run import Precision


def chosen_precision(precision: Precision, accelerator: str) -> Literal["32-true", "bf16-mixed", "16-mixed"]:
    """Return the precision to train in: for ``auto`` bfloat16 where the hardware multiplies it, else float32."""
    if precision != "auto":
        return precision
    uses_gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False) if uses_gpu else _cpu_has_bfloat16()
    return "bf16-mixed" if has_bfloat16 else "32-true"


def _cpu_has_bfloat16() -> bool:
    """Tell whether this processor has instructions that multiply bfloat16, which a few versions of torch can tell."""
    probes = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile"))
    return any(probe() for probe in probes if probe is not None)
