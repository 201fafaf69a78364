"""A run says what it waited for: in its log, on its lines, in its report."""

import json
from pathlib import Path

import pytest

from striate.train import Settings, start
from striate.train.progress import Silent, epoch_line
from striate.train.report.record import EpochRow
from striate.train.story import history


def row(**given) -> EpochRow:
    values = {
        "epoch": 1, "step": 9, "train_loss": 1.0, "train_accuracy": 0.5, "learning_rate": 0.1, "seconds": 2.0,
        "images_per_second": 100.0, "data_wait_share": 0.4,
    }  # fmt: skip
    return EpochRow(**{**values, **given})


def test_the_line_names_what_was_waited_for():
    waits = {"read": 0.1, "decode": 0.29, "augment": 0.006, "transfer": 0.0, "compute": 0.604}
    line = epoch_line(row(waits=waits), 3, best=False)
    assert line.endswith("waiting for data 40% (decode 29%, disk 10%)")
    assert epoch_line(row(), 3, best=False).endswith("waiting for data 40%")


def test_an_epoch_with_a_mistake_is_not_all_right():
    line = epoch_line(row(train_accuracy=1.0, val_loss=0.0, val_accuracy=1 - 1 / 50_000), 3, best=True)
    assert "accuracy 100.00%  validation 0.0000 99.998% *" in line


@pytest.mark.parametrize("old", [False, True])
def test_the_log_and_the_report_tell_it(tmp_path: Path, old):
    settings = Settings(
        model="mlp", model_settings={"hidden": [8]}, size=8, epochs=1, precision="fp32", threads=1, channels_last=False,
        output=str(tmp_path),
    )  # fmt: skip
    folder = start(settings, Silent()).folder
    if old:  # a log from before runs said this
        log = folder.path / "log.jsonl"
        records = [json.loads(line) for line in log.read_text().splitlines()]
        log.write_text("".join(json.dumps({k: v for k, v in r.items() if k != "waits"}) + "\n" for r in records))
        assert history(folder.path)[0].waits == {}
        return
    (only,) = history(folder.path)
    assert set(only.waits) == {"read", "decode", "augment", "transfer", "compute"}
    assert sum(only.waits.values()) == pytest.approx(1.0)
    assert only.waits["compute"] == pytest.approx(1 - only.data_wait_share)
    assert only.waits["augment"] == pytest.approx(only.data_wait_share)  # a set in memory: windows are all it does
    assert "Training time spent waiting for images" in folder.report.read_text()
