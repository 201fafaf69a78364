"""The record, section by section, as the template wants it: sentences, charts, tables and pictures ready to be placed.

The order is the order in which a reader asks: what came out, what was it shown, how did it learn, where is it wrong,
what is inside, what did it cost, how do I repeat it.
"""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from striate.pages.bars import MOST_BARS, count_chart
from striate.pages.curves import Series, line_chart, spans
from striate.pages.wording import compact, decimal, duration, isolate, memory, part_word, percent, plural, whole
from striate.train.report.matrix import MOST_CLASSES, NUMBERED, confusion_chart
from striate.train.report.pictures import filter_rows, thumbnail
from striate.train.report.record import STAGE_NAMES, DataSummary, EpochRow, Example, RunRecord, Scored
from striate.train.report.scores import class_scores, mean_of_known, most_confused, wilson
from striate.train.report.watched import watched

__all__ = ["answer", "cost", "health", "inside", "learned", "repeat", "shown", "wrong"]

FEW_CLASSES = 4  # up to here there is room for twelve large examples of each class
MANY_CLASSES = 12  # up to here for four, beyond it for one each, of this many:
MOST_EXAMPLES = 40
MOST_MISTAKES = 24
MOST_NOTES = 20
MOST_PAIRS = 10
WORTH_TELLING = 0.01  # of the training time: below it nobody asks what was waited for
MOST_ROWS = 60  # rows of a table before it is thinned or folded away
STEP_POINTS = 200  # stretches of the log of steps: two px each

View = dict[str, Any]


def answer(record: RunRecord) -> View:
    """The headline, what to make of it, and the key figures."""
    final, net = record.final, f"{isolate(record.net)} on {isolate(record.data.name)}"
    outcome = ": ".join(filter(None, (record.outcome.capitalize(), record.outcome_note.removesuffix(".")))) + "."
    if final is None or final.samples == 0:
        after = plural(len(record.epochs), "epoch")
        headline, sure = f"{net}: {record.outcome} after {after}", "No images were scored at the end."
    else:
        share = percent(final.right / final.samples, final.samples)
        headline = f"{net}: {share} of {plural(final.samples, f'{part_word(final.part)} image')} right"
        low, high = wilson(final.right, final.samples)
        sure = (
            f"The 95 % interval of that share is {percent(low, final.samples)} to {percent(high, final.samples)} "
            f"(Wilson). {_baseline(final, record.data.classes)}"
        )
        if final.part == "val" and record.best_epoch is not None:
            sure += " The epoch was chosen by these same images, which flatters it a little."
    return {"headline": headline, "sure": sure, "outcome": outcome, "figures": list(_figures(record))}


def shown(data: DataSummary) -> View:
    """What the net was shown: images of each class in each part, examples, and what was left out."""
    totals = {part_word(part): sum(counts) for part, counts in data.counts.items()}
    sizes = _listed([f"{whole(total)} for {part}" for part, total in totals.items()])
    examples = _spread(data.examples)
    classes = plural(len(data.classes), "class", "classes")
    return {
        "sentence": f"{plural(sum(totals.values()), 'image')} in {classes}, {sizes}.",
        "parts": list(totals),
        "rows": [(name, *of_class) for name, *of_class in zip(data.classes, *data.counts.values(), strict=True)],
        "totals": list(totals.values()),
        "folded": len(data.classes) > MOST_BARS,
        "chart": Markup(count_chart("counts", data.classes, {part_word(p): c for p, c in data.counts.items()})),
        "room": "few" if len(examples) <= FEW_CLASSES else "" if len(examples) <= MANY_CLASSES else "many",
        "examples": [(name, [thumbnail(one.image) for one in of_class]) for name, of_class in examples],
        "notes": data.notes[:MOST_NOTES],
        "more_notes": max(0, len(data.notes) - MOST_NOTES),
    }


def learned(record: RunRecord) -> View:
    """The curves, and the numbers behind them."""
    table = _thinned(record.epochs, record.best_epoch)
    return {
        "sentence": _learning_sentence(record),
        "charts": [(title, note, Markup(chart)) for title, note, chart in _curves(record)],
        "rows": table,
        "thinned": len(table) < len(record.epochs),
        "best": record.best_epoch,
    }


def health(record: RunRecord) -> View:
    """What the watch saw and said."""
    gaps = [(r.epoch, r.train_accuracy - r.val_accuracy) for r in record.epochs if r.val_accuracy is not None]
    return watched(record.watched, record.steps, gaps)


