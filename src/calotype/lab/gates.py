"""Gates: what the embedded model must reach when it was trained on a CPU."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Gate:
    """A threshold on one metric."""

    threshold: float
    at_least: bool = True

    def against(self, oracle: float | None) -> "Gate":
        """The gate where even true scenes pass it narrowly: below 1.1 times it, nine tenths of their figure."""
        if oracle is None or not self.at_least or oracle >= 1.1 * self.threshold:
            return self
        return Gate(0.9 * oracle)

    def passed_by(self, value: float) -> bool:
        """Whether the value reaches the threshold."""
        return value >= self.threshold if self.at_least else value <= self.threshold


GATES: dict[str, Gate] = {
    "V1 PSNR": Gate(28),
    "V1 PSNR, boxes": Gate(22),
    "V2 SSIM": Gate(0.90),
    "V3 things named": Gate(0.95),
    "C1 caption found": Gate(0.70),
    "C1 picture found": Gate(0.70),
    "C2 near miss told": Gate(0.80),
    "G1 single": Gate(0.60),
    "G2 two": Gate(0.25),
    "G3 position, both there": Gate(0.80),
    "G3 position": Gate(0.20),
    "G4 background": Gate(0.85),
    "G6 counting": Gate(0.40),
    "G8 held-out / seen": Gate(0.7),
    "D1 Fréchet": Gate(15, at_least=False),
    "D2 diversity": Gate(0.5),
}
"""By metric. Those not named are reported without a gate."""
