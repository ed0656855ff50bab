"""The biLM as a PyTorch module: token encoder, then a stack of LSTMs in each direction."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .config import BiLMConfig, LSTMConfig
from .lstm import ProjectedLSTM
from .packing import Packing
from .token_encoder import TokenEncoder


class LSTMStack(nn.Module):
    """The LSTM layers of one direction. Layers after the first add their input to their output
    if the options ask for skip connections.

    config: Options of the LSTMs.
    """

    def __init__(self, config: LSTMConfig) -> None:
        super().__init__()
        self.use_skip_connections = config.use_skip_connections
        self.layers = nn.ModuleList(
            ProjectedLSTM(
                config.projection_dim,
                config.dim,
                config.projection_dim,
                config.cell_clip,
                config.proj_clip,
            )
            for _ in range(config.n_layers)
        )

    def forward(self, x: Tensor, batch_sizes: list[int]) -> list[Tensor]:
        """x: (n_tokens, projection_dim), packed; result: each layer's output, of x's shape."""
        outputs: list[Tensor] = []
        for i, layer in enumerate(self.layers):
            y, _ = layer(x, batch_sizes)
            x = x + y if i > 0 and self.use_skip_connections else y
            outputs.append(x)
        return outputs


class BiLMNetwork(nn.Module):
    """The bidirectional language model of Peters et al. (2018), without its softmax.

    config: The options.
    """

    def __init__(self, config: BiLMConfig) -> None:
        super().__init__()
        self.config = config
        self.token_encoder = TokenEncoder(config.char_cnn, config.lstm.projection_dim)
        self.forward_lstm = LSTMStack(config.lstm)
        self.backward_lstm = LSTMStack(config.lstm)

    def forward(self, words: Tensor, word_ids: Tensor, lengths: Sequence[int]) -> Tensor:
        """The layers of every token, each sentence from a zero state.

        words: (n_words, projection_dim): the token encoder's output for the distinct words.
        word_ids: (n_tokens,) int64: each token's row of ``words``, sentence after sentence.
            Sentence boundaries are tokens here.
        lengths: Tokens of each sentence, at least 1.
        RETURNS: (n_layers + 1, n_tokens, 2 * projection_dim), in the order of ``word_ids``.
            Layer 0 is the token encoder's output, twice.
        """
        packing = Packing.from_lengths(lengths, words.device)
        halves = []
        for stack, order in [
            (self.forward_lstm, packing.forward),
            (self.backward_lstm, packing.backward),
        ]:
            packed = words[word_ids[order]]
            layers = torch.stack([packed, *stack(packed, packing.batch_sizes)])
            halves.append(layers[:, order.argsort()])
        return torch.cat(halves, dim=2)
