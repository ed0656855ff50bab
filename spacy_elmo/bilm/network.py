"""The biLM as a PyTorch module: token encoder, then a stack of LSTMs in each direction."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Optional, Union

from torch import Tensor, nn

from .config import BiLMConfig, LexiconCNNConfig, LSTMConfig
from .lexicon_encoder import LexiconEncoder
from .lstm import LSTMState, ProjectedLSTM
from .step_order import StepOrder
from .threads import side_by_side, use_one_thread_if_forked
from .token_encoder import TokenEncoder

LSTMStates = list[LSTMState]  # one a layer
States = tuple[LSTMStates, LSTMStates]  # of both directions


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

    def forward(
        self,
        x: Tensor,
        batch_sizes: list[int],
        states: Optional[LSTMStates] = None,
        *,
        keep: Optional[Tensor] = None,
        dropout: Optional[Callable[[Tensor], Tensor]] = None,
    ) -> tuple[list[Tensor], LSTMStates]:
        """Run all layers over all time steps.

        x: (n_tokens, projection_dim), in the order of time steps (``StepOrder``).
        batch_sizes: Sentences that are running at each time step.
        states: Where each layer starts; zeros if None.
        keep: (n_tokens, 1): 0 for tokens that are read from a state of zeros, else 1; None for
            all ones. For training.
        dropout: What each layer's inputs go through. For training.
        RETURNS: Each layer's output, of x's shape, and the states after the last tokens.
        """
        outputs: list[Tensor] = []
        final: LSTMStates = []
        for i, layer in enumerate(self.layers):
            if dropout is not None:
                x = dropout(x)
            options = {} if keep is None else {"keep": keep}
            y, state = layer(x, batch_sizes, None if states is None else states[i], **options)
            x = x + y if i > 0 and self.use_skip_connections else y
            outputs.append(x)
            final.append(state)
        return outputs, final


class BiLMNetwork(nn.Module):
    """The bidirectional language model of Peters et al. (2018), without its softmax.

    config: The options.
    """

    def __init__(self, config: BiLMConfig) -> None:
        super().__init__()
        use_one_thread_if_forked()  # where weights are read, too
        self.config = config
        self.token_encoder: Union[TokenEncoder, LexiconEncoder]
        if isinstance(config.char_cnn, LexiconCNNConfig):
            self.token_encoder = LexiconEncoder(config.char_cnn, config.lstm.projection_dim)
        else:
            self.token_encoder = TokenEncoder(config.char_cnn, config.lstm.projection_dim)
        self.forward_lstm = LSTMStack(config.lstm)
        self.backward_lstm = LSTMStack(config.lstm)

    def forward(
        self,
        words: Tensor,
        word_ids: Tensor,
        lengths: Sequence[int],
        states: Optional[States] = None,
    ) -> tuple[Tensor, States]:
        """The layers of every token.

        words: (n_words, projection_dim): the token encoder's output for the distinct words.
        word_ids: (n_tokens,) int64: each token's row of ``words``, sentence after sentence.
            Sentence boundaries are tokens here.
        lengths: Tokens of each sentence, at least 1.
        states: Where the layers of both directions start, sentences sorted by falling length;
            zeros if None.
        RETURNS: The layers, (n_layers + 1, n_tokens, 2 * projection_dim), in the order of
            ``word_ids``; layer 0 is the token encoder's output, twice. And the states of both
            directions after their last tokens.
        """
        step_order = StepOrder.from_lengths(lengths, words.device)
        layers = words.new_empty(self.config.n_layers, len(word_ids), 2, words.shape[1])

        def run(
            direction: int, stack: nn.Module, order: Tensor, start: Optional[LSTMStates]
        ) -> LSTMStates:
            x = words[word_ids[order]]
            outputs, end = stack(x, step_order.batch_sizes, start)
            for layer, output in enumerate([x, *outputs]):
                layers[layer, order, direction] = output
            return end

        starts = (None, None) if states is None else states
        forward_end, backward_end = side_by_side(
            [
                partial(run, 0, self.forward_lstm, step_order.forward, starts[0]),
                partial(run, 1, self.backward_lstm, step_order.backward, starts[1]),
            ],
            words.device,
        )
        return layers.flatten(2), (forward_end, backward_end)
