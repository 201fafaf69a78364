"""Walk any module once on the meta device and record its graph.

Autograd is on: composite operators then arrive as the products they are made of, and what is saved for the backward
pass passes by. The copy that is walked has no hooks of others, and the module itself is left alone.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from striate.arithmetic import DoesNotFit
from striate.errors import StriateError
from striate.nets.describe import describe
from striate.nets.inspect.graph import Call, Graph, Operation, Parameter, Value
from striate.nets.mode import Mode
from striate.nets.shapes import result
from striate.nets.trace import Path, hollow

__all__ = ["HOMES", "REFUSALS", "prepared", "quiet", "record"]

# Where tensors are made that a forward makes on no device by name: on the CPU, so that a module may draw a number and
# decide by it; or else, when that refuses to meet the others, beside them.
HOMES: tuple[Callable[[], contextlib.AbstractContextManager[Any]], ...] = (
    contextlib.nullcontext,
    lambda: torch.device("meta"),
)
REFUSALS = (RuntimeError, ValueError, TypeError, IndexError)  # how torch says that an input does not go through
PLUMBING = {"detach", "lift_fresh", "alias"}  # the same tensor under another name: neither work nor memory


def record(module: nn.Module, inputs: Sequence[Tensor], *, training: bool = False) -> Graph:
    """The graph of `module(*inputs)`; inputs of any device, of which only shapes and types are used.

    Raises DoesNotFit where the module refuses them, naming the innermost module that did.
    """
    refusals: list[tuple[str, Exception]] = []
    for home in HOMES:
        recorder = _Recorder()
        copied = prepared(module, training=training)
        given = tuple(x.detach().to("meta") for x in inputs)
        recorder.begin(copied, given)
        hooks = torch.autograd.graph.saved_tensors_hooks(recorder.saving, lambda kept: kept)
        try:
            with home(), torch.enable_grad(), quiet(), hooks, recorder:
                output = Path(copied)(*given)
        except REFUSALS as error:
            refusals.append((recorder.refusal(error), error))
            continue
        graph = recorder.graph
        graph.outputs = graph.calls[0].outputs = tuple(recorder.value(x) for x in _tensors(output))
        return graph
    words, cause = refusals[0]
    raise DoesNotFit(words) from cause


def prepared(module: nn.Module, *, training: bool) -> nn.Module:
    """A copy on the meta device, in the mode asked for, whose floating-point parameters want gradients as theirs do.

    Raises StriateError for modules that cannot be walked: scripted ones, and lazy ones that have no shapes yet.
    """
    for name, part in module.named_modules():
        where = f"{name} ({type(part).__name__})" if name else type(part).__name__
        if isinstance(part, torch.jit.ScriptModule):
            raise StriateError(f"{where} is a scripted module, which cannot be walked; give what it was scripted from")
        if any(nn.parameter.is_lazy(parameter) for parameter in part.parameters(recurse=False)):
            raise StriateError(f"{where} has parameters without a shape yet; call it once on an input first")
    copied = hollow(module).train(training)
    wanted = dict(module.named_parameters(remove_duplicate=False))
    for name, parameter in copied.named_parameters(remove_duplicate=False):
        if parameter.is_floating_point() or parameter.is_complex():
            parameter.requires_grad_(wanted[name].requires_grad)
    return copied


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No fused paths that hide their operators, no draw from the global generator, single images in batch norm, and no
    warnings: those are for whoever really runs the module.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.random.fork_rng(devices=[]), _SingleImages(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


class _SingleImages(TorchFunctionMode):
    """Batch norm in training refuses one value a channel, for its variance is zero; here there are no values."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.batch_norm:
            return _batch_norm(*args, **kwargs)
        return func(*args, **kwargs)


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """`F.batch_norm` without its check of the input's size."""
    cudnn = torch.backends.cudnn.enabled
    return torch.batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn)


