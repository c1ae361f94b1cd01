"""A network in training: its module, with every learned number in one flat tensor."""

from dataclasses import dataclass

import numpy as np
import torch

from sklmlp import native
from sklmlp.nn.activation_spec import output_rule
from sklmlp.nn.builder import build_layers
from sklmlp.nn.compiled import make_plan
from sklmlp.nn.custom_module import load_custom_module, named_tensors, random_stream
from sklmlp.nn.layers import is_batch_norm
from sklmlp.nn.spec import Weights, initial_weights
from sklmlp.nn.tied import TiedNetwork


@dataclass
class _Modules:
    """The modules of a network, and what they learn.

    Parameters
    ----------
    module : torch.nn.Module
    layers : LayerModules or None
        What a stack is made of; None for a user's module.
    matrices, rest : list of torch.nn.Parameter
        In the order in which they lie in `Network.flat`.
    """

    module: torch.nn.Module
    layers: object
    matrices: list
    rest: list

    @classmethod
    def of(cls, spec, weights, dtype, device):
        """Build them; those of a stack are over given tensors."""
        if spec.module is None:
            layers = build_layers(spec, weights)
            return cls(layers.to_module(), layers, *_in_order(layers))
        module = load_custom_module(spec, weights, dtype, device)
        learned = [p for p in module.parameters() if p.requires_grad]
        matrices = [p for p in learned if p.ndim > 1]
        return cls(module, None, matrices, [p for p in learned if p.ndim <= 1])


