"""A run from its settings to its report: start one, or go on with one.

Nothing is written before everything that can be refused has been: the data are open and checked, the net is built and
fits them, the name is free. From then on the folder always holds a config, and resume can start from it alone.
"""

import contextlib
import dataclasses
import datetime
import os
from typing import Any

import torch
from torch import nn

import striate
from striate.data import Dataset, Loader, Preprocess
from striate.errors import StriateError
from striate.nets import Net, create_model, model_info
from striate.nets.weights import load_model as load_model_file
from striate.nets.weights import save_model
from striate.pages.wording import part_word
from striate.tasks import Classification, Metrics, decode_all
from striate.train.assembly import assemble, make_loader
from striate.train.checkpoint import Checkpoint, CheckpointFolder, DamagedCheckpoint
from striate.train.colours import Colours
from striate.train.fastest import choose
from striate.train.folder import RunFolder
from striate.train.health import Diverged
from striate.train.initial import begin_weights
from striate.train.lock import alone_in
from striate.train.log import RunLog, read_log
from striate.train.loop import Outcome, Trainer
from striate.train.noise import check_policy, choose_policy, describe, matched_to, mixings, policy_of, with_policy
from striate.train.process import prepare_process, subnormals_are_zero
from striate.train.progress import Reporter, Silent
from striate.train.report import Scored, write_report
from striate.train.resolve import WARMUP_STEPS, check_at_hand, idle_milestones, open_data, pick_device, resolve
from striate.train.same import check_same_data, check_same_settings, contents, fingerprint, kept_settings
from striate.train.sampling import describe_sampling, ranked, with_ranks, with_weights
from striate.train.settings import Settings
from striate.train.state import Position, seed_all
from striate.train.story import run_record, scored
from striate.train.transfer.depth import depth_of
from striate.train.transfer.head import begin_as_probe
from striate.train.watch.facts import facts_of

