"""Batches to a device, one ahead, on a stream of their own.

The copy of the next batch runs on the GPU's copy engine while the net computes on this one. Page-locked memory is what
lets it: torch keeps such a block until the copy has read it, and its caching allocator is told which stream uses the
tensors, so nothing is overwritten early.
"""

from collections.abc import Generator, Iterator

import torch

from striate.data.batches import Batch
from striate.data.stages import Stages

__all__ = ["to_device"]


def to_device(batches: Iterator[Batch], device: torch.device, stages: Stages) -> Generator[Batch, None, None]:
    """The batches on `device`; as they are where that is the CPU."""
    if device.type != "cuda":
        for batch in batches:
            yield batch if device.type == "cpu" else Batch(*(tensor.to(device) for tensor in batch))
        return
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's
    waiting: _Sent | None = None
    for batch in batches:
        sent = _Sent(batch, device, stream)
        if waiting is not None:
            yield waiting.taken(stages)
        waiting = sent
    if waiting is not None:
        yield waiting.taken(stages)


class _Sent:
    """A batch on its way."""

    def __init__(self, batch: Batch, device: torch.device, stream: torch.cuda.Stream) -> None:
        self._device = device
        self._begun, self._ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]  # torch's
        with torch.cuda.stream(stream):
            self._begun.record(stream)
            self._there = Batch(*(tensor.to(device, non_blocking=True) for tensor in batch))
            self._ended.record(stream)

    def taken(self, stages: Stages) -> Batch:
        """The batch, for the stream that computes: it waits for the copy, the processor does not."""
        computing = torch.cuda.current_stream(self._device)
        computing.wait_event(self._ended)
        for tensor in self._there:
            tensor.record_stream(computing)
        if self._ended.query():  # type: ignore[no-untyped-call]  # torch's; what is not done yet is counted by nobody
            stages.add({"transfer": self._begun.elapsed_time(self._ended) / 1e3})
        return self._there
