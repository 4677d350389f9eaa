"""The networks that every program here measures, with a rank's batch; `chorale bench step --preset NAME` has the same."""

NETWORKS = {
    "article": {"widths": [100, 128, 64, 1], "batch": 32, "steps": 2000, "torch_steps": 300},
    "mlp": {"widths": [784, 512, 512, 10], "batch": 128, "steps": 60, "torch_steps": 40},
    "wide": {"widths": [1024, 4096, 4096, 1024], "batch": 256, "steps": 6, "torch_steps": 5},
}


def parameters(network):
    widths = NETWORKS[network]["widths"]
    return sum((a + 1) * b for a, b in zip(widths, widths[1:]))


def operations(network):
    """Floating point operations of a rank's step in matrix products: forward, gradient of weights, gradient of inputs (not the first)."""
    widths, batch = NETWORKS[network]["widths"], NETWORKS[network]["batch"]
    products = [a * b for a, b in zip(widths, widths[1:])]
    return 2 * batch * (3 * sum(products) - products[0])
