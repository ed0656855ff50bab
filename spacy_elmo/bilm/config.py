"""What shapes a biLM: the fields of the published ``options.json``."""

from typing import Annotated, Literal, Optional

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeInt,
    PositiveFloat,
    model_validator,
)

Size = Annotated[int, Field(gt=0, le=2**20)]  # beyond that, a mistake


class _Section(BaseModel):
    """A validated, immutable group of options. Every field is required (``null`` where a value
    may be absent), so that a misspelt name is reported instead of replaced by a default. Other
    fields, such as bilm-tf's training settings, are ignored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class EmbeddingConfig(_Section):
    """The table of character embeddings.

    dim: Width of one character's embedding.
    """

    dim: Size


class CharCNNConfig(_Section):
    """The token encoder: a convolutional network over the characters (bytes) of a word.

    activation: What follows each convolution.
    filters: Pairs of a convolution's width in characters and its number of filters.
    n_highway: Number of highway layers.
    embedding: The table of character embeddings.
    n_characters: 262 in files meant for use, 261 in bilm-tf's training checkpoints: the former
        counts a row of zeros for padding that is not stored. Both name the same 261 rows.
    max_characters_per_token: Characters a word is cut or padded to, with begin and end of word.
    """

    activation: Literal["relu", "tanh"]
    filters: tuple[tuple[Size, Size], ...] = Field(min_length=1)
    n_highway: NonNegativeInt
    embedding: EmbeddingConfig
    n_characters: Literal[261, 262]
    max_characters_per_token: int = Field(ge=3)

    @model_validator(mode="after")
    def _filters_fit(self) -> "CharCNNConfig":
        if self.widest_filter > self.max_characters_per_token:
            raise ValueError(
                f"a filter of width {self.widest_filter} doesn't fit into "
                f"{self.max_characters_per_token} characters (max_characters_per_token)"
            )
        return self

    @property
    def n_filters(self) -> int:
        """Filters of all widths together: the width of the highway layers."""
        return sum(n_filters for _, n_filters in self.filters)

    @property
    def widest_filter(self) -> int:
        """Width of the widest convolution, in characters."""
        return max(width for width, _ in self.filters)


class LSTMConfig(_Section):
    """The stack of projected LSTMs of one direction; both directions have the same shape.

    dim: Cells of a layer.
    projection_dim: Width that a layer's output is projected to.
    n_layers: Number of LSTM layers.
    cell_clip: Largest absolute value of a cell's state; null for no limit.
    proj_clip: Largest absolute value of a projected output; null for no limit.
    use_skip_connections: Whether each layer after the first adds its input to its output.
    """

    dim: Size
    projection_dim: Size
    n_layers: Size
    cell_clip: Optional[PositiveFloat]
    proj_clip: Optional[PositiveFloat]
    use_skip_connections: bool


class ScalarMixConfig(_Section):
    """A weighting of the layers: ``gamma * sum_j softmax(weights)_j * h_j``.

    weights: One for each layer, the token encoder's first, before the softmax.
    gamma: The factor of the whole.
    """

    weights: tuple[FiniteFloat, ...]
    gamma: FiniteFloat


class BiLMConfig(_Section):
    """The whole biLM, in the layout of the published ``options.json``.

    lstm: Options of the LSTMs.
    char_cnn: Options of the token encoder.
    scalar_mix: The weighting of the layers that came with the weights, which TF-Hub's modules
        have. The one option that may be missing: the published layout has none.
    """

    lstm: LSTMConfig
    char_cnn: CharCNNConfig
    scalar_mix: Optional[ScalarMixConfig] = None

    @model_validator(mode="after")
    def _mix_fits(self) -> "BiLMConfig":
        if self.scalar_mix is not None and len(self.scalar_mix.weights) != self.n_layers:
            raise ValueError(
                f"a scalar mix with {len(self.scalar_mix.weights)} weights doesn't fit "
                f"{self.n_layers} layers (lstm.n_layers and the token encoder's)"
            )
        return self

    @property
    def n_layers(self) -> int:
        """Layers a token has: the token encoder's and one for each biLSTM layer."""
        return self.lstm.n_layers + 1

    @property
    def width(self) -> int:
        """Width of a layer: both directions beside each other."""
        return 2 * self.lstm.projection_dim

    @property
    def mix_start(self) -> ScalarMixConfig:
        """Where the learning of a mix starts: what came with the weights, or the layers' mean."""
        return self.scalar_mix or ScalarMixConfig(weights=(0.0,) * self.n_layers, gamma=1.0)
