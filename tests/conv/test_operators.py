"""The operators as tracers see them: sizes and layouts without numbers."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from striate.conv import operators


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ("images", "filters"),
    [
        (lambda t: t[:, :4], lambda t: t),  # some of the maps of channels-last: dense in neither layout
        (lambda t: t[..., ::2], lambda t: t),
        (lambda t: t[:, :1, :, :1].contiguous(), lambda t: t[:1, :1]),  # one map, one column: dense in both
        (lambda t: t[:0], lambda t: t.contiguous(memory_format=torch.channels_last)),
        (lambda t: t, lambda t: t.transpose(2, 3)),
    ],
)
def test_what_a_tracer_sees_lies_as_the_result_does(dtype, images, filters):
    wide = torch.randn(2, 8, 7, 6).to(dtype).contiguous(memory_format=torch.channels_last)
    x = images(wide)
    weight = filters(torch.randn(2, x.shape[1], 3, 3).to(dtype))
    settings = ([1, 1], [1, 1, 1, 1], [1, 1], 1, "direct")
    y = operators.forward(x, weight, None, *settings)
    calls = [
        (operators.forward, (x, weight, None)),
        (operators.backward_data, (y, weight, x.shape[2:])),
        (operators.backward_weights, (x, y, weight.shape[2:])),
    ]
    for operator, arguments in calls:
        result = operator(*arguments, *settings)
        with FakeTensorMode() as mode:
            seen = operator(*(mode.from_tensor(a) if isinstance(a, torch.Tensor) else a for a in arguments), *settings)
        assert (seen.shape, seen.stride(), seen.dtype) == (result.shape, result.stride(), result.dtype)