def wrong(final: Scored, classes: Sequence[str]) -> View:
    """Where the mistakes are: the matrix, the pairs, every class, and the mistakes it was surest of."""
    scores = class_scores(final.confusion)
    order = sorted(range(len(classes)), key=lambda c: (math.isnan(scores.f1[c]), scores.f1[c], c))
    rows = [(classes[c], scores.precision[c], scores.recall[c], scores.f1[c], int(scores.support[c])) for c in order]
    pairs = most_confused(final.confusion, MOST_PAIRS)
    mistakes = sorted(final.mistakes, key=lambda one: -one.probability)[:MOST_MISTAKES]
    return {
        "mistakes_made": final.samples - final.right,
        "chart": Markup(confusion_chart("confusion", classes, final.confusion)),
        "reduced": len(classes) > MOST_CLASSES,
        "wide": NUMBERED < len(classes) <= MOST_CLASSES,
        "pairs_told": f"The {len(pairs)} commonest" if len(pairs) == MOST_PAIRS else "All of them",
        "pairs": [(classes[p.truth], classes[p.predicted], p.count, p.share) for p in pairs],
        "rows": rows,
        "folded": len(classes) > MOST_CLASSES,
        "means": [mean_of_known(values) for values in (scores.precision, scores.recall, scores.f1)],
        "undefined": bool(np.isnan([scores.precision, scores.recall]).any()),
        "mistakes": [(one, thumbnail(one.image)) for one in mistakes],
    }


def inside(record: RunRecord) -> View:
    """The net: its first filters and its layers."""
    params, macs = sum(line.params for line in record.layers), sum(line.macs for line in record.layers)
    sentence = f"{whole(params)} parameters and {compact(macs)} multiply-adds for one image."
    if macs:
        costliest = max(record.layers, key=lambda line: line.macs)
        sentence += f" {isolate(costliest.name)} alone does {percent(costliest.macs / macs)} of them."
    view: View = {
        "sentence": sentence if record.layers else "",
        "layers": [(line, line.params / max(1, params), line.macs / max(1, macs)) for line in record.layers],
        "params": params,
        "macs": macs,
        "folded": len(record.layers) > MOST_ROWS,
        "filters": (),
    }
    if record.filters is not None and record.filters.size:
        count, channels, height, width = record.filters.shape
        drawn = filter_rows(record.filters)
        view["filters"] = drawn
        view["filters_told"] = f"{plural(count, 'filter')} of {height} × {width} on {plural(channels, 'channel')}"
        tiles = sum(len(row.tiles) for row in drawn)
        view["filters_left_out"] = tiles < (count if channels in (1, 3) else count * channels)
    return view


def cost(record: RunRecord) -> View:
    """Time and memory, and the machine they were measured on."""
    figures = [("Whole run", duration(record.seconds))]
    if record.epochs:
        median = statistics.median
        waited = sum(row.data_wait_share * row.seconds for row in record.epochs)
        training = sum(row.seconds for row in record.epochs)
        figures += [
            ("Training of one epoch, median", duration(median(row.seconds for row in record.epochs))),
            ("Images per second, median", decimal(median(row.images_per_second for row in record.epochs))),
            ("Training time spent waiting for images", percent(waited / training if training else None)),
        ]
        for stage, name in STAGE_NAMES.items():
            seconds = sum(row.waits.get(stage, 0.0) * row.seconds for row in record.epochs)
            if seconds and training and waited >= WORTH_TELLING * training and stage != "compute":
                figures.append((f"… of it for {name}", percent(seconds / training)))
    figures.append(("Peak memory", memory(record.peak_memory_nbytes)))
    return {"figures": figures, "machine": list(record.machine.items())}


def repeat(record: RunRecord) -> View:
    """The command, the settings behind it, and the versions it ran with."""
    return {
        "words": record.command.split(" "),  # a line is broken between words, never inside an option
        "settings": list(_flat(record.settings)),
        "versions": list(record.versions.items()),
    }


def _figures(record: RunRecord) -> Iterator[tuple[str, str, str]]:
    """Key figures: (name, value, what to add in small)."""
    final = record.final
    if final is not None and final.samples:
        right = percent(final.right / final.samples, final.samples)
        yield f"{part_word(final.part).capitalize()} accuracy", right, f"{whole(final.right)} of {whole(final.samples)}"
        if final.top5 is not None:
            yield "Top-5 accuracy", percent(final.top5, final.samples), ""
        yield f"{part_word(final.part).capitalize()} loss", decimal(final.loss), "nats per image"
    if record.best is not None:
        accuracy = record.best.val_accuracy
        note = f"validation {percent(accuracy)}" if accuracy is not None else ""
        yield "Best epoch", whole(record.best.epoch), f"of {whole(len(record.epochs))}" + (f", {note}" if note else "")
    elif record.epochs:
        yield "Epochs", whole(len(record.epochs)), ""
    if record.layers:
        macs = compact(sum(line.macs for line in record.layers))
        yield "Parameters", compact(sum(line.params for line in record.layers)), f"{macs} multiply-adds an image"
    yield "Time", duration(record.seconds), ""
    if record.peak_memory_nbytes is not None:
        yield "Peak memory", memory(record.peak_memory_nbytes), ""


