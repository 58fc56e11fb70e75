"""A conditional choice model: a softmax over the candidates of an alias.

A candidate's logit is a linear part plus one hidden layer of its features;
the weights start from a fixed sine sequence and are fitted by Adam.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Hidden units, passes over the sample, first rate (a cosine takes it to 0), groups a step.
WIDTH = 32
EPOCHS = 12
RATE = 0.01
BATCH = 256


@dataclass
class Network:
    """Standardisation and weights; plain arrays, so it pickles small."""

    mean: Floats
    spread: Floats
    hidden: Floats
    bias: Floats
    out: Floats
    linear: Floats

    def to_json(self) -> dict[str, Any]:
        """The weights as lists, which a run's plan can hold."""
        return {part.name: getattr(self, part.name).tolist() for part in fields(self)}

    @classmethod
    def from_json(cls, weights: dict[str, Any]) -> Network:
        """The inverse of `to_json`."""
        return cls(**{name: np.asarray(values, np.float32) for name, values in weights.items()})

    def logits(self, features: Floats) -> Floats:
        """One logit a row."""
        scaled = (features - self.mean) / self.spread
        layer = np.maximum(scaled @ self.hidden + self.bias, 0)
        logits: Floats = (layer @ self.out + scaled @ self.linear).astype(np.float32)
        return logits

    def probabilities(self, features: Floats, start: NDArray[np.int64]) -> Floats:
        """Softmax within the groups of rows that begin at `start`."""
        return softmax(self.logits(features), start)


def softmax(logits: Floats, start: NDArray[np.int64]) -> Floats:
    """Softmax within the groups of rows that begin at `start`."""
    sizes = np.diff(np.r_[start, len(logits)])
    raised = np.exp(logits - np.repeat(np.maximum.reduceat(logits, start), sizes))
    return (raised / np.repeat(np.add.reduceat(raised, start), sizes)).astype(np.float32)


def initial(features: Floats, width: int) -> Network:
    """A network of fixed small weights, standardised by the features."""
    size = features.shape[1]
    waves = np.sin(np.arange(1, size * width + 1, dtype=np.float64) ** 2 * 1.234567)
    return Network(
        mean=features.mean(axis=0),
        spread=features.std(axis=0) + np.float32(1e-3),
        hidden=(waves.reshape(size, width) * np.sqrt(2 / size)).astype(np.float32),
        bias=np.zeros(width, np.float32),
        out=np.zeros(width, np.float32),
        linear=np.zeros(size, np.float32),
    )


def fit(features: Floats, start: NDArray[np.int64], right: Floats) -> Network:
    """Fit by Adam; `right` is 1 on the row of the true choice in every group, else 0."""
    network = initial(features, WIDTH)
    names = ("hidden", "bias", "out", "linear")
    moments = {name: [np.zeros_like(getattr(network, name)) for _ in range(2)] for name in names}
    edges = np.r_[start, len(features)]
    batches = range(0, len(start), BATCH)
    total, step = EPOCHS * len(batches), 0
    for _ in range(EPOCHS):
        for low in batches:
            high = min(low + BATCH, len(start))
            rows = slice(edges[low], edges[high])
            scaled = (features[rows] - network.mean) / network.spread
            slopes = gradients(network, scaled, start[low:high] - edges[low], right[rows])
            step += 1
            rate = RATE * 0.5 * (1 + np.cos(np.pi * step / total))
            for name in names:
                descend(getattr(network, name), slopes[name], moments[name], step, rate)
    return network


def gradients(network: Network, scaled: Floats, start: NDArray[np.int64], right: Floats) -> dict[str, Floats]:
    """Gradients of the mean negative log-likelihood, with a little weight decay."""
    before = scaled @ network.hidden + network.bias
    layer = np.maximum(before, 0)
    logits = (layer @ network.out + scaled @ network.linear).astype(np.float32)
    error = (softmax(logits, start) - right) / np.float32(len(start))
    back = np.outer(error, network.out) * (before > 0)
    decay = np.float32(1e-4)
    slopes = {
        "hidden": scaled.T @ back + decay * network.hidden,
        "bias": back.sum(axis=0),
        "out": layer.T @ error + decay * network.out,
        "linear": scaled.T @ error,
    }
    return {name: slope.astype(np.float32) for name, slope in slopes.items()}


def descend(weights: Floats, slope: Floats, moments: list[Floats], step: int, rate: float) -> None:
    """One step of Adam, in place."""
    first, second = moments
    first += np.float32(0.1) * (slope - first)
    second += np.float32(0.001) * (slope * slope - second)
    size = np.sqrt(second / (1 - 0.999**step)) + 1e-8
    weights -= np.float32(rate) * (first / (1 - 0.9**step) / size).astype(np.float32)
