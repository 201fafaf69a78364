"""MNN, on a model of one convolution. Images and result stay in its own layout of blocks of channels."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from striate.bench.problem import Floats, Problem
from striate.bench.subject import CannotDo, Subject

__all__ = ["Mnn"]

PRECISIONS = {"fp32": "high", "bf16": "low_bf16"}


class Mnn(Subject):
    """A session of MNN's interpreter, which chooses among direct, im2col and Winograd by itself."""

    takes = "blocks of channels"

    def __init__(self, problem: Problem) -> None:
        if problem.which != "forward":
            raise CannotDo("MNN's interpreter has no gradients")
        if problem.layer.groups not in (1, problem.layer.in_maps):
            raise CannotDo("MNN's Python face builds no convolution of groups but the depthwise one")
        import MNN  # here, as in every peer's file: it may not be installed
        from MNN import expr

        self.problem, self.mnn = problem, MNN
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "conv.mnn")  # the interpreter reads files only
            expr.save([_model(problem, expr)], path)
            self.interpreter = MNN.Interpreter(path)
        precision = PRECISIONS[problem.precision]
        self.session = self.interpreter.createSession(
            {"backend": "CPU", "numThread": problem.threads, "precision": precision}
        )
        self.shape = problem.batch, problem.layer.out_maps, *problem.layer.out_size
        x = problem.x
        host = MNN.Tensor(x.shape, MNN.Halide_Type_Float, x, MNN.Tensor_DimensionType_Caffe)
        self.interpreter.getSessionInput(self.session).copyFrom(host)

    def run(self) -> None:
        self.interpreter.runSession(self.session)

    def result(self) -> Floats:
        room = np.empty(self.shape, dtype=np.float32)
        mnn = self.mnn
        host = mnn.Tensor(self.shape, mnn.Halide_Type_Float, room, mnn.Tensor_DimensionType_Caffe)
        self.interpreter.getSessionOutput(self.session).copyToHostTensor(host)
        y = np.array(host.getNumpyData(), dtype=np.float32).reshape(self.shape)
        return y[list(self.problem.checked_images)]


def _model(problem: Problem, expr: Any) -> Any:
    layer = problem.layer
    x = expr.placeholder(list(problem.x.shape), expr.NC4HW4, expr.float)
    x.name = "x"
    weight = expr.const(problem.weight, list(layer.weight_shape), expr.NCHW, expr.float)
    bias = expr.const(np.zeros(layer.out_maps, np.float32), [layer.out_maps], expr.NCHW, expr.float)
    (top, left), (down, across), (tall, wide) = layer.padding, layer.stride, layer.dilation
    pairs = (across, down), (left, top), (wide, tall)  # MNN names the horizontal axis first
    y = expr.conv2d(x, weight, bias, *pairs, layer.groups, expr.Padding_Mode.CAFFE)
    y.name = "y"
    return y
