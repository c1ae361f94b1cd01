"""The training step of members that share their matrices, with backpropagation written out."""

import torch

from sklmlp.nn import TiedNetwork
from sklmlp.training.steps.base import BatchStep, add_penalty, make_update

POOL = 2**20
"""Numbers in the pool that an epoch's dropout masks are cut from, at places that are drawn."""

LINE = 16
"""Masks begin at multiples of it."""


class TiedStep(BatchStep):
    """The step of a `TiedNetwork`, with intermediate values in memory made once.

    The matrix of each member is written out, W_i = diag(r_i) W diag(s_i), so that forward and
    backward are those of a stack of networks; then the gradients A_i of these matrices are pulled
    back:

        dW = sum_i r_i s_i^T * A_i,   dr_i = (A_i * W) s_i,   ds_i = (A_i * W)^T r_i

    Products with `*` are elementwise. That takes passes over k n_in n_out numbers, where the
    textbook's form takes as many, and more of them, over k n n_in: less wherever layers are
    narrower than batches are long.

    Parameters
    ----------
    runs : list of TrainingRun
        One of them.
    """

    def __init__(self, runs):
        super().__init__(runs)
        (self.run,) = runs
        self.network, self.module = self.run.network, self.run.network.module
        self.update = make_update(runs, self.network.flat.detach(), self.network.gradient)
        self.memory, self.places = {}, None

    @classmethod
    def can_run(cls, run):
        """Whether it is a `TiedNetwork`; see `Step`."""
        return isinstance(run.network.module, TiedNetwork) and not run.network.spec.has_own_loss

    def begin_epoch(self):
        """Take note of learning rates, and draw the pool of dropout masks."""
        self.update.begin_epoch()
        if self.module.dropout and self.module.layers:
            self._draw_pool()

    def _draw_pool(self):
        """Fill the pool; integers of 16 bits are drawn four at a time, and kept by a threshold."""
        module, like = self.module, self.network.flat.detach()
        bits = torch.empty(POOL // 4, dtype=torch.int64, device=like.device)
        bits.random_(-(2**63), None, generator=module.generator)
        keep = 1 - module.dropout
        kept = bits.view(torch.int16) < int(keep * 2**16) - 2**15
        self.pool = kept.to(like.dtype).div_(keep)
        n_batches = self.run.batch_plan.n_batches
        places = torch.empty(
            n_batches * len(module.layers), dtype=torch.int64, device=like.device
        ).random_(0, 2**31, generator=module.generator)
        self.places = iter(places.tolist())

    def masks(self, shapes):
        """Return for each shape what units are multiplied by, 0 or 1 / (1 - dropout), or None."""
        if not self.module.dropout:
            return [None] * len(shapes)
        masks = []
        for shape in shapes:
            size = shape.numel()
            pool, place = self.pool, next(self.places)
            if size > POOL // 2:  # larger than what there is to choose from
                pool = pool.repeat(-(-2 * size // POOL))
            start = place % ((len(pool) - size) // LINE + 1) * LINE
            masks.append(pool[start : start + size].view(shape))
        return masks

    def __call__(self, batch):
        """Train on a batch; see `BatchStep`."""
        memory = self.memory.get(len(batch.x))
        if memory is None:
            memory = self.memory[len(batch.x)] = _Memory(self.module, batch.x)
        z = self._forward(memory, batch.x)
        y = batch.y.expand(len(z), *batch.y.shape)
        slope = self.run.loss.gradient(z, y).mul_(batch.scale).div_(len(z))
        batch.logits.copy_(self.module.averaged(z))
        self._backward(memory, batch.x, slope)
        add_penalty(self.run, batch.weight_sum, batch.squared_coefs)
        self.run.callback.gradient_computed(batch)
        self.update.step()

    def _forward(self, memory, x):
        """Return the logits of members, (k, n, n_outputs)."""
        module = self.module
        if module.front is not None:
            front, n_numbers = module.front, module.n_numbers
            numbers = x[:, :n_numbers].T.unsqueeze(2)  # (F, n, 1)
            # 0 at a bin's left edge, 1 at its right one
            parts = torch.sub(numbers, front.left, out=memory.parts)  # (F, n, T)
            parts.mul_(front.per_width).clamp_(0, 1)
            e = torch.mul(numbers, front.weight.detach(), out=memory.embedded)  # (F, n, size)
            e.add_(front.bias.detach()).baddbmm_(parts, front.bins.detach())
            memory.first_part.copy_(e.transpose(0, 1))
            memory.h[0][:, memory.n_embedded :] = x
        memory.masks = self.masks([h.shape for h in memory.h[1:]])
        h = self._first(memory, x)
        for layer, matrices, into, mask in zip(
            module.layers, memory.matrices, memory.h[1:], memory.masks, strict=True
        ):
            # W_i = diag(r_i) W diag(s_i)
            torch.mul(layer.weight.detach(), layer.r.detach().unsqueeze(2), out=matrices)
            matrices.mul_(layer.s.detach().unsqueeze(1))
            torch.baddbmm(layer.bias.detach().unsqueeze(1), h, matrices, out=into)
            into.clamp_(min=0)
            if mask is not None:
                into.mul_(mask)
            h = into
        bias, head = module.head_bias.detach(), module.head.detach()
        return torch.baddbmm(bias, h, head, out=memory.logits)

    def _first(self, memory, x):
        """Return what goes into the first layer, as if each member had a copy."""
        h = x if self.module.front is None else memory.h[0]
        return h.expand(self.module.n_members, *h.shape)

    def _backward(self, memory, x, slope):
        """Fill in the gradient, from that of logits."""
        module = self.module
        inputs = [self._first(memory, x), *memory.h[1:]]
        torch.bmm(inputs[-1].mT, slope, out=module.head.grad)
        torch.sum(slope, 1, keepdim=True, out=module.head_bias.grad)
        if not module.layers:
            self._pull_front(memory, x, slope, module.head.detach())
            return
        dh = torch.bmm(slope, module.head.detach().mT, out=memory.dh[-1])
        for number in reversed(range(len(module.layers))):
            layer, mask, matrices = (
                module.layers[number], memory.masks[number], memory.matrices[number]
            )  # fmt: skip
            if mask is not None:
                dh.mul_(mask)
            # ReLU's derivative, where a unit was dropped as well
            dz = torch.ops.aten.threshold_backward.grad_input(
                dh, memory.h[number + 1], 0, grad_input=dh
            )
            torch.sum(dz, 1, out=layer.bias.grad)
            a = torch.bmm(inputs[number].mT, dz, out=memory.slopes[number])  # (k, n_in, n_out)
            if number:
                dh = torch.bmm(dz, matrices.mT, out=memory.dh[number - 1])
            else:
                self._pull_front(memory, x, dz, matrices)
            _pull(a, layer, matrices)

    def _pull_front(self, memory, x, dz, matrices):
        """Fill in the gradient of the embeddings."""
        front = self.module.front
        if front is None:
            return
        n = memory.n_embedded
        into = memory.d_first
        torch.mm(dz[0], matrices[0, :n].T, out=into)
        for slope, matrix in zip(dz[1:], matrices[1:], strict=True):
            into.addmm_(slope, matrix[:n].T)
        de = memory.embedded.copy_(into.view(memory.first_part.shape).transpose(0, 1))
        torch.bmm(memory.parts.mT, de, out=front.bins.grad)
        numbers = x[:, : self.module.n_numbers].T.unsqueeze(1)  # (F, 1, n)
        torch.bmm(numbers, de, out=front.weight.grad)
        torch.sum(de, 1, keepdim=True, out=front.bias.grad)


def _pull(a, layer, scratch):
    """Fill in a layer's gradient from those of members' matrices, (k, n_in, n_out)."""
    r, s = layer.r.detach(), layer.s.detach()
    aw = torch.mul(a, layer.weight.detach(), out=scratch)
    torch.bmm(aw, s.unsqueeze(2), out=layer.r.grad.unsqueeze(2))
    torch.bmm(r.unsqueeze(1), aw, out=layer.s.grad.unsqueeze(1))
    a.mul_(s.unsqueeze(1)).mul_(r.unsqueeze(2))
    torch.sum(a, 0, out=layer.weight.grad)


class _Memory:
    """Memory for the intermediate values of batches of one length."""

    def __init__(self, module, x):
        k, n, new = module.n_members, len(x), x.new_empty
        front = module.front
        if front is not None:
            n_numbers, _, size = front.weight.shape
            self.parts = new(n_numbers, n, front.bins.shape[1])
            self.embedded = new(n_numbers, n, size)
            self.n_embedded = n_numbers * size
            first = new(n, self.n_embedded + x.shape[1])
            self.first_part = first[:, : self.n_embedded].view(n, n_numbers, size)
            self.d_first = new(n, self.n_embedded)
        widths = [layer.weight.shape[1] for layer in module.layers]
        self.h = [None if front is None else first, *(new(k, n, width) for width in widths)]
        self.dh = [new(k, n, width) for width in widths]
        self.matrices = [new(k, *layer.weight.shape) for layer in module.layers]
        self.slopes = [new(k, *layer.weight.shape) for layer in module.layers]
        self.logits = new(k, n, module.head.shape[2])
        self.masks = []
