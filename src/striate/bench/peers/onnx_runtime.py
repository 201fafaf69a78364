"""ONNX Runtime's CPU provider, on a model of one Conv. It takes NCHW and reorders inside to blocks of channels: the
time has both conversions, as a net's first and last layer do.
"""

from typing import Any

from striate.bench.problem import Floats, Problem
from striate.bench.subject import CannotDo, Subject

__all__ = ["OnnxRuntime"]

OPSET, IR = 17, 8  # of 2022: every version since reads them


class OnnxRuntime(Subject):
    """Images and result stay in buffers that are bound once."""

    takes = "NCHW"

    def __init__(self, problem: Problem) -> None:
        if problem.which != "forward":
            raise CannotDo("ONNX Runtime's inference has no gradients")
        if problem.precision != "fp32":
            raise CannotDo("ONNX Runtime has no bf16 convolution on CPUs")
        import onnxruntime  # here, as in every peer's file: it may not be installed

        self.problem = problem
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = problem.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        options.add_session_config_entry("session.force_spinning_stop", "1")  # else its threads disturb the next one
        self.session = onnxruntime.InferenceSession(
            _model(problem).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self.x = onnxruntime.OrtValue.ortvalue_from_numpy(problem.x)
        self.y = onnxruntime.OrtValue.ortvalue_from_shape_and_type(list(problem.result_shape), problem.x.dtype.type)
        self.binding = self.session.io_binding()
        self.binding.bind_ortvalue_input("x", self.x)
        self.binding.bind_ortvalue_output("y", self.y)

    def run(self) -> None:
        self.session.run_with_iobinding(self.binding)

    def result(self) -> Floats:
        values: Floats = self.y.numpy()[list(self.problem.checked_images)]
        return values


def _model(problem: Problem) -> Any:
    import onnx
    from onnx import helper, numpy_helper

    layer = problem.layer
    node = helper.make_node(
        "Conv",
        ["x", "w"],
        ["y"],
        kernel_shape=layer.kernel,
        strides=layer.stride,
        pads=[*layer.padding, *layer.padding],
        dilations=layer.dilation,
        group=layer.groups,
    )
    float32 = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "conv",
        [helper.make_tensor_value_info("x", float32, problem.x.shape)],
        [helper.make_tensor_value_info("y", float32, problem.result_shape)],
        [numpy_helper.from_array(problem.weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
