"""A gated two-layer network: Dauphin et al. 2017 (arXiv:1612.08083)."""

from dataclasses import dataclass

from zoo.configs._base import Config, Input


@dataclass(frozen=True, kw_only=True)
class GatedMLPConfig(Config):
    """Width of the input, of the gated layer, and of the logits."""

    in_features: int = 6
    hidden: int = 5
    num_classes: int = 3

    def validate(self) -> None:
        self._positive("in_features", "hidden", "num_classes")

    def inputs(self) -> tuple[Input, ...]:
        return (Input("features", (self.in_features,)),)


PRESETS = {"gated_mlp": GatedMLPConfig()}
