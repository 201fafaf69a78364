"""FractalNet: depth without residuals, by a rule that expands itself.

    f_1(z) = conv(z),       f_{C+1}(z) = join( f_C(f_C(z)), conv(z) )

Larsson, Maire and Shakhnarovich 2016, eqs. 1 and 2. conv is 3×3, batch norm, ReLU; a join is the mean. Five blocks,
a 2×2 max-pool after each, 64 128 256 512 512 maps (§4.1), `width` being the
first of them; C = 3 columns are 20 layers, C = 4 are 40.

Drop-path (§3): *local*, a join drops each of its inputs with probability 0.15 but keeps at least one; *global*, one
column is kept throughout the net. Half of the mini-batches draw the one, half the other. At test time every join
averages all its inputs. Dropout of 0, 0.1, 0.2, 0.3, 0.4 in the five blocks is `dropout=0.4`, zero by default.
"""

import torch
from torch import Tensor, nn

from striate.nets.net import Net, NetSpec, Stage
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.initialise import he
from striate.nets.zoo.settings import count, probability

__all__ = ["NETS", "FractalBlock", "FractalNet"]

GROWTH = (1, 2, 4, 8, 8)  # maps of a block in those of the first
LOCAL_DROP = 0.15


class FractalBlock(nn.Module):
    """C columns: [N, channels, H, W] → [N, width, H, W]. Column c (from 0) has 2^(C−1−c) steps of 2^c rows each.

    Rows are the deepest column's convolutions; column c has one after every 2^(C−1−c) rows, and there all columns
    that end are joined. That unrolls the recursion.
    """

    def __init__(self, channels: int, width: int, columns: int, dropout: float) -> None:
        super().__init__()
        self.columns, self.rows = columns, 2 ** (columns - 1)
        self.convs = nn.ModuleDict()
        for row in range(self.rows):
            for column in self._ending(row):
                span = self._span(column)
                first = row + 1 == span
                self.convs[f"row{row}_column{column}"] = _conv(channels if first else width, width, dropout)

    def forward(self, x: Tensor, keep_column: Tensor | None = None, drop: float = 0.0) -> Tensor:
        """`keep_column` [C]: one for the column kept, or all ones; None joins all. `drop`: of local drop-path."""
        state = [x] * self.columns  # what each column last saw
        for row in range(self.rows):
            ending = self._ending(row)
            outputs = [self.convs[f"row{row}_column{column}"](state[column]) for column in ending]
            joined = _join(outputs, None if keep_column is None else keep_column[ending], drop)
            for column in ending:
                state[column] = joined
        return state[0]

    def _span(self, column: int) -> int:
        """Rows that one convolution of `column` stands beside: column 0 has one convolution, the last has one a row."""
        return int(2 ** (self.columns - 1 - column))

    def _ending(self, row: int) -> list[int]:
        return [column for column in range(self.columns) if (row + 1) % self._span(column) == 0]


class FractalNet(Net):
    """x [N, in_chans, H, W] → features [N, 8 · width, ⌊H / 32⌋, ⌊W / 32⌋] → scores."""

    def __init__(
        self, spec: NetSpec, columns: int, *, width: int = 64, drop_path: float = LOCAL_DROP, dropout: float = 0.0
    ) -> None:
        super().__init__(spec)
        width = count("width is the number of maps of the first block, a whole number from 1", width)
        widths = tuple(width * growth for growth in GROWTH)
        self.columns = columns
        self.drop_path, last = probability("drop_path", drop_path), probability("dropout", dropout)
        self.blocks = nn.ModuleList(
            FractalBlock(channels, maps, columns, last * i / (len(widths) - 1))
            for i, (channels, maps) in enumerate(zip((spec.in_chans, *widths[:-1]), widths, strict=True))
        )
        self.stages = tuple(Stage(name=f"pools.{i}", stride=2 ** (i + 1), channels=n) for i, n in enumerate(widths))
        self.pools = nn.ModuleList(nn.MaxPool2d(2) for _ in widths)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(widths[-1], spec.num_classes)
        he(self, convolutions="fan_in", output=self.linear)

    def features(self, x: Tensor) -> Tensor:
        keep_column, drop = None, 0.0
        if self.training and self.drop_path:
            keep_column, drop = self._draw(x), self.drop_path
        for block, pool in zip(self.blocks, self.pools, strict=True):
            x = pool(block(x, keep_column, drop))
        return x

    def head(self, f: Tensor) -> Tensor:
        scores: Tensor = self.linear(self.avgpool(f).flatten(1))
        return scores

    def _draw(self, x: Tensor) -> Tensor:
        """All ones for a mini-batch with local drop-path, a single one for global: [C]."""
        chosen = torch.rand(self.columns, device=x.device).argmax()
        one = torch.arange(self.columns, device=x.device) == chosen
        is_local = torch.rand((), device=x.device) < 0.5
        return (one | is_local).to(x.dtype)


def _conv(channels: int, width: int, dropout: float) -> nn.Sequential:
    conv = nn.Conv2d(channels, width, 3, padding=1, bias=False)
    noise: list[nn.Module] = [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(conv, *noise, nn.BatchNorm2d(width), nn.ReLU())


def _join(outputs: list[Tensor], kept: Tensor | None, drop: float) -> Tensor:
    """The mean of the outputs that are there; at least one is."""
    stacked = torch.stack(outputs)
    if kept is None or len(outputs) == 1:
        return stacked.mean(0)
    survivor = torch.rand(len(outputs), device=kept.device).argmax()
    alive = (torch.rand(len(outputs), device=kept.device) >= drop).to(kept.dtype)
    alive = torch.where(alive.sum() > 0, alive, (torch.arange(len(outputs), device=kept.device) == survivor).to(kept))
    is_global = kept.sum() < len(outputs)  # a single column is kept, or none of those that end here
    none_here = kept.sum() == 0  # this join then leads nowhere; its mean is never used
    weights = torch.where(is_global, torch.where(none_here, torch.ones_like(kept), kept), alive)
    return torch.einsum("k,kn...->n...", weights / weights.sum(), stacked)


NETS = {
    f"fractalnet{layers}": Entry(build=FractalNet, args=(columns,), input_size=(32, 32), source="Larsson 2016, §4.1")
    for layers, columns in ((20, 3), (40, 4))
}