class Network:
    """The module of a spec whose parameters and gradients are views of one flat tensor each.

    A network that learns nothing but coefs and intercepts builds its modules when somebody asks for
    them: the compiled engine does not.

    Parameters
    ----------
    spec : Spec
    weights : Weights
    dtype : torch.dtype
    device : torch.device

    Attributes
    ----------
    module : torch.nn.Module
    activations : list of torch.nn.Module
        Those of the hidden layers, which are part of `module`.
    coefs, intercepts : list of tensor
        Views of `flat`, in scikit-learn's layout. A user's module has none.
    flat, gradient : torch.nn.Parameter, tensor of shape (n_parameters,)
        Matrices, then the rest. Of a stack these are coefs (as `is_stored_transposed` says) and
        projections of residual layers; intercepts, then parameters of activations and of
        normalizations. Of a user's module, parameters of two and more axes; and the others.
    n_coefs : int
        How many of them, from the start, the penalty `alpha` sees: the matrices.
    learned : list of torch.nn.Parameter
        The module's parameters that lie in `flat`, in order.
    matrix_shapes : list of torch.Size
        What these are made of, in order and as they lie in `flat`.
    transposed : list of bool
        For each of the coefs whether they lie in `flat` as (fan out, fan in).
    dropout_seed : int
        Of the compiled engine's random numbers.
    statistics : ndarray or None
        Running means and variances of a network that was compiled, or the edges of its bins.
    """

    def __init__(self, spec, weights, dtype, device):
        def tensors(arrays):
            return [torch.from_numpy(np.array(a)).to(device, dtype) for a in arrays]

        self.spec, self._own_numbers, self.dropout_seed = spec, None, 0
        self._plan = self.statistics = None
        coefs, intercepts = tensors(weights.coefs), tensors(weights.intercepts)
        state = weights.state
        self._module_seed = weights.module_seed
        self.transposed = [is_stored_transposed(*coef.shape) for coef in coefs]
        self._modules, self._batch_norms, n_matrices = None, [], len(coefs)
        if spec.learns_layers_alone and not state:
            pairs = zip(coefs, self.transposed, strict=True)
            stored = [coef.T if transposed else coef for coef, transposed in pairs] + intercepts
        else:
            if state is not None:
                state = {name: np.array(value) for name, value in state.items()}
            weights = Weights(coefs, intercepts, state, self._module_seed)
            self._modules = _Modules.of(spec, weights, dtype, device)
            self._batch_norms = [m for m in self.module.modules() if is_batch_norm(m)]
            stored = [p.detach().T if t else p.detach() for p, t in self._parameters()]
            n_matrices = len(self._modules.matrices)
        self._shapes = [value.shape for value in stored]
        self.matrix_shapes = self._shapes[:n_matrices]
        self.n_coefs = sum(shape.numel() for shape in self.matrix_shapes)
        flat = torch.cat([value.reshape(-1) for value in stored])
        self.flat = torch.nn.Parameter(flat)
        self.bind(flat, torch.zeros_like(flat))

    def bind(self, flat, gradient):
        """Move into other memory that holds the same numbers."""
        self.flat.data, self.flat.grad, self.gradient = flat, gradient, gradient
        values, n_matrices = _views(flat, self._shapes), len(self.matrix_shapes)
        coefs = zip(values, self.transposed, strict=False)
        self.coefs = [value.T if transposed else value for value, transposed in coefs]
        self.intercepts = values[n_matrices : n_matrices + len(self.transposed)]
        if self._modules is not None:
            self._bind_modules(values)

    def _bind_modules(self, values):
        """Let the modules' parameters be these views of `flat`, and their gradients alike."""
        slopes = _views(self.gradient, self._shapes)
        for (p, transpose), value, slope in zip(self._parameters(), values, slopes, strict=True):
            p.data, p.grad = (value.T, slope.T) if transpose else (value, slope)
        self._gradients = [p.grad for p in self.learned]

    def _parameters(self):
        """Pair what the modules learn with whether it lies transposed in `flat`."""
        # torch keeps a linear map as (out, in), and so is a transposed one in memory
        others = len(self.learned) - len(self.transposed)
        transpose = [not transposed for transposed in self.transposed] + [False] * others
        return list(zip(self.learned, transpose, strict=True))

    def _built(self):
        """Return the modules, built where they are not."""
        if self._modules is None:
            with torch.inference_mode(False):  # the modules outlive the caller's modes
                like = [[*map(torch.empty_like, each)] for each in (self.coefs, self.intercepts)]
                weights = Weights(*like, None)
                self._modules = _Modules.of(self.spec, weights, self.flat.dtype, self.flat.device)
            self._bind_modules(_views(self.flat, self._shapes))
        return self._modules

    @property
    def module(self):
        return self._built().module

    @property
    def activations(self):
        layers = self._built().layers
        return [] if layers is None else layers.activations

    @property
    def learned(self):
        return self._built().matrices + self._built().rest

    @property
    def segments(self):
        """The slice of `flat` that each learned parameter lies in, in order."""
        ends = np.cumsum([shape.numel() for shape in self._shapes]).tolist()
        return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]

    def frozen(self):
        """Tell which parameters are frozen, by `requires_grad_(False)` or `grad = None`."""
        return [not p.requires_grad or p.grad is None for p in self.learned]

    def take_gradients(self):
        """Take over gradients that a callback has replaced; those of frozen parameters are 0."""
        frozen = self.frozen()
        for p, gradient, is_frozen in zip(self.learned, self._gradients, frozen, strict=True):
            if is_frozen:
                gradient.zero_()
            elif p.grad is not gradient:
                gradient.copy_(p.grad)
                p.grad = gradient

    def put_gradients(self):
        """Let parameters have their part of `gradient` again, where a callback took it away."""
        for p, gradient in zip(self.learned, self._gradients, strict=True):
            if p.grad is not gradient:
                p.grad = gradient

    def seed(self, draw):
        """Seed what is random in training by `draw()`, apart from torch's generators."""
        if self._modules is None:
            return  # nothing in it is random
        is_ours = isinstance(self.module, TiedNetwork)
        if self.spec.module is not None and not is_ours:
            self._own_numbers = random_stream(draw(), self.flat.device)
            return
        random = [m for m in self.module.modules() if hasattr(m, "generator")]
        if random:
            self.dropout_seed = draw()
            generator = torch.Generator(self.flat.device).manual_seed(self.dropout_seed)
            for module in random:
                module.generator = generator

    def compile(self):
        """Have `logits` computed by the compiled engine from now on; see `can_compile`.

        Running statistics share one array from then on.

        Returns
        -------
        plan : sklmlp.native.Plan
            Of `flat`, and of `statistics` where there are any.
        """
        is_double = self.flat.dtype == torch.float64
        self._plan = make_plan(self.spec, is_double, self.transposed)
        if self._batch_norms:
            kinds = "running_mean", "running_var"
            names = [(norm, kind) for norm in self._batch_norms for kind in kinds]
            tensors = [getattr(*each) for each in names]
            joined = torch.cat(tensors)
            for (norm, name), part in zip(names, joined.split([*map(len, tensors)]), strict=True):
                setattr(norm, name, part)
            self.statistics = joined.numpy()
        elif self.spec.module is not None:
            constants = [buffer.reshape(-1) for buffer in self.module.buffers()]
            self.statistics = torch.cat(constants).numpy() if constants else None
        return self._plan

    @property
    def dropout(self):
        """The rate that a callback may have set, of a `TiedNetwork`; else None."""
        return self.module.dropout if isinstance(self.module, TiedNetwork) else None

    def count_batches(self, n):
        """Count batches that moved running statistics."""
        for batch_norm in self._batch_norms:
            batch_norm.num_batches_tracked += n

    def train(self, n_rows):
        """Prepare for a step on a batch of some rows; one has no variance to normalize by."""
        self.module.train()
        if n_rows == 1:
            for batch_norm in self._batch_norms:
                batch_norm.eval()

    def __call__(self, x):
        """Compute logits, (n, k), of rows, (n, d), in the mode of the module."""
        if self._own_numbers is None:
            return self.module(x)
        with self._own_numbers():
            return self.module(x)

    def snapshot(self):
        """Copy the learned numbers and running statistics, for `restore`."""
        return [tensor.detach().clone() for tensor in self._moving()]

    def restore(self, snapshot):
        """Be again what the network was when it was copied."""
        for tensor, value in zip(self._moving(), snapshot, strict=True):
            tensor.detach().copy_(value)

    def _moving(self):
        """List the tensors that training moves."""
        return [self.flat, *(() if self._modules is None else self.module.buffers())]

    @property
    def takes_sparse(self):
        """Whether `logits` takes CSR: where the first layer is a plain affine map."""
        return self.spec.module is None and not self.spec.residual

    def logits(self, x):
        """Compute logits, (n, k), of rows, (n, d), as in prediction."""
        if self._plan is not None and x.layout == torch.strided:
            n_threads = native.shards(self._plan, len(x), torch.get_num_threads())
            flat = self.flat.detach().numpy()
            return torch.from_numpy(self._plan.forward(flat, x.numpy(), self.statistics, n_threads))
        self.module.eval()
        with torch.no_grad():
            return self.module(x)

    def weights(self, dtype):
        """Copy the weights to NumPy arrays of a floating dtype."""

        def copied(tensor):
            array = tensor.detach().cpu().numpy()
            return array.astype(dtype if tensor.is_floating_point() else array.dtype)

        if self.spec.module is not None:
            state = {name: copied(v) for name, v in named_tensors(self.module).items()}
            return Weights([], [], state, self._module_seed)
        state = {} if self._modules is None else self._modules.layers.state()
        return Weights(
            [copied(coef) for coef in self.coefs],
            [copied(intercept) for intercept in self.intercepts],
            {name: copied(v) for name, v in state.items()},
        )

    @property
    def has_finite_numbers(self):
        """Whether all of `flat` is finite."""
        flat = self.flat.detach()
        # torch's is several operations, each of which takes longer than NumPy's on a small array
        return bool(np.isfinite(flat.numpy()).all() if flat.is_cpu else flat.isfinite().all())

    def is_finite(self, weights):
        """Tell whether weights are finite; constants of a custom module may be infinite."""
        constants = set()
        if self.spec.module is not None:
            constants = {name for name, _ in self.module.named_buffers()}
        arrays = [*weights.coefs, *weights.intercepts]
        arrays += [a for name, a in weights.state.items() if name not in constants]
        return all(np.isfinite(array).all() for array in arrays)


