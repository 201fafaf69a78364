"""The page of a transfer: why this plan, which layer knows most, where each plan wins. In the report's own style."""

from pathlib import Path
from typing import Any

from markupsafe import Markup

import striate
from striate.atomic import new_folder, why_not_written, write_bytes
from striate.errors import StriateError
from striate.pages import wording
from striate.pages.document import rendered
from striate.train.folder import RunFolder, numbered
from striate.train.settings import Settings
from striate.train.transfer.comparison import AUTO, Comparison, Point, curves_chart
from striate.train.transfer.evidence import Evidence
from striate.train.transfer.ladder import Ladder, depth_chart
from striate.train.transfer.plans import PLANS, Choice
from striate.train.transfer.project import Done
from striate.train.transfer.trials import PAGE

__all__ = ["check_page_free", "chosen_words", "interval_words", "write_page", "write_page_in_folder"]


def write_page(
    path: Path,
    *,
    source: str,
    data: str,
    command: str,
    evidence: Evidence | None = None,
    choice: Choice | None = None,
    done: Done | None = None,
    ladder: Ladder | None = None,
    compared: Comparison | None = None,
) -> None:
    """Write the page, whole or not at all, with as many sections as there is something to say in.

    Raises StriateError when it cannot be written.
    """
    view = {
        "source": Path(source).name,
        "data": Path(data).name,
        "command": command,
        "version": striate.__version__,
        "headline": _headline(data, done, compared, ladder),
        "lede": _lede(done, compared, ladder),
        "figures": _figures(evidence, done, compared, ladder),
        "evidence": evidence.places if evidence is not None and evidence.is_known else (),
        "best": evidence.best if evidence is not None else None,
        "first": "evidence" if evidence is not None else "depth" if ladder is not None else "curves",
        "reason": _reason(evidence, choice),
        "trained": done is not None and RunFolder(Path(path).parent).report.is_file(),
        "ladder": _ladder(ladder) if ladder is not None else None,
        "curves": _curves(compared) if compared is not None else None,
    }
    page = rendered("striate.train.transfer", "page.html.j2", view=view)
    write_bytes(Path(path), page.encode())


def check_page_free(settings: Settings) -> None:
    """Raise StriateError, before anything is computed, where a page that is to have a folder could have none."""
    RunFolder.check_place(settings)
    if settings.name is not None and (folder := Path(settings.output) / settings.name).exists():
        raise StriateError(f"{folder} exists; choose another --name")


def write_page_in_folder(settings: Settings, default_name: str, **about: Any) -> Path:
    """The page in a folder of its own, which is there once it is written; `about`: as `write_page` takes it."""
    output = Path(settings.output)
    names = [settings.name] if settings.name else numbered(default_name)
    try:
        made = new_folder(output, names, lambda staged, _: write_page(staged / PAGE, **about))
    except OSError as error:
        raise StriateError(f"cannot make a page in {output}: {why_not_written(error, elsewhere='--output')}") from error
    if made is None:
        raise StriateError(f"{output / str(settings.name)} exists; choose another --name")
    return made / PAGE


def interval_words(point: Point) -> str:
    """A mean and the interval around it, in per cent: 91.0 (89.0 … 93.0)."""
    if point.seeds < 2:
        return f"{100 * point.mean:.1f}"
    return f"{100 * point.mean:.1f} ({100 * point.low:.1f} … {100 * point.high:.1f})"


def chosen_words(compared: Comparison, per_class: int) -> str:
    """What auto took at that size: "few", or "probe 3×, few 2×"."""
    picks = compared.chosen(per_class)
    if len(picks) == 1:
        return next(iter(picks))
    return ", ".join(f"{plan} {count}×" for plan, count in picks.items())


def _headline(data: str, done: Done | None, compared: Comparison | None, ladder: Ladder | None) -> str:
    name = Path(data).name
    if compared is not None:
        size = compared.sizes[-1]
        best = compared.best(size)
        of = f"{wording.plural(size, 'image')} of a class"
        return f"{best.plan} does best on {name} with {of}: {wording.percent(best.mean)} right"
    if done is not None:
        return f"{wording.percent(done.accuracy, done.samples)} of {name} right by plan {done.plan}"
    assert ladder is not None
    return f"{ladder.best.place} knows most of {name}: {wording.percent(ladder.best.mean)} right"


