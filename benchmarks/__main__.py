"""Runs the benchmarks and prints the table of figures: ``python -m benchmarks --help``."""

import argparse
import json
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from rich.console import Console

from benchmarks.bench import Bench, open_bench
from benchmarks.report import Report, write_between_markers

GROUPS = {
    "import": "fidelity",
    "embeddings": "embeddings",
    "tagging": "tagging",
    "frontend": "frontend",
    "coldstart": "coldstart",
    "live": "live",
    "long": "long",
}
"""Names on the command line, and the modules that measure."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that were asked for; return 1 if one broke, 0 whatever the figures are."""
    options = _parser().parse_args(arguments)
    if options.list:
        print("\n".join(f"{name:<12} {title(group(name))}" for name in GROUPS))
        return 0
    if options.write_docs and (options.quick or options.names):
        _parser().error("--write-docs publishes figures: it takes all benchmarks, and no --quick")
    with open_bench(quick=options.quick) as bench:
        report, broken = run(bench, options.names or list(GROUPS))
    publish(report, options.json, options.write_docs)
    return 1 if broken else 0


def run(bench: Bench, names: Sequence[str]) -> tuple[Report, list[str]]:
    """Run benchmarks one after another; return the report and the names of those that broke."""
    report, broken = Report(quick=bench.quick), []
    for name in names:
        module = group(name)
        rows = report.groups.setdefault(title(module), [])
        print(f"{name}: {title(module)} ...", file=sys.stderr, flush=True)  # nothing that moves: it would cost time
        try:
            rows.extend(module.measure(bench))
        except Exception:  # noqa: BLE001 - one broken benchmark must not cost the figures of the others
            traceback.print_exc()
            broken.append(name)
    return report, broken


def publish(report: Report, json_path: Path | None, page: Path | None) -> None:
    """Print the report, as a table on a terminal and else as Markdown, and write it where it was asked for."""
    if sys.stdout.isatty():
        report.print_table(Console())
    else:
        print(report.to_markdown())
    if json_path:
        json_path.write_text(json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if page:
        write_between_markers(page, report.to_markdown())


def group(name: str) -> ModuleType:
    """Return the module of a benchmark, imported when it is needed."""
    return import_module(f"benchmarks.{GROUPS[name]}")


def title(module: ModuleType) -> str:
    """Return the first sentence of a module's docstring up to its colon."""
    return (module.__doc__ or "").partition("\n")[0].partition(":")[0].rstrip(".")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(GROUPS)}; all by default")
    parser.add_argument("--list", action="store_true", help="say what there is, and stop")
    parser.add_argument("--quick", action="store_true", help="little data, few repeats: to see that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON too")
    parser.add_argument("--write-docs", type=Path, metavar="PAGE", help="put the table between the markers of a page")
    return parser


if __name__ == "__main__":
    sys.exit(main())