NARROW = 32
"""BLAS is several times slower at products whose result has contiguous runs shorter than this."""


def is_stored_transposed(fan_in, fan_out):
    """Tell whether coefs lie in memory as (fan out, fan in): contiguous runs are not narrow."""
    return fan_out < min(fan_in, NARROW)


def _views(flat, shapes):
    parts = flat.detach().split([shape.numel() for shape in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]


def _in_order(layers):
    """Return the parameters of a network: matrices, and the rest."""
    matrices = [linear.weight for linear in layers.linears]
    matrices += [weight for module in layers.projections for weight in module.parameters()]
    rest = [linear.bias for linear in layers.linears]
    for module in (*layers.activations, *layers.normalizations):
        rest += [p for p in module.parameters() if p.requires_grad]
    return matrices, rest


def build_network(spec, config, rng, weights_dtype, dtype, device, weights=None):
    """Build the network that a fit begins with.

    Parameters
    ----------
    spec : Spec
    config : TrainingConfig
        Says by which rules initial weights are drawn.
    rng : numpy.random.RandomState
    weights_dtype : numpy.dtype
        In which weights are drawn, and will be kept.
    dtype : torch.dtype
        In which the network computes.
    device : torch.device
    weights : Weights, default=None
        Those of an earlier fit; None draws new ones.

    Returns
    -------
    network : Network
    """
    if weights is None:
        rule = output_rule(config.activation)
        weights = initial_weights(spec, rng, weights_dtype, rule, config.weight_init)
    return Network(spec, weights, dtype, device)
