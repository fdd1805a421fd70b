"""torch's Adam and SGD in TensorFlow; Keras's Adam adds its eps before bias correction."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tasks.classify.spec import Classify

BETAS = 0.9, 0.999
EPS = 1e-8


class Optimizer:
    """Adam (Kingma and Ba 2015; eps after bias correction) or SGD with momentum, as the task says."""

    def __init__(self, task: Classify, variables: Sequence[tf.Variable]) -> None:
        self.task = task
        self.variables = list(variables)
        dtype = self.variables[0].dtype
        self.count = tf.Variable(0, dtype=dtype, trainable=False)
        self.first = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self.variables]
        self.second = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self.variables]

    def states(self) -> list[tf.Variable]:
        """All that it remembers from one step to the next."""
        return [self.count, *self.first, *self.second]

    def forget(self) -> None:
        """Return to the state before the first step."""
        for state in self.states():
            state.assign(tf.zeros_like(state))

    def step(self, gradients: Sequence[tf.Tensor]) -> None:
        """Update the variables by their gradients, in order."""
        self.count.assign_add(1)
        for variable, gradient, first, second in zip(
            self.variables, gradients, self.first, self.second, strict=True
        ):
            if self.task.optimizer == "sgd":
                change = first.assign(self.task.momentum * first + gradient)
            else:
                mean = first.assign(BETAS[0] * first + (1 - BETAS[0]) * gradient)
                square = second.assign(BETAS[1] * second + (1 - BETAS[1]) * tf.square(gradient))
                change = (mean / (1 - BETAS[0] ** self.count)) / (
                    tf.sqrt(square / (1 - BETAS[1] ** self.count)) + EPS
                )
            variable.assign_sub(self.task.lr * change)
