"""A small record that has everything, for the tests to change."""

import numpy as np
import pytest

from striate.train.report import DataSummary, EpochRow, Example, LayerLine, Mistake, RunRecord, Scored

CLASSES = ("ant", "bee", "cat")
CONFUSION = np.array([[8, 2, 0], [1, 9, 0], [0, 0, 5]], dtype=np.int64)


@pytest.fixture(scope="session")
def record() -> RunRecord:
    generator = np.random.default_rng(0)
    grey = [generator.integers(0, 256, (8, 8, 1), dtype=np.uint8) for _ in range(6)]
    return RunRecord(
        name="first",
        command="striate train 'my photos' --epochs 4 --lr 0.05",
        settings={"epochs": 4, "optimiser": {"name": "sgd", "nesterov": True}, "ema": None, "mean": [0.5, 0.25]},
        net="lenet5",
        data=DataSummary(
            name="insects",
            spec="my photos",
            classes=CLASSES,
            counts={"train": (30, 31, 12), "val": (5, 5, 2), "test": (10, 10, 5)},
            notes=("train/ant/7.jpg: truncated",),
            examples=tuple(Example(image=image, label=CLASSES[i % 3]) for i, image in enumerate(grey)),
        ),
        epochs=tuple(
            EpochRow(
                epoch=e,
                step=5 * e,
                train_loss=1 / e,
                train_accuracy=1 - 0.5 / e,
                val_loss=1.1 / e if e < 4 else 0.5,
                val_accuracy=(0.25, 0.5, 0.75, 0.5)[e - 1],
                learning_rate=0.05 / e,
                seconds=float(e),
                images_per_second=1000.0 + e,
                data_wait_share=0.25,
            )
            for e in range(1, 5)
        ),
        steps=tuple((step, 2.0 / step) for step in range(1, 21)),
        best_epoch=3,
        outcome_note="all 4 epochs done.",
        final=Scored(
            part="test",
            samples=25,
            accuracy=22 / 25,
            loss=0.3125,
            confusion=CONFUSION,
            mistakes=(
                Mistake(image=grey[0], name="a/1.png", truth="ant", predicted="bee", probability=0.75),
                Mistake(image=grey[1], name="b/2.png", truth="bee", predicted="ant", probability=0.875),
            ),
        ),
        filters=generator.normal(size=(6, 1, 5, 5)),
        layers=(
            LayerLine(name="conv1", kind="Conv2d 5×5", output_shape=(6, 28, 28), params=156, macs=117600),
            LayerLine(name="fc", kind="Linear", output_shape=(3,), params=14115, macs=14112),
        ),
        seconds=125.0,
        peak_memory_nbytes=432013312,
        machine={"CPU": "a fast one", "Threads": "2"},
        versions={"striate": "0.1.0"},
        started="2026-03-09T14:05:33+00:00",
    )
