"""A trained net and a data set, and what can be done with the two: look, choose a plan, carry it out."""

import contextlib
import dataclasses
import datetime
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

import striate
from striate.augment.view import View
from striate.data import Dataset, Loader, Preprocess, Samples
from striate.errors import StriateError
from striate.nets import Net
from striate.nets.cut import WITHIN
from striate.nets.weights import ModelCard, save_model
from striate.tasks import Classification, decode_all
from striate.train.folder import RunFolder, numbered
from striate.train.log import RunLog
from striate.train.progress import Reporter
from striate.train.resolve import pick_device
from striate.train.run import start
from striate.train.settings import Settings
from striate.train.transfer.amount import some_of_each
from striate.train.transfer.cache import FeatureCache
from striate.train.transfer.depth import depth_of
from striate.train.transfer.evidence import Evidence, gather
from striate.train.transfer.features import Pool, Way, unit
from striate.train.transfer.plans import Plan, plan_settings
from striate.train.transfer.probes import LINEAR, Linear, softmax_regression
from striate.train.transfer.probing import Start, best_place, deployed, spread_of
from striate.train.transfer.source import Source

__all__ = ["Done", "Project", "free_name"]

SOFTMAX = "logistic"  # the probe whose loss is that of training
STRONGEST = 1.0  # penalty that training goes on under: what a stronger one leaves of a classifier teaches nothing below
SOURCES = "sources"  # under --output: where weights without a card get one


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Done:
    """A plan carried out: where its run lies, and how it does on the images that chose nothing."""

    plan: Plan
    folder: RunFolder
    part: str
    accuracy: float
    samples: int
    seconds: float
    told: str  # which layer, or what learnt