class _Recorder(Mode):
    """Writes the graph while the module runs."""

    def __init__(self) -> None:
        super().__init__()
        self.graph = Graph()
        self._open: list[int] = []
        self._values: dict[int, Value] = {}
        self._places: dict[tuple[Any, ...], Value] = {}
        self._alive: list[Tensor] = []  # every tensor met: an id, and a storage's, must not be given out twice
        self._storages: dict[int, int] = {}
        self._kept: set[int] = set()

    def begin(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Know the parameters, buffers and inputs, and stand at every module's door."""
        for name, parameter in module.named_parameters():
            value = self.value(parameter)
            self.graph.parameters[value.storage] = Parameter(
                name=name, numel=parameter.numel(), nbytes=parameter.numel() * parameter.itemsize
            )
        for buffer in module.buffers():
            value = self.value(buffer)
            self.graph.buffers[value.storage] = value.nbytes
        self.graph.inputs = tuple(self.value(x) for x in inputs)
        self._open.append(0)  # the module itself: a Net is walked through its features and head, not its forward
        self.graph.calls.append(Call(path="", layer=module, parent=None, inputs=self.graph.inputs))
        for path, part in list(module.named_modules())[1:]:
            part.register_forward_pre_hook(self._entering(path), with_kwargs=True)
            part.register_forward_hook(self._leaving)

    def value(self, tensor: Tensor) -> Value:
        """The value that stands for a tensor."""
        known = self._values.get(id(tensor))
        if known is None:  # torch may hand out the same tensor as another Python object
            storage = self._storage(tensor)
            place = (storage, tuple(tensor.shape), tensor.stride(), tensor.storage_offset(), tensor.dtype)
            known = self._places.get(place)
            if known is None:
                covered = min(tensor.numel() * tensor.itemsize, tensor.untyped_storage().nbytes())
                known = self._places[place] = Value(shape=place[1], nbytes=covered, storage=storage)
            self._values[id(tensor)] = known
            self._alive.append(tensor)
        return known

    def saving(self, tensor: Tensor) -> Tensor:
        """Autograd keeps a tensor: its storage counts once, unless it is there anyway."""
        storage = self._storage(tensor)
        standing = storage in self.graph.parameters or storage in self.graph.buffers
        if storage not in self._kept and not standing:
            self._kept.add(storage)
            self._alive.append(tensor)
            self.graph.calls[self._open[-1]].kept += tensor.untyped_storage().nbytes()
        return tensor

    def refusal(self, error: Exception) -> str:
        """Which layer refused, and what it saw."""
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        call = self.graph.calls[self._open[-1]]
        seen = ", ".join("×".join(map(str, value.shape)) for value in call.inputs)
        where = f"{call.path} ({describe(call.layer)})" if call.path else type(call.layer).__name__
        return f"{where} cannot take {seen}: {said}" if seen else f"{where}: {said}"

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.removeprefix("aten::")
        output = result(name, args, kwargs)
        if output is None:
            output = func(*args, **kwargs)
        known = len(self._storages)
        outputs = tuple(self.value(x) for x in _tensors(output))
        if name in PLUMBING:
            return output
        made = 0
        if len(self._storages) > known:
            fresh = {x.untyped_storage()._cdata: x.untyped_storage().nbytes() for x in _tensors(output)}
            made = sum(nbytes for key, nbytes in fresh.items() if self._storages[key] >= known)
        self.graph.operations.append(
            Operation(
                name=name,
                call=self._open[-1],
                args=self._written(args),
                kwargs=self._written(kwargs),
                outputs=outputs,
                made=made,
            )
        )
        return output

    def _written(self, tree: Any) -> Any:
        """Arguments with values in the tensors' places."""
        if isinstance(tree, Tensor):
            return self.value(tree)
        if isinstance(tree, tuple | list):
            return tuple(self._written(item) for item in tree)
        if isinstance(tree, dict):
            return {key: self._written(item) for key, item in tree.items()}
        return tree

    def _storage(self, tensor: Tensor) -> int:
        return self._storages.setdefault(tensor.untyped_storage()._cdata, len(self._storages))

    def _entering(self, path: str) -> Any:
        def hook(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            parent = self._open[-1]
            seen = tuple(self.value(x) for x in _tensors((args, kwargs)))
            self._open.append(len(self.graph.calls))
            self.graph.calls.append(Call(path=path, layer=layer, parent=parent, inputs=seen))

        return hook

    def _leaving(self, layer: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        self.graph.calls[self._open.pop()].outputs = tuple(self.value(x) for x in _tensors(output))


def _tensors(tree: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists and dicts, and in dataclass-like outputs of other libraries."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, tuple | list):
        for item in tree:
            yield from _tensors(item)
    elif isinstance(tree, dict):
        for item in tree.values():
            yield from _tensors(item)
