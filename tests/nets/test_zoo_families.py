"""What sets each family apart: both halves of its noise, its wiring, and that a small net of each learns one batch."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from striate.errors import StriateError
from striate.nets import DoesNotFit, Net, NetSpec, create_model, list_models, model_info
from striate.nets.zoo.densenet import DenseNet
from striate.nets.zoo.fractalnet import FractalBlock, FractalNet
from striate.nets.zoo.neocognitron import SCells
from striate.nets.zoo.resnet_in_resnet import TwoStreams


def made(name: str, size: int = 32, **settings: object) -> Net:
    torch.manual_seed(0)
    return create_model(name, num_classes=4, input_size=(size, size), **settings)


def tiny_densenet(**settings: object) -> DenseNet:
    torch.manual_seed(0)
    spec = NetSpec(name="tiny", num_classes=4, in_chans=3, input_size=(32, 32))
    return DenseNet(spec, 4, 8, (2, 2), **settings)


LEARNERS = {
    "preact_resnet110": lambda: made("preact_resnet110", 8),
    "wrn16_4": lambda: made("wrn16_4", 8),
    "resnet110_sd": lambda: made("resnet20", 8, drop_path=0.2),
    "swapout20": lambda: made("swapout20", 8, drop_last=0.1),
    "fractalnet20": lambda: made("fractalnet20", 32, width=4, drop_path=0.0),
    "ror56": lambda: made("ror56", 8),
    "weighted_resnet20": lambda: made("weighted_resnet20", 8),
    "deeply_fused20_8": lambda: made("deeply_fused20_8", 8),
    "rir18": lambda: made("rir18", 8),
    "neocognitron": lambda: made("neocognitron", 16),
    "densenet": tiny_densenet,
    "squeezenet1_1": lambda: made("squeezenet1_1", 32, dropout=0.0),
    "nin_cifar10": lambda: made("nin_cifar10", 16, dropout=0.0),
    "googlenet": lambda: made("googlenet", 32, auxiliary=False, dropout=0.0),
    "googlenet2014": lambda: made("googlenet2014", 32, auxiliary=False, dropout=0.0),
}
SLOW = {"zfnet", "wide_resnet50_2", "nin_cifar10", "googlenet2014"}
RATES = {"neocognitron": 0.02, "squeezenet1_1": 3e-4, "nin_cifar10": 3e-4}  # the latter two end in a ReLU that can die
LEARNERS |= {
    "inception_v3": lambda: made("inception_v3", 80, auxiliary=False, dropout=0.0),
    "zfnet": lambda: made("zfnet", 64, dropout=0.0),
    "wide_resnet50_2": lambda: made("wide_resnet50_2", 32),
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in LEARNERS])
def test_one_batch_is_learnt(name: str) -> None:
    net = LEARNERS[name]()
    x, y = torch.randn(8, 3, *net.spec.input_size), torch.arange(8) % 4
    optimiser = torch.optim.Adam(net.parameters(), lr=RATES.get(name, 1e-3))
    first = loss = float("inf")
    for step in range(200):
        value = F.cross_entropy(net(x), y)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        loss = float(value.detach())
        first = loss if step == 0 else first
        if loss < 0.5 * min(first, 1.386):  # half the loss of a guess among four
            return
    pytest.fail(f"the loss went from {first:.2f} to {loss:.2f} only")


@pytest.mark.parametrize(
    "name", ["resnet110_sd", "swapout20", "fractalnet20", "neocognitron", "nin_cifar10", "weighted_resnet20"]
)
def test_evaluation_draws_nothing(name: str) -> None:
    net, x = made(name).eval(), torch.randn(2, 3, 32, 32)
    assert torch.equal(net(x), net(x))


def test_settings_are_checked() -> None:
    for name, settings, message in (
        ("resnet110_sd", {"drop_path": 1.0}, "drop_path is a probability"),
        ("plain20", {"drop_path": 0.1}, "unknown setting of plain20 'drop_path'"),
        ("swapout20", {"inference": "random"}, "unknown inference 'random'"),
        ("fractalnet20", {"width": 0}, "width is the number of maps of the first block, a whole number from 1, got 0"),
        ("neocognitron", {"planes": 0}, "planes is how many kinds of cell a stage has"),
        ("googlenet", {"dropout": 2}, "dropout is a probability"),
        ("densenet121", {"dropout": -1}, "dropout is a probability"),
    ):
        with pytest.raises(StriateError, match=message):
            create_model(name, num_classes=2, **settings)


class TestAuxiliaryHeads:
    @pytest.mark.parametrize(
        ("name", "size", "weights"),
        [("googlenet", 224, [0.3, 0.3]), ("googlenet2014", 224, [0.3, 0.3]), ("inception_v3", 299, [0.4])],
    )
    def test_scores_and_weights(self, name: str, size: int, weights: list[float]) -> None:
        with torch.device("meta"):
            net = create_model(name, num_classes=7)
        x = torch.empty(2, 3, size, size, device="meta")
        scores, auxiliary = net.forward_with_auxiliary(x)
        assert scores.shape == (2, 7)
        assert [(weight, tuple(s.shape)) for weight, s in auxiliary] == [(weight, (2, 7)) for weight in weights]
        assert net(x).shape == (2, 7)  # in training mode too
        (scores.sum() + sum(s.sum() for _, s in auxiliary)).backward()
        assert all(p.grad is not None for p in net.parameters())

    def test_scores_are_those_of_forward(self) -> None:
        net = made("googlenet2014", 96).eval()
        x = torch.randn(1, 3, 96, 96)
        with torch.no_grad():
            assert torch.equal(net.forward_with_auxiliary(x)[0], net(x))

    @pytest.mark.parametrize("name", ["googlenet", "googlenet2014", "inception_v3"])
    def test_none_on_request(self, name: str) -> None:
        with torch.device("meta"):
            net = create_model(name, num_classes=3, auxiliary=False)
        assert net.forward_with_auxiliary(torch.empty(2, 3, 96, 96, device="meta"))[1] == []

    def test_the_papers_googlenet_says_it_too(self) -> None:
        with torch.device("meta"):
            net = create_model("googlenet2014", num_classes=3)
        net.forward_with_auxiliary(torch.empty(2, 3, 79, 79, device="meta"))
        with pytest.raises(
            DoesNotFit, match=r"sees 4×5 px and needs 5×5; train on images of at least 79×79, or create"
        ):
            net.forward_with_auxiliary(torch.empty(2, 3, 78, 79, device="meta"))

    def test_inception_says_how_large_an_image_training_needs(self) -> None:
        with torch.device("meta"):
            net = create_model("inception_v3", num_classes=3)
        with pytest.raises(DoesNotFit, match=r"sees 16×17 px and needs 17×17; train on images of at least 299×299, or"):
            net.forward_with_auxiliary(torch.empty(2, 3, 298, 299, device="meta"))


def test_memory_efficient_densenet_has_the_same_gradients() -> None:
    nets = [tiny_densenet(memory_efficient=efficient).double() for efficient in (False, True)]
    x = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    for net in nets:
        net(x).square().sum().backward()
    for (name, p), q in zip(nets[0].named_parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, msg=name)
    for (name, p), q in zip(nets[0].named_buffers(), nets[1].buffers(), strict=True):
        torch.testing.assert_close(p, q, msg=name)  # a batch that is normalised twice counts once


def test_memory_efficient_densenet_goes_back_twice() -> None:
    net = tiny_densenet(memory_efficient=True)
    loss = net(torch.randn(4, 3, 32, 32)).square().sum()
    loss.backward(retain_graph=True)
    once = net.features.conv0.weight.grad.clone()
    loss.backward()
    torch.testing.assert_close(net.features.conv0.weight.grad, 2 * once)
    assert {int(v) for k, v in net.state_dict().items() if k.endswith("num_batches_tracked")} == {1}


def test_densenet_layers_see_all_before_them() -> None:
    net = tiny_densenet().eval()
    block = net.get_submodule("features.denseblock1")
    x = torch.randn(1, 8, 4, 4)
    one = block.denselayer1([x])
    two = block.denselayer2([x, one])
    assert torch.equal(block(x), torch.cat([x, one, two], 1))


def test_stochastic_depth_at_test_time_scales_by_survival() -> None:
    """Huang 2016, eq. 5: relu(p_l F(x) + x); of nine blocks the last survives with 0.5, the first with 1 − 0.5/9."""
    net = made("resnet20", drop_path=0.5).eval()
    plain = made("resnet20").eval()
    plain.load_state_dict(net.state_dict())
    for name, survival in (("layer1.0", 1 - 0.5 / 9), ("layer3.2", 0.5)):
        x = torch.rand(2, 16 if name == "layer1.0" else 64, 4, 4)
        block = plain.get_submodule(name)
        residual = block.bn2(block.conv2(block.relu1(block.bn1(block.conv1(x)))))
        torch.testing.assert_close(net.get_submodule(name)(x), (survival * residual + x).relu())


def test_swapout_survival_goes_from_one_to_a_half() -> None:
    net = made("swapout20")
    keeps = [m.keep_residual for m in net.modules() if hasattr(m, "keep_residual")]
    assert keeps == pytest.approx([1 - 0.5 * i / 8 for i in range(9)])
    drawing = made("swapout20", inference="stochastic").eval()
    x = torch.randn(2, 3, 16, 16)
    assert not torch.equal(drawing(x), drawing(x))


class TestFractal:
    @pytest.mark.parametrize("columns", [1, 2, 3, 4])
    def test_unrolled_rows_are_the_recursion(self, columns: int) -> None:
        """f_{C+1}(z) = mean(f_C(f_C(z)), conv(z)) with flat joins: the paper joins all columns that end at a row."""
        block = FractalBlock(2, 2, columns, 0.0).eval()
        used: list[str] = []

        def fractal(c: int, first_row: int, z: Tensor) -> list[Tensor]:
            """The outputs that end below a fractal of c columns, not joined yet, right column first."""
            column = columns - c
            rows = 2 ** (c - 1)
            name = f"row{first_row + rows - 1}_column{column}"
            used.append(name)
            own = block.convs[name](z)
            if c == 1:
                return [own]
            half = torch.stack(fractal(c - 1, first_row, z)).mean(0)
            return [*fractal(c - 1, first_row + rows // 2, half), own]

        z = torch.randn(1, 2, 4, 4)
        expected = torch.stack(fractal(columns, 0, z)).mean(0)
        torch.testing.assert_close(block(z), expected)
        assert sorted(used) == sorted(block.convs)
        assert len(used) == 2**columns - 1

    def test_global_drop_path_keeps_one_column(self) -> None:
        block = FractalBlock(2, 2, 3, 0.0).eval()
        z = torch.randn(1, 2, 4, 4)
        for column, steps in ((0, 1), (1, 2), (2, 4)):
            keep = torch.zeros(3)
            keep[column] = 1
            alone = z
            for step in range(steps):
                row = (step + 1) * 4 // steps - 1
                alone = block.convs[f"row{row}_column{column}"](alone)
            torch.testing.assert_close(block(z, keep, 0.15), alone)

    def test_local_drop_path_keeps_at_least_one(self) -> None:
        torch.manual_seed(0)
        block = FractalBlock(1, 1, 2, 0.0).eval()
        z = torch.randn(1, 1, 4, 4)
        deep = block.convs["row1_column1"](block.convs["row0_column1"](z))
        shallow = block.convs["row1_column0"](z)
        allowed = [deep, shallow, (deep + shallow) / 2]
        seen = set()
        for _ in range(60):
            y = block(z, torch.ones(2), 0.6)
            seen |= {i for i, value in enumerate(allowed) if torch.allclose(y, value)}
            assert any(torch.allclose(y, value) for value in allowed)
        assert seen == {0, 1, 2}

    def test_half_of_the_batches_are_global(self) -> None:
        torch.manual_seed(0)
        net = made("fractalnet20", width=1)
        assert isinstance(net, FractalNet)
        kept = torch.stack([net._draw(torch.zeros(1)) for _ in range(600)])
        is_local = kept.sum(1) == 3
        assert float(is_local.float().mean()) == pytest.approx(0.5, abs=0.1)  # five deviations
        assert (kept[~is_local].sum(1) == 1).all()
        assert (kept[~is_local].mean(0) - 1 / 3).abs().max() < 0.12


def test_a_transient_stream_forgets() -> None:
    """Targ 2016: with all weights zero the residual half is what came in, the transient half nothing."""
    layer = TwoStreams(6, 6, 1).eval()
    nn.init.zeros_(layer.conv.weight)
    x = torch.rand(2, 6, 3, 3)
    y = layer(x)
    torch.testing.assert_close(y[:, :3], x[:, :3], rtol=1e-4, atol=1e-5)  # batch norm's ε
    assert not y[:, 3:].any()


def test_root_shortcut_of_ror_reaches_the_end() -> None:
    """With every block and every middle shortcut silent, what is left is the root's projection."""
    net = made("ror56").eval()
    silent = copy.deepcopy(net)
    for path, module in silent.named_modules():
        if isinstance(module, nn.BatchNorm2d) and path.startswith("layer"):
            nn.init.zeros_(module.weight)
    x = torch.randn(1, 3, 8, 8)
    y = silent.relu(silent.bn1(silent.conv1(x)))
    inner = silent.layer3(silent.relu2(silent.layer2(silent.relu1(silent.layer1(y)))))
    torch.testing.assert_close(silent.features(x), (inner + silent.root(y)).relu())
    assert not torch.equal(silent.features(x), inner.relu())


