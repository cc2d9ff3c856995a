"""What `loss.backward()` and `optimizer.step()` compute, in plain NumPy.

Read the files in this order; each needs only those above it:

    linear           y = x W^T + b, and its three gradients
    relu             the kink, and which side of it passes the gradient
    softplus         the kink rounded off
    batch_statistics the mean and variance of every channel, of a batch and running
    batch_norm       every channel shifted and scaled to mean 0 and variance 1
    dropout          a random share set to zero, and the rest scaled up for it
    reduction        many losses made into one
    mse_loss         the mean of the squared errors
    l1_loss          the mean of the absolute errors
    log_softmax      scores turned into log-probabilities
    nll_loss         how surprised log-probabilities are by the true classes
    label_smoothing  a share of the truth for all classes alike
    soft_loss        the same against probabilities of the classes
    cross_entropy    from scores to the loss, by labels or by probabilities
    arithmetic       sums, products and powers, and what broadcasting does to gradients
    graph            nodes, leaves, and the loop that is `loss.backward()`
    operations       the functions above on tensors: the forward pass builds the graph
    drawing          the graph as text and as a picture
    initialization   where the first parameters come from
    distributions    how likely a random number is to be at most x
    mlp              Linear, ReLU, Linear, cross-entropy: forward and backward, end to end
    clipping         gradients that are too large, cut by their norm or one by one
    autocast         which operations run in a half type, and which in float32
    grad_scaler      losses scaled up, gradients scaled down, and steps left out
    sgd              a step along the gradient, with momentum
    adam             a step scaled by the running moments of the gradient
    adamw            the same, with the weight decay kept out of the moments

An operation comes as a pair. `f` computes y from x. `f_backward` is given `grad_output`, dL/dy, and
returns dL/dx by the chain rule. L is the loss, the one number at the end of everything, and dL/dy
is all that f needs to know of it. A gradient has the shape of its array.

`python -m reference` prints one training step built from them, number by number.

Every function is a formula (only `graph` and `operations` have objects that change): it takes
arrays and returns new arrays, draws nothing at random unless it is handed a generator, and changes
nothing in place. The array type is left open. float64 arrays give the value; complex arrays give
derivatives, f(x + ih).imag / h for a tiny h; and the error-carrying arrays of
`tests/harness/rounded.py` give the value together with a bound on the rounding error of any
faithful implementation. So branches on data are written `np.where`, and are decided on the real
part.
"""
