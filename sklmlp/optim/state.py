"""The state of an optimizer between calls of `partial_fit`."""

from dataclasses import dataclass

import numpy as np

from sklmlp.optim.registry import lookup_solver, make_optimizer


@dataclass
class OptimizerState:
    """What an optimizer has to remember between calls of `partial_fit`.

    Attributes
    ----------
    solver : str
    t : int
        Steps taken.
    options : dict
        Rate, momentum and so on; scikit-learn keeps those that training began with.
    moments : dict of str to ndarray
    """

    solver: str
    t: int
    options: dict
    moments: dict

    @property
    def learning_rate(self):
        """The rate that the next step would take."""
        return self.options["lr"]

    @classmethod
    def of(cls, optimizer):
        """Return the state of an optimizer, copied."""
        return cls(
            solver=optimizer.solver,
            t=optimizer.t,
            options=optimizer.options,
            moments={n: np.array(m.cpu().numpy()) for n, m in optimizer.moments.items()},
        )

    def restore(self, optimizer):
        """Continue with an optimizer of the same kind."""
        optimizer.t = self.t
        optimizer.restore(self.options, self.moments)

    def check_next_step(self, network, params):
        """Raise ValueError where an optimizer of torch's could not go on from here.

        Nothing of a user's is run.

        Parameters
        ----------
        network : Network
            One that nobody needs: a step is tried on it.
        params : namespace
            The estimator's parameters.
        """
        try:
            if not lookup_solver(params.solver).is_of_torch:
                return
            optimizer = make_optimizer(network, params)
        except Exception:  # parameters have changed since, and the next fit refuses them
            return
        if optimizer.solver != self.solver:
            return
        try:
            self.restore(optimizer)
            optimizer.step()
        except Exception as error:  # torch.optim checks nothing, and fails in many ways
            raise ValueError(
                f"the _optimizer of this state cannot go on: {type(error).__name__}: {error}"
            ) from error
