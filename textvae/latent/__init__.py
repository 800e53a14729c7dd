"""Operations on latent vectors: clusters, directions, interpolation, quantization."""
