"""Estimated against measured peak memory on a GPU: `striate.memory(device="cuda")` beside torch's allocator.

    python benchmarks/memory_gpu.py [NET:BATCH …]

The measured peak is `torch.cuda.max_memory_allocated` over two training steps (momentum), without what cuDNN was given
to work in: its workspaces come and go inside one call, and the estimate leaves them out.
"""

import statistics
import sys

import torch
from torch.nn import functional as F

import striate

CASES = ["resnet18:64", "resnet50:32", "vgg16:32", "googlenet:64", "densenet121:32", "alexnet:128", "resnet20:512"]


def main() -> None:
    ratios = []
    for case in sys.argv[1:] or CASES:
        name, _, batch = case.partition(":")
        side = 32 if name == "resnet20" else 224
        torch.cuda.empty_cache()
        base = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        net = striate.create_model(name, num_classes=1000).cuda().train()
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
        x, y = (
            torch.rand(int(batch), 3, side, side, device="cuda"),
            torch.zeros(int(batch), dtype=torch.long, device="cuda"),
        )
        for _ in range(2):
            optimizer.zero_grad()
            F.cross_entropy(net(x), y).backward()
            optimizer.step()
        measured = torch.cuda.max_memory_allocated() - base
        del net, optimizer, x, y
        fresh = striate.create_model(name, num_classes=1000)
        found = striate.memory(fresh, (3, side, side), batch_size=int(batch), optimizer="momentum", device="cuda")
        ratios.append(found.peak_nbytes / measured)
        print(
            f"{case:16} measured {measured / 1e6:8.0f} MB, "
            f"estimated {found.peak_nbytes / 1e6:8.0f} MB, ratio {ratios[-1]:.3f}"
        )
    print(f"median ratio {statistics.median(ratios):.3f}, largest miss {max(abs(r - 1) for r in ratios):.1%}")


if __name__ == "__main__":
    main()
