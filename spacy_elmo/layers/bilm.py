"""The bridge from Docs to the PyTorch biLM, with weights that are read when first needed."""

from typing import Any, Callable, List, Optional, Tuple, cast

import srsly
from spacy.tokens import Doc
from thinc.api import ArgsKwargs, Model, PyTorchShim, get_torch_default_device, torch2xp, xp2torch
from thinc.shims import Shim
from thinc.types import Floats3d

from ..bilm import BiLMConfig, Engine, Precision
from ..formats import Source, network_from_bytes, network_to_bytes, parse_config, read_source
from ..spans import SpanGetter, get_sentences

InT = List[Doc]
OutT = List[Floats3d]


def bilm_layer(
    source: Source,
    frozen: bool,
    precision: Precision,
    max_batch_tokens: int,
    get_spans: SpanGetter,
) -> Model[InT, OutT]:
    """Compute the layers of every token.

    source: Where the weights are read from when they are first needed.
    frozen: Whether the biLM stays as it is; its layer then has no gradient.
    precision: What matrix products are computed in, except where gradients are.
    max_batch_tokens: Most tokens that are computed together.
    get_spans: Cuts Docs into sentences.
    """
    return Model(
        "bilm",
        forward,
        init=init,
        dims={"nO": None},
        attrs={"get_spans": get_spans},
        shims=[BiLMShim(source, frozen, precision, max_batch_tokens)],
    )


def init(model: Model[InT, OutT], X: Optional[InT] = None, Y: Optional[OutT] = None) -> None:
    """Read the weights, unless they are there already."""
    shim = cast(BiLMShim, model.shims[0])
    model.set_dim("nO", shim.config.width)


def forward(model: Model[InT, OutT], docs: InT, is_train: bool) -> Tuple[OutT, Callable]:
    """docs: Any Docs; result: for each (n_layers + 1, n_tokens, width), zeros for whitespace."""
    shim = cast(BiLMShim, model.shims[0])
    config = shim.config
    model.set_dim("nO", config.width)
    sentences = get_sentences(docs, model.attrs["get_spans"])
    words = ArgsKwargs(
        ([s.words for in_doc in sentences for s in in_doc],),
        {"max_batch_tokens": shim.max_batch_tokens},
    )
    # In training mode the shim keeps what a gradient needs; a frozen biLM has none.
    tensors, backprop_tensors = shim(words, is_train and not shim.frozen)

    layers = [model.ops.alloc3f(config.n_layers, len(doc), config.width) for doc in docs]
    results = iter(tensors)
    for array, in_doc in zip(layers, sentences):
        for sentence in in_doc:
            result = cast(Floats3d, torch2xp(next(results), ops=model.ops))
            array[:, sentence.tokens] = result[:, sentence.rows]  # type: ignore[index]

    if shim.frozen or not is_train:
        return layers, lambda d_layers: []

    def backprop(d_layers: OutT) -> InT:
        outputs, gradients = [], []
        results = iter(tensors)
        for array, in_doc in zip(d_layers, sentences):
            for sentence in in_doc:
                output = next(results)
                if sentence.words:  # what was not computed has no gradient
                    gradient = model.ops.alloc3f(*output.shape)
                    gradient[:, sentence.rows] = array[:, sentence.tokens]  # type: ignore[index]
                    outputs.append(output)
                    gradients.append(xp2torch(gradient, device=shim.device))
        if outputs:
            backprop_tensors(ArgsKwargs((outputs,), {"grad_tensors": gradients}))
        return []

    return layers, backprop


class BiLMShim(PyTorchShim):
    """Holds the biLM's engine for Thinc and reads it when it is first asked for.

    Serialization is by safetensors, with the options beside them: a shim that is loaded from
    bytes never looks at its source.

    source: Where the weights are read from.
    frozen: Whether the biLM stays as it is.
    precision: What matrix products are computed in, except where gradients are.
    max_batch_tokens: Most tokens that are computed together.
    """

    def __init__(
        self, source: Source, frozen: bool, precision: Precision, max_batch_tokens: int
    ) -> None:
        self._engine: Optional[Engine] = None
        self.source = source
        self.frozen = frozen
        self.precision = precision
        self.max_batch_tokens = max_batch_tokens
        super().__init__(None)

    @property
    def is_loaded(self) -> bool:
        """Whether the weights have been read."""
        return self._engine is not None

    @property
    def engine(self) -> Engine:
        """The engine, on Thinc's current device when it is read."""
        if self._engine is None:
            self._set_network(read_source(self.source))
        return cast(Engine, self._engine)

    @property
    def config(self) -> BiLMConfig:
        """The biLM's options."""
        return self.engine.network.config

    # Everything that PyTorchShim does, it does to ``_model``: reading on access makes all of it
    # (forward, finish_update, to_device, use_params, …) read the weights first.
    @property
    def _model(self) -> Engine:
        return self.engine

    @_model.setter
    def _model(self, value: Any) -> None:
        assert value is None, "the engine is set by reading weights"

    def copy(self) -> "BiLMShim":
        copied = super().copy()
        with Shim.global_id_lock:  # the optimizer tells parameters apart by this number
            Shim.global_id += 1
            copied.id = Shim.global_id
        return copied

    def to_bytes(self) -> bytes:
        network = self.engine.network
        config = network.config.model_dump(mode="json")
        return srsly.msgpack_dumps({"config": config, "state": network_to_bytes(network)})

    def from_bytes(self, bytes_data: bytes) -> "BiLMShim":
        message = srsly.msgpack_loads(bytes_data)
        config = parse_config(srsly.json_dumps(message["config"]), "Serialized biLM")
        self._set_network(network_from_bytes(config, message["state"]))
        return self

    def _set_network(self, network: Any) -> None:
        self._engine = Engine(network, self.precision).to(get_torch_default_device())
