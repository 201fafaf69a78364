"""Does transfer beat training from scratch, where does each plan win, and does `auto` choose well?

Two sets of photographs, 10, 30 and 100 training images of each class, five draws: the four plans of `striate transfer`
on the same images with the same number of updates, and what `auto` would take of what it measures on those images
alone. Every trial is a line of a JSON file as soon as it is done, so the run may be stopped and gone on with, and
several processes may share it (`--share 0/2`, `--share 1/2`).

    python benchmarks/transfer.py SHARED --rows rows.jsonl [--share 0/2] [--set SET] [--lock FILE]
                                  [--source NAME] [--size PX] [--first-seed N]
    python benchmarks/transfer.py SHARED --rows rows.jsonl --summarise > benchmarks/results/transfer-DATE.md

SHARED is the folder of the real data. `--lock` holds a shared lock on a file during each trial, so that whoever times
something on the same machine, under an exclusive one, finds quiet moments.
"""

import argparse
import contextlib
import dataclasses
import fcntl
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from striate.bench.facts import machine
from striate.data import open as open_data
from striate.errors import StriateError
from striate.train import Settings
from striate.train.progress import Silent
from striate.train.transfer.amount import Amount
from striate.train.transfer.cache import FeatureCache
from striate.train.transfer.comparison import AUTO, Comparison, Trial, each_trial
from striate.train.transfer.evidence import Evidence, PlaceEvidence
from striate.train.transfer.page import chosen_words, interval_words
from striate.train.transfer.plans import PLANS, Plan, choose
from striate.train.transfer.project import Project
from striate.train.transfer.source import open_source

SETS = {"ants-bees": ("ants-bees", 96), "sign-digits": ("sign-digits/Dataset", 64)}  # folder, px
SOURCES = {
    "squeezenet1_1": "repackaged-imagenet/squeezenet1_1-torchvision-fp16rounded.pth",
    "resnet20": "resnet-cifar10-th/pretrained_models/resnet20-12fca82f.th",
}
SIZES, SEEDS = (10, 30, 100), 5
STEPS, BATCH = 200, 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--share", default="0/1")
    parser.add_argument("--source", choices=SOURCES, default="squeezenet1_1")
    parser.add_argument("--set", choices=SETS, action="append", help="one set only")
    parser.add_argument("--size", type=int, help="of the images in px, in place of the set's own")
    parser.add_argument("--lock", type=Path, action="append", default=[])
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--first-seed", type=int, default=0, help="number of the first draw")
    parser.add_argument("--summarise", action="store_true")
    asked = parser.parse_args()
    if asked.summarise:
        summarise(asked)
        return
    mine, of = map(int, asked.share.split("/"))
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    work = [
        (name, per_class, seed, plan)
        for seed in seeds  # a seed of everything before the next: stopped early, all cells have as many
        for per_class in SIZES
        for name in asked.set or SETS
        for plan in PLANS
    ]
    with tempfile.TemporaryDirectory() as folder:
        projects = {name: project(asked, name, Path(folder)) for name in asked.set or SETS}
        for number, (name, per_class, seed, plan) in enumerate(work):
            key = {"source": asked.source, "set": name, "per_class": per_class, "seed": seed, "plan": plan}
            if asked.size is not None:
                key["px"] = asked.size
            if number % of != mine or any(all(row[k] == v for k, v in key.items()) for row in rows(asked.rows)):
                continue
            with held(asked.lock):
                try:
                    row = key | trial(projects[name], per_class, seed, plan)
                except StriateError as error:  # a diverged run is a result, too: chance
                    row = key | {"error": str(error), "accuracy": 0.0}
            with asked.rows.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(row, file=sys.stderr, flush=True)


def project(asked: argparse.Namespace, name: str, folder: Path) -> Project:
    """One set under the source, with the settings all trials share."""
    spec, size = SETS[name]
    size = asked.size or size
    source = open_source(str(asked.shared / SOURCES[asked.source]))
    settings = Settings(
        data=str(asked.shared / spec), size=size, batch_size=BATCH, precision=asked.precision, channels_last=True,
        threads=1, workers=1, output=str(folder / name), keep=1, checkpoint_minutes=60.0,
    )  # fmt: skip
    data = open_data(settings.data, check=False)
    cache = FeatureCache(asked.rows.parent / "features", source.net)
    return Project.of(source, data, settings, cache, steps=STEPS)


