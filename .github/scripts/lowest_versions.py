"""Print the lowest version of every dependency that pyproject.toml promises, as a pip constraints file.

Usage: python .github/scripts/lowest_versions.py [EXTRA ...] > lowest.txt
"""

import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def lowest(requirements: list[str]) -> list[str]:
    """Turn ``name>=1.2`` into ``name==1.2``; constraints may not carry the extras of ``name[extra]>=1.2``."""
    pairs = (requirement.split(">=") for requirement in requirements if ">=" in requirement)
    return [f"{name.partition('[')[0]}=={version}" for name, version in pairs]


def main() -> None:
    """Print the base requirements and those of the extras named on the command line."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras = [project["optional-dependencies"][extra] for extra in sys.argv[1:]]
    for line in sorted({line for group in [project["dependencies"], *extras] for line in lowest(group)}):
        print(line)


if __name__ == "__main__":
    main()
