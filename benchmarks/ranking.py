"""The weights of hybrid ranking (memory/search/ranking.py), fitted on data sets, as JSON.

`python -m benchmarks.ranking --data benchmarks/corpora/agent_work.json --data FILE ...` loads each
data set into scratch workspaces, asks its queries through the funnel, and fits one set of weights
so that what answers stands first: the loss is that of a softmax over a query's rows, every data
set counts alike, and a ridge keeps the weights near those of today, which were fitted in the same
way with every row as a candidate. Of data sets that come by `--memories` a third of the count each
goes to the documents as they are, with every second one as a memory, and all as memories: rows
without a thread are ranked by the same weights. The answer has the weights, and recall (frac@10)
with the weights of today, with the new ones, and cross-validated: each group ranked by weights
that were fitted without it.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._server import machine, running

TOP = 10
VARIANT = " as "
RIDGE = 0.03
FOLDS = 4
MOST_STEPS = 50


@dataclass(frozen=True, slots=True)
class Judged:
    """A query's rows: one line of `features` each, best first as they were ranked; which of them
    answer, and how many answers there are, found or not."""

    dataset: str
    group: str
    features: Any
    gold: Any
    answers: int


def fit(judged: Sequence[Judged], today: Any) -> Any:
    """The weights: Newton's method, the loss is convex."""
    usable = [one for one in judged if len(one.gold)]
    family = {name: name.split(VARIANT)[0] for name in _names(usable)}
    share = {
        name: 1
        / sum(one.dataset == name for one in usable)
        / list(family.values()).count(family[name])
        for name in family
    }
    weights = today.copy()
    loss = np.inf
    for _ in range(MOST_STEPS):
        new, slope, curve = _loss(usable, share, weights, today)
        step = np.linalg.solve(curve, slope)
        size = 1.0
        while (
            tried := _loss(usable, share, weights - size * step, today)[0]
        ) > new and size > 1e-6:
            size /= 2
        weights -= size * step
        if loss - tried < 1e-7:
            break
        loss = tried
    return weights


def _loss(
    judged: Sequence[Judged], share: dict[str, float], weights: Any, today: Any
) -> tuple[float, Any, Any]:
    """(loss, gradient, Hessian)."""
    away = weights - today
    loss = RIDGE / 2 * float(away @ away)
    slope, curve = RIDGE * away, RIDGE * np.eye(len(weights))
    for one in judged:
        scores = one.features @ weights
        scores -= scores.max()
        chances = np.exp(scores)
        chances /= chances.sum()
        mean = chances @ one.features
        size = share[one.dataset]
        loss -= size * float(np.log(chances[one.gold] + 1e-300).mean())
        slope = slope + size * (mean - one.features[one.gold].mean(0))
        weighted = one.features * chances[:, None]
        curve = curve + size * (one.features.T @ weighted - np.outer(mean, mean))
    return loss, slope, curve


def _names(judged: Sequence[Judged]) -> list[str]:
    return list(dict.fromkeys(one.dataset for one in judged))


def recall(judged: Sequence[Judged], weights: Any) -> list[float]:
    """frac@10 of each query."""
    found = []
    for one in judged:
        best = np.argsort(-(one.features @ weights), kind="stable")[:TOP]
        found.append(len(set(best) & set(one.gold)) / one.answers)
    return found


def cross_validated(judged: Sequence[Judged], today: Any) -> dict[str, float]:
    """Data set -> frac@10, each fold of groups ranked by weights fitted on the others."""
    fold_of = {
        (name, group): number % FOLDS
        for name in _names(judged)
        for number, group in enumerate(
            dict.fromkeys(one.group for one in judged if one.dataset == name)
        )
    }
    found: dict[str, list[float]] = {}
    for fold in range(FOLDS):
        here = [fold_of[one.dataset, one.group] == fold for one in judged]
        weights = fit([one for one, held in zip(judged, here, strict=True) if not held], today)
        held_out = [one for one, held in zip(judged, here, strict=True) if held]
        for one, value in zip(held_out, recall(held_out, weights), strict=True):
            found.setdefault(one.dataset, []).append(value)
    return {name: round(float(np.mean(found[name])), 4) for name in _names(judged)}


def means(judged: Sequence[Judged], weights: Any) -> dict[str, float]:
    values = list(zip(judged, recall(judged, weights), strict=True))
    return {
        name: round(float(np.mean([v for one, v in values if one.dataset == name])), 4)
        for name in _names(judged)
    }


def collect(dataset: Any, names: Sequence[str]) -> Iterator[Judged]:
    """Each query's rows, as hybrid search ranks them now."""
    from contacts.management.shell import shell_actor
    from memory.evaluation.scratch import scratch_workspace

    for group in dataset.groups:
        with scratch_workspace(group, actor=shell_actor("benchmark")) as scratch:
            for asked in group.queries:
                yield judge(dataset.name, group.id, asked, scratch, names)


def judge(dataset: str, group: str, asked: Any, scratch: Any, names: Sequence[str]) -> Judged:
    from memory.evaluation.ablation import ranked_rows
    from memory.search.ranking import NAMES

    rows = [one for one in ranked_rows(asked, scratch) if one.features is not None]
    gold = [n for n, one in enumerate(rows) if scratch.document_of(one.source) in asked.gold]
    columns = [NAMES.index(name) for name in names]
    matrix: Any = np.array([one.features for one in rows], dtype="float64").reshape(-1, len(NAMES))
    return Judged(dataset, group, matrix[:, columns], np.array(gold, int), len(asked.gold))


def datasets(paths: Sequence[Path], memories: Sequence[Path]) -> Iterator[Any]:
    """Those of the files, without LoCoMo's questions that have no answer."""
    from memory.evaluation.datasets import ADVERSARIAL, read_dataset

    for path in [*paths, *memories]:
        dataset = read_dataset(path)
        groups = [
            replace(group, queries=[q for q in group.queries if q.category != ADVERSARIAL])
            for group in dataset.groups
        ]
        dataset = replace(dataset, groups=groups)
        yield dataset
        if path in memories:
            yield _without_threads(dataset, "half memories", every=2)
            yield _without_threads(dataset, "memories", every=1)


def _without_threads(dataset: Any, variant: str, *, every: int) -> Any:
    groups = [
        replace(
            group,
            documents=[
                one if number % every else replace(one, thread="")
                for number, one in enumerate(group.documents)
            ],
        )
        for group in dataset.groups
    ]
    return replace(dataset, name=f"{dataset.name}{VARIANT}{variant}", groups=groups)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, action="append", default=[])
    parser.add_argument("--memories", type=Path, action="append", default=[])
    given = parser.parse_args()
    if not given.data + given.memories:
        parser.error("name one file at least")
    with running(web=False, jobs=False):
        from memory.search.ranking import WEIGHTS

        names = list(WEIGHTS)
        judged: list[Judged] = []
        for dataset in datasets(given.data, given.memories):
            judged += collect(dataset, names)
            sys.stderr.write(f"{dataset.name}: {len(judged)} queries so far\n")
        today = np.array(list(WEIGHTS.values()))
        weights = fit(judged, today)
        result = {
            "machine": machine(),
            "queries": len(judged),
            "weights": {n: round(float(w), 2) for n, w in zip(names, weights, strict=True)},
            "frac@10": {
                "today": means(judged, today),
                "fitted": means(judged, weights),
                "cross_validated": cross_validated(judged, today),
            },
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
