"""Precisions of a training step, and the two orders in which images lie in memory.

fp32 weights throughout; `bf16` and `fp16` mean torch's autocast around the forward pass and the loss, with loss scaling
for fp16 (Micikevicius 2018). Evaluation is always fp32, so that an accuracy never depends on the machine that trained.
"""

import contextlib
from typing import Any

import torch

__all__ = ["autocast", "grad_scaler", "memory_format"]

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """The context a training step's forward pass runs in."""
    if precision in DTYPES:
        return torch.autocast(device.type, DTYPES[precision])
    return contextlib.nullcontext()


def grad_scaler(device: torch.device, precision: str) -> torch.amp.GradScaler:
    """Loss scaling for fp16; a scaler that does nothing otherwise."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


def memory_format(channels_last: bool) -> torch.memory_format:
    """torch's name for NHWC or NCHW in memory."""
    return torch.channels_last if channels_last else torch.contiguous_format
