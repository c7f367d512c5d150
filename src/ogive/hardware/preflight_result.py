"""What a preflight found, and how it is printed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ogive.space import Architecture


@dataclass(frozen=True)
class Spread:
    """Smallest, middle and largest of a number of values."""

    min: float
    median: float
    max: float

    @staticmethod
    def of(values: Sequence[float]) -> Spread | None:
        """The spread of `values`, None without any."""
        return Spread(min(values), statistics.median(values), max(values)) if values else None


@dataclass(frozen=True)
class Failure:
    """An architecture that cannot be built or run.

    Attributes:
        architecture: the smallest one found that fails in this way.
        phase: "build" or "run".
        layer: where it failed: dotted path of the module in the model, "" for the model itself, or of the layer in the
            space when it could not be built.
        layer_class: class of that module, "" when it could not be built.
        input_shapes: shapes of the tensors that the module was given.
        error: class of the exception.
        message: what went wrong, in words.
        parameters: of the model, 0 when it could not be built.
        count: how many of the samples fail in the same way.
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
            where = f"cannot be built: {self.message}"
        else:
            name = f"{self.layer} ({self.layer_class})" if self.layer else f"the model itself ({self.layer_class})"
            shapes = ", ".join(map(str, map(list, self.input_shapes))) or "no tensors"
            where = f"cannot be run: {name}, given {shapes}: {self.message}"
        return f"{where}\n    smallest such architecture: {self.architecture}"


@dataclass(frozen=True)
class Preflight:
    """What was found by building and running sampled architectures without training.

    Attributes:
        samples: architectures sampled.
        draws: random draws it took, those included that the constraint refused.
        infeasible: share of the draws that the constraint refused or a factory called `Infeasible`.
        reasons: why, with the number of draws, the most frequent first.
        duplicates: share of the samples whose id an earlier sample had.
        failed: share of the samples that cannot be built or run.
        failures: the smallest architecture of each kind of failure, the most frequent first.
        parameters, flops, activation_memory: spread over the samples that run, at batch 1; None when none does.
            Activation memory is in bytes. Conventions are those of `ogive.hardware.measure`.
        notes: what a reader must know about how this was found.
    """

    samples: int
    draws: int
    infeasible: float
    reasons: tuple[tuple[str, int], ...]
    duplicates: float
    failed: float
    failures: tuple[Failure, ...]
    parameters: Spread | None
    flops: Spread | None
    activation_memory: Spread | None
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Every sampled architecture can be built and run."""
        return not self.failures

    def __str__(self) -> str:
        lines = [f"{self.samples} architectures sampled in {self.draws} draws"]
        lines += [f"  infeasible  {self.infeasible:7.1%} of the draws"]
        lines += [f"    {count} x {reason}" for reason, count in self.reasons]
        lines += [f"  duplicates  {self.duplicates:7.1%}", f"  failing     {self.failed:7.1%}"]
        lines += [f"  {failure.count} x {failure}" for failure in self.failures]
        if self.parameters and self.flops and self.activation_memory:
            lines += [f"  {'':<26}{'min':>16}{'median':>16}{'max':>16}"]
            rows = (
                ("parameters", self.parameters),
                ("FLOPs", self.flops),
                ("activation memory, bytes", self.activation_memory),
            )
            lines += [f"  {name:<26}{s.min:>16,.0f}{s.median:>16,.0f}{s.max:>16,.0f}" for name, s in rows]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])
