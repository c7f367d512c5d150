"""The result of a preflight, and its text."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ogive.formatting import plural, rounded_amount
from ogive.space import Architecture

if TYPE_CHECKING:
    from ogive.hardware.model_cost import ModelCost


@dataclass(frozen=True)
class Spread:
    """The minimum, median and maximum of some values."""

    min: float
    median: float
    max: float

    @staticmethod
    def from_values(values: Sequence[float]) -> Spread | None:
        """Return the minimum, median and maximum of `values`; None if `values` is empty."""
        return Spread(min(values), statistics.median(values), max(values)) if values else None


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An architecture that cannot be built or run.

    Attributes:
        architecture: the architecture; in the result of a preflight, the smallest one that was tested with this kind of
            failure.
        phase: "build" or "run".
        layer: the position of the failure. In phase "run", it is the dotted path of the module, or "" for the model itself.
            In phase "build", it is the sentence with the position of the layer that the space has added to the exception.
        layer_class: the class of the module; "" in phase "build".
        input_shapes: the shapes of the tensor inputs of the module.
        error: the class of the exception.
        message: the explanation of the failure.
        parameters: the number of parameters of the model; 0 in phase "build".
        count: the number of samples with this kind of failure.
    """

    architecture: Architecture
    phase: str
    layer: str
    layer_class: str
    input_shapes: tuple[tuple[int, ...], ...]
    error: str
    message: str
    parameters: int = 0
    count: int = 1

    def __str__(self) -> str:
        if self.phase == "build":
            text = f"cannot be built: {self.message}"
        else:
            name = f"{self.layer} ({self.layer_class})" if self.layer else f"the model itself ({self.layer_class})"
            shapes = ", ".join(map(str, map(list, self.input_shapes))) or "no tensors"
            text = f"cannot be run: {name} with inputs of shape {shapes}: {self.message}"
        return f"{text}\n    smallest architecture with this failure: {self.architecture}"


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """The result of building and running sampled architectures without training.

    Attributes:
        samples: the number of sampled architectures.
        draws: the number of random draws, including those that violate the constraint.
        infeasible: the share of the draws that violate the constraint of the space or raise `Infeasible`.
        reasons: the reasons why draws were infeasible, each with its number of draws; the most frequent reason first.
        duplicates: the share of the samples whose id equals that of an earlier sample.
        failed: the share of the samples that cannot be built or run.
        failures: the smallest architecture of each kind of failure, the most frequent first.
        costs: the cost of each sample that can be run, at batch size 1.
        notes: sentences on how the numbers were obtained.
    """

    samples: int
    draws: int
    infeasible: float
    reasons: tuple[tuple[str, int], ...]
    duplicates: float
    failed: float
    failures: tuple[Failure, ...]
    costs: tuple[ModelCost, ...]
    notes: tuple[str, ...] = ()

    @property
    def parameters(self) -> Spread | None:
        """The spread of the number of parameters; None if no sample can be run."""
        return Spread.from_values([cost.parameters for cost in self.costs])

    @property
    def flops(self) -> Spread | None:
        """The spread of the FLOPs, see `FLOP_CONVENTION`; None if no sample can be run."""
        return Spread.from_values([cost.flops for cost in self.costs])

    @property
    def activation_memory(self) -> Spread | None:
        """The spread of the activation memory in bytes, see `ogive.hardware.measure`; None if no sample can be run."""
        return Spread.from_values([cost.activation_memory for cost in self.costs])

    @property
    def ok(self) -> bool:
        """Whether all sampled architectures can be built and run."""
        return not self.failures

    def __str__(self) -> str:
        lines = [f"{plural(self.samples, 'architecture')} sampled"]
        if self.infeasible:
            lines += [f"  {self.infeasible:6.1%} of {plural(self.draws, 'draw')} violate the constraint of the space"]
        lines += [f"    {count} x {reason}" for reason, count in self.reasons]
        lines += [f"  {self.duplicates:6.1%} of the samples are duplicates"]
        lines += [f"  {self.failed:6.1%} of the samples cannot be built or run"]
        lines += [f"    {failure.count} x {failure}" for failure in self.failures]
        spreads = (
            ("parameters", self.parameters, ""),
            ("FLOPs", self.flops, ""),
            ("activation memory", self.activation_memory, "B"),
        )
        lines += [f"  {'':<18}{'min':>12}{'median':>12}{'max':>12}"] if self.costs else []
        lines += [
            f"  {name:<18}" + "".join(f"{rounded_amount(v, unit):>12}" for v in (spread.min, spread.median, spread.max))
            for name, spread, unit in spreads
            if spread is not None
        ]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])
