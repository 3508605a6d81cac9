"""The catalogue of faults: one family a module, small pure kernels beside the records that name them."""
