"""`manage.py benchmark`: what search finds on a data set, and of the golden queries, as figures."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from contacts.management.shell import ShellCommand, shell_actor
from contacts.models import Workspace
from contacts.selectors import get_workspace
from memory.evaluation import metrics
from memory.evaluation.ablation import ablate
from memory.evaluation.datasets import Dataset, DatasetError, read_dataset
from memory.evaluation.retrieval import THREAD_HITS, Report, measure
from memory.search.schemas import MAX_LIMIT, SearchMode
from memory.services.golden import golden_line, golden_report

SHOWN = ("frac@5", "frac@10", "frac@20", "any@10", "all@10", "mrr", "ndcg@10")


class Command(ShellCommand):
    help = "Measure what search finds. Loads a scratch workspace and removes it again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_subparsers(dest="what", required=True)
        retrieval = what.add_parser("retrieval", help="on a file of documents and queries")
        retrieval.add_argument(
            "--dataset", choices=["locomo", "general"], default="", help="form; without: seen"
        )
        retrieval.add_argument("--data", type=Path, required=True, help="the data set's file")
        modes = [mode.value for mode in SearchMode]
        retrieval.add_argument("--mode", choices=modes, help="without: each of them")
        retrieval.add_argument(
            "--limit",
            type=int,
            choices=range(metrics.DEEPEST, MAX_LIMIT + 1),
            metavar="HITS",
            default=THREAD_HITS,
            help=f"hits asked for, {metrics.DEEPEST} to {MAX_LIMIT} (default: %(default)s); for "
            "fewer, fewer candidates are ranked and threads are seen less deep",
        )
        retrieval.add_argument(
            "--ablate", action="store_true", help="what each part of hybrid ranking is worth"
        )
        retrieval.add_argument("--json", action="store_true", help="all figures as JSON")

        golden = what.add_parser("golden", help="of the golden queries, and what changed")
        golden.add_argument("--workspace", help="slug (default: every workspace)")
        golden.add_argument("--json", action="store_true", help="all figures as JSON")

    def work(self, options: dict[str, Any]) -> None:
        if options["what"] == "golden":
            self._golden(options)
            return
        try:
            dataset = read_dataset(options["data"].expanduser(), options["dataset"])
        except DatasetError as error:
            raise CommandError(str(error)) from None
        if options["ablate"]:
            self._ablate(dataset, options)
            return
        modes = [SearchMode(options["mode"])] if options["mode"] else list(SearchMode)
        report = measure(
            dataset,
            modes,
            actor=shell_actor("benchmark"),
            limit=options["limit"],
            progress=self._progress(options),
        )
        if options["json"]:
            self.stdout.write(json.dumps(report.as_dict(), indent=2))
        else:
            self._print(report)

    def _ablate(self, dataset: Dataset, options: dict[str, Any]) -> None:
        found = ablate(
            dataset, actor=shell_actor("benchmark"), progress=self._progress(options)
        ).as_dict()
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2))
            return
        self.stdout.write(f"{found['dataset']}, {len(dataset.groups)} groups")
        self.stdout.write(f"{'':30}{'queries':>8}" + "".join(f"{name:>9}" for name in SHOWN))
        for name, part in found["variants"].items():
            self.stdout.write(
                f"{name:30}{part['queries']:8,.0f}" + "".join(f"{part[one]:9.3f}" for one in SHOWN)
            )

    def _golden(self, options: dict[str, Any]) -> None:
        slug = options["workspace"]
        chosen = [get_workspace(slug)] if slug else list(Workspace.objects.order_by("slug"))
        reports = {one.slug: golden_report(one.id, "benchmark") for one in chosen}
        if options["json"]:
            self.stdout.write(json.dumps(reports, indent=2, default=str))
            return
        for name, report in reports.items():
            if report is None:
                self.stdout.write(f"{name}: no golden queries")
                continue
            self.stdout.write(
                f"{name}: recall {report['recall']:.3f} of {report['queries']:,} golden queries"
            )
            for result in report["results"]:
                self.stdout.write(golden_line(result))

    def _progress(self, options: dict[str, Any]) -> Any:
        if options["json"] or not sys.stderr.isatty():
            return lambda line: None
        return lambda line: self.stderr.write(f"\r\x1b[K{line}", ending="")

    def _print(self, report: Report) -> None:
        found = report.as_dict()
        self.stdout.write(f"{found['dataset']}: {found['documents']:,} documents")
        if found["not_reranked"]:
            self.stdout.write(
                f"{found['not_reranked']:,} queries were not reranked: {found['rerank_problem']}"
            )
        self.stdout.write(f"{'':34}{'queries':>8}" + "".join(f"{name:>9}" for name in SHOWN))
        for mode, levels in found["modes"].items():
            for level, parts in levels.items():
                rows = {name: part for name, part in parts.items() if name != "categories"}
                rows |= {f"category {name}": part for name, part in parts["categories"].items()}
                for name, part in rows.items():
                    label = f"{mode} {level} {name}"[:34]
                    self.stdout.write(
                        f"{label:34}{part['queries']:8,.0f}"
                        + "".join(f"{part[one]:9.3f}" for one in SHOWN)
                    )
