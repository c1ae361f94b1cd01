"""Training losses without a look at the device at every step."""


class LossMeter:
    """The training losses of an epoch, from the logits that its steps left behind.

    The device is looked at once an epoch, at the end.

    Parameters
    ----------
    runs : list of TrainingRun
        K networks; one does without the axis of K.
    """

    def __init__(self, runs):
        flat = runs[0].network.flat.detach()
        stack = () if len(runs) == 1 else (len(runs),)
        self.loss = runs[0].loss
        self.per_row = flat.new_tensor([1 / len(run.dataset) for run in runs]).view(stack)
        self.half_alpha = flat.new_tensor([run.config.alpha / 2 for run in runs]).view(stack)
        self.total = flat.new_zeros(stack)

    def add(self, run):
        """Add a run of batches, once they were trained on."""
        rows, squared = self.loss.value(run.logits, run.y), run.squared_coefs
        if run.share is not None:
            rows, squared = rows * run.share, squared * run.penalty_share
        self.total.add_(rows.sum(-1)).addcmul_(self.half_alpha, squared.sum(0))

    def losses(self):
        """Return the penalized loss of each network since the last call, averaged by batch."""
        losses = self.total.mul_(self.per_row).view(-1).tolist()
        self.total.zero_()
        return losses
