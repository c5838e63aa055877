"""What the figures were measured on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("earmark", "numpy", "onnxruntime", "ai-edge-litert", "librosa", "soundfile", "soxr", "scikit-learn")


def describe_machine() -> dict[str, str]:
    """Return processor, cores, system and the versions that matter, by name; nothing that names a person or a host."""
    versions = {package: version(package) for package in PACKAGES}
    system = f"{platform.system()} {platform.machine()}"
    return {
        "processor": processor(),
        "cores": str(core_count()),
        "system": system,
        "Python": platform.python_version(),
        **versions,
    }


def core_count() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """Return the processor's name as far as the system tells it."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()