@final
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Project:
    """`settings` are what every plan starts from; `steps` updates are each plan's budget; `way`: how features are seen.

    `unit`: features are divided by their length. `classifier`: of the plan `probe`, a linear one.
    """

    source: Source
    data: Dataset
    settings: Settings
    cache: FeatureCache
    way: Way
    places: tuple[str, ...]
    steps: int = 300
    lr: float | None = None  # in place of the plan's
    unit: bool = False
    classifier: str = "logistic"

    @classmethod
    def of(
        cls,
        source: Source,
        data: Dataset,
        settings: Settings,
        cache: FeatureCache,
        *,
        places: Sequence[str] = (),
        views: Callable[[Preprocess], tuple[View, ...]] = lambda preprocess: (View(),),
        pool: Pool = "mean",
        steps: int = 300,
        lr: float | None = None,
        unit: bool = False,
        classifier: str = "logistic",
    ) -> "Project":
        """With what the source says filled in: the net, its weights, the size and the look of its images.

        Raises StriateError for another size than that of a net which takes one only.
        """
        card = source.card
        size = settings.size or min(card.input_size)
        if source.net.fixed_size and (size, size) != tuple(card.input_size):
            raise StriateError(
                f"--size {size}: {card.net} takes {card.input_size[0]}×{card.input_size[1]} px only; leave it out"
            )
        if classifier not in LINEAR:
            raise StriateError(f"a model is made of a linear classifier, {' or '.join(LINEAR)}; got {classifier!r}")
        known = Preprocess.from_dict(dict(card.preprocess))
        known = dataclasses.replace(known, size=(size, size), resize=settings.resize, resize_size=None)
        settings = settings.replace(
            model=card.net,
            model_settings=dict(card.settings),
            pretrained=str(source.as_file(Path(settings.output) / SOURCES)),
            size=size,
            channels=known.channels,
            device=str(pick_device(settings.device)),
        )
        return cls(
            source=source,
            data=data,
            settings=settings,
            cache=cache,
            way=Way(preprocess=known, views=views(known), pool=pool),
            places=tuple(places) or depth_of(source.net).places,
            steps=steps,
            lr=lr,
            unit=unit,
            classifier=classifier,
        )

    @property
    def exam(self) -> tuple[str, Samples]:
        """The part that plans are measured on: test, or else validation. Raises StriateError where there is neither."""
        name, part = self.data.exam
        if name == "train":
            told = f"{self.data.name} has no test and no validation images to measure on"
            raise StriateError(f"{told}; give --test-fraction")
        return name, part

    @property
    def _machine(self) -> dict[str, Any]:
        return {"workers": self.settings.workers, "device": self.settings.device}

    def features(self, images: Samples) -> dict[str, NDArray[np.float32]]:
        """Rows of every place, from the cache where they are there."""
        rows = self.cache.features(self.places, images, self.way, **self._machine)
        return {place: unit(seen) if self.unit else seen for place, seen in rows.items()}

    def subset(self, per_class: int, seed: int) -> NDArray[np.int64]:
        """So many training images of each class, by number; measured on the exam, chosen by nothing else."""
        return some_of_each(self.data.train.labels, per_class, seed)

    def evidence(self, chosen: NDArray[np.int64] | None = None) -> Evidence:
        """What the training images, or those chosen of them, say about the choice of a plan."""
        rows, labels = self._training_rows(chosen)
        scoring = depth_of(self.source.net).scoring
        way = Way(preprocess=self.way.preprocess)
        scores = self.cache.features([scoring], self.data.train, way, **self._machine)[scoring]
        scores = scores if chosen is None else scores[chosen]
        return gather(rows, scores, labels, len(self.data.classes))

    def carry_out(
        self,
        plan: Plan,
        reporter: Reporter,
        *,
        chosen: NDArray[np.int64] | None = None,
        seed: int | None = None,
        name: str | None = None,
    ) -> Done:
        """Do as the plan says, and measure it. With `chosen` training images there is no validation: the last weights
        count, since the images that could choose among them are those that all are measured on.
        """
        seed = self.settings.seed if seed is None else seed
        settings = self.settings.replace(seed=seed, name=name or self.settings.name)
        if plan == "probe":
            return self._probe(settings, chosen, reporter)
        part, exam = self.exam
        data = self.data
        begun = None if plan == "scratch" else self._start(chosen, seed)
        if chosen is not None:
            data = dataclasses.replace(data, train=data.train.subset(chosen), val=None, test=exam)
        settings = plan_settings(
            plan,
            settings,
            begun,
            steps=self.steps,
            images=len(data.train),
            classes=len(data.classes),
            mirror=data.mirror,
        )
        if self.lr is not None:
            settings = settings.replace(lr=self.lr)
        if settings.name is None:
            settings = settings.replace(name=free_name(settings, f"{plan}-{Path(data.name).name}"))
        ended = start(settings, reporter, data=data)
        if ended.final is None:
            if chosen is None:
                reporter.note(f"{ended.outcome.sentence}; go on with: striate train --resume {ended.folder.path}")
            number = ended.outcome.signal or signal.SIGINT
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        told = "everything learns"
        if begun is not None:
            frozen = settings.freeze.removeprefix(WITHIN)
            told = f"from {begun.told}; " + (f"nothing moves up to {frozen}" if frozen else told)
        return Done(
            plan=plan,
            folder=ended.folder,
            part=part,
            accuracy=ended.final.accuracy,
            samples=ended.final.samples,
            seconds=_seconds(ended.folder),
            told=told,
        )

    def _deployed(self, place: str, linear: Linear) -> tuple[Net, ModelCard]:
        """The source as far as `place`, with the classifier on it."""
        return deployed(
            self.source.net,
            self.source.card,
            place,
            linear,
            classes=self.data.classes,
            preprocess=self.way.preprocess,
            data=self.settings.data,
            split=self.settings.split,
            pool=self.way.pool,
            unit=self.unit,
        )

    def _start(self, chosen: NDArray[np.int64] | None, seed: int) -> Start:
        """A softmax regression on the best layer, as a file that a run can name: training goes on with its loss."""
        rows, labels = self._training_rows(chosen)
        best = best_place(rows, labels, len(self.data.classes), SOFTMAX, seed=seed)
        linear, penalty = best.probe.linear, best.probe.penalty
        assert linear is not None
        assert penalty is not None
        if penalty > STRONGEST:
            penalty = STRONGEST
            linear = softmax_regression(rows[best.place], labels, len(self.data.classes), penalty)
        net, card = self._deployed(best.place, linear)
        return Start(
            net=net,
            card=card,
            file=Source(net=net, card=card, name=best.place).as_file(Path(self.settings.output) / SOURCES),
            told=f"{SOFTMAX} on {best.place} (λ={penalty:.2g})",
            penalty=penalty,
            spread=spread_of(rows[best.place], linear),
        )

    def _training_rows(
        self, chosen: NDArray[np.int64] | None
    ) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.int64]]:
        rows, labels = self.features(self.data.train), self.data.train.labels
        if chosen is None:
            return rows, labels
        return {place: seen[chosen] for place, seen in rows.items()}, labels[chosen]

    def _probe(self, settings: Settings, chosen: NDArray[np.int64] | None, reporter: Reporter) -> Done:
        RunFolder.check_free(settings)
        started, classes = time.perf_counter(), self.data.classes
        began = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        rows, labels = self._training_rows(chosen)
        best = best_place(rows, labels, len(classes), self.classifier, seed=settings.seed)
        assert best.probe.linear is not None
        net, card = self._deployed(best.place, best.probe.linear)
        told = f"{self.classifier} on {best.place} ({best.probe.setting})"
        reporter.note(told)
        settings = settings.replace(model=card.net, model_settings=dict(card.settings), policy="none")
        part, exam = self.exam
        loader = Loader(exam, self.way.preprocess, batch_size=settings.batch_size, workers=settings.workers)
        task = Classification(classes)
        metrics = task.metrics(*decode_all(net, task, loader.epoch(0), pick_device("cpu")))
        seconds = time.perf_counter() - started
        folder = RunFolder.create(settings, default_name=f"probe-{Path(self.data.name).name}")  # last: nothing goes on
        save_model(folder.last, net, card)
        with contextlib.closing(RunLog(folder.path)) as log:
            log.write("start", started=began, striate=striate.__version__, net=card.net, data=settings.data)
            log.write(
                "end", outcome="finished", sentence=told, step=0, part=part, accuracy=metrics.accuracy,
                loss=metrics.loss, seconds=seconds,
            )  # fmt: skip
        return Done(
            plan="probe",
            folder=folder,
            part=part,
            accuracy=metrics.accuracy,
            samples=metrics.samples,
            seconds=seconds,
            told=told,
        )


def free_name(settings: Settings, name: str) -> str:
    """`name`, numbered where a run has it already."""
    folder = Path(settings.output)
    return next(free for free in numbered(name) if not (folder / free).exists())


def _seconds(folder: RunFolder) -> float:
    """Of training, by the run's log."""
    from striate.train.story import history

    return sum(row.seconds for row in history(folder.path))
