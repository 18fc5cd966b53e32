"""Code generation: kernels compiled once and kept on disk, the register tile, fused arithmetic, threads."""