def _baseline(final: Scored, classes: Sequence[str]) -> str:
    support = final.confusion.sum(axis=1)
    share = percent(float(support.max() / final.samples), final.samples)
    return f"Always answering “{isolate(classes[int(support.argmax())])}” would be right for {share}."


def _learning_sentence(record: RunRecord) -> str:
    if not record.epochs:
        return "Not one epoch was completed."
    last, best = record.epochs[-1], record.best
    said = f"{plural(len(record.epochs), 'epoch')}, {plural(last.step, 'step')}."
    if best is not None and best.val_accuracy is not None:
        said += f" On the validation images epoch {best.epoch} was best, with {percent(best.val_accuracy)} right"
        said += f", loss {decimal(best.val_loss)}." if best.val_loss is not None else "."
        said += " Its weights are the ones scored." if record.final is not None else ""
    elif last.val_accuracy is None:
        said += " There were no validation images to choose an epoch by."
    return said


def _curves(record: RunRecord) -> Iterator[tuple[str, str, str]]:
    """Title, note and chart of every curve. Training is orange ("b"), validation blue ("a"), wherever they appear."""
    rows, best = record.epochs, record.best_epoch
    epochs = [row.epoch for row in rows]

    def series(name: str, kind: str, values: list[float | None]) -> list[Series]:
        known = any(value is not None for value in values)
        return [Series(name=name, x=epochs, y=values, kind=kind)] if known else []

    if rows:
        loss = series("training", "b", [row.train_loss for row in rows])
        loss += series("validation", "a", [row.val_loss for row in rows])
        lifted = _lifted(record.settings)
        note = f"training with {lifted}, validation without" if lifted else ""
        yield "Loss", note, line_chart("loss", "Loss", loss, x_name="epoch", y_name="nats per image", best=best)
        right = series("training", "b", [row.train_accuracy for row in rows])
        right += series("validation", "a", [row.val_accuracy for row in rows])
        drawn = line_chart("accuracy", "Accuracy", right, x_name="epoch", y_name="images right", best=best, shares=True)
        mixed = "training by the likelier label of each mixed image" if _mixes(record.settings) else ""
        yield "Accuracy", mixed, drawn
    if record.steps:  # drawn even when no epoch was completed: a run that diverges at once has only this to show
        title, steps = "Loss of each step", [spans("", record.steps, STEP_POINTS, "b")]
        note = "mean, lowest and highest of each stretch" if len(record.steps) > STEP_POINTS else ""
        yield title, note, line_chart("steps", title, steps, x_name="step", y_name="nats per image")
    if rows:
        title, rate = "Learning rate", series("", "a", [row.learning_rate for row in rows])
        yield title, "", line_chart("rate", title, rate, x_name="epoch", y_name="at the end of the epoch")


def _lifted(settings: Mapping[str, Any]) -> str:
    """What lifts the training loss far above the validation loss: targets that no answer can meet exactly."""
    smoothing = settings.get("label_smoothing")
    return _listed([f"label smoothing {smoothing}"] * bool(smoothing) + ["mixed images"] * _mixes(settings))


def _mixes(settings: Mapping[str, Any]) -> bool:
    return bool(settings.get("mixup") or settings.get("cutmix"))


def _thinned(rows: Sequence[EpochRow], best: int | None) -> list[EpochRow]:
    """At most about `MOST_ROWS` rows: every n-th, the first, the best and the last."""
    stride = math.ceil(len(rows) / MOST_ROWS)
    return [row for i, row in enumerate(rows) if i % stride == 0 or row.epoch == best or i == len(rows) - 1]


def _spread(examples: Sequence[Example]) -> list[tuple[str, list[Example]]]:
    """The examples to show, by class in the order they come: fewer of each where classes are many, spread evenly."""
    by_class: dict[str, list[Example]] = {}
    for one in examples:
        by_class.setdefault(one.label, []).append(one)
    names = list(by_class)
    if len(names) > MOST_EXAMPLES:
        names = [names[i * len(names) // MOST_EXAMPLES] for i in range(MOST_EXAMPLES)]
    each = 12 if len(names) <= FEW_CLASSES else 4 if len(names) <= MANY_CLASSES else 1
    return [(name, by_class[name][:each]) for name in names]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested tables as dotted names, as TOML would have them."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _setting(value)


def _setting(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"  # as in the TOML file
    if isinstance(value, list | tuple):
        return ", ".join(map(_setting, value)) or "–"
    return str(value)


def _listed(items: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))
