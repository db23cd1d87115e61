"""Speed of gambit: kernels, pipeline, replay, and the other libraries of the field over the same frames."""
