"""One convolution, four notations: the layer as PyTorch, Caffe, MatConvNet and TensorFlow write it, as one module.

                 weights          padding                    groups are told by
    PyTorch      O × C/G × H × W  one number per axis        groups=
    Caffe        O × C/G × H × W  one number per axis        group:
    MatConvNet   H × W × C/G × O  [top bottom left right]    the third side of the filters
    TensorFlow   H × W × C/G × O  'SAME' or 'VALID'          the third side of the filters

All compute the same correlation (nothing is flipped). They differ in layout, in what padding can say, and in what
'SAME' means under a stride: TensorFlow pads so that ⌈n / stride⌉ outputs come out, the odd pixel after, which depends
on the size of the image and which one number per axis cannot say.

>>> import torch
>>> alexnet = 'layer { type: "Convolution" convolution_param { num_output: 96 kernel_size: 11 stride: 4 } }'
>>> from_caffe(alexnet, channels=3)(torch.zeros(1, 3, 227, 227)).shape
torch.Size([1, 96, 55, 55])
>>> same = from_tensorflow(torch.zeros(3, 3, 3, 8), strides=2, padding="SAME", data_format="NCHW")
>>> same.sides(224, 224)     # top, bottom, left, right; torch's padding=1 would be (1, 1, 1, 1)
(0, 1, 0, 1)
"""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from torch import Tensor, nn
from torch.nn import functional as F

from striate.arithmetic import DoesNotFit, Window
from striate.errors import StriateError
from striate.nets.caffe.build import BUILDERS
from striate.nets.caffe.layer import layers_of
from striate.nets.caffe.read import parse_net

__all__ = ["Convolution", "from_caffe", "from_matconvnet", "from_pytorch", "from_tensorflow"]

Sides: TypeAlias = tuple[int, int, int, int]  # px of padding: top, bottom, left, right
Layout: TypeAlias = Literal["NCHW", "NHWC"]


class Convolution(nn.Module):
    """x in `layout` → convolution in `layout`. weight [O, C/G, H, W], bias [O] or None.

    `padding` is (top, bottom, left, right) px, or "SAME". Raises StriateError for sides and groups that are none.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None = None,
        *,
        stride: tuple[int, int] = (1, 1),
        padding: Sides | Literal["SAME"] = (0, 0, 0, 0),
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
        layout: Layout = "NCHW",
    ) -> None:
        super().__init__()
        if weight.ndim != 4 or (bias is not None and bias.shape != weight.shape[:1]):
            raise StriateError(
                f"filters of shape {tuple(weight.shape)} with a bias of {_shape(bias)} are no convolution"
            )
        if groups < 1 or len(weight) % groups:
            raise StriateError(f"{len(weight)} filters cannot be shared out among {groups} groups")
        if min(*stride, *dilation) < 1 or (padding != "SAME" and min(padding) < 0):
            raise StriateError(f"stride {stride} and dilation {dilation} are at least 1, padding {padding} at least 0")
        self.weight = nn.Parameter(weight.detach().clone().contiguous())
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        self.stride, self.padding, self.dilation, self.groups, self.layout = stride, padding, dilation, groups, layout

    def sides(self, height: int, width: int) -> Sides:
        """Padding (top, bottom, left, right) in px for an image of height × width px."""
        if self.padding != "SAME":
            return self.padding
        rows, columns = (
            Window.same(k, n, stride=s, dilation=d)
            for k, n, s, d in zip(self.weight.shape[2:], (height, width), self.stride, self.dilation, strict=True)
        )
        return rows.low, rows.high, columns.low, columns.high

    def forward(self, x: Tensor) -> Tensor:
        """Raises DoesNotFit for an image with other channels, or smaller than the filters with their padding."""
        if self.layout == "NHWC":
            x = x.permute(0, 3, 1, 2)
        channels = self.weight.shape[1] * self.groups
        if x.shape[1] != channels:
            raise DoesNotFit(f"the filters take {channels} channels and would get {x.shape[1]} ({self.layout})")
        top, bottom, left, right = self.sides(x.shape[2], x.shape[3])
        for n, kernel, dilation, low, high in zip(
            x.shape[2:], self.weight.shape[2:], self.dilation, (top, left), (bottom, right), strict=True
        ):
            Window(kernel, dilation=dilation, padding=(low, high)).out(n)  # refuses what does not fit, and says why
        if top == bottom and left == right:
            y = F.conv2d(x, self.weight, self.bias, self.stride, (top, left), self.dilation, self.groups)
        else:
            padded = F.pad(x, (left, right, top, bottom))
            y = F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)
        return y.permute(0, 2, 3, 1) if self.layout == "NHWC" else y

    def extra_repr(self) -> str:
        return (
            f"{tuple(self.weight.shape)}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"groups={self.groups}, {self.layout}"
        )


def from_pytorch(layer: nn.Conv2d) -> Convolution:
    """torch's own layer. Its 'same' is for a stride of 1, where everybody means the same; zeros only are padded."""
    if layer.padding_mode != "zeros":
        raise StriateError(f"padding_mode {layer.padding_mode!r} is no matter of notation; only zeros are padded here")
    if layer.padding == "valid":
        padding: Sides | Literal["SAME"] = (0, 0, 0, 0)
    elif isinstance(layer.padding, str):
        padding = "SAME"
    else:
        padding = (layer.padding[0], layer.padding[0], layer.padding[1], layer.padding[1])
    return Convolution(
        layer.weight,
        layer.bias,
        stride=_pair(layer.stride),
        padding=padding,
        dilation=_pair(layer.dilation),
        groups=layer.groups,
    )


