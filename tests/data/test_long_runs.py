"""What a long life leaves: memory and handles over fifty epochs, and what a kill leaves lying about."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from striate.atomic import TEMPORARY_PREFIX
from striate.train import reporter_for, resume

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "flat.py"
EPOCHS, SETTLED = 50, 20
KINDS = ("files", "files, kept", "pack of files", "pack of pixels", "memory", "device", "run")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_fifty_epochs_are_flat(kind: str) -> None:
    """From the twentieth on memory grows by less than 1 %, files and threads not at all; /dev/shm holds nothing new."""
    before = shared_memory()
    command = [sys.executable, str(BENCHMARK), "--epochs", str(EPOCHS), "--images", "40", "--kinds", kind, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    nbytes, files, threads = np.array(json.loads(done.stdout.splitlines()[-1])[kind][SETTLED:]).T
    assert len(nbytes) == EPOCHS - SETTLED
    assert np.median(nbytes[-10:]) < 1.01 * np.median(nbytes[:10])
    assert len(set(files)) == 1
    assert threads.max() - threads.min() <= (kind == "run")  # TensorBoard's comes and goes
    assert shared_memory() <= before


# ----------------------------------------------------------------------------------------------------------- kill -9

LOADING = """
import sys
from striate import data
from striate.augment import Affine, Policy
samples = data.open(sys.argv[1]).train
preprocess = data.Preprocess.fit(samples, 3, (32, 32))
loader = data.Loader(samples, preprocess, batch_size=4, shuffle=True, policy=Policy((Affine((-9.0, 9.0)),)), workers=3)
for epoch in range(10**6):
    for _ in loader.epoch(epoch):
        print("step", flush=True)
"""
TRAINING = """
import sys
from striate.train import reporter_for, settings_from, start
from striate.train.progress import Silent
class Steps(Silent):
    def step(self, *_):
        print("step", flush=True)
settings = {"data": sys.argv[1], "model": "mlp", "size": 32, "lr": 1e-3, "epochs": 2, "batch_size": 4, "name": "run"}
settings |= {"precision": "fp32", "threads": 1, "checkpoint_steps": 1, "output": "runs"}
start(settings_from(settings), Steps())
"""


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for i in range(40):
        (folder / "ab"[i % 2]).mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (50, 60, 3), dtype=np.uint8)).save(folder / "ab"[i % 2] / f"{i}.jpg")
    return folder


@pytest.mark.parametrize("source", ["folder", "pack"])
@pytest.mark.parametrize("script", [LOADING, TRAINING], ids=["loader", "training"])
def test_kill_9_leaves_nothing_in_shared_memory_nor_temporary_files_nor_locks(
    script: str, source: str, photographs: Path, tmp_path: Path
) -> None:
    data, scratch, work = photographs, tmp_path / "tmp", tmp_path / "work"
    scratch.mkdir()
    work.mkdir()
    if source == "pack":
        from striate.data import open as open_data
        from striate.data.pack.writer import write_pack

        data = write_pack(open_data(photographs), tmp_path / "a.arrow").path
    before = shared_memory()
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen(
        [sys.executable, "-c", script, str(data)], cwd=work, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for _ in range(6):
            assert process.stdout.readline() == "step\n"
        time.sleep(0.01)  # somewhere in the middle of whatever it does
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert shared_memory() <= before
    assert not [
        path for path in scratch.rglob("*") if path.is_file()
    ]  # torch makes itself a folder, and leaves it always
    assert not locked(process.pid)
    if script == LOADING:
        assert not list(work.iterdir())
        return
    # A file that was being written may be left, in the run's own folder; the run goes on, and clears it away.
    half_written = [path for path in work.rglob("*") if path.name.startswith(TEMPORARY_PREFIX)]
    assert all(path.parent in (work / "runs" / "run", work / "runs" / "run" / "checkpoints") for path in half_written)
    assert len(half_written) <= 1
    resume(work / "runs" / "run", reporter_for(quiet=True))
    assert not list((work / "runs" / "run" / "checkpoints").glob(f"{TEMPORARY_PREFIX}*"))


def shared_memory() -> set[str]:
    folder = Path("/dev/shm")
    return {child.name for child in folder.iterdir()} if folder.is_dir() else set()


def locked(process: int) -> list[str]:
    """The locks that the kernel lists for a process."""
    table = Path("/proc/locks")
    lines = table.read_text().splitlines() if table.is_file() else []
    return [line for line in lines if str(process) in line.split()]