def trial(made: Project, per_class: int, seed: int, plan: Plan) -> dict[str, Any]:
    """One plan on one draw, with what is measured on that draw."""
    started = time.process_time()
    evidence = made.evidence(made.subset(per_class, seed))
    (done,) = each_trial(made, Silent(), [per_class], [seed], [plan])
    return {
        "accuracy": done.accuracy,
        "cpu_seconds": round(time.process_time() - started, 1),
        "images": len(made.exam[1]),
        "part": made.exam[0],
        "evidence": dataclasses.asdict(evidence),
    }


@contextlib.contextmanager
def held(locks: list[Path]) -> Iterator[None]:
    """The first lock is a turn, taken and given back at once; the last is shared for the while."""
    with contextlib.ExitStack() as stack:
        for lock in locks[:-1]:
            with lock.open() as file:
                fcntl.flock(file, fcntl.LOCK_EX)
        for lock in locks[-1:]:
            fcntl.flock(stack.enter_context(lock.open()), fcntl.LOCK_SH)
        yield


def rows(path: Path) -> list[dict[str, Any]]:
    """The trials done so far; a line cut short by a kill is left out."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else []:
        with contextlib.suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return found


def summarise(asked: argparse.Namespace) -> None:
    """The dated result, from the trials done; auto's choice is made anew from the evidence in the rows."""
    done = rows(asked.rows)
    facts = machine(1)
    print(f"# Transfer: four plans, as the data grow, {facts.date[:10]}\n\n{facts}\n")
    print(
        f"Each plan: {STEPS} updates of {BATCH} images, {asked.precision}; mean over the seeds in per cent, and the "
        "95 %\ninterval of the mean (Student's t). `auto` is the plan chosen from the training images of each draw\n"
        "alone.\n"
    )
    for source in SOURCES:
        for name, (_, own) in SETS.items():
            these = [row for row in done if (row["source"], row["set"]) == (source, name)]
            for px in sorted({row.get("px", own) for row in these}):
                print(f"## {source} to {name}, {px} px\n")
                table(source, name, [row for row in these if row.get("px", own) == px])


def table(source: str, name: str, these: list[dict[str, Any]]) -> None:
    trials = tuple(
        Trial(
            per_class=row["per_class"], seed=row["seed"], plan=row["plan"], accuracy=row["accuracy"],
            seconds=row.get("cpu_seconds", 0.0), chosen=choose(evidence_of(these, row)).plan,
        )
        for row in these
    )  # fmt: skip
    complete = {
        (t.per_class, t.seed)
        for t in trials
        if all((t.per_class, t.seed, plan) in {(u.per_class, u.seed, u.plan) for u in trials} for plan in PLANS)
    }
    trials = tuple(t for t in trials if (t.per_class, t.seed) in complete)
    if not trials:
        print("No draw has all its plans yet.\n")
        return
    first = next(row for row in these if "images" in row)
    compared = Comparison(
        source=source, data=name, part=first["part"], images=first["images"], steps=STEPS, trials=trials
    )
    columns = ["images of a class", "seeds", *PLANS, AUTO, "auto took", "auto behind the best, points"]
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for size in compared.sizes:
        points = [compared.point(size, plan) for plan in (*PLANS, AUTO)]
        behind = 100 * (compared.best(size).mean - points[-1].mean)
        cells = [str(size), str(points[0].seeds), *map(interval_words, points), chosen_words(compared, size)]
        print("| " + " | ".join([*cells, f"{behind:.1f}"]) + " |")
    cpu = sum(trial.seconds for trial in trials)
    print(
        f"\n{len(trials)} trials on {compared.images} images of the {compared.part} part, {cpu:,.0f} s of one core.\n"
    )


def evidence_of(these: list[dict[str, Any]], row: dict[str, Any]) -> Evidence:
    """What was measured on the draw of a row: of any plan of it, since all see the same images."""
    key = (row["per_class"], row["seed"])
    told = next(r["evidence"] for r in these if (r["per_class"], r["seed"]) == key and "evidence" in r)
    places = tuple(PlaceEvidence(**place) for place in told["places"])
    return Evidence(amount=Amount(**told["amount"]), places=places, answers=told["answers"])


if __name__ == "__main__":
    main()