def from_caffe(
    text: str, *, channels: int | None = None, weight: Tensor | None = None, bias: Tensor | None = None
) -> Convolution:
    """One convolution layer of a prototxt, of the old format or the new, with Caffe's blobs or else begun as torch's.

    `channels` are those of the image, read off `weight` where that is given. Raises StriateError for text that is not
    one convolution layer.
    """
    layers = layers_of(parse_net(text, "the layer"))
    if len(layers) != 1 or layers[0].type != "Convolution":
        raise StriateError(f"expected one Convolution layer and got {', '.join(one.type for one in layers)}")
    (layer,) = layers
    if weight is not None:
        channels = weight.shape[1] * layer.settings("convolution").group
    if channels is None:
        raise StriateError("a prototxt does not say how many channels an image has; give channels=, or weight=")
    try:
        built: Any = BUILDERS["Convolution"](layer, [(1, channels, 1, 1)], None)
    except (ValueError, RuntimeError, TypeError) as error:
        raise StriateError(f"layer {layer.name!r}: {str(error).splitlines()[0]}") from error
    made = from_pytorch(built)
    for own, given in ((made.weight, weight), (made.bias, bias)):
        if given is not None:
            if own is None or own.numel() != given.numel():
                raise StriateError(f"layer {layer.name!r} takes {_shape(own)} and was given {_shape(given)}")
            own.data.copy_(given.reshape(own.shape))
    return made


def from_matconvnet(
    filters: Tensor,
    biases: Tensor | None = None,
    *,
    channels: int,
    pad: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
    dilate: int | Sequence[int] = 1,
) -> Convolution:
    """`vl_nnconv(x, filters, biases, 'Pad', …)`: filters H × W × C/G × O, `pad` one number or [top bottom left right].

    Images stay N×C×H×W. There are as many groups as the filters' depth goes into `channels`.
    """
    sides = (pad,) * 4 if isinstance(pad, int) else tuple(pad)
    if len(sides) != 4:
        raise StriateError(f"pad is {list(sides)}; give one number, or [top bottom left right]")
    if filters.ndim == 3:  # MATLAB drops a last side of one
        filters = filters[..., None]
    return Convolution(
        filters.permute(3, 2, 0, 1),
        None if biases is None else biases.reshape(-1),
        stride=_pair(stride),
        padding=(sides[0], sides[1], sides[2], sides[3]),
        dilation=_pair(dilate),
        groups=_groups(channels, filters.shape[2]),
    )


def from_tensorflow(
    filters: Tensor,
    bias: Tensor | None = None,
    *,
    channels: int | None = None,
    strides: int | Sequence[int] = 1,
    padding: Literal["SAME", "VALID"] = "VALID",
    dilations: int | Sequence[int] = 1,
    data_format: Layout = "NHWC",
) -> Convolution:
    """`tf.nn.conv2d(x, filters, strides, padding, data_format, dilations)`: filters H × W × C/G × O.

    Strides and dilations are one number, (height, width), or one for each side of the data. `channels` of the image
    tell the groups; by default there is one. The module takes and gives images in `data_format`.
    """
    if padding not in ("SAME", "VALID") or data_format not in ("NCHW", "NHWC"):
        raise StriateError(
            f"padding is 'SAME' or 'VALID' and data_format 'NHWC' or 'NCHW', got {padding}, {data_format}"
        )
    return Convolution(
        filters.permute(3, 2, 0, 1),
        bias,
        stride=_spatial(strides, data_format),
        padding="SAME" if padding == "SAME" else (0, 0, 0, 0),
        dilation=_spatial(dilations, data_format),
        groups=1 if channels is None else _groups(channels, filters.shape[2]),
        layout=data_format,
    )


def _spatial(given: int | Sequence[int], layout: Layout) -> tuple[int, int]:
    if isinstance(given, int) or len(given) != 4:
        return _pair(given)
    height = layout.index("H")
    if any(step != 1 for i, step in enumerate(given) if i not in (height, height + 1)):
        raise StriateError(f"{list(given)} steps over images or channels ({layout}); those steps must be 1")
    return given[height], given[height + 1]


def _groups(channels: int, depth: int) -> int:
    if depth < 1 or channels % depth:
        raise StriateError(f"filters {depth} deep do not go into {channels} channels a whole number of times")
    return channels // depth


def _pair(given: int | Sequence[int]) -> tuple[int, int]:
    values = (given,) if isinstance(given, int) else tuple(given)
    if len(values) not in (1, 2):
        raise StriateError(f"{list(values)}: give one number, or (height, width)")
    return values[0], values[-1]


def _shape(tensor: Tensor | None) -> str:
    return "nothing" if tensor is None else "×".join(map(str, tensor.shape))
