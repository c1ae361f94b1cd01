"""The step by hand: backpropagation for affine maps with activations between them.

Everything is written into memory that was made once. A stack of K networks takes the same step with
a leading axis of K on all its tensors; one network does without that axis and uses the
two-dimensional kernels.
"""

import torch

from sklmlp.kernels import by_autograd
from sklmlp.nn import is_stored_transposed
from sklmlp.optim import stack_padded
from sklmlp.training.steps.base import BatchStep


def _layers(spec):
    """Return the activation and the width of each hidden layer."""
    return spec.activations, spec.hidden


def _kernel(choice, width):
    """The value and derivative of an activation, or None if it takes a step of its own."""
    if choice.entry.kernel is not None:
        return choice.entry.kernel(choice.entry.filled(choice.arguments))
    if choice.custom is not None:
        is_module = isinstance(choice.custom, type | torch.nn.Module)
        return None if is_module else by_autograd(choice.custom)
    if choice.entry.is_random:
        return None
    module = choice.build(width, device="meta")
    return None if list(module.parameters()) else by_autograd(module)


class DenseStep(BatchStep):
    """Forward, backward and update of one network or a stack, written out.

    Parameters
    ----------
    runs : list of TrainingRun
        Of one spec; K of them.
    """

    can_stack = True

    def __init__(self, runs):
        self.takes_sparse = len(runs) == 1 and not runs[0].has_batch_callbacks
        super().__init__(runs)
        self.spec, self.loss = runs[0].network.spec, runs[0].loss
        self._lay_out([run.network.flat.detach() for run in runs])

    @classmethod
    def can_run(cls, run):
        """Affine maps and activations that have nothing to learn or to draw; see `Step`."""
        spec = run.network.spec
        return (spec.is_plain and not spec.has_own_loss) and all(map(_kernel, *_layers(spec)))

    def _lay_out(self, flats):
        """Put weights, gradients and moments of all networks into one tensor each."""
        self.has_batch_callbacks = self.runs[0].has_batch_callbacks
        self.memory = {}  # by batch size
        self.size = flats[0].numel()
        networks = [run.network for run in self.runs]
        alphas = [run.config.alpha for run in self.runs]
        if len(flats) == 1:
            self.flat, self.gradient, self.alpha = flats[0], networks[0].gradient, alphas[0]
            if not self.runs[0].pins_parameters:
                self.flat, self.gradient = flats[0].clone(), torch.zeros_like(flats[0])
                networks[0].bind(self.flat, self.gradient)
        else:
            self.flat = stack_padded(flats)  # (K, at least P)
            self.gradient = torch.zeros_like(self.flat)
            for k, network in enumerate(networks):
                network.bind(self.flat[k, : self.size], self.gradient[k, : self.size])
            self.alpha = self.flat.new_tensor(alphas).unsqueeze(-1)  # (K, 1)
        self.prepare_update(self.flat, self.gradient)
        n_coefs, self.penalised = networks[0].n_coefs, any(alphas)
        self.all_coefs = self.flat[..., :n_coefs]
        self.all_coef_gradients = self.gradient[..., :n_coefs]
        self.coefs, self.intercepts = self._views(self.flat)
        self.coefs_t = [coef.mT for coef in self.coefs]
        self.biases = self.intercepts  # as the affine kernel takes them
        if len(flats) > 1:
            self.biases = [intercept.unsqueeze(-2) for intercept in self.intercepts]
        self.affine, self.matmul = torch.addmm, torch.mm
        if len(flats) > 1:
            self.affine, self.matmul = torch.baddbmm, torch.bmm
        self.coef_gradients, self.intercept_gradients = self._views(self.gradient)

    def _views(self, flat):
        """Return coefs (..., fan in, fan out) and intercepts (..., fan out) of a flat tensor."""
        stack, shapes = flat.shape[:-1], self.spec.shapes
        sizes = [i * o for i, o in shapes] + [o for _, o in shapes]
        parts = flat[..., : self.size].split(sizes, dim=-1)
        coefs = [
            part.view(*stack, o, i).mT if is_stored_transposed(i, o) else part.view(*stack, i, o)
            for part, (i, o) in zip(parts, shapes, strict=False)
        ]
        return coefs, list(parts[len(shapes) :])

    def _empty(self, n, width):
        """Memory for n rows, (..., n, width); laid out as `is_stored_transposed` says."""
        stack = self.flat.shape[:-1]
        if is_stored_transposed(n, width):
            return self.flat.new_empty((*stack, width, n)).mT
        return self.flat.new_empty((*stack, n, width))

    def _rearrange(self, before, indices):
        """Go on with some of the networks; the others leave with their own weights."""
        own = [k for k in range(len(before)) if k not in indices or len(indices) == 1]
        flats = [self.flat[k, : self.size].clone() for k in indices]
        for k in own:
            network = before[k].network
            network.bind(*(each[k, : self.size].clone() for each in (self.flat, self.gradient)))
            before[k].state.optimizer.detach_from_stack()
        self._lay_out(flats)

    def _memory_for(self, n):
        """Return memory for n rows: pre-activations, activations and gradients of hidden layers."""
        layers = []
        for choice, width in zip(*_layers(self.spec), strict=True):
            kernel = _kernel(choice, width)
            z = self._empty(n, choice.units_in(width))
            a = self._empty(n, width) if kernel.keeps_input else z
            layers.append((kernel, z, a, a.mT, self._empty(n, width)))
        shape = *self.flat.shape[:-1], self.spec.n_outputs, n
        return layers, self.flat.new_empty(shape).mT, self.flat.new_empty(shape).mT

    def __call__(self, batch):
        """Train on a batch; see `BatchStep`."""
        n = batch.x.shape[-2]
        if n not in self.memory:
            self.memory[n] = self._memory_for(n)
        layers, logits, delta = self.memory[n]
        a = batch.x
        for i, (kernel, z, value, _, _) in enumerate(layers):
            self.affine(self.biases[i], a, self.coefs[i], out=z)  # z = a W + b
            kernel.forward(z, value)
            a = value
        if self.flat.ndim == 1:
            logits = batch.logits
            torch.addmm(self.biases[-1], a, self.coefs[-1], out=logits)
        else:  # a slice of the logits of a run is no place for a batched product
            batch.logits.copy_(self.affine(self.biases[-1], a, self.coefs[-1], out=logits))

        # delta = dL/dz, from the last layer to the first: Rumelhart et al. 1986, eq. 4 to 6
        delta = self.loss.gradient(logits, batch.y, out=delta).mul_(batch.scale)
        for i in range(len(layers), 0, -1):
            kernel, z, value, transposed, below = layers[i - 1]
            self._weight_gradient(i, transposed, delta)
            self.matmul(delta, self.coefs_t[i], out=below)  # dL/da = delta W^T
            delta = kernel.backward(below, z, value)
        self._weight_gradient(0, batch.x_t, delta)
        self._penalise(batch.weight_sum, batch.squared_coefs)
        if self.has_batch_callbacks:
            self.runs[0].callback.gradient_computed(batch)
        self.update_weights()

    def _weight_gradient(self, i, transposed, delta):
        self.matmul(transposed, delta, out=self.coef_gradients[i])  # dL/dW = a^T delta
        torch.sum(delta, -2, out=self.intercept_gradients[i])

    def _penalise(self, weight_sum, penalty):
        coefs, gradients = self.all_coefs, self.all_coef_gradients
        if self.flat.ndim == 1:
            torch.dot(coefs, coefs, out=penalty)
            if self.penalised:
                gradients.add_(coefs, alpha=self.alpha / weight_sum)
            return
        penalty.copy_(torch.linalg.vecdot(coefs, coefs))
        if self.penalised:
            gradients.addcmul_(coefs, self.alpha / weight_sum)
