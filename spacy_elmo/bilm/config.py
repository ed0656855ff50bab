"""What shapes a biLM: the fields of the published ``options.json``, and those of biLMs with a
lexicon, which have no such file."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Optional, Union

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    NonNegativeInt,
    PositiveFloat,
    Tag,
    field_validator,
    model_validator,
)

from . import characters, lexicon

Size = Annotated[int, Field(gt=0, le=2**20)]  # beyond that, a mistake


class Section(BaseModel):
    """A validated, immutable group of options. Every field is required (``null`` where a value
    may be absent), so that a misspelt name is reported instead of replaced by a default. Other
    fields, such as bilm-tf's training settings, are ignored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class EmbeddingConfig(Section):
    """The table of character embeddings.

    dim: Width of one character's embedding.
    """

    dim: Size


class LexiconConfig(EmbeddingConfig):
    """A table of embeddings whose rows have names.

    entries: The names, in the order of the rows. ``<oov>`` stands for whatever isn't among them.
    """

    entries: tuple[str, ...]

    @field_validator("entries")
    @classmethod
    def _distinct(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(entries)) < len(entries):
            raise ValueError("an entry stands there twice")
        _require(entries, [lexicon.OOV])
        return entries


class ConvolutionConfig(Section):
    """The convolutional network over the characters of a word.

    activation: What follows each convolution.
    filters: Pairs of a convolution's width in characters and its number of filters.
    n_highway: Number of highway layers.
    max_characters_per_token: Characters a word is cut or padded to, with begin and end of word.
    """

    activation: Literal["relu", "tanh"]
    filters: tuple[tuple[Size, Size], ...] = Field(min_length=1)
    n_highway: NonNegativeInt
    max_characters_per_token: int = Field(ge=3)

    @model_validator(mode="after")
    def _filters_fit(self) -> "ConvolutionConfig":
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


class CharCNNConfig(ConvolutionConfig):
    """A token encoder whose characters are bytes: that of bilm-tf and AllenNLP.

    embedding: The table of character embeddings.
    n_characters: 262 in files meant for use, 261 in bilm-tf's training checkpoints: the former
        counts a row of zeros for padding that is not stored. Both name the same 261 rows.
    """

    embedding: EmbeddingConfig
    n_characters: Literal[261, 262]

    @property
    def boundaries(self) -> tuple[str, str]:
        """The words fed at begin and end of a sentence."""
        return characters.SENTENCE_BEGIN, characters.SENTENCE_END


class LexiconCNNConfig(ConvolutionConfig):
    """A token encoder whose characters are those of a lexicon, with a lexicon of whole words
    beside it or not: that of ELMoForManyLangs.

    characters: The table of character embeddings.
    words: The table of word embeddings; null for none.
    max_characters_per_token: At least so many that the boundaries of sentences fit.
    """

    characters: LexiconConfig
    words: Optional[LexiconConfig]
    max_characters_per_token: int = Field(ge=2 + len(lexicon.SENTENCE_BEGIN))

    @field_validator("characters")
    @classmethod
    def _special_characters(cls, characters: LexiconConfig) -> LexiconConfig:
        _require(characters.entries, lexicon.SPECIAL_CHARACTERS)
        return characters

    @property
    def boundaries(self) -> tuple[str, str]:
        """The words fed at begin and end of a sentence."""
        return lexicon.SENTENCE_BEGIN, lexicon.SENTENCE_END


def _require(entries: tuple[str, ...], required: Iterable[str]) -> None:
    missing = [name for name in required if name not in entries]
    if missing:
        raise ValueError(f"there is no entry {' or '.join(missing)}")


KINDS = BYTES, LEXICON = "bytes", "lexicon"  # of token encoders


def _kind(char_cnn: Any) -> str:
    """Only a token encoder with a lexicon has ``characters``."""
    if isinstance(char_cnn, LexiconCNNConfig):
        return LEXICON
    return LEXICON if isinstance(char_cnn, dict) and "characters" in char_cnn else BYTES


class LSTMConfig(Section):
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


class ScalarMixConfig(Section):
    """A weighting of the layers: ``gamma * sum_j softmax(weights)_j * h_j``.

    weights: One for each layer, the token encoder's first, before the softmax.
    gamma: The factor of the whole.
    """

    weights: tuple[FiniteFloat, ...]
    gamma: FiniteFloat


class BiLMConfig(Section):
    """The whole biLM, in the layout of the published ``options.json``.

    lstm: The LSTMs of both directions.
    char_cnn: The token encoder, of either kind.
    scalar_mix: The weighting of the layers that came with the weights, which TF-Hub's modules
        have. The one option that may be missing: the published layout has none.
    """

    lstm: LSTMConfig
    char_cnn: Annotated[
        Union[Annotated[CharCNNConfig, Tag(BYTES)], Annotated[LexiconCNNConfig, Tag(LEXICON)]],
        Discriminator(_kind),
    ]
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