def _lede(done: Done | None, compared: Comparison | None, ladder: Ladder | None) -> str:
    if compared is not None:
        return (
            f"Every plan was given the same images and the same {compared.steps:,} updates, and was measured on the "
            f"same {wording.plural(compared.images, 'image')} of the {wording.part_word(compared.part)} part."
        )
    if done is not None:
        measured = f"{wording.plural(done.samples, 'image')} of the {wording.part_word(done.part)} part"
        return f"{done.told[:1].upper()}{done.told[1:]}. Measured on {measured}."
    assert ladder is not None
    return "Linear classifiers and neighbours on the features of every layer; nothing of the net was trained."


def _reason(evidence: Evidence | None, choice: Choice | None) -> str:
    """Why this plan; nothing on the page of a table or a comparison."""
    if evidence is None:
        return ""
    if choice is not None:
        return choice.reason[:1].upper() + choice.reason[1:]
    if not evidence.is_known:
        return "The plan was asked for. With one image of every class none can be left out and asked for."
    return "The plan was asked for; this is what the layers see."


def _figures(
    evidence: Evidence | None, done: Done | None, compared: Comparison | None, ladder: Ladder | None
) -> list[tuple[str, str, str]]:
    figures: list[tuple[str, str, str]] = []
    if done is not None:
        part = wording.part_word(done.part).capitalize()
        figures.append((f"{part} accuracy", wording.percent(done.accuracy, done.samples), done.plan))
        figures.append(("Time", wording.duration(done.seconds), ""))
    if compared is not None:
        for size in compared.sizes:
            point = compared.point(size, AUTO)
            figures.append((f"auto, {size} of a class", wording.percent(point.mean), chosen_words(compared, size)))
    if evidence is not None:
        amount = evidence.amount
        figures.append(("Training images", wording.whole(amount.images), f"{amount.least:,} of the smallest class"))
        if evidence.is_known:
            told = f"of {evidence.deepest.kappa:.2f} of the deepest layer"
            figures.append(("κ of the source's answers", f"{evidence.answers:.2f}", told))
    if ladder is not None and done is None and compared is None:
        figures.append(("Best layer", ladder.best.place, ladder.best.classifier))
    return figures


def _ladder(ladder: Ladder) -> dict[str, Any]:
    best = ladder.best
    return {
        "chart": Markup(depth_chart(ladder)),
        "splits": wording.plural(ladder.splits, "split"),
        "classifiers": ladder.classifiers,
        "sentence": (
            f"{best.classifier} on {best.place} is best, with {wording.percent(best.mean)} right. Where curves rise to "
            "the end, what is specific of the source helps here, too; where they fall, it is in the way."
        ),
        "rows": [
            [
                place,
                *(
                    f"{100 * cell.mean:.1f} ± {100 * cell.deviation:.1f}"
                    for cell in (ladder.cell(place, classifier) for classifier in ladder.classifiers)
                ),
            ]
            for place in ladder.places
        ],
    }


def _best_words(compared: Comparison, size: int) -> str:
    best, scratch = compared.best(size), compared.point(size, "scratch")
    if best.plan == "scratch":
        return f"with {size}, training from scratch is best"
    return f"with {size}, {best.plan} is best, {100 * (best.mean - scratch.mean):.1f} points ahead of scratch"


def _curves(compared: Comparison) -> dict[str, Any]:
    said = "; ".join(_best_words(compared, size) for size in compared.sizes)
    return {
        "chart": Markup(curves_chart(compared)),
        "plans": (*PLANS, AUTO),
        "sentence": f"By images of a class: {said}.",
        "rows": [
            [
                f"{size}",
                *(interval_words(compared.point(size, plan)) for plan in (*PLANS, AUTO)),
                chosen_words(compared, size),
            ]
            for size in compared.sizes
        ],
    }
