"""OpenVINO's CPU plugin, on a model of one convolution whose images and result are channels-last, which its kernels
take as they are.
"""

from typing import Any

import numpy as np

from striate.bench.problem import Floats, Problem
from striate.bench.subject import CannotDo, Subject

__all__ = ["OpenVino"]

TYPES = {"fp32": "f32", "bf16": "bf16"}


class OpenVino(Subject):
    """One stream of all threads: the setting for latency."""

    takes = "channels-last"

    def __init__(self, problem: Problem) -> None:
        if problem.which != "forward":
            raise CannotDo("OpenVINO has no gradients")
        import openvino  # here, as in every peer's file: it may not be installed

        self.problem = problem
        settings = {
            "INFERENCE_NUM_THREADS": problem.threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": TYPES[problem.precision],
            "ENABLE_CPU_PINNING": False,
        }
        compiled = openvino.Core().compile_model(_model(problem), "CPU", settings)
        self.x = np.ascontiguousarray(problem.x.transpose(0, 2, 3, 1))
        self.request = compiled.create_infer_request()
        self.request.set_input_tensor(openvino.Tensor(self.x, shared_memory=True))

    def run(self) -> None:
        self.request.infer()

    def result(self) -> Floats:
        y: Floats = self.request.get_output_tensor().data[list(self.problem.checked_images)]
        return y.transpose(0, 3, 1, 2)


def _model(problem: Problem) -> Any:
    import openvino
    from openvino import opset13

    layer = problem.layer
    x = opset13.parameter(list(problem.x.shape), np.float32, name="x")
    if layer.groups == 1:
        weight = opset13.constant(problem.weight)
        convolution = opset13.convolution
    else:  # weights of groups have an axis more
        maps, *rest = layer.weight_shape
        weight = opset13.constant(problem.weight.reshape(layer.groups, maps // layer.groups, *rest))
        convolution = opset13.group_convolution
    stride, padding, dilation = (list(pair) for pair in (layer.stride, layer.padding, layer.dilation))
    y = convolution(x, weight, stride, padding, padding, dilation)
    shaped = openvino.preprocess.PrePostProcessor(openvino.Model([y], [x], "conv"))
    for end in (shaped.input(), shaped.output()):
        end.tensor().set_layout(openvino.Layout("NHWC"))
        end.model().set_layout(openvino.Layout("NCHW"))
    return shaped.build()