__all__ = [
    "Ended",
    "begin_net",
    "build_net",
    "choose_preprocess",
    "measure",
    "resume",
    "start",
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ended:
    """What a run left: its folder, how it ended, and the measures of the held-out part (None when interrupted)."""

    folder: RunFolder
    outcome: Outcome
    final: Scored | None


@subnormals_are_zero()
def start(settings: Settings, reporter: Reporter, *, data: Dataset | None = None) -> Ended:
    """Begin a run and train it to its end. Raises StriateError before anything is written when it cannot begin.

    `data`: what `settings` name, where the caller has it open, or has other parts of it in mind; a run on other parts
    cannot be resumed, and says so.
    """
    settings = with_ranks(settings)
    RunFolder.check_free(settings)
    mixings(settings)  # refuses what cannot be drawn from
    data = _open(settings, reporter) if data is None else data
    asked, settings = settings, with_weights(resolve(settings, data), data)
    if settings.warmup_epochs and asked.warmup_epochs is None:
        reporter.note(f"warm-up over {WARMUP_STEPS} steps, since an epoch has fewer; --warmup-epochs sets it")
    if idle := idle_milestones(settings):
        reporter.note(idle)
    colours = Colours(settings, data)
    settings = _choose_noise(settings, data, colours, reporter)
    if settings.sampling != "all":
        reporter.note(describe_sampling(settings, data))
    if settings.ranks != 1:
        reporter.note(f"rank {settings.rank} of {settings.ranks}: its share of each batch; nets exchange nothing")
    prepare_process(settings.threads)
    net = build_net(settings, data)
    for note in net.notes:
        reporter.note(note)
    preprocess = choose_preprocess(settings, colours, net, reporter)
    begin_net(settings, net, data, preprocess, reporter)
    settings = measure(settings, net, data, preprocess, reporter)
    folder = RunFolder.create(settings, default_name=ranked(f"{settings.model}-{data.name}", settings))
    settings = settings.replace(name=folder.path.name)
    reporter.note(f"run {folder.path}")
    with alone_in(folder.path):
        return _train(folder, settings, data, preprocess, net, None, reporter)


@subnormals_are_zero()
def resume(path: str | os.PathLike[str], reporter: Reporter, *, workers: int | None = None) -> Ended:
    """Go on with a run where its newest valid checkpoint left it, or from its beginning when it has none."""
    folder = RunFolder.open(os.fspath(path))
    with alone_in(folder.path):  # before the newest checkpoint is looked for: it is the newest as long as this lasts
        return _go_on(folder, reporter, workers)


def _go_on(folder: RunFolder, reporter: Reporter, workers: int | None) -> Ended:
    settings = folder.settings()
    if workers is not None:
        settings = settings.replace(workers=workers)
    checkpoint, damaged = CheckpointFolder(folder.checkpoints, settings.keep).newest()
    for error in damaged:
        reporter.note(f"warning: {error}; using the one before it")
    if checkpoint is None and _is_over(folder):  # from its beginning it would lose what it has reached
        raise StriateError(f"run {folder.path} is over, and no checkpoint of it is left to go on from; start a new run")
    check_at_hand(folder, settings)
    data = _open(settings, reporter)
    prepare_process(settings.threads)
    if checkpoint is not None:
        check_same_settings(checkpoint, settings, folder)
        check_same_data(checkpoint, data, folder)
        _mend_best(checkpoint, folder, settings, data, reporter)
    net = build_net(settings, data)
    if checkpoint is None:
        reporter.note(f"{folder.path} has no checkpoint yet: starting from its beginning")
        preprocess = choose_preprocess(settings, Colours(settings, data), net, reporter)
        begin_net(settings, net, data, preprocess, reporter)
    else:
        preprocess = Preprocess.from_dict(checkpoint.state["preprocess"])
        if settings.anchor:  # pulls back to the weights it began with, which no checkpoint holds
            begin_weights(settings, net, data, preprocess, Silent())
        reporter.note(f"run {folder.path} goes on after step {checkpoint.step}")
    return _train(folder, settings, data, preprocess, net, checkpoint, reporter)


def _is_over(folder: RunFolder) -> bool:
    """Whether it came to an end with a model that counts."""
    ends = [one for one in read_log(folder.path) if one["event"] == "end"] if folder.log.is_file() else []
    return any(one.get("outcome") != "diverged" for one in ends)


def _open(settings: Settings, reporter: Reporter) -> Dataset:
    model_info(settings.model)  # unknown names are told before the data are read, which may take minutes
    check_policy(settings)
    pick_device(settings.device)
    data = open_data(settings)
    for note in data.notes:
        reporter.note(note)
    counted = ", ".join(f"{len(part):,} {part_word(name)}" for name, part in data.parts.items())
    reporter.note(f"data {data.name}: {len(data.classes)} classes; {counted} images")
    return data


def _choose_noise(settings: Settings, data: Dataset, colours: Colours, reporter: Reporter) -> Settings:
    chosen = choose_policy(settings, data, colours)
    reporter.note(f"noise {chosen.told(settings.policy)}: {describe(chosen.policy)}")
    return with_policy(settings, chosen.policy)


def choose_preprocess(settings: Settings, colours: Colours, net: Net, reporter: Reporter) -> Preprocess:
    """Mean and deviation are what the pretrained weights are used to, where that is known, else the training part's."""
    assert settings.size is not None
    assert settings.channels is not None
    size = (settings.size, settings.size)
    if net.preprocess is not None and settings.preprocess == "channel":
        known = Preprocess.from_dict(dict(net.preprocess))
        if known.channels == settings.channels:
            reporter.note("images are normalised as those that the pretrained weights were trained on")
            known = dataclasses.replace(known, size=size, resize=settings.resize, resize_size=None)
            return matched_to(policy_of(settings, known), known)
    if settings.preprocess != "channel":
        reporter.note(f"images are seen through {settings.preprocess}, fitted to the training part")
    fitted = colours.preprocess()
    return matched_to(policy_of(settings, fitted), fitted)


def build_net(settings: Settings, data: Dataset) -> Net:
    """The net with its first weights: a function of the settings alone."""
    assert settings.size is not None
    assert settings.channels is not None
    seed_all(settings.seed)
    return create_model(
        settings.model,
        num_classes=len(data.classes),
        in_chans=settings.channels,
        input_size=(settings.size, settings.size),
        pretrained=settings.pretrained,
        **settings.model_settings,
    ).to(settings.device)


def begin_net(settings: Settings, net: Net, data: Dataset, preprocess: Preprocess, reporter: Reporter) -> None:
    """What of the first weights needs the data, or is asked for by name; refuses a stage to freeze that is none."""
    begin_weights(settings, net, data, preprocess, reporter)
    if settings.freeze:
        depth_of(net).frozen(settings.freeze)
    if settings.head_probe:
        device = settings.device
        reporter.note(begin_as_probe(net, data.train, preprocess, workers=settings.workers, device=device))


def measure(settings: Settings, net: nn.Module, data: Dataset, preprocess: Preprocess, reporter: Reporter) -> Settings:
    """Precision, memory format and threads settled, by measurement where they were left open."""
    batch = data.train.subset(range(min(settings.batch_size, len(data.train))))
    (images, labels, _), *_ = Loader(batch, preprocess, batch_size=len(batch), workers=settings.workers).epoch(0)
    task = Classification(data.classes)
    example = (images.to(settings.device), labels.to(settings.device))
    choice = choose(net, task.loss, example, settings)
    for reason in choice.reasons:
        reporter.note(f"fastest {reason}")
    return settings.replace(precision=choice.precision, channels_last=choice.channels_last, threads=choice.threads)


def _train(
    folder: RunFolder,
    settings: Settings,
    data: Dataset,
    preprocess: Preprocess,
    net: Net,
    checkpoint: Checkpoint | None,
    reporter: Reporter,
) -> Ended:
    made = assemble(settings, data, preprocess, net, checkpoint)
    device, task, position = made.device, made.task, made.position
    if device.type == "cuda":
        reporter.note(f"data on {device}: {made.train.place}")

    def keep(path_of: Any, kept: nn.Module, position: Position, metrics: Metrics | None) -> None:
        measures: dict[str, Any] = {"epoch": position.epoch, "step": position.step}
        if metrics is not None:
            measures |= {"val_accuracy": metrics.accuracy, "val_loss": metrics.loss}
        save_model(path_of, kept, dataclasses.replace(made.card, metrics=measures))

    record = {"settings": settings, "data": data, "preprocess": preprocess}
    checkpoints = CheckpointFolder(folder.checkpoints, settings.keep)
    keep_nbytes = checkpoint.state["log_nbytes"] if checkpoint is not None else 0
    with contextlib.closing(RunLog(folder.path, keep_nbytes=keep_nbytes, step=position.step)) as log:
        folder.clear()
        checkpoints.clear()
        if log.lost_nbytes:
            reporter.note(
                f"warning: {log.path} lacks {log.lost_nbytes:,} bytes of what was logged; the report will too"
            )
        if checkpoint is None:
            started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            log.write(
                "start",
                started=started,
                striate=striate.__version__,
                net=settings.model,
                data=settings.data,
                facts=facts_of(settings, data, net),
            )
        trainer = Trainer(
            parts=made.parts,
            task=task,
            train=made.train,
            val=made.val,
            settings=settings,
            device=device,
            log=log,
            checkpoints=checkpoints,
            reporter=reporter,
            mixings=mixings(settings),
            tuning=made.tuning,
            keep_best=lambda kept, position, metrics: keep(folder.best, kept, position, metrics),
            extra_state={
                "preprocess": preprocess.to_dict(),
                "data": fingerprint(data),
                "contents": contents(data),
                "settings": kept_settings(settings),
            },
            position=position,
        )
        try:
            outcome = trainer.run()
        except Diverged as error:
            _told(trainer, reporter)
            _conclude(folder, log, record, position, "diverged", str(error), None, net)
            raise Diverged(f"{error}; the report is {folder.report}") from None
        if outcome.kind == "interrupted":
            return Ended(folder=folder, outcome=outcome, final=None)
        keep(folder.last, trainer.evaluated_net, position, None)
        final, kept = _final_score(folder, data, preprocess, task, settings, device)
        _told(trainer, reporter)
        _conclude(folder, log, record, position, outcome.kind, outcome.sentence, final, kept)
    return Ended(folder=folder, outcome=outcome, final=final)


def _final_score(
    folder: RunFolder,
    data: Dataset,
    preprocess: Preprocess,
    task: Classification,
    settings: Settings,
    device: torch.device,
) -> tuple[Scored, nn.Module]:
    """The kept weights, read back from their file, on the part that chose nothing: test, or else validation."""
    kept, _ = load_model_file(folder.model)
    kept.to(device)
    name, samples = data.exam
    loader = make_loader(samples, preprocess, settings.replace(channels_last=False), noisy=False)
    probabilities, labels = decode_all(kept, task, loader.epoch(0), device)
    metrics = task.metrics(probabilities, labels)
    return scored(name, samples, preprocess, data.classes, probabilities, metrics), kept


def _told(trainer: Trainer, reporter: Reporter) -> None:
    """What the watch makes of the whole run, one line each."""
    for one in trainer.watch.conclude():
        reporter.note(f"watch: {one}")


def _conclude(
    folder: RunFolder,
    log: RunLog,
    record: dict[str, Any],
    position: Position,
    outcome: str,
    sentence: str,
    final: Scored | None,
    net: nn.Module,
) -> None:
    """The last record of the log, and the report."""
    measures = {} if final is None else {"part": final.part, "accuracy": final.accuracy, "loss": final.loss}
    log.write("end", outcome=outcome, sentence=sentence, step=position.step, **measures)
    log.sync()
    write_report(
        folder.report,
        run_record(
            folder.path,
            net=net,
            best_epoch=position.best_epoch,
            outcome=outcome,
            sentence=sentence,
            final=final,
            seconds=position.total_seconds,
            **record,
        ),
    )


def _mend_best(
    checkpoint: Checkpoint, folder: RunFolder, settings: Settings, data: Dataset, reporter: Reporter
) -> None:
    """The best model again, from its own checkpoint, where its file is missing or damaged."""
    position = Position(**checkpoint.state["position"])
    if position.best_step is None:
        return
    try:
        load_model_file(folder.best)
        return
    except StriateError as error:
        reason = str(error)
    try:
        kept = CheckpointFolder(folder.checkpoints, settings.keep).load(position.best_step)
    except DamagedCheckpoint as error:
        raise StriateError(
            f"{reason}; and it cannot be made again: {error}; put another copy of {folder.best} there"
        ) from error
    preprocess = Preprocess.from_dict(kept.state["preprocess"])
    made = assemble(settings, data, preprocess, build_net(settings, data), kept)
    net = made.parts.average.net if made.parts.average is not None else made.parts.net
    measures = {
        "epoch": position.best_epoch,
        "step": position.best_step,
        "val_accuracy": 1 - position.best_error,
        "val_loss": position.best_loss,
    }
    save_model(folder.best, net, dataclasses.replace(made.card, metrics=measures))
    reporter.note(f"warning: {reason}; made again from the checkpoint at step {position.best_step}")
