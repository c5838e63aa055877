"""Runs the benchmarks and prints the table of figures: ``python -m benchmarks --help``."""

import argparse
import ast
import json
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from rich.console import Console

from benchmarks.bench import Bench, open_bench
from benchmarks.page import blocks, fill
from benchmarks.report import Report

GROUPS = {
    "import": "fidelity",
    "embeddings": "embeddings",
    "tagging": "tagging",
    "frontend": "frontend",
    "coldstart": "coldstart",
    "inside": "inside",
    "live": "live",
    "long": "long",
    "heads": "heads",
    "novelty": "novelty",
    "attention": "attention",
    "trainspeed": "trainspeed",
    "serve": "serve",
}
"""Names on the command line, and the modules that measure."""

LONG_GROUPS = {
    "finetune": "finetune",
    "scratch": "scratch",
    "instruments": "instruments",
    "everyday": "everyday",
    "export": "export",
    "web": "web",
}
"""Those that take hours, or need what takes hours or more than the extra dev, and are run by name only."""

_WHICH = f"which: {', '.join(GROUPS)}; all of these by default. Long ones: {', '.join(LONG_GROUPS)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that were asked for; return 1 if one broke, 0 whatever the figures are."""
    options = _parser().parse_args(arguments)
    if options.list:
        print("\n".join(f"{name:<12} {title(name)}" for name in (*GROUPS, *LONG_GROUPS)))
        return 0
    names = options.names or list(GROUPS)
    if options.write_docs:
        names = names_for(options.write_docs, options.names)
        if options.quick or not names:
            _parser().error("--write-docs publishes figures: it takes all benchmarks of a block, and no --quick")
    with open_bench(quick=options.quick, folds=tuple(filter(None, options.folds.split(",")))) as bench:
        report, broken = run(bench, names)
    publish(report, options.json)
    if options.write_docs:
        done = set(names) - set(broken)
        fill(options.write_docs, done, lambda block: report.only(title(name) for name in block).to_markdown())
    return 1 if broken else 0


def names_for(page: Path, names: Sequence[str]) -> list[str]:
    """Return what to run for a page: all that its blocks show, or `names` if they fill one of its blocks."""
    shown = blocks(page)
    if not names:
        return [name for block in shown for name in block]
    return list(names) if any(set(names).issuperset(block) for block in shown) else []


def run(bench: Bench, names: Sequence[str]) -> tuple[Report, list[str]]:
    """Run benchmarks one after another; return the report and the names of those that broke."""
    report, broken = Report(quick=bench.quick), []
    for name in names:
        rows = report.groups.setdefault(title(name), [])
        print(f"{name}: {title(name)} ...", file=sys.stderr, flush=True)  # nothing that moves: it would cost time
        try:
            rows.extend(group(name).measure(bench))
        except Exception:  # noqa: BLE001 - one broken benchmark must not cost the figures of the others
            traceback.print_exc()
            broken.append(name)
    return report, broken


def publish(report: Report, json_path: Path | None) -> None:
    """Print the report, as a table on a terminal and else as Markdown, and write it where it was asked for."""
    if sys.stdout.isatty():
        report.print_table(Console())
    else:
        print(report.to_markdown())
    if json_path:
        json_path.write_text(json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def group(name: str) -> ModuleType:
    """Return the module of a benchmark, imported when it is needed."""
    return import_module(f"benchmarks.{module_name(name)}")


def module_name(name: str) -> str:
    """Return the name of the module of a benchmark."""
    return (GROUPS | LONG_GROUPS)[name]


def title(name: str) -> str:
    """Return the first sentence of a benchmark's docstring up to its colon; the module is not imported for it."""
    source = Path(__file__).with_name(f"{module_name(name)}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0].partition(":")[0].rstrip(".")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=_WHICH)
    parser.add_argument("--list", action="store_true", help="say what there is, and stop")
    parser.add_argument("--quick", action="store_true", help="little data, few repeats: to see that it runs")
    parser.add_argument(
        "--folds",
        default="",
        metavar="1,2",
        help="which folds the long ones do; all by default; kept: none, show those that are done",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON too")
    parser.add_argument("--write-docs", type=Path, metavar="PAGE", help="put tables into the blocks of a page")
    return parser


if __name__ == "__main__":
    sys.exit(main())
