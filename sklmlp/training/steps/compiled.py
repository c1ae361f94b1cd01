"""The compiled step: whole blocks of epochs of one network without the interpreter."""

import numpy as np

from sklmlp import native, runtime
from sklmlp.data import rows_of_a_batch
from sklmlp.nn import can_compile
from sklmlp.training.steps.base import SECONDS_AT_A_TIME, Step

MOST_EPOCHS = 2**62
"""The engine counts epochs in 64 bits."""

MOST_STEPS = 10_000
"""A block has no more steps with learning rates of their own, which are laid out before it."""


def is_compilable(run):
    """Return whether the engine knows the network of a run, and no callback follows its batches."""
    network, rows = run.network, run.dataset.rows
    return (
        network.flat.device.type == "cpu"
        and not run.has_batch_callbacks
        and run.config.matmul_precision == "highest"
        and rows.has_arrays
        and (rows.is_tensor or network.takes_sparse)
        and can_compile(network.spec)
    )


def rows_of_dataset(dataset):
    """All rows of a dataset, as the engine takes them."""
    return native.Rows(
        **dataset.rows.as_arrays(),
        y=np.ascontiguousarray(dataset.y.numpy()),
        weight=None if dataset.weight is None else np.ascontiguousarray(dataset.weight, float),
    )


class CompiledStep(Step):
    """Epochs in the compiled engine, on as many threads as pay.

    Parameters
    ----------
    runs : list of TrainingRun
        One of them.

    Attributes
    ----------
    n_threads : int
        The most that it may use.
    """

    is_compiled, n_threads = True, 1

    def __init__(self, runs):
        (self.run,) = runs
        runtime.will_compute()
        network, dataset, config = self.run.network, self.run.dataset, self.run.config
        self.batch_size = rows_of_a_batch(config.batch_size, len(dataset))
        self.plan = network.compile()
        self.rows = rows_of_dataset(dataset)
        order = self.run.ordered_dataset.index
        if order is None and config.shuffle:
            order = np.arange(len(dataset))
        self.order = None if order is None else np.array(order, np.int64)
        self.optimizer = native.Optimizer(
            **self.run.state.optimizer.engine_options,
            alpha=config.alpha,
            max_grad_norm=config.max_grad_norm,
        )
        self.moments = [moment.numpy() for moment in self.run.state.optimizer.joint_moments()]

    @classmethod
    def can_run(cls, run):
        """Return whether the engine knows the optimizer too; see `is_compilable`."""
        return run.state.optimizer.engine_options is not None and is_compilable(run)

    def train_epochs(self, n_epochs, interrupted):
        """Train for as many epochs as there is time for; see `Step`."""
        run, config = self.run, self.run.config
        optimizer, stopping, network = run.state.optimizer, run.state.stopping, run.network
        n_epochs, rates = min(n_epochs, MOST_STEPS), None
        if optimizer.schedule is not None:
            n_batches = -(-len(run.dataset) // self.batch_size)
            n_epochs = max(1, min(n_epochs, MOST_STEPS // n_batches))
            epochs = range(run.epoch, run.epoch + n_epochs)
            rates = np.concatenate([optimizer.schedule.rates(e, n_batches) for e in epochs])
        most_failures = None if run.validation else min(config.n_iter_no_change, MOST_EPOCHS)
        state = native.State(
            network.flat.detach().numpy(),
            *[*self.moments, None, None][:2],
            network.statistics,
            self.order,
            t=optimizer.t,
            learning_rate=optimizer.lr,
            best_loss=np.inf if stopping.best_loss is None else stopping.best_loss,
            no_improvement=stopping.no_improvement,
        )
        try:
            block = native.train_epochs(
                self.plan,
                state,
                self.rows,
                self.optimizer,
                native.Limits(
                    n_epochs,
                    SECONDS_AT_A_TIME,
                    config.tol,
                    most_failures,
                    interrupted.flag,
                ),
                batch_size=self.batch_size,
                rng=run.state.rng if config.shuffle else None,
                rates=rates,
                dropout_seed=network.dropout_seed,
                dropout=network.dropout,
                n_threads=self.n_threads,
            )
        finally:  # also where Ctrl-C ends it
            optimizer.set_steps(state.t)
            if rates is not None:
                optimizer.set_rate(state.learning_rate)
            network.count_batches(state.n_batch_normalizations)
        if block.reason == "stopped":
            raise KeyboardInterrupt
        losses, rates = block.losses.tolist(), block.learning_rates.tolist()
        return [losses], [rates], block.seconds.tolist()

    def select(self, indices):
        """Do nothing: there is one network."""

    @property
    def orders(self):
        """See `Step`."""
        return [self.order]