def test_weighted_residuals_begin_as_the_identity() -> None:
    net = made("weighted_resnet20")
    x = torch.randn(1, 16, 4, 4)
    block = net.get_submodule("layer1.0")
    assert torch.equal(block(x), x)
    with torch.no_grad():
        block.weight.fill_(-3.0)
    torch.testing.assert_close(block(x), x - block.residual(x))  # λ is cut off at −1


def test_deeply_fused_stages_are_sums() -> None:
    net = made("deeply_fused20_8").eval()
    x = torch.randn(1, 16, 8, 8)
    stage = net.get_submodule("fusion2")
    assert torch.equal(stage(x), stage.deep(x) + stage.shallow(x))


def test_an_s_cell_is_held_down_by_its_neighbourhood() -> None:
    """Fukushima 1980, eq. 1, at one place, in plain arithmetic."""
    torch.manual_seed(0)
    cells = SCells(2, 3, r=1.5).double()
    u = torch.rand(1, 2, 5, 5, dtype=torch.float64)
    a, b = F.softplus(cells.excitatory.detach()), F.softplus(cells.inhibitory.detach())
    given = cells(u).detach()[0, :, 2, 2]
    for plane in range(3):
        drive = float((a[plane] * u[0]).sum())
        v = float((cells.falloff[0] * u[0] ** 2).sum()) ** 0.5
        expected = 1.5 * max(0.0, (1 + drive) / (1 + 1.5 / 2.5 * float(b[plane]) * v) - 1)
        assert float(given[plane]) == pytest.approx(expected, abs=1e-9)
    assert float(cells.falloff.sum()) == pytest.approx(1.0)


def test_preactivation_leaves_the_shortcut_alone() -> None:
    """He 2016: with the last convolution silent a block is the identity, negative values too."""
    net = made("preact_resnet164", 8).eval()
    block = net.get_submodule("layers.1.1")
    nn.init.zeros_(block.conv3.weight)
    x = torch.randn(1, 128, 4, 4)
    assert torch.equal(block(x), x)


def test_pools_round_up_as_caffes_do() -> None:
    with torch.device("meta"):
        net = create_model("googlenet2014")
        maps = net.features(torch.empty(1, 3, 224, 224))
    assert maps.shape == (1, 1024, 7, 7)
    assert [n for n in list_models() if "googlenet" in n] == ["googlenet", "googlenet2014"]
    assert model_info("googlenet2014").settings == {"auxiliary": True, "dropout": 0.4}
