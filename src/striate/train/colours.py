"""What is fitted to the training part before the first step: its mean and deviation, its principal colours."""

import dataclasses
from typing import final

from striate.augment import PCAColor
from striate.data import Dataset, Preprocess
from striate.data.pca import Components, PixelSums, components
from striate.data.preprocess import WindowSums
from striate.data.sums import summed
from striate.data.whitening import Whitening
from striate.train.settings import Settings

__all__ = ["Colours"]


@final
class Colours:
    """Fitted when asked for. Where principal colours are asked for first, one pass over the images finds both."""

    def __init__(self, settings: Settings, data: Dataset) -> None:
        """`settings` say what the net sees: they are resolved."""
        assert settings.size is not None
        assert settings.channels is not None
        self._samples, self._channels = data.train, settings.channels
        self._size, self._resize = (settings.size, settings.size), settings.resize
        self._threads = max(1, settings.workers)
        self._whitening = settings.preprocess
        self._normalised: Preprocess | None = None
        self._preprocess: Preprocess | None = None
        self._pca: Components | None = None

    def preprocess(self) -> Preprocess:
        """As `Preprocess.fit`, and the mean image or the whitening that the settings name."""
        if self._preprocess is None:
            fitted = self._normalised or Preprocess.fit(
                self._samples, self._channels, self._size, resize=self._resize, threads=self._threads
            )
            if self._whitening != "channel":
                whitening = Whitening.fit(self._whitening, self._samples, fitted, workers=self._threads)
                fitted = dataclasses.replace(fitted, whitening=whitening)
            self._preprocess = fitted
        return self._preprocess

    def pca(self) -> PCAColor:
        """As `fit_pca`, to be added to images."""
        if self._pca is None:
            channels = self._channels
            nothing, one = (0.0,) * channels, (1.0,) * channels
            neutral = Preprocess(channels=channels, size=self._size, resize=self._resize, mean=nothing, std=one)
            kinds = [lambda: PixelSums(channels), lambda: WindowSums(neutral)]
            count, (pixels, windows) = summed(self._samples, channels, kinds, threads=self._threads)
            self._pca = components(pixels, channels)
            self._normalised = neutral.fitted(count, windows)
        values, vectors = self._pca
        return PCAColor(tuple(values.tolist()), tuple(map(tuple, vectors.tolist())))
