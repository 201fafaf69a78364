"""What `striate evaluate` prints: for people, and for programs."""

from typing import TYPE_CHECKING, Any

from striate.cli.table import print_table
from striate.data.shown import shown
from striate.pages.wording import plain_percent, plural

if TYPE_CHECKING:
    from striate.evaluate import Comparison, Evaluation

__all__ = ["as_json", "comparison_as_json", "print_comparison", "print_evaluation"]

CONFUSED = 5  # pairs of classes shown


def as_json(found: "Evaluation") -> dict[str, Any]:
    """All of an evaluation but the single images' answers."""
    metrics, uncertainty = found.metrics, found.uncertainty
    return {
        "model": str(found.model),
        "models": list(found.models),
        "data": found.data,
        "part": found.part,
        "images": metrics.samples,
        "views": found.views,
        "samples": found.samples,
        "passes": found.passes,
        "accuracy": metrics.accuracy,
        "top5": metrics.top5,
        "loss": metrics.loss,
        "ece": found.calibration.ece,
        "adaptive_ece": found.calibration.adaptive_ece,
        "brier": found.calibration.brier,
        "temperature": found.temperature,
        "ece_untempered": None if found.untempered is None else found.untempered.ece,
        "entropy": float(uncertainty.entropy.mean()),
        "mutual_information": float(uncertainty.mutual_information.mean()),
        "seconds": found.seconds,
        "notes": list(found.notes),
        "classes": _by_class(found),
        "confusion": metrics.confusion.tolist(),
    }


def comparison_as_json(compared: "Comparison") -> dict[str, Any]:
    """The table's rows, errors as shares of 1."""
    rows = []
    for row in compared.rows:
        told = as_json(row.evaluation)
        kept = ("views", "samples", "passes", "seconds", "loss", "ece", "adaptive_ece", "brier", "temperature")
        against = row.against
        rows.append(
            {"row": row.name, "models": told["models"], "error": row.error}
            | {name: told[name] for name in kept}
            | {"difference": against and {"mean": against.difference, "low": against.low, "high": against.high}}
        )
    first = compared.rows[0].evaluation
    return {"data": first.data, "part": compared.part, "images": first.metrics.samples, "rows": rows}


def print_comparison(compared: "Comparison") -> None:
    """A line for each way to answer; the interval is of the difference to the first."""
    first = compared.rows[0].evaluation
    print(f"{shown(first.data)}, {compared.part} part: {plural(first.metrics.samples, 'image')}")
    columns = ["averaged over", "error", "difference, 95 %", "loss", "ECE", "passes", "seconds"]
    rows = []
    for row in compared.rows:
        against, found = row.against, row.evaluation
        interval = (
            f"{100 * against.difference:+.2f} ({100 * against.low:+.2f} … {100 * against.high:+.2f})"
            if against
            else None
        )
        rows.append(
            [
                row.name,
                plain_percent(row.error, 2),
                interval,
                f"{found.metrics.loss:.4f}",
                f"{found.calibration.ece:.2%}",
                found.passes,
                f"{found.seconds:.1f}",
            ]
        )
    print_table(columns, rows, right=columns[1:])
    _print_notes(note for row in compared.rows for note in row.evaluation.notes)


def print_evaluation(found: "Evaluation") -> None:
    """Measures, then each class, then what is confused."""
    from striate.train.report.scores import most_confused

    metrics = found.metrics
    top5 = f", top-5 {plain_percent(metrics.top5, 2)}" if metrics.top5 is not None else ""
    who = f"{found.model}" if len(found.models) == 1 else f"ensemble of {len(found.models)}: {', '.join(found.models)}"
    images = plural(metrics.samples, "image")
    print(f"{shown(who)} on {shown(found.data)}, {found.part} part: {images} in {found.seconds:.1f} s")
    print(f"accuracy {plain_percent(metrics.accuracy, 2)}{top5}, loss {metrics.loss:.4f}")
    calibration = found.calibration
    tempered = ""
    if found.temperature is not None and found.untempered is not None:
        tempered = f"; temperature {found.temperature:.3f}, without it ECE {found.untempered.ece:.2%}"
    print(
        f"calibration: ECE {calibration.ece:.2%} (adaptive {calibration.adaptive_ece:.2%}), "
        f"Brier {calibration.brier:.4f}{tempered}"
    )
    if found.views > 1 or found.samples or len(found.models) > 1:
        samples = f", {plural(found.samples, 'sample')}" if found.samples else ""
        print(f"averaged over {found.plan}{samples}: {plural(found.passes, 'pass', 'passes')}")
    if found.samples or len(found.models) > 1:
        doubt = found.uncertainty
        before = "" if found.temperature is None else " before the temperature"
        print(
            f"entropy {doubt.entropy.mean():.4f} nats{before}, of which {doubt.mutual_information.mean():.4f} is what "
            f"the {'samples' if found.samples else 'members'} disagree about"
        )
    _print_notes(found.notes)
    rows = _by_class(found)
    table = [[row["class"], row["images"], _percent(row["recall"]), _percent(row["precision"])] for row in rows]
    print()
    print_table(["class", "images", "recall", "precision"], table, right=["images", "recall", "precision"])
    pairs = most_confused(metrics.confusion, CONFUSED)
    if pairs:
        print("\nmost often confused")
    for pair in pairs:
        print(f"  {pair.count:,} × {shown(found.classes[pair.truth])} taken for {shown(found.classes[pair.predicted])}")


def _print_notes(notes: Any) -> None:
    for note in dict.fromkeys(notes):
        print(shown(note))


def _by_class(found: "Evaluation") -> list[dict[str, Any]]:
    """Images, recall (right among those of the class) and precision (right among those called so) of every class."""
    rows: list[dict[str, Any]] = []
    for index, name in enumerate(found.classes):
        right = int(found.metrics.confusion[index, index])
        images, called = int(found.metrics.confusion[index].sum()), int(found.metrics.confusion[:, index].sum())
        recall, precision = (right / total if total else None for total in (images, called))
        rows.append({"class": name, "images": images, "recall": recall, "precision": precision})
    return rows


def _percent(share: float | None) -> str | None:
    return None if share is None else plain_percent(share, 1)
