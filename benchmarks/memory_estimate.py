"""Estimated against measured peak memory: resident memory on the CPU, a fresh process for every net.

    python benchmarks/memory_estimate.py [--out DIR] [NET:BATCH …]

The measured peak is how far `VmHWM` rises above the resident size just before the net is built, over three training
steps (momentum), and over two forward passes. The process gives freed memory back to the system at once
(MALLOC_MMAP_THRESHOLD_), so that the peak is what was alive and not what an allocator kept. A warm-up of a tiny net
first pays for what torch loads and allocates on first use.
"""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

CASES = [
    "lenet5:2048", "resnet20:512", "resnet56:256", "plain20:512", "alexnet2012:64", "alexnet:64", "vgg11:8", "vgg16:8",
    "vgg16_bn:4", "resnet18:16", "resnet34:16", "resnet50:8", "resnet101:4", "squeezenet1_0:16", "googlenet:8",
    "inception_v3:4", "densenet121:8",
]  # fmt: skip

CHILD = """
import json, sys, torch
from torch import nn
import torch.nn.functional as F
from striate.nets import create_model

torch.set_num_threads(1)
name, batch, training = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "training"


def read(key):
    for line in open("/proc/self/status"):
        if line.startswith(key):
            return 1024 * int(line.split()[1])


def steps(net, batch, size, training, count):
    x = torch.rand(batch, 3, *size)
    y = torch.zeros(batch, dtype=torch.int64)
    if not training:
        net.eval()
        with torch.no_grad():
            for _ in range(count):
                net(x)
        return
    update = torch.optim.SGD(net.parameters(), lr=1e-9, momentum=0.9, weight_decay=5e-4)
    for _ in range(count):
        update.zero_grad()
        F.cross_entropy(net(x), y).backward()
        update.step()


tiny = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5))
steps(tiny, 2, (8, 8), True, 2)
before = read("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
net = create_model(name)
steps(net, batch, net.spec.input_size, training, 3 if training else 2)
print(json.dumps(read("VmHWM") - before))
"""


def measured(name: str, batch: int, doing: str) -> int:
    """Bytes by which a fresh process grew."""
    quiet = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", CHILD, name, str(batch), doing]
    done = subprocess.run(command, env=os.environ | quiet, capture_output=True, text=True, check=True)
    return int(json.loads(done.stdout))


def estimated(name: str, batch: int, doing: str) -> int:
    """What striate says of it beforehand."""
    from striate.nets import create_model
    from striate.nets.inspect import memory
    from striate.nets.weightless import weightless

    with weightless():
        net = create_model(name)
    optimizer = "momentum" if doing == "training" else None
    return memory(net, (3, *net.spec.input_size), batch_size=batch, optimizer=optimizer).peak_nbytes


def main() -> None:
    """Measure every case, print a line each, and write the result where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=CASES, metavar="NET:BATCH")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = []
    for case in arguments.cases:
        name, batch = case.split(":")
        for doing in ("training", "inference"):
            said, was = estimated(name, int(batch), doing), measured(name, int(batch), doing)
            rows.append({"net": name, "batch": int(batch), "doing": doing, "estimated": said, "measured": was})
            told = f"estimated {said / 2**20:8.1f} MiB, measured {was / 2**20:8.1f} MiB, error {said / was - 1:+.1%}"
            print(f"{name:<12} {batch:>5} {doing:<9} {told}", flush=True)
    for doing in ("training", "inference"):
        errors = [abs(row["estimated"] / row["measured"] - 1) for row in rows if row["doing"] == doing]
        print(f"{doing}: median error {statistics.median(errors):.1%}, largest {max(errors):.1%}, n = {len(errors)}")
    if arguments.out:
        when = datetime.date.today().isoformat()
        (arguments.out / f"memory-estimate-{when}.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
