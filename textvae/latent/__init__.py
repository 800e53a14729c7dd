"""Operations on latent vectors: clusters, directions, interpolation, neighbors, quantization."""
