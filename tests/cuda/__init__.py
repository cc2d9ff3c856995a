"""What only CUDA has: graphs, streams, kernels that add up in any order. Not yet run on a GPU."""
