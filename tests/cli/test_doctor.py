"""The doctor: facts as the system states them, and advice that follows from the facts alone."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from striate.cli import main
from striate.doctor import Facts, Gpu, examine, plan, warnings

Run = Callable[..., subprocess.CompletedProcess[str]]
GIB = 2**30


def machine(**changes: Any) -> Facts:
    """A sound machine, but for the changes."""
    facts = Facts(
        cpu="A CPU",
        architecture="x86_64",
        cores=8,
        quota=None,
        features=("fma", "avx2", "avx512f", "avx512_bf16"),
        isa="avx512",
        memory_nbytes=16 * GIB,
        free_memory_nbytes=12 * GIB,
        torch="2.13.0+cpu",
        threads=8,
        onednn=True,
        gpus=(),
        folder="/home/a",
        writable=True,
        free_disk_nbytes=100 * GIB,
        system="Linux",
        glibc=(2, 36),
        python="3.11.7",
        packages={},
        environment={},
    )
    return dataclasses.replace(facts, **changes)


def test_facts_agree_with_the_system(tmp_path: Path) -> None:
    facts = examine(tmp_path)
    assert facts.cores == len(os.sched_getaffinity(0))
    assert facts.memory_nbytes is not None
    assert facts.memory_nbytes <= psutil.virtual_memory().total
    assert facts.free_disk_nbytes == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)
    assert (facts.torch, facts.threads) == (torch.__version__, torch.get_num_threads())
    assert facts.writable
    assert facts.packages["torch"] == torch.__version__


def test_a_sound_machine_has_no_warnings() -> None:
    assert warnings(machine()) == ()


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"isa": None}, "striate's native module cannot be loaded, so no data can be read: run `make dev` to build it"),
        (
            {"environment": {"STRIATE_ISA": "portable"}},
            "STRIATE_ISA=portable forces the kernels: unset it to let the CPU decide",
        ),
        (
            {"features": ("fma",)},
            "this CPU, or the virtual machine's view of it, has no AVX2: expect a fraction of the usual speed",
        ),
        (
            {"environment": {"OMP_NUM_THREADS": "1"}},
            "OMP_NUM_THREADS=1 sets torch's threads: unset it, or use --threads",
        ),
        (
            {"environment": {"ONEDNN_MAX_CPU_ISA": "SSE41"}},
            "ONEDNN_MAX_CPU_ISA=SSE41 holds torch's convolutions back",
        ),
        ({"quota": 1.5}, "torch would compute with 8 threads where 1.5 cores are granted: use --threads 1"),
        ({"cores": 2}, "torch would compute with 8 threads where 2 cores are granted: use --threads 2"),
        (
            {"onednn": False},
            "this torch was built without oneDNN: convolutions on the CPU are slow; install an official wheel",
        ),
        (
            {"glibc": (2, 17)},
            "glibc 2.17 is older than the 2.28 that torch's wheels need: use a newer system or container",
        ),
        ({"free_memory_nbytes": GIB}, "only 1.0 GiB of memory are free: keep --batch-size and --size small"),
        ({"writable": False}, "/home/a may not be written: use --output DIR for runs"),
        ({"free_disk_nbytes": GIB // 2}, "only 0.5 GiB are free in /home/a: free some, or use --output DIR for runs"),
    ],
)
def test_each_warning_says_what_to_do(changes: dict[str, Any], warning: str) -> None:
    assert warnings(machine(**changes)) == (warning,)


def test_arm_needs_no_avx2() -> None:
    assert warnings(machine(architecture="aarch64", features=("asimd",))) == ()


def test_plan_on_a_cpu() -> None:
    sentences = plan(machine())
    assert (
        sentences[0]
        == "Nets train on the CPU with 8 threads, or one where a run measures that as faster. --threads sets it."
    )
    assert "this CPU multiplies bf16 itself (avx512_bf16), so bf16 may win" in sentences[1]
    assert sentences[2] == "Images become batches by the avx512 kernels, in the threads that -j sets."
    assert sentences[3] == "Runs are written to /home/a/runs, with 100.0 GiB free."


def test_plan_without_bf16_and_with_one_thread() -> None:
    sentences = plan(machine(features=("avx2",), threads=1))
    assert sentences[0] == "Nets train on the CPU with 1 thread. --threads sets it."
    assert "this CPU has no instructions for bf16, so fp32 is likely to win" in sentences[1]


def test_plan_with_a_gpu() -> None:
    sentences = plan(machine(gpus=(Gpu(name="H200", nbytes=139 * GIB),)))
    assert sentences[0] == "Nets train on the GPU, H200; --device cpu keeps them on the CPU (8 threads)."
    assert "the GPU decides which wins" in sentences[1]


def test_json_holds_facts_plan_and_warnings(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIATE_ISA", "portable")
    assert main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["torch"] == torch.__version__
    assert told["environment"]["STRIATE_ISA"] == "portable"
    assert any(line.startswith("STRIATE_ISA=portable forces") for line in told["warnings"])
    assert told["plan"]


def test_the_command(striate: Run) -> None:
    done = striate("doctor", OMP_NUM_THREADS="1")
    assert done.returncode == 0
    assert re.search(rf"^torch +{re.escape(torch.__version__)}, 1 thread, oneDNN yes$", done.stdout, re.MULTILINE)
    assert "What striate will do with it\n  Nets train on the " in done.stdout
    assert "Warnings\n" in done.stdout
    assert "OMP_NUM_THREADS=1 sets torch's threads" in done.stdout
