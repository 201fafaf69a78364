"""ncnn, which takes one image at a time; it gets them in its own layout of 16 (or 8) channels beside each other and
leaves its results in it, so that no conversion is in its time.

A layer's settings are numbered pairs (ncnn's docs, operators.md, Convolution): 0 maps out, 1 and 11 the kernel across
and down, 2 and 12 dilation, 3 and 13 stride, 4 14 15 16 padding left, top, right, bottom, 6 the number of weights.
"""

import ctypes
from typing import Any

import numpy as np

from striate.bench.problem import Floats, Problem
from striate.bench.subject import CannotDo, Subject

__all__ = ["Ncnn"]

MAGIC = 7767517  # the first line of a parameter file
FLOAT32 = b"\0\0\0\0"  # the tag before weights: as they are
BLOCKS = (16, 8, 4)  # channels beside each other: as many as a register has


class Ncnn(Subject):
    """Convolution of every image of the batch, one after the other, each on all threads."""

    takes = "blocks of channels, one image at a time"

    def __init__(self, problem: Problem) -> None:
        if problem.which != "forward":
            raise CannotDo("ncnn has no gradients")
        import ncnn  # here, as in every peer's file: it may not be installed

        self.problem, self.ncnn = problem, ncnn
        pools = ncnn.PoolAllocator(), ncnn.PoolAllocator()
        self.results: list[Any] = []
        self.images: list[Any] = []
        self.net = ncnn.Net()
        self.pools = pools  # the last attribute is the last to go: all of the above lies in them
        options = self.net.opt
        options.num_threads = problem.threads
        options.openmp_blocktime = 0  # its threads would disturb the next one
        options.use_vulkan_compute = False
        options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
        options.use_bf16_storage = problem.precision == "bf16"
        options.blob_allocator, options.workspace_allocator = pools
        self.net.opt = options
        if self.net.load_param_mem(_parameters(problem)) != 0:
            raise CannotDo("ncnn refuses this layer")
        self.weights = FLOAT32 + problem.weight.tobytes()
        self.net.load_model_mem(ctypes.string_at(self.weights, len(self.weights)))
        self.images = [self._packed(problem.x[i]) for i in range(problem.batch)]

    def run(self) -> None:
        self.results = []
        for image in self.images:
            extractor = self.net.create_extractor()
            extractor.input("x", image)
            _, y = extractor.extract("y", 1)  # 1: as it is, in blocks
            self.results.append(y)

    def result(self) -> Floats:
        return np.stack([self._plain(self.results[i]) for i in self.problem.checked_images])

    def _packed(self, image: Floats) -> Any:
        ncnn = self.ncnn
        block = next((block for block in BLOCKS if image.shape[0] % block == 0), 1)
        packed = ncnn.Mat()
        ncnn.convert_packing(ncnn.Mat(image).clone(), packed, block, self.net.opt)
        return packed

    def _plain(self, blocked: Any) -> Floats:
        plain = self.ncnn.Mat()
        self.ncnn.convert_packing(blocked, plain, 1, self.net.opt)
        return np.array(plain, dtype=np.float32)


def _parameters(problem: Problem) -> str:
    layer = problem.layer
    (top, left), (down, across) = layer.padding, layer.kernel
    settings = {
        0: layer.out_maps,
        1: across,
        11: down,
        2: layer.dilation[1],
        12: layer.dilation[0],
        3: layer.stride[1],
        13: layer.stride[0],
        4: left,
        14: top,
        15: left,
        16: top,
        5: 0,
        6: problem.weight.size,
    }
    kind = "Convolution"
    if layer.groups > 1:
        kind, settings[7] = "ConvolutionDepthWise", layer.groups  # its name for groups of any size
    words = " ".join(f"{key}={value}" for key, value in settings.items())
    return f"{MAGIC}\n2 2\nInput in 0 1 x\n{kind} conv 1 1 x y {words}\n"
